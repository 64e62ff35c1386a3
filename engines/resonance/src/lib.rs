//! The resonance suite over bytes and numbers: streaming encryption of any size in constant memory.
//!
//! Secrecy, integrity and authenticity come from standard primitives (AES-256-GCM,
//! XChaCha20-Poly1305, HKDF, Argon2id). No disk, no clock, no bus.

mod derive;
mod error;
pub mod stream;
pub mod text;

pub use error::Error;
