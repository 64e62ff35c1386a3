//! The resonance suite over descriptors.

use std::collections::HashMap;

use zbus::{Fd, OwnedObjectPath, Variant};

/// At [`crate::path::QUANTUM`].
#[zbus::proxy(
    interface = "org.quantumos.Resonance1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/quantum"
)]
pub trait Resonance1 {
    /// Seals from one descriptor to another under a `key` or `passphrase`; gives the job.
    fn encrypt(
        &self,
        input: Fd<'_>,
        output: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// Opens from one descriptor to another; gives the job.
    fn decrypt(
        &self,
        input: Fd<'_>,
        output: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// The waveform hash of a list of numbers, keyed with a `key` or `secret` or not, over the `phases` too
    /// if they are given; and its summary, which is for the eye.
    fn hash(
        &self,
        waveform: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<(Vec<u8>, String), crate::Error>;
    /// The Wave HMAC of a message under a `key` or `secret`, over the `phases` too if they are given.
    fn hmac(
        &self,
        message: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<Vec<u8>, crate::Error>;
    /// Whether a Wave HMAC is right.
    fn verify_hmac(
        &self,
        message: Fd<'_>,
        hmac: &[u8],
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<bool, crate::Error>;
    /// Transforms a list of numbers; gives the job, whose result is the spectrum.
    fn transform(
        &self,
        waveform: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// Transforms a spectrum back; gives the job, whose result is the waveform.
    fn inverse(
        &self,
        spectrum: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
}
