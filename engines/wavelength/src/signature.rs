//! The five-dimensional signature: wavelength, amplitude, phase, polarisation and time, derived from an
//! ML-DSA signature so that it can be shown, compared and recomputed. The ML-DSA signature is what
//! verifies; this one stands and falls with it.

use crate::Error;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA512, digest};
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Salt};

/// Bytes of the binary form.
pub const SIGNATURE_5D_LEN: usize = 20;

const DOMAIN: &[u8] = b"quantumos 5d signature v1";

/// Five numbers of 32 bits each.
#[derive(Debug, Clone, Copy)]
pub struct Signature5d([u8; SIGNATURE_5D_LEN]);

struct Len;

impl KeyType for Len {
    fn len(&self) -> usize {
        SIGNATURE_5D_LEN
    }
}

impl Signature5d {
    /// Derives it by HKDF-SHA-512 from a signature, the public key that verifies it and the message.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn derive(signature: &[u8], public_key: &[u8], message: &[u8]) -> Result<Self, Error> {
        let (key, message) = (digest(&SHA512, public_key), digest(&SHA512, message));
        let mut out = [0u8; SIGNATURE_5D_LEN];
        Salt::new(HKDF_SHA512, DOMAIN)
            .extract(signature)
            .expand(&[key.as_ref(), message.as_ref()], Len)
            .and_then(|okm| okm.fill(&mut out))
            .map_err(|_| Error::Library("HKDF"))?;
        Ok(Self(out))
    }

    /// The binary form: the five numbers, big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; SIGNATURE_5D_LEN] {
        self.0
    }

    /// From the binary form.
    #[must_use]
    pub fn from_bytes(bytes: [u8; SIGNATURE_5D_LEN]) -> Self {
        Self(bytes)
    }

    fn fraction(&self, index: usize) -> f64 {
        let mut word = [0u8; 4];
        word.copy_from_slice(&self.0[index * 4..index * 4 + 4]);
        f64::from(u32::from_be_bytes(word)) / 4_294_967_296.0
    }

    /// Wavelength in nanometres, in [380, 780).
    #[must_use]
    pub fn wavelength_nm(&self) -> f64 {
        380.0 + 400.0 * self.fraction(0)
    }

    /// Amplitude, in [0, 1).
    #[must_use]
    pub fn amplitude(&self) -> f64 {
        self.fraction(1)
    }

    /// Phase in radians, in [0, 2 pi).
    #[must_use]
    pub fn phase(&self) -> f64 {
        self.fraction(2) * std::f64::consts::TAU
    }

    /// Polarisation angle in radians, in [0, pi).
    #[must_use]
    pub fn polarisation(&self) -> f64 {
        self.fraction(3) * std::f64::consts::PI
    }

    /// Time within the period in seconds, in [0, 1).
    #[must_use]
    pub fn time(&self) -> f64 {
        self.fraction(4)
    }
}

/// In constant time.
impl PartialEq for Signature5d {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Signature5d {}

impl std::fmt::Display for Signature5d {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "lambda {:.6} nm, A {:.9}, phi {:.9}, P {:.9}, t {:.9} s",
            self.wavelength_nm(),
            self.amplitude(),
            self.phase(),
            self.polarisation(),
            self.time()
        )
    }
}
