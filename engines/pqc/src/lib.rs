//! Keys of post-quantum, hybrid and symmetric algorithms, and their wrapping, over bytes.
//!
//! [`SecretKey`] and [`PublicHalf`] are keys of any algorithm in the registry; ML-DSA-87 signatures are
//! made by one implementation and checked by another before they leave. Seeds at rest are wrapped by AES-256-GCM under a versioned key that
//! HKDF-SHA-512 derives from a root key. No disk, no clock, no bus: bytes in, bytes out.

mod algorithm;
mod aws_lc;
pub mod backup;
pub mod boot_policy;
mod digest;
pub mod entropy;
mod error;
mod hybrid;
mod key;
mod mldsa;
mod reader;
mod root;
mod secret;
#[cfg(test)]
mod vectors;
mod wrap;

pub use algorithm::{Algorithm, Entry, Kind, REGISTRY};
pub use digest::{Sha256, sha256_hex};
pub use error::Error;
pub use key::{PublicHalf, SecretKey};
pub use mldsa::{
    CONTEXT_MAX, PUBLIC_KEY_LEN, PublicKey, SEED_LEN, SIGNATURE_LEN, Signature, SigningKey,
};
pub use root::{Authenticator, RootKey, open_secret, password_key, pin_value, seal_secret};
pub use secret::Secret;
pub use wrap::{Binding, Kek, POLICY_MAX, WrappedSeed};
