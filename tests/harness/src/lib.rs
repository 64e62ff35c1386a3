//! What tests stand on: a private bus for each test, a polkit authority that the test steers,
//! the comparison of a live object with the contract, and a guest that runs the whole image. Everything ends with the value that
//! started it, and nothing has a fixed address.

pub mod bus;
pub mod contract;
pub mod disk;
pub mod guest;
pub mod polkit;
pub mod swtpm;
pub mod wait;

pub use bus::PrivateBus;
pub use disk::SmallDisk;
pub use guest::Guest;
pub use polkit::FakePolkit;
pub use swtpm::Swtpm;
pub use wait::eventually;

/// Why a test's surroundings could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that the harness needs could not be started or misbehaved.
    #[error("{what}: {source}")]
    Start {
        /// What was being started.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The bus refused something.
    #[error(transparent)]
    Bus(#[from] zbus::Error),
    /// A document isn't what the contract allows.
    #[error("{0}")]
    Contract(String),
}

impl Error {
    pub(crate) fn start(what: impl Into<String>, source: impl Into<std::io::Error>) -> Self {
        Self::Start {
            what: what.into(),
            source: source.into(),
        }
    }
}
