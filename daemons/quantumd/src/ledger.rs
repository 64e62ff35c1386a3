//! The ledger on disk. [`Store`] keeps one log in a directory and makes appends durable; [`Group`] lets many
//! callers share the wait for the disk.

mod files;
mod group;
mod store;

pub use files::Directory;
pub use group::Group;
pub use store::{Found, Store};
