//! Waveforms as bytes, their hash and their summary for display.
//!
//! The encoding is canonical: a length, then each value as a big-endian IEEE 754 double with one zero;
//! NaN and infinities are refused. So two lists have the same bytes only if they are equal
//! number by number, and the hash over them collides only where SHA3-256 does.

use crate::Error;
use crate::kmac::kmac256;
use crate::rft::{Spectrum, check_finite};
use aws_lc_rs::digest::{SHA3_256, digest};

/// Bytes of a waveform hash.
pub const HASH_LEN: usize = 32;

/// Most values of a waveform.
pub const VALUES_MAX: usize = 1 << 24;

const DOMAIN: &[u8] = b"quantumos waveform hash v1";

/// The canonical bytes of a list of numbers.
///
/// # Errors
/// [`Error::TooLong`], [`Error::NotFinite`].
pub fn canonical(what: &'static str, values: &[f64]) -> Result<Vec<u8>, Error> {
    if values.len() > VALUES_MAX {
        return Err(Error::TooLong {
            what,
            limit: VALUES_MAX as u64,
            got: values.len() as u64,
        });
    }
    check_finite(what, values.iter().copied())?;
    let mut out = Vec::with_capacity(8 + 8 * values.len());
    out.extend_from_slice(&(values.len() as u64).to_be_bytes());
    for value in values {
        // Minus zero is equal to zero.
        let bits = if *value == 0.0 { 0 } else { value.to_bits() };
        out.extend_from_slice(&bits.to_be_bytes());
    }
    Ok(out)
}

/// The waveform hash: SHA3-256, or KMAC256 under a key, over a domain, the waveform and, if asked for,
/// the phases. An empty waveform is refused, since it says nothing.
///
/// # Errors
/// [`Error::TooShort`], [`Error::TooLong`], [`Error::NotFinite`].
pub fn hash(
    waveform: &[f64],
    phases: Option<&[f64]>,
    key: Option<&[u8]>,
) -> Result<[u8; HASH_LEN], Error> {
    if waveform.is_empty() {
        return Err(Error::TooShort {
            what: "waveform",
            need: 1,
            got: 0,
        });
    }
    let mut message = vec![u8::from(phases.is_some())];
    message.extend(canonical("waveform", waveform)?);
    if let Some(phases) = phases {
        message.extend(canonical("phases", phases)?);
    }
    let mut out = [0u8; HASH_LEN];
    match key {
        Some(key) => kmac256(key, &message, DOMAIN, &mut out),
        None => {
            let input = [&[DOMAIN.len() as u8], DOMAIN, &message].concat();
            out.copy_from_slice(digest(&SHA3_256, &input).as_ref());
        }
    }
    Ok(out)
}

/// Amplitude and phase of a waveform at a glance. For display beside the hash: it authenticates
/// nothing, and many waveforms share it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Root mean square of the amplitudes.
    pub amplitude: f64,
    /// Direction of the sum of all coefficients, in turns in [0, 1).
    pub phase: f64,
}

impl Summary {
    /// The summary of a spectrum.
    #[must_use]
    pub fn of(spectrum: &Spectrum) -> Self {
        let polar = || spectrum.amplitudes.iter().zip(&spectrum.phases);
        let power: f64 = spectrum.amplitudes.iter().map(|a| a * a).sum();
        let re: f64 = polar().map(|(a, p)| a * p.cos()).sum();
        let im: f64 = polar().map(|(a, p)| a * p.sin()).sum();
        let turn = (im.atan2(re) / std::f64::consts::TAU).rem_euclid(1.0);
        Self {
            amplitude: (power / polar().count().max(1) as f64).sqrt(),
            phase: if turn < 1.0 { turn } else { 0.0 },
        }
    }
}

impl std::fmt::Display for Summary {
    /// As the seed writes it: `A0.5000-P0.2500`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "A{:.4}-P{:.4}", self.amplitude, self.phase)
    }
}
