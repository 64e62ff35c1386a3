//! What a third party gets: an inclusion proof with the checkpoint that it leads to, in the form of
//! C2SP tlog-proof, verified offline with the entry and the log's keys; and a consistency proof.

use crate::checkpoint::{Checkpoint, decimal, hash};
use crate::note::{Note, VerifierKey};
use crate::{Error, Hash, leaf_hash, merkle};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt::Write;

const FIRST: &str = "c2sp.org/tlog-proof@v1";
const CONSISTENCY: &str = "org.quantumos.tlog-consistency@v1";
/// A path in a tree of 2^64 leaves has no more hashes than this.
const HASHES_MAX: usize = 64;

fn malformed(why: impl Into<String>) -> Error {
    Error::malformed("proof", why)
}

/// That an entry is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// Opaque bytes beside the proof, not authenticated: here, the entry itself.
    pub extra: Option<Vec<u8>>,
    /// The entry's number.
    pub index: u64,
    /// Hashes from the leaf's sibling up.
    pub path: Vec<Hash>,
    /// The signed checkpoint.
    pub note: Note,
}

fn hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, Error> {
    let mut out = Vec::new();
    for (at, line) in lines.enumerate() {
        if at == HASHES_MAX {
            return Err(malformed("more than 64 hashes"));
        }
        let hash = hash(line).ok_or_else(|| malformed(format!("hash {} is none", at + 1)))?;
        out.push(hash);
    }
    Ok(out)
}

fn text(bytes: &[u8]) -> Result<&str, Error> {
    const MAX: usize = 1 << 19;
    if bytes.len() > MAX {
        return Err(Error::Limit {
            what: "bytes of a proof",
            limit: MAX as u64,
            got: bytes.len() as u64,
        });
    }
    std::str::from_utf8(bytes)
        .map_err(|error| malformed(format!("byte {}: no UTF-8", error.valid_up_to())))
}

fn write_hashes(out: &mut String, hashes: &[Hash]) {
    for hash in hashes {
        out.push_str(&STANDARD.encode(hash));
        out.push('\n');
    }
    out.push('\n');
}

impl Inclusion {
    /// Parses the textual form; nothing is verified yet.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Limit`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (head, note) = text(bytes)?
            .split_once("\n\n")
            .ok_or_else(|| malformed("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST) {
            return Err(malformed(format!("line 1 is not {FIRST}")));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            Some(encoded) => {
                let decoded = STANDARD.decode(encoded);
                let extra = decoded.map_err(|_| malformed("line 2: extra is no base64"))?;
                lines.next();
                Some(extra)
            }
            None => None,
        };
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(decimal)
            .ok_or_else(|| malformed("no index"))?;
        Ok(Self {
            extra,
            index,
            path: hashes(lines)?,
            note: Note::parse(note.as_bytes())?,
        })
    }

    /// Verifies that `entry` is in the log that `keys` sign for.
    ///
    /// # Errors
    /// What doesn't hold: the note's signature, its form, or the path.
    pub fn verify(&self, entry: &[u8], keys: &[VerifierKey]) -> Result<Checkpoint, Error> {
        self.note.verify(keys)?;
        let checkpoint = Checkpoint::parse(self.note.text())?;
        let (size, root) = (checkpoint.size, &checkpoint.root);
        merkle::verify_inclusion(&leaf_hash(entry), self.index, size, root, &self.path)?;
        Ok(checkpoint)
    }
}

impl std::fmt::Display for Inclusion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = format!("{FIRST}\n");
        if let Some(extra) = &self.extra {
            writeln!(out, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(out, "index {}", self.index)?;
        write_hashes(&mut out, &self.path);
        write!(f, "{out}{}", self.note)
    }
}

/// That a later tree only adds to an earlier one. C2SP has no file for this; the form is that of
/// [`Inclusion`], with `old SIZE ROOT` in place of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    /// The earlier size.
    pub old: u64,
    /// The earlier root.
    pub old_root: Hash,
    /// The proof's hashes.
    pub path: Vec<Hash>,
    /// The later signed checkpoint.
    pub note: Note,
}

impl Consistency {
    /// Parses the textual form; nothing is verified yet.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Limit`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (head, note) = text(bytes)?
            .split_once("\n\n")
            .ok_or_else(|| malformed("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(CONSISTENCY) {
            return Err(malformed(format!("line 1 is not {CONSISTENCY}")));
        }
        let (old, old_root) = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(|line| line.split_once(' '))
            .and_then(|(size, root)| Some((decimal(size)?, hash(root)?)))
            .ok_or_else(|| malformed("no earlier size and root"))?;
        Ok(Self {
            old,
            old_root,
            path: hashes(lines)?,
            note: Note::parse(note.as_bytes())?,
        })
    }

    /// Verifies it with the log's keys.
    ///
    /// # Errors
    /// What doesn't hold.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Checkpoint, Error> {
        self.note.verify(keys)?;
        let new = Checkpoint::parse(self.note.text())?;
        merkle::verify_consistency(self.old, new.size, &self.old_root, &new.root, &self.path)?;
        Ok(new)
    }
}

impl std::fmt::Display for Consistency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let root = STANDARD.encode(self.old_root);
        let mut out = format!("{CONSISTENCY}\nold {} {root}\n", self.old);
        write_hashes(&mut out, &self.path);
        write!(f, "{out}{}", self.note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::tests::Keys;
    use crate::{merkle::Frontier, node_hash};

    fn three() -> ([Hash; 3], Hash) {
        let leaves = [b"a", b"b", b"c"].map(|entry| leaf_hash(entry));
        let mut frontier = Frontier::default();
        for leaf in leaves {
            frontier.push(leaf, |_, _, _| {});
        }
        (leaves, frontier.root())
    }

    #[test]
    fn inclusion_round_trips_and_verifies() {
        let keys = Keys::new("example.com/log", 1);
        let ([a, _, c], root) = three();
        let checkpoint = Checkpoint::new("example.com/log", 3, root);
        let note = keys.sign(&checkpoint.text());
        for extra in [None, Some(b"b".to_vec()), Some(Vec::new())] {
            let proof = Inclusion {
                extra,
                index: 1,
                path: vec![a, c],
                note: note.clone(),
            };
            let text = proof.to_string();
            assert_eq!(Inclusion::parse(text.as_bytes()).unwrap(), proof);
            assert_eq!(proof.verify(b"b", &keys.public()).unwrap(), checkpoint);
            assert!(proof.verify(b"a", &keys.public()).is_err());
            let other = Keys::new("example.com/log", 2).public();
            assert!(matches!(
                proof.verify(b"b", &other),
                Err(Error::Unsigned(_))
            ));
        }
    }

    #[test]
    fn consistency_round_trips_and_verifies() {
        let keys = Keys::new("example.com/log", 1);
        let ([a, b, c], root) = three();
        let proof = Consistency {
            old: 2,
            old_root: node_hash(&a, &b),
            path: vec![c],
            note: keys.sign(&Checkpoint::new("example.com/log", 3, root).text()),
        };
        let text = proof.to_string();
        let parsed = Consistency::parse(text.as_bytes()).unwrap();
        assert_eq!(parsed, proof);
        assert_eq!(parsed.verify(&keys.public()).unwrap().size, 3);
        let bad = Consistency {
            old_root: a,
            ..parsed
        };
        assert!(bad.verify(&keys.public()).is_err());
    }

    #[test]
    fn malformed_proofs_are_refused() {
        let keys = Keys::new("n", 1);
        let note = keys.sign(&Checkpoint::new("n", 1, [1; 32]).text());
        let good = format!("{FIRST}\nindex 0\n\n{note}");
        Inclusion::parse(good.as_bytes()).unwrap();
        let hash = STANDARD.encode([1; 32]);
        for bad in [
            String::new(),
            good.replace("@v1", "@v2"),
            good.replace("index 0", "index 00"),
            good.replace("index 0", "extra ?\nindex 0"),
            good.replace("index 0\n", ""),
            good.replace("index 0\n", "index 0\nAAAA\n"),
            good.replace(
                "index 0\n",
                &format!("index 0\n{}", format!("{hash}\n").repeat(65)),
            ),
            format!("{FIRST}\nindex 0\n\n"),
        ] {
            assert!(Inclusion::parse(bad.as_bytes()).is_err(), "{bad}");
            assert!(Consistency::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Inclusion::parse(&vec![b'a'; (1 << 19) + 1]).is_err());
    }
}
