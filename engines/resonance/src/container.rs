//! Symbolic containers: data sealed under a key that a waveform opens, with a history that verifies
//! without opening.
//!
//! A container is a sealed header, the author's signature of it, and the data as a
//! [stream](crate::stream). The header holds the salt and cost of Argon2id, a commitment to the key, the
//! parent's id, author, time, metadata, and length and digest of the sealed data; the
//! container's id is the hash of the header. So whoever has the header checks who made it, from what,
//! and whether the data is whole; only who has the waveform reads it.

mod entropy;
mod header;
mod manager;
mod open;
mod seal;
mod throttle;

pub use entropy::{ENTROPY_NEEDED, estimate_entropy};
pub use header::{Details, FRONT_MAX, Front, Id, METADATA_MAX, NAME_MAX};
pub use manager::{Broken, CHAIN_MAX, Manager};
pub use open::{BodyCheck, Unlocked};
pub use seal::{Seal, Unsigned, random_waveform};
pub use throttle::Throttle;

/// The context string that authors sign under.
pub const CONTEXT: &[u8] = b"quantumos container v1";

/// Who signs containers: a key in this process, behind a bus, or in hardware.
pub trait Signer {
    /// The public key that verifies.
    fn public_key(&self) -> &[u8];

    /// A signature over `message` under [`CONTEXT`].
    ///
    /// # Errors
    /// What the signer says.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String>;
}

/// Who verifies signatures of containers.
pub trait Verifier {
    /// Whether `signature` is one over `message` under [`CONTEXT`] by `public_key`.
    fn verify(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool;
}

const WHAT: &str = "container";
