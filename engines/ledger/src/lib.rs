//! Transparency logs, the key ledger and its seal, over bytes.
//!
//! A log is a Merkle tree (RFC 6962) in the form of C2SP tlog-tiles: [`merkle`] is the tree and its
//! proofs, [`tile`] and [`bundle`] its files, [`note`] and [`checkpoint`] what is signed, [`proof`]
//! what a third party gets. [`frame`] is the append file that the tree is built from. [`entry`] and
//! [`history`] are the key ledger on it, in the canonical JSON of [`json`]; [`seal`] is its finality
//! seal. [`verify`] checks all of it from its [`files`] alone, [`archive`] reads and publishes it. No disk, no clock, no bus: bytes in, bytes out, the same ones each time.

pub mod archive;
pub mod bundle;
pub mod checkpoint;
pub mod entry;
mod error;
pub mod files;
pub mod frame;
mod hash;
pub mod history;
pub mod json;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod seal;
pub mod signer;
pub mod tile;
pub mod verify;

pub use error::{Damage, Error};
pub use hash::{EMPTY_ROOT, Hash, from_hex, hex, leaf_hash, node_hash, sha256};
