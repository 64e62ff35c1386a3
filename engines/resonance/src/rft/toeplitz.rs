//! Symmetric Toeplitz matrices by FFT: products in O(n log n) through a circulant of twice the
//! size, solutions by conjugate gradients, and the extreme eigenvalues by Lanczos.

use crate::Error;
use rustfft::num_complex::Complex64;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// A pair of transforms of one power of two that holds a linear convolution of two times `n`.
pub(super) struct Convolver {
    n: usize,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

impl Convolver {
    pub(super) fn new(n: usize) -> Self {
        let size = (2 * n - 1).next_power_of_two();
        let mut planner = FftPlanner::new();
        Self {
            n,
            forward: planner.plan_fft_forward(size),
            inverse: planner.plan_fft_inverse(size),
        }
    }

    /// n.
    pub(super) fn len(&self) -> usize {
        self.n
    }

    pub(super) fn size(&self) -> usize {
        self.forward.len()
    }

    /// Room for both transforms to work in.
    pub(super) fn scratch(&self) -> Vec<Complex64> {
        let forward = self.forward.get_inplace_scratch_len();
        vec![Complex64::ZERO; forward.max(self.inverse.get_inplace_scratch_len())]
    }

    /// The spectrum of what `buffer` holds; all of it beyond the first `n` is taken as zero.
    pub(super) fn spectrum_of_first(&self, buffer: &mut [Complex64], scratch: &mut [Complex64]) {
        buffer[self.n..].fill(Complex64::ZERO);
        self.forward.process_with_scratch(buffer, scratch);
    }

    /// Back from a spectrum, not divided by the size.
    pub(super) fn back(&self, buffer: &mut [Complex64], scratch: &mut [Complex64]) {
        self.inverse.process_with_scratch(buffer, scratch);
    }

    /// The spectrum of a Toeplitz matrix that depends on |row - column| only.
    pub(super) fn symmetric(&self, column: impl Fn(usize) -> Complex64) -> Vec<Complex64> {
        let size = self.size();
        let mut spectrum = vec![Complex64::ZERO; size];
        spectrum[0] = column(0);
        for d in 1..self.n {
            spectrum[d] = column(d);
            spectrum[size - d] = spectrum[d];
        }
        self.forward
            .process_with_scratch(&mut spectrum, &mut self.scratch());
        spectrum
    }

    /// The spectrum of a lower triangular Toeplitz matrix with this first column.
    pub(super) fn lower(&self, column: &[f64]) -> Vec<Complex64> {
        let mut spectrum: Vec<Complex64> = column.iter().map(|x| Complex64::from(*x)).collect();
        spectrum.resize(self.size(), Complex64::ZERO);
        self.forward
            .process_with_scratch(&mut spectrum, &mut self.scratch());
        spectrum
    }
}

impl std::fmt::Debug for Convolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Convolver")
            .field("n", &self.n)
            .finish_non_exhaustive()
    }
}

/// A real symmetric positive definite Toeplitz matrix.
pub(super) struct Toeplitz<'a> {
    convolver: &'a Convolver,
    spectrum: Vec<Complex64>,
    buffer: Vec<Complex64>,
    scratch: Vec<Complex64>,
}

impl<'a> Toeplitz<'a> {
    pub(super) fn new(convolver: &'a Convolver, column: impl Fn(usize) -> f64) -> Self {
        Self {
            spectrum: convolver.symmetric(|d| Complex64::from(column(d))),
            buffer: vec![Complex64::ZERO; convolver.size()],
            scratch: convolver.scratch(),
            convolver,
        }
    }

    /// `out = (matrix + shift) x`.
    pub(super) fn multiply(&mut self, x: &[f64], shift: f64, out: &mut [f64]) {
        for (slot, x) in self.buffer.iter_mut().zip(x) {
            *slot = Complex64::from(*x);
        }
        self.convolver
            .spectrum_of_first(&mut self.buffer, &mut self.scratch);
        for (slot, by) in self.buffer.iter_mut().zip(&self.spectrum) {
            *slot *= by;
        }
        self.convolver.back(&mut self.buffer, &mut self.scratch);
        let scale = 1.0 / self.convolver.size() as f64;
        for ((out, got), x) in out.iter_mut().zip(&self.buffer).zip(x) {
            *out = got.re * scale + shift * x;
        }
    }

    /// Solves `(matrix + shift) x = e_0` to the last bits, by conjugate gradients. `lanczos` gets the
    /// coefficients (alpha, beta) of each step, from which the eigenvalues come.
    pub(super) fn first_column_of_inverse(
        &mut self,
        shift: f64,
        mut lanczos: impl FnMut(f64, f64),
    ) -> Result<Vec<f64>, Error> {
        let n = self.convolver.n;
        let mut x = vec![0.0; n];
        let mut r = vec![0.0; n];
        r[0] = 1.0;
        let mut p = r.clone();
        let mut ap = vec![0.0; n];
        let mut rr: f64 = 1.0;
        let mut best = rr;
        let mut stale = 0;
        for _ in 0..STEPS_MAX {
            self.multiply(&p, shift, &mut ap);
            let alpha = rr / dot(&p, &ap);
            for i in 0..n {
                x[i] += alpha * p[i];
                r[i] -= alpha * ap[i];
            }
            let next = dot(&r, &r);
            let beta = next / rr;
            lanczos(alpha, beta);
            if next <= TINY {
                return Ok(x);
            }
            // At the limit of the arithmetic the residual no longer falls.
            if next < best {
                (best, stale) = (next, 0);
            } else {
                stale += 1;
            }
            if stale > 50 && best < SMALL {
                return Ok(x);
            }
            for i in 0..n {
                p[i] = r[i] + beta * p[i];
            }
            rr = next;
        }
        Err(Error::Library("solving for the resonance transform"))
    }

    /// Bounds that hold all eigenvalues: the extreme Ritz values, which conjugate gradients settle,
    /// moved apart by a fiftieth.
    pub(super) fn eigenvalue_bounds(&mut self) -> Result<(f64, f64), Error> {
        let (mut diagonal, mut off) = (Vec::new(), Vec::new());
        let mut last = (1.0, 0.0);
        self.first_column_of_inverse(0.0, |alpha, beta| {
            let (alpha_before, beta_before): (f64, f64) = last;
            let lead = if diagonal.is_empty() {
                0.0
            } else {
                beta_before / alpha_before
            };
            diagonal.push(1.0 / alpha + lead);
            off.push(beta.sqrt() / alpha);
            last = (alpha, beta);
        })?;
        off.pop();
        let bound = 4.0;
        let least = bisect(&diagonal, &off, 1, bound);
        let most = bisect(&diagonal, &off, diagonal.len(), bound);
        Ok((least * 0.98, most * 1.02))
    }
}

/// More steps than any matrix here takes; it stops what would go on for ever.
const STEPS_MAX: usize = 200_000;
/// A squared residual that no double can better.
const TINY: f64 = 1e-34;
/// A squared residual that is good enough when no more comes.
const SMALL: f64 = 1e-24;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The `rank`-th smallest eigenvalue (from 1) in (0, bound) of a symmetric tridiagonal matrix.
fn bisect(diagonal: &[f64], off: &[f64], rank: usize, bound: f64) -> f64 {
    let below = |x: f64| {
        let mut count = 0;
        let mut pivot = 1.0f64;
        for (i, d) in diagonal.iter().enumerate() {
            let coupling = if i == 0 { 0.0 } else { off[i - 1] * off[i - 1] };
            pivot = d - x - coupling / pivot;
            if pivot == 0.0 {
                pivot = f64::MIN_POSITIVE;
            }
            count += usize::from(pivot < 0.0);
        }
        count
    };
    let (mut low, mut high) = (0.0, bound);
    while high - low > 1e-10 * high {
        let middle = 0.5 * (low + high);
        if below(middle) >= rank {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}
