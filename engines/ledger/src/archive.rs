//! A ledger's directory for readers: its records, proofs made from them, and the same ledger as the
//! static files of C2SP tlog-tiles. Verifying is [`verify`](crate::verify)'s affair.

use crate::checkpoint::Checkpoint;
use crate::files::{CHECKPOINT, Files, KEYS, TilesOf};
use crate::note::{NOTE_MAX, Note};
use crate::proof::{Consistency, Inclusion};
use crate::tile::{FromTiles, Grower, Tile, WIDTH};
use crate::{Error, Hash, bundle, frame, leaf_hash, merkle, seal};

/// Calls `each` with the number and bytes of every record below `size`, in order.
///
/// # Errors
/// [`Error::Damage`], [`Error::Storage`], and what `each` gives.
pub fn records(
    files: &impl Files,
    size: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    if let Some(log) = files.open(frame::NAME)? {
        let each = |entry: frame::Entry<'_>| match entry.index < size {
            true => each(entry.index, entry.bytes),
            false => Ok(()),
        };
        return frame::scan(log, 0, each, |_, _| Ok(())).map(drop);
    }
    for number in 0..size.div_ceil(WIDTH as u64) {
        let (first, bytes) = (number * WIDTH as u64, bundle_of(files, number, size)?);
        for (index, entry) in (first..size).zip(bundle::parse(&bytes)?) {
            each(index, entry)?;
        }
    }
    Ok(())
}

fn bundle_of(files: &impl Files, number: u64, size: u64) -> Result<Vec<u8>, Error> {
    const MAX: usize = WIDTH * (2 + bundle::ENTRY_MAX);
    let tile = Tile {
        level: 0,
        index: number,
    };
    let partial = bundle::path(number, tile.width_at(size));
    let full = bundle::path(number, WIDTH);
    match files.read(&partial, MAX)? {
        Some(bytes) => Ok(bytes),
        None => files.read(&full, MAX)?.ok_or(Error::Storage {
            what: partial,
            why: "it is not there".into(),
        }),
    }
}

/// The part of a ledger that its checkpoint speaks for.
#[derive(Debug)]
pub struct Archive<'a, F> {
    files: &'a F,
    checkpoint: Checkpoint,
    note: Note,
    tree: Grower,
}

impl<'a, F: Files> Archive<'a, F> {
    /// Reads a ledger up to its checkpoint.
    ///
    /// # Errors
    /// [`Error::Unsigned`] without a checkpoint, [`Error::Damage`] when its records are others.
    pub fn open(files: &'a F) -> Result<Self, Error> {
        let bytes = files.read(CHECKPOINT, NOTE_MAX)?;
        let bytes = bytes.ok_or_else(|| Error::Unsigned("there is no checkpoint".into()))?;
        let note = Note::parse(&bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        let mut tree = Grower::default();
        records(files, checkpoint.size, |_, entry| {
            tree.push(leaf_hash(entry), |_, _| {});
            Ok(())
        })?;
        if (tree.size(), tree.root()) != (checkpoint.size, checkpoint.root) {
            return Err(Error::Damage(crate::Damage {
                file: CHECKPOINT.into(),
                offset: None,
                records: None,
                why: "it speaks for other records than there are".into(),
            }));
        }
        Ok(Self {
            files,
            checkpoint,
            note,
            tree,
        })
    }

    /// The checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The signed note that the checkpoint is in.
    #[must_use]
    pub fn note(&self) -> &Note {
        &self.note
    }

    fn hashes(&self) -> FromTiles<TilesOf<'_, F>> {
        FromTiles(TilesOf {
            files: self.files,
            tree: &self.tree,
        })
    }

    /// Proves a record; the record itself is the proof's extra data.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::Storage`].
    pub fn inclusion(&self, index: u64) -> Result<Inclusion, Error> {
        let path = merkle::inclusion(&self.hashes(), index, self.checkpoint.size)?;
        let mut extra = None;
        records(self.files, self.checkpoint.size, |at, entry| {
            if at == index {
                extra = Some(entry.to_vec());
            }
            Ok(())
        })?;
        Ok(Inclusion {
            extra,
            index,
            path,
            note: self.note.clone(),
        })
    }

    /// Proves that the ledger only added to its first `old` records.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::Storage`].
    pub fn consistency(&self, old: u64) -> Result<Consistency, Error> {
        let hashes = self.hashes();
        Ok(Consistency {
            old,
            path: merkle::consistency(&hashes, old, self.checkpoint.size)?,
            old_root: merkle::root(&hashes, old)?,
            note: self.note.clone(),
        })
    }

    /// Gives every file of the ledger in the form of C2SP tlog-tiles, with its keys and its seal.
    ///
    /// # Errors
    /// [`Error::Damage`], [`Error::Storage`], and what `write` gives.
    pub fn publish(
        &self,
        mut write: impl FnMut(&str, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let size = self.checkpoint.size;
        let (mut tree, mut entries) = (Grower::default(), Vec::new());
        records(self.files, size, |index, entry| {
            bundle::push(&mut entries, entry)?;
            let mut full = Vec::new();
            tree.push(leaf_hash(entry), |tile, hashes: Vec<Hash>| {
                full.push((tile.path(WIDTH), hashes.concat()));
            });
            for (name, bytes) in full {
                write(&name, &bytes)?;
            }
            let number = index / WIDTH as u64;
            let width = (index % WIDTH as u64) as usize + 1;
            if width == WIDTH || index + 1 == size {
                write(&bundle::path(number, width), &entries)?;
                entries.clear();
            }
            Ok(())
        })?;
        for (tile, hashes) in tree.partial() {
            write(&tile.path(hashes.len()), hashes.as_flattened())?;
        }
        for (name, limit) in [(KEYS, 1 << 16), (seal::NAME, seal::SEAL_MAX)] {
            if let Some(bytes) = self.files.read(name, limit)? {
                write(name, &bytes)?;
            }
        }
        // Last, so that whoever reads meanwhile finds what it speaks for.
        write(CHECKPOINT, self.note.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::{Memory, ledger};
    use crate::verify::verify;

    #[test]
    fn published_ledgers_verify_and_so_do_their_proofs() {
        for count in [1, 5, 256, 300, 600] {
            let (running, published, keys) = ledger(count);
            let archive = Archive::open(&running).unwrap();
            let mut written = Memory::default();
            let write = |name: &str, bytes: &[u8]| {
                assert!(
                    written.0.insert(name.into(), bytes.into()).is_none(),
                    "{name}"
                );
                Ok(())
            };
            archive.publish(write).unwrap();
            assert_eq!(written.0, published.0);
            assert_eq!(verify(&written, &keys.public()).unwrap().findings, []);
            let again = Archive::open(&written).unwrap();
            for index in [0, count / 2, count - 1] {
                let proof = archive.inclusion(index).unwrap();
                assert_eq!(proof, again.inclusion(index).unwrap());
                let entry = proof.extra.clone().unwrap();
                assert_eq!(proof.verify(&entry, &keys.public()).unwrap().size, count);
                let proof = archive.consistency(index).unwrap();
                assert_eq!(proof, again.consistency(index).unwrap());
                proof.verify(&keys.public()).unwrap();
            }
            assert!(archive.inclusion(count).is_err());
            assert!(archive.consistency(count + 1).is_err());
        }
    }

    #[test]
    fn other_records_than_the_checkpoint_says_are_refused() {
        let (running, published, _) = ledger(5);
        let (other, _, _) = ledger(6);
        for mut files in [running, published] {
            files
                .0
                .insert(CHECKPOINT.into(), other.0[CHECKPOINT].clone());
            assert!(Archive::open(&files).is_err());
            files.0.remove(CHECKPOINT);
            assert!(matches!(Archive::open(&files), Err(Error::Unsigned(_))));
        }
    }
}
