//! The Merkle tree of RFC 6962 and RFC 9162: growing it, and making and verifying proofs that an
//! entry is in it and that a later tree only adds to an earlier one. Proofs are made from the
//! hashes of perfect subtrees, wherever those are kept; verifying needs nothing but the proof.

use crate::{EMPTY_ROOT, Error, Hash, node_hash};

/// Gives hashes of perfect subtrees.
pub trait Hashes {
    /// The hash over leaves `index << level .. (index + 1) << level`.
    ///
    /// # Errors
    /// When the hash can't be had.
    fn hash(&self, level: u32, index: u64) -> Result<Hash, Error>;
}

/// The right edge of a growing tree: the roots of the perfect subtrees that make it up, from the
/// largest, at the left, to the smallest. Its length is the number of ones in the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf. Each subtree that it completes, from level 1 on, goes to `completed` with its
    /// level and index.
    pub fn push(&mut self, leaf: Hash, mut completed: impl FnMut(u32, u64, &Hash)) {
        let mut hash = leaf;
        let mut level = 0;
        while (self.size >> level) & 1 == 1 {
            let Some(left) = self.roots.pop() else { break };
            hash = node_hash(&left, &hash);
            level += 1;
            completed(level, self.size >> level, &hash);
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        match roots.next() {
            None => EMPTY_ROOT,
            Some(last) => roots.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// The hash over leaves `start..end`, a subtree that occurs in some tree: `start` is a multiple of
/// the smallest power of two that isn't below the length.
fn subtree(hashes: &impl Hashes, start: u64, end: u64) -> Result<Hash, Error> {
    let length = end - start;
    if length.is_power_of_two() {
        let level = length.trailing_zeros();
        return hashes.hash(level, start >> level);
    }
    let middle = start + split(length);
    let (left, right) = (
        subtree(hashes, start, middle)?,
        subtree(hashes, middle, end)?,
    );
    Ok(node_hash(&left, &right))
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// What `hashes` gives.
pub fn root(hashes: &impl Hashes, size: u64) -> Result<Hash, Error> {
    if size == 0 {
        return Ok(EMPTY_ROOT);
    }
    subtree(hashes, 0, size)
}

/// Proves that leaf `index` is in the tree of the first `size` leaves: the hashes from the leaf's
/// sibling up to the root's child (RFC 9162, section 2.1.3.1).
///
/// # Errors
/// [`Error::OutOfRange`], and what `hashes` gives.
pub fn inclusion(hashes: &impl Hashes, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
    if index >= size {
        return Err(Error::OutOfRange {
            what: "record",
            asked: index,
            size,
        });
    }
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(subtree(hashes, middle, end)?);
            end = middle;
        } else {
            path.push(subtree(hashes, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Proves that the tree of the first `new` leaves begins with that of the first `old` (RFC 9162,
/// section 2.1.4.1). Empty for equal sizes and for an empty old tree.
///
/// # Errors
/// [`Error::OutOfRange`], and what `hashes` gives.
pub fn consistency(hashes: &impl Hashes, old: u64, new: u64) -> Result<Vec<Hash>, Error> {
    if old > new {
        return Err(Error::OutOfRange {
            what: "size",
            asked: old,
            size: new,
        });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut start, mut end, mut whole) = (0, new, true);
    let mut path = Vec::new();
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(subtree(hashes, middle, end)?);
            end = middle;
        } else {
            path.push(subtree(hashes, start, middle)?);
            start = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(subtree(hashes, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// Verifies an inclusion proof (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// [`Error::OutOfRange`], [`Error::Proof`].
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    root: &Hash,
    path: &[Hash],
) -> Result<(), Error> {
    let fails = |why| Error::Proof {
        what: "inclusion",
        why,
    };
    if index >= size {
        return Err(Error::OutOfRange {
            what: "record",
            asked: index,
            size,
        });
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return Err(fails("it has too many hashes"));
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(fails("it has too few hashes"));
    }
    if hash != *root {
        return Err(fails("it leads to another root"));
    }
    Ok(())
}

/// Verifies a consistency proof (RFC 9162, section 2.1.4.2).
///
/// # Errors
/// [`Error::OutOfRange`], [`Error::Proof`].
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Hash,
    new_root: &Hash,
    path: &[Hash],
) -> Result<(), Error> {
    let fails = |why| Error::Proof {
        what: "consistency",
        why,
    };
    if old > new {
        return Err(Error::OutOfRange {
            what: "size",
            asked: old,
            size: new,
        });
    }
    if old == 0 || old == new {
        let expected = if old == 0 { &EMPTY_ROOT } else { new_root };
        return match (path.is_empty(), old_root == expected) {
            (true, true) => Ok(()),
            (false, _) => Err(fails("it has too many hashes")),
            (true, false) => Err(fails("it starts from another root")),
        };
    }
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    // A complete old tree is itself the first hash.
    let mut rest = path.iter();
    let first = if old.is_power_of_two() {
        old_root
    } else {
        rest.next().ok_or(fails("it has too few hashes"))?
    };
    let (mut from, mut to) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return Err(fails("it has too many hashes"));
        }
        if at & 1 == 1 || at == last {
            from = node_hash(hash, &from);
            to = node_hash(hash, &to);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            to = node_hash(&to, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(fails("it has too few hashes"));
    }
    if from != *old_root {
        return Err(fails("it starts from another root"));
    }
    if to != *new_root {
        return Err(fails("it leads to another root"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "merkle_tests.rs"]
mod tests;
