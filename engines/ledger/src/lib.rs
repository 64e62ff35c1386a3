//! Transparency logs, the key ledger and its seal, over bytes.
//!
//! A log is a Merkle tree (RFC 6962) in the form of C2SP tlog-tiles: [`merkle`] is the tree and its
//! proofs, [`tile`] and [`bundle`] its files, [`note`] and [`checkpoint`] what is signed, [`proof`]
//! what a third party gets. No disk, no clock, no bus: bytes in, bytes out, the same ones each time.

pub mod bundle;
pub mod checkpoint;
mod error;
mod hash;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod tile;

pub use error::Error;
pub use hash::{EMPTY_ROOT, Hash, from_hex, hex, leaf_hash, node_hash, sha256};
