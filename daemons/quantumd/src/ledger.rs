//! The ledger on disk. [`Store`] keeps one log in a directory and makes appends durable; [`Group`] lets many
//! callers share the wait for the disk. [`KeyLog`] is the key ledger of this host, signed by [`Signers`].

mod agent;
mod events;
mod files;
mod group;
mod keys;
mod signers;
mod store;

pub use agent::AgentEvent;
pub(crate) use events::public_hash;
pub use files::Directory;
pub use group::Group;
pub use keys::KeyLog;
pub use signers::Signers;
pub use store::{Found, Store};
