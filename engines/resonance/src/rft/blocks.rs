//! Signals of any length in blocks. By default the blocks are the Fibonacci numbers that add up to
//! the length (Zeckendorf), since the Gram matrix of each of those has a condition number of 2.85: a
//! signal of any length is transformed in O(n log n) with errors at the limit of doubles.

use super::{Complex64, LEN_MAX, Rft, check};
use crate::Error;
use std::collections::BTreeMap;

/// Longest signal: 16 Mi samples.
pub const SIGNAL_MAX: usize = 1 << 24;

/// Longest Fibonacci block.
const FIBONACCI_MAX: usize = 46_368;

/// The transform of a signal in blocks, each unitary and so the whole.
#[derive(Debug)]
pub struct Blocks {
    n: usize,
    lens: Vec<usize>,
    plans: BTreeMap<usize, Rft>,
}

impl Blocks {
    /// Blocks of Fibonacci lengths, longest first, that add up to `n`.
    ///
    /// # Errors
    /// [`Error::TooShort`] for no samples, [`Error::TooLong`] for more than [`SIGNAL_MAX`], and as [`Rft::new`].
    pub fn fibonacci(n: usize) -> Result<Self, Error> {
        let mut lens = Vec::new();
        let mut rest = n.min(SIGNAL_MAX);
        while rest > 0 {
            let (mut a, mut b) = (1, 2);
            while b <= rest.min(FIBONACCI_MAX) {
                (a, b) = (b, a + b);
            }
            lens.push(a);
            rest -= a;
        }
        Self::with(n, lens)
    }

    /// Blocks of a stated length, the last one shorter.
    ///
    /// # Errors
    /// As [`Blocks::fibonacci`]; the stated length has to be that of a transform.
    pub fn of(n: usize, block: usize) -> Result<Self, Error> {
        if block == 0 || block > LEN_MAX {
            return Rft::new(block).map(|_| Self {
                n: 0,
                lens: Vec::new(),
                plans: BTreeMap::new(),
            });
        }
        let n_checked = n.min(SIGNAL_MAX);
        let mut lens = vec![block; n_checked / block];
        lens.extend(Some(n_checked % block).filter(|rest| *rest > 0));
        Self::with(n, lens)
    }

    fn with(n: usize, lens: Vec<usize>) -> Result<Self, Error> {
        if n == 0 {
            return Err(Error::TooShort {
                what: "signal",
                need: 1,
                got: 0,
            });
        }
        if n > SIGNAL_MAX {
            return Err(Error::TooLong {
                what: "signal",
                limit: SIGNAL_MAX as u64,
                got: n as u64,
            });
        }
        let mut plans = BTreeMap::new();
        for len in &lens {
            if !plans.contains_key(len) {
                plans.insert(*len, Rft::new(*len)?);
            }
        }
        Ok(Self { n, lens, plans })
    }

    /// The lengths of the blocks in their order.
    #[must_use]
    pub fn lens(&self) -> &[usize] {
        &self.lens
    }

    /// The frequencies of each block, one after the other.
    #[must_use]
    pub fn frequencies(&self) -> Vec<f64> {
        let plans = self.lens.iter().filter_map(|len| self.plans.get(len));
        plans.flat_map(Rft::frequencies).collect()
    }

    /// The coefficients of each block, one after the other.
    ///
    /// # Errors
    /// As [`Rft::forward`].
    pub fn forward(&self, signal: &[Complex64]) -> Result<Vec<Complex64>, Error> {
        check("signal", signal, self.n)?;
        self.each(signal, Rft::forward)
    }

    /// The signal.
    ///
    /// # Errors
    /// As [`Rft::inverse`].
    pub fn inverse(&self, coefficients: &[Complex64]) -> Result<Vec<Complex64>, Error> {
        check("spectrum", coefficients, self.n)?;
        self.each(coefficients, Rft::inverse)
    }

    fn each(
        &self,
        mut values: &[Complex64],
        transform: impl Fn(&Rft, &[Complex64]) -> Result<Vec<Complex64>, Error>,
    ) -> Result<Vec<Complex64>, Error> {
        let mut out = Vec::with_capacity(self.n);
        for plan in self.lens.iter().filter_map(|len| self.plans.get(len)) {
            let (block, rest) = values.split_at(plan.len());
            out.extend(transform(plan, block)?);
            values = rest;
        }
        Ok(out)
    }
}
