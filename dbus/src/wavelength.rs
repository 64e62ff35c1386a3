//! The wavelength suite: messages as frames of light, and five-dimensional signatures.

use std::collections::HashMap;

use zbus::{Fd, OwnedObjectPath, Variant};

/// Wavelength in nm, amplitude, phase and polarisation in radians, time in seconds.
pub type Five = (f64, f64, f64, f64, f64);

/// Number, wavelength in nm, photons, phase in radians, energy of a photon in joules.
pub type Frame = (u32, f64, u32, f64, f64);

/// At [`crate::path::QUANTUM`].
#[zbus::proxy(
    interface = "org.quantumos.Wavelength1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/quantum"
)]
pub trait Wavelength1 {
    /// Seals a file under a `key` or `passphrase` and modulates it by `FSE`, `AME`, `PME` or `QIML`; gives
    /// the job.
    fn encode(
        &self,
        method: &str,
        input: Fd<'_>,
        output: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// Demodulates and opens; gives the job.
    fn decode(
        &self,
        input: Fd<'_>,
        output: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// Modulation, length of the payload, and the frames from number `first` on, at most 1000.
    fn frames(
        &self,
        input: Fd<'_>,
        first: u32,
        count: u32,
    ) -> Result<(String, u64, Vec<Frame>), crate::Error>;
    /// Signs with an ML-DSA-87 key; gives the signature, and what is derived from it as 20 bytes and
    /// as numbers.
    fn sign(&self, key: &str, message: Fd<'_>) -> Result<(Vec<u8>, Vec<u8>, Five), crate::Error>;
    /// Whether the signature is one, and if so what is derived from it.
    fn verify(
        &self,
        public_key: &[u8],
        message: Fd<'_>,
        signature: &[u8],
    ) -> Result<(bool, Vec<u8>, Five), crate::Error>;
}
