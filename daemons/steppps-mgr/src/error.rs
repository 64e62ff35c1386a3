//! What can go wrong in this daemon. Most of it is no error: a source that is not there makes
//! a dimension unavailable, and the dimension says so.

use std::{io, path::PathBuf};

/// Why something failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the daemon's state could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the daemon's state does not hold what it should.
    #[error("{path}: {reason}")]
    Damaged {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another service did not answer in time.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// The bus refused something or gave an error.
    #[error(transparent)]
    Bus(#[from] zbus::Error),
    /// The task that keeps the state has ended.
    #[error("the manager has stopped")]
    Stopped,
}
