//! Keys behind a TPM 2.0 and post-quantum signatures over D-Bus.
//!
//! [`tpm`] and `vault` open the root key, `store` keeps wrapped seeds, [`keyring`] is what the keys
//! can do, and `bus` puts it on the bus. [`Quantumd`] is the daemon.

pub mod audit;
mod bus;
pub mod circuit;
mod conditions;
pub mod container;
pub mod credential;
mod daemon;
pub mod entropy;
mod error;
mod file;
pub mod grant;
pub mod job;
pub mod keyring;
pub mod ledger;
pub mod process;
pub mod record;
pub mod root_file;
mod settings;
mod socket;
mod store;
pub mod tpm;
mod vault;

pub use daemon::Quantumd;
pub use error::Error;
pub use settings::{
    CircuitSettings, JobSettings, KeySettings, ProtectionSettings, Settings, TpmSettings,
};
pub use vault::Protection;
