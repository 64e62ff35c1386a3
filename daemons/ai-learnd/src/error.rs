//! What goes wrong, and the bus name that it has.

use quantumos_dbus::Error as BusError;
use std::path::{Path, PathBuf};

/// Any error of the daemon.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The engine refused.
    #[error(transparent)]
    Learn(#[from] quantumos_learn::Error),
    /// Another daemon refused, or isn't there.
    #[error("{what}: {reason}")]
    Peer {
        /// What was asked of whom.
        what: &'static str,
        /// What it said.
        reason: String,
    },
    /// There is no such model, or none to go back to.
    #[error("{0}")]
    NoModel(String),
}

impl Error {
    /// For `map_err`, with the path that was worked on.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// For `map_err`, with what was asked.
    pub fn peer<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Peer {
            what,
            reason: error.to_string(),
        }
    }

    /// The same for what another daemon answered.
    pub fn refused(what: &'static str) -> impl FnOnce(BusError) -> Self {
        move |error| Self::Peer {
            what,
            reason: error.text(),
        }
    }
}

impl From<Error> for BusError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::File { .. } => Self::Internal(text),
            Error::Learn(_) | Error::Peer { .. } => Self::Unavailable(text),
            Error::NoModel(_) => Self::NotFound(text),
        }
    }
}
