//! What quantumd refuses or fails at. Mapping to names on the bus is `bus/failure.rs`'s affair.

use crate::tpm::TpmError;
use std::path::{Path, PathBuf};

/// Every failure of the key store and of what it stands on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument that the caller has to change.
    #[error("{what}: {why}")]
    Argument {
        /// Which argument or option.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something is larger than allowed.
    #[error("{what} has {got} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Which thing.
        what: &'static str,
        /// The most it may have.
        limit: usize,
        /// What it has (at least).
        got: usize,
    },
    /// The owner has all the keys that configuration allows.
    #[error("user {owner} has {limit} active keys, as many as keys.per-owner allows")]
    TooManyKeys {
        /// User id.
        owner: u32,
        /// The limit.
        limit: u32,
    },
    /// There is no such key.
    #[error("no key {0}")]
    NoSuchKey(String),
    /// The key has no such version.
    #[error("key {id} has no version {version}")]
    NoSuchVersion {
        /// Which key.
        id: String,
        /// The version.
        version: u32,
    },
    /// A key has all the versions or grants that it may have.
    #[error("key {id} has {limit} {what}, which is the limit")]
    TooMany {
        /// Which key.
        id: String,
        /// Versions or grants.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A backup was restored here before.
    #[error("backup {id} was restored already, at {at} microseconds since 1970")]
    Replayed {
        /// Which backup.
        id: String,
        /// When, by CLOCK_REALTIME.
        at: u64,
    },
    /// A key of a backup is here already.
    #[error("key {0} of the backup is here already; nothing was restored")]
    KeyExists(String),
    /// There is no such credential.
    #[error("no credential {0}")]
    NoSuchCredential(String),
    /// A unit asked for what it may not read.
    #[error("unit {unit} has no grant for credential {credential}")]
    NotGranted {
        /// Which credential.
        credential: String,
        /// Which unit.
        unit: String,
    },
    /// No randomness for keys.
    #[error("no randomness: {0}")]
    Entropy(String),
    /// An encrypted stream.
    #[error(transparent)]
    Stream(#[from] quantumos_resonance::Error),
    /// Frames of light.
    #[error(transparent)]
    Light(#[from] quantumos_wavelength::Error),
    /// There is no such container.
    #[error("container {0} is not registered")]
    NoSuchContainer(String),
    /// A user has registered all the containers that one may.
    #[error("user {owner} has {limit} containers registered, which is the limit")]
    TooManyContainers {
        /// User id.
        owner: u32,
        /// The limit.
        limit: usize,
    },
    /// The history of a container does not hold.
    #[error(transparent)]
    Chain(#[from] quantumos_resonance::container::Broken),
    /// The key was revoked.
    #[error("key {id} is revoked: {reason}")]
    Revoked {
        /// Which key.
        id: String,
        /// What `Revoke` was told.
        reason: String,
    },
    /// The root key isn't open, so nothing that needs secrets works.
    #[error("the root key is not open: {0}")]
    Locked(String),
    /// The store isn't open.
    #[error("the key store is not open: {0}")]
    Closed(String),
    /// All workers are busy and enough callers wait.
    #[error("{0} requests are waiting already")]
    Busy(usize),
    /// A job that somebody wanted to end.
    #[error("the job was cancelled")]
    Cancelled,
    /// A descriptor gave nothing for too long.
    #[error("the descriptor gave no data for {0} seconds")]
    Stalled(u64),
    /// A file can't be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds what it can't hold.
    #[error("{path}: {why}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The database failed.
    #[error("{path}: {source}")]
    Database {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The root key isn't the one that the store was made with.
    #[error("{0} belongs to another root key than the one at hand")]
    OtherRoot(PathBuf),
    /// The store knows a root key whose file is gone.
    #[error("{0} is missing, though the key store was enrolled with it; restore it from a backup")]
    RootMissing(PathBuf),
    /// The root key file is there but the store isn't.
    #[error("{0} is missing or empty, though a root key is enrolled; restore it from a backup")]
    StoreMissing(PathBuf),
    /// The store is protected by software and configuration doesn't allow that.
    #[error(
        "the root key is protected by software only, and protection.allow-software is not true"
    )]
    SoftwareNotAllowed,
    /// The TPM.
    #[error(transparent)]
    Tpm(#[from] TpmError),
    /// Cryptography.
    #[error(transparent)]
    Crypto(#[from] quantumos_pqc::Error),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] quantumos_ledger::Error),
    /// The ledger takes nothing after an error of the disk, until it is opened again.
    #[error("the ledger is closed after an error: {0}")]
    LedgerClosed(String),
    /// A change was made, but is not on record yet.
    #[error("it is done, but not on record yet: {0}")]
    Unrecorded(String),
    /// A circuit, as the process that runs it says.
    #[error("{1}")]
    Circuit(crate::circuit::wire::Failure, String),
    /// A process for a circuit can't be had.
    #[error("no process for the circuit: {0}")]
    Runner(String),
    /// A worker thread ended without a result.
    #[error("a worker ended without a result")]
    Worker,
}

impl Error {
    /// An I/O error at a path.
    pub fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// A refused argument.
    pub fn argument(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Argument {
            what: what.into(),
            why: why.into(),
        }
    }
}
