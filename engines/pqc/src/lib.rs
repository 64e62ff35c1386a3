//! Post-quantum signatures and key wrapping over bytes.
//!
//! ML-DSA-87 (FIPS 204) by two independent implementations: one signs, the other checks every
//! signature before it leaves. Seeds at rest are wrapped by AES-256-GCM under a versioned key that
//! HKDF-SHA-512 derives from a root key. No disk, no clock, no bus: bytes in, bytes out.

mod aws_lc;
pub mod boot_policy;
mod error;
mod mldsa;
mod root;
mod secret;
#[cfg(test)]
mod vectors;
mod wrap;

pub use error::Error;
pub use mldsa::{
    CONTEXT_MAX, PUBLIC_KEY_LEN, PublicKey, SEED_LEN, SIGNATURE_LEN, Signature, SigningKey,
};
pub use root::{RootKey, open_secret, password_key, pin_value, seal_secret};
pub use secret::Secret;
pub use wrap::{Algorithm, Binding, Kek, POLICY_MAX, WrappedSeed};
