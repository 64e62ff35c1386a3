//! A keyed permutation and phase of the coefficients, unitary like the transform. It hides which
//! coefficient is which from a casual look and no more: it keeps every amplitude, so use
//! encryption where something has to stay secret.

use super::Complex64;
use crate::Error;
use crate::derive::{HKDF_MAX, hkdf};
use std::f64::consts::TAU;

const DOMAIN: &[u8] = b"quantumos rft scramble v1";

/// The permutation and phases of one key and length.
#[derive(Debug, Clone)]
pub struct Scramble {
    from: Vec<u32>,
    phase: Vec<Complex64>,
}

impl Scramble {
    /// Derives them by HKDF-SHA-512: a permutation by Fisher and Yates without bias, then phases.
    ///
    /// # Errors
    /// [`Error::TooShort`] for an empty key, [`Error::TooLong`], [`Error::Library`].
    pub fn new(key: &[u8], n: usize) -> Result<Self, Error> {
        if key.is_empty() {
            return Err(Error::TooShort {
                what: "key",
                need: 1,
                got: 0,
            });
        }
        if n > super::blocks::SIGNAL_MAX {
            return Err(Error::TooLong {
                what: "signal",
                limit: super::blocks::SIGNAL_MAX as u64,
                got: n as u64,
            });
        }
        let mut numbers = Numbers::new(key, n);
        let mut from: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            let j = numbers.below(i as u64 + 1)? as usize;
            from.swap(i, j);
        }
        let mut phase = Vec::with_capacity(n);
        for _ in 0..n {
            let turn = (numbers.next()? >> 11) as f64 / (1u64 << 53) as f64;
            phase.push(Complex64::cis(TAU * turn));
        }
        Ok(Self { from, phase })
    }

    /// Scrambles coefficients.
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn apply(&self, coefficients: &[Complex64]) -> Result<Vec<Complex64>, Error> {
        super::check_len("spectrum", coefficients.len(), self.from.len())?;
        let out = self.from.iter().zip(&self.phase);
        Ok(out.map(|(i, p)| coefficients[*i as usize] * p).collect())
    }

    /// Undoes [`Scramble::apply`].
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn undo(&self, scrambled: &[Complex64]) -> Result<Vec<Complex64>, Error> {
        super::check_len("spectrum", scrambled.len(), self.from.len())?;
        let mut out = vec![Complex64::ZERO; scrambled.len()];
        for ((i, p), x) in self.from.iter().zip(&self.phase).zip(scrambled) {
            out[*i as usize] = x * p.conj();
        }
        Ok(out)
    }
}

/// Numbers out of HKDF, block after block.
struct Numbers<'a> {
    key: &'a [u8],
    n: u64,
    block: u64,
    bytes: Vec<u8>,
    at: usize,
}

impl<'a> Numbers<'a> {
    fn new(key: &'a [u8], n: usize) -> Self {
        Self {
            key,
            n: n as u64,
            block: 0,
            bytes: Vec::new(),
            at: 0,
        }
    }

    fn next(&mut self) -> Result<u64, Error> {
        if self.at == self.bytes.len() {
            self.bytes.resize(HKDF_MAX, 0);
            let info: [&[u8]; 3] = [DOMAIN, &self.n.to_be_bytes(), &self.block.to_be_bytes()];
            hkdf(b"", self.key, &info, &mut self.bytes)?;
            self.block += 1;
            self.at = 0;
        }
        let mut number = [0u8; 8];
        number.copy_from_slice(&self.bytes[self.at..self.at + 8]);
        self.at += 8;
        Ok(u64::from_be_bytes(number))
    }

    /// Uniform in [0, bound).
    fn below(&mut self, bound: u64) -> Result<u64, Error> {
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let number = self.next()?;
            if number < limit {
                return Ok(number % bound);
            }
        }
    }
}
