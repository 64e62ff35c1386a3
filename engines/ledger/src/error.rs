//! What this crate refuses. Every text says what was wrong and where; none holds a secret.

/// Everything that can be wrong with a log, a note, a proof, an entry or a seal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bytes that don't have the form that they should have.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// Which structure.
        what: &'static str,
        /// What is wrong, and where.
        why: String,
    },
    /// A bound was passed.
    #[error("{what}: {got}, at most {limit} are allowed")]
    Limit {
        /// Which bound.
        what: &'static str,
        /// The bound.
        limit: u64,
        /// What there was.
        got: u64,
    },
    /// A record or size that the tree doesn't have.
    #[error("{what} {asked} is not in a tree of {size}")]
    OutOfRange {
        /// What was asked for.
        what: &'static str,
        /// The number asked for.
        asked: u64,
        /// The tree's size.
        size: u64,
    },
    /// A proof that proves something else, or nothing.
    #[error("the {what} proof does not hold: {why}")]
    Proof {
        /// Which kind of proof.
        what: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// No known key signed the note.
    #[error("no signature by a known key: {0}")]
    Unsigned(String),
    /// A known key's signature isn't one.
    #[error("the signature by {0} does not verify")]
    BadSignature(String),
    /// A signer failed: there is no note then.
    #[error("{name} could not sign: {why}")]
    Signer {
        /// The key's name and type.
        name: String,
        /// Why.
        why: String,
    },
    /// Stored bytes aren't those that were written.
    #[error("{0}")]
    Damage(Damage),
    /// The storage behind a reader failed.
    #[error("{what}: {why}")]
    Storage {
        /// Which file.
        what: String,
        /// Why.
        why: String,
    },
}

/// What is damaged, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the ledger's directory.
    pub file: String,
    /// Byte offset in it, where known.
    pub offset: Option<u64>,
    /// First and last record that it touches, where known.
    pub records: Option<(u64, u64)>,
    /// What is wrong.
    pub why: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file)?;
        match self.records {
            Some((first, last)) if first == last => write!(f, ", record {first}")?,
            Some((first, last)) => write!(f, ", records {first} to {last}")?,
            None => {}
        }
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        write!(f, ": {}", self.why)
    }
}

impl Error {
    /// A structure that doesn't parse.
    pub fn malformed(what: &'static str, why: impl Into<String>) -> Self {
        Self::Malformed {
            what,
            why: why.into(),
        }
    }
}
