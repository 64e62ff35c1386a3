//! Keys from secrets: HKDF-SHA-512 with every part length-prefixed, and Argon2id for passphrases.

use crate::Error;
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Salt};
use zeroize::Zeroizing;

/// The most bytes that one [`hkdf`] call gives.
pub(crate) const HKDF_MAX: usize = 255 * 64;

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA-512; `info` is each part with its length before it, so that no two lists read the same.
pub(crate) fn hkdf(
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
    out: &mut [u8],
) -> Result<(), Error> {
    let mut joined = Vec::new();
    for part in info {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    Salt::new(HKDF_SHA512, salt)
        .extract(secret)
        .expand(&[&joined], Len(out.len()))
        .and_then(|okm| okm.fill(out))
        .map_err(|_| Error::Library("HKDF"))
}

/// Fills `out` from the system's generator.
pub(crate) fn random(out: &mut [u8]) -> Result<(), Error> {
    aws_lc_rs::rand::fill(out).map_err(|_| Error::Library("the random generator"))
}

/// What Argon2id costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB, at least 8 a lane.
    pub memory_kib: u32,
    /// Passes over the memory, at least 1.
    pub passes: u32,
    /// Lanes, at least 1.
    pub lanes: u32,
}

impl Default for Cost {
    /// The second recommendation of RFC 9106: 64 MiB, three passes, four lanes.
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 4,
        }
    }
}

impl Cost {
    /// What a file may ask of whoever opens it, unless they say otherwise: 1 GiB, 16 passes, 16 lanes.
    pub const LIMIT: Self = Self {
        memory_kib: 1 << 20,
        passes: 16,
        lanes: 16,
    };

    /// Holds it to a limit.
    ///
    /// # Errors
    /// [`Error::TooCostly`].
    pub fn check(self, limit: Self) -> Result<(), Error> {
        let over = self.memory_kib > limit.memory_kib
            || self.passes > limit.passes
            || self.lanes > limit.lanes;
        if over {
            return Err(Error::TooCostly {
                asked: self.to_string(),
                limit: limit.to_string(),
            });
        }
        Ok(())
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (memory, passes, lanes) = (self.memory_kib, self.passes, self.lanes);
        write!(f, "{memory} KiB, {passes} passes, {lanes} lanes")
    }
}

/// Argon2id (version 0x13) to 32 bytes.
pub(crate) fn argon2id(
    secret: &[u8],
    salt: &[u8],
    cost: Cost,
) -> Result<Zeroizing<[u8; 32]>, Error> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
    let params = params.map_err(|_| Error::Malformed {
        what: "Argon2id cost",
        why: "needs a pass, a lane and 8 KiB a lane",
    })?;
    let mut out = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(secret, salt, out.as_mut_slice())
        .map_err(|_| Error::Library("Argon2id"))?;
    Ok(out)
}
