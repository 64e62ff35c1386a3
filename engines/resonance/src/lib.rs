//! The resonance suite over bytes and numbers: a unitary transform on golden-ratio frequencies
//! ([`rft`]), the waveform hash ([`wave`]), streaming encryption of any size in constant memory
//! ([`stream`], [`text`]), the Wave HMAC ([`hmac`]) and symbolic containers ([`container`]).
//!
//! The wave mathematics is transform and encoding. Secrecy, integrity and authenticity come
//! from standard primitives (AES-256-GCM, XChaCha20-Poly1305, SHA-3, KMAC, HMAC, HKDF, Argon2id). No
//! disk, no clock, no bus.

pub mod container;
mod derive;
mod error;
pub mod hmac;
mod kmac;
pub mod numbers;
pub mod rft;
pub mod stream;
pub mod text;
pub mod wave;

pub use error::Error;
