//! A spectrum as programs exchange it: frequencies, amplitudes and phases, with the lengths of the
//! blocks when there are several; from a waveform and back, with a key or without.

use super::{Blocks, Complex64, Scramble};
use crate::Error;
use serde::{Deserialize, Serialize};

/// Up to here a waveform is transformed at once, unless told otherwise.
const AT_ONCE: usize = 1024;

/// A spectrum, plain data. What it says is checked by [`Document::waveform`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The golden frequencies, in turns a value.
    pub frequencies: Vec<f64>,
    /// The coefficients' absolute values.
    pub amplitudes: Vec<f64>,
    /// Their angles in radians.
    pub phases: Vec<f64>,
    /// The lengths of the blocks, one after the other; empty for a single one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<usize>,
}

/// The blocks of `len` values: as long as `block` says; else one of up to 1024 values, or several of
/// Fibonacci lengths.
///
/// # Errors
/// As [`Blocks::of`].
pub fn blocks(len: usize, block: Option<usize>) -> Result<Blocks, Error> {
    match block {
        Some(block) => Blocks::of(len, block),
        None if len <= AT_ONCE => Blocks::of(len, len),
        None => Blocks::fibonacci(len),
    }
}

const fn bad(why: &'static str) -> Error {
    Error::Malformed {
        what: "spectrum",
        why,
    }
}

impl Document {
    /// The spectrum of a waveform, permuted and turned if there is a key.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::TooShort`] and as [`Blocks::of`].
    pub fn of(waveform: &[f64], block: Option<usize>, key: Option<&[u8]>) -> Result<Self, Error> {
        let blocks = blocks(waveform.len(), block)?;
        let signal: Vec<Complex64> = waveform.iter().map(|x| Complex64::from(*x)).collect();
        let mut coefficients = blocks.forward(&signal)?;
        if let Some(key) = key {
            coefficients = Scramble::new(key, signal.len())?.apply(&coefficients)?;
        }
        let lens = blocks.lens();
        Ok(Self {
            frequencies: blocks.frequencies(),
            amplitudes: coefficients.iter().map(|c| c.norm()).collect(),
            phases: coefficients.iter().map(|c| c.arg()).collect(),
            blocks: if lens.len() > 1 {
                lens.to_vec()
            } else {
                Vec::new()
            },
        })
    }

    /// The waveform that it is the spectrum of.
    ///
    /// # Errors
    /// [`Error::Malformed`] for lists that don't belong together, frequencies of others blocks, and a
    /// spectrum of no real waveform (one of another key mostly); [`Error::NotFinite`].
    pub fn waveform(&self, block: Option<usize>, key: Option<&[u8]>) -> Result<Vec<f64>, Error> {
        let len = self.frequencies.len();
        if [self.amplitudes.len(), self.phases.len()] != [len, len] {
            return Err(bad(
                "frequencies, amplitudes and phases are not equally many",
            ));
        }
        let blocks = blocks(len, block)?;
        let mut pairs = self.frequencies.iter().zip(blocks.frequencies());
        if !pairs.all(|(given, right)| (given - right).abs() < 1e-9) {
            return Err(bad(
                "the frequencies are not those of so many values in these blocks",
            ));
        }
        let polar = self.amplitudes.iter().zip(&self.phases);
        let mut coefficients: Vec<_> = polar.map(|(a, p)| Complex64::from_polar(*a, *p)).collect();
        if let Some(key) = key {
            coefficients = Scramble::new(key, len)?.undo(&coefficients)?;
        }
        let signal = blocks.inverse(&coefficients)?;
        let size = signal.iter().map(Complex64::norm_sqr).sum::<f64>().sqrt();
        if signal.iter().any(|x| x.im.abs() > 1e-8 * size) {
            return Err(bad(
                "it belongs to no real waveform (is the key another one?)",
            ));
        }
        Ok(signal.iter().map(|x| x.re).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_decide_on_blocks() {
        for (len, block, want) in [
            (1000, None, &[1000][..]),
            (1025, None, &[987, 34, 3, 1]),
            (1025, Some(600), &[600, 425]),
        ] {
            assert_eq!(blocks(len, block).unwrap().lens(), want);
        }
    }

    #[test]
    fn there_and_back_and_each_fault_has_its_words() {
        let wave: Vec<f64> = (0..1100).map(|i| f64::from(i).sin()).collect();
        for (block, key) in [(None, None), (Some(200), Some(&b"k"[..]))] {
            let spectrum = Document::of(&wave, block, key).unwrap();
            let back = spectrum.waveform(block, key).unwrap();
            let far = back.iter().zip(&wave).map(|(a, b)| (a - b).abs());
            assert!(far.fold(0.0, f64::max) < 1e-10);
            let other = spectrum.waveform(block, Some(b"another")).unwrap_err();
            assert!(other.to_string().contains("no real waveform"), "{other}");
            let other = spectrum.waveform(Some(77), key).unwrap_err();
            assert!(other.to_string().contains("frequencies are not"), "{other}");
            let mut short = spectrum.clone();
            short.phases.pop();
            let short = short.waveform(block, key).unwrap_err();
            assert!(short.to_string().contains("equally many"), "{short}");
            let mut endless = spectrum.clone();
            endless.amplitudes[3] = f64::INFINITY;
            assert!(endless.waveform(block, key).is_err());
        }
    }
}
