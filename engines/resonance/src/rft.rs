//! The Resonance Fourier Transform: a unitary transform whose frequencies are the multiples of the
//! golden ratio, `f_k = frac((k + 1) phi)`.
//!
//! With `Phi[t,k] = n^(-1/2) exp(2 pi i f_k t)` the transform is the unitary matrix closest to Phi,
//! `U = Phi (Phi^H Phi)^(-1/2)`; the spectrum is `X = U^H x` and back `x = U X`. Neither `U` nor
//! anything else of n^2 numbers is ever formed:
//!
//! - `t k = (t^2 + k^2 - (t - k)^2) / 2` makes Phi a chirp times a Toeplitz matrix times a chirp
//!   (Bluestein), exactly, so it takes two FFTs of at least 2n. Phases come from integers.
//! - The Gram matrix is, between two diagonals of phases, the real symmetric Toeplitz matrix
//!   `sin(pi n phi (j-k)) / (n sin(pi phi (j-k)))`. Its inverse square root is a sum of shifted
//!   inverses with an error of a few 10^-16 on the whole spectrum ([`Rft::approximation_error`] is the
//!   bound). Where n has small prime factors the sum is brought to as few products of circulant and
//!   skew-circulant matrices as it needs, two FFTs of n each ([`Rft::left_out`] is the bound on what
//!   that leaves out); else each inverse is four FFTs of at least 2n by the formula of Gohberg and Semencul.
//!
//! So a transform costs O(n log n log c), with c the condition number of the Gram matrix: 2.85 for every
//! Fibonacci number n, about 1.2 n at worst (1,216 at n = 1024). Longer signals therefore
//! go in blocks of Fibonacci lengths ([`crate::rft::Blocks`]).

mod blocks;
mod document;
mod golden;
mod gram_root;
mod keyed;
mod long;
mod low_rank;
mod products;
mod root;
mod toeplitz;

pub use blocks::Blocks;
pub use document::Document;
pub use keyed::Scramble;
pub use rustfft::num_complex::Complex64;

use crate::Error;
use gram_root::GramRoot;
use toeplitz::{Convolver, Toeplitz};

/// Longest single transform.
pub const LEN_MAX: usize = 1 << 16;

/// The transform of one length. Making it costs as much as some hundred transforms, so keep it.
#[derive(Debug)]
pub struct Rft {
    n: usize,
    convolver: Convolver,
    /// `h^(t^2 + 2t) / sqrt n`, before the chirp's Toeplitz matrix on the way back, after it forth.
    outer: Vec<Complex64>,
    /// `h^(k^2 - (n-1)k)`: the other chirp with the phases of the Gram matrix taken in.
    inner: Vec<Complex64>,
    /// `h^((n-1)k)`.
    gram_phase: Vec<Complex64>,
    chirp: Vec<Complex64>,
    root: GramRoot,
    terms: usize,
    condition: f64,
    approximation_error: f64,
}

/// What a signal is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// In cycles a sample, in [0, 1).
    pub frequencies: Vec<f64>,
    /// Absolute values of the coefficients.
    pub amplitudes: Vec<f64>,
    /// Arguments of the coefficients in radians, in (-pi, pi].
    pub phases: Vec<f64>,
}

impl Rft {
    /// Prepares the transform of `n` samples.
    ///
    /// # Errors
    /// [`Error::TooShort`] for none, [`Error::TooLong`] for more than [`LEN_MAX`], [`Error::Library`]
    /// when the preparation does not converge.
    pub fn new(n: usize) -> Result<Self, Error> {
        if n == 0 {
            return Err(Error::TooShort {
                what: "signal",
                need: 1,
                got: 0,
            });
        }
        if n > LEN_MAX {
            return Err(Error::TooLong {
                what: "signal for one transform",
                limit: LEN_MAX as u64,
                got: n as u64,
            });
        }
        let convolver = Convolver::new(n);
        let mut gram = Toeplitz::new(&convolver, |d| golden::kernel(n, d));
        let (least, most) = gram.eigenvalue_bounds()?;
        let terms = root::inverse_square_root(least, most);
        let approximation_error = root::largest_error(&terms, least, most);
        let root = GramRoot::new(&convolver, &mut gram, &terms, most)?;
        let scale = 1.0 / (n as f64).sqrt();
        let last = n as i128 - 1;
        let each = |f: &dyn Fn(i128) -> Complex64| (0..n as i128).map(f).collect::<Vec<_>>();
        Ok(Self {
            n,
            outer: each(&|t| golden::h(t * t + 2 * t) * scale),
            inner: each(&|k| golden::h(k * k - last * k)),
            gram_phase: each(&|k| golden::h(last * k)),
            chirp: convolver.symmetric(|d| golden::h(-(d as i128 * d as i128))),
            root,
            terms: terms.len(),
            convolver,
            condition: most / least,
            approximation_error,
        })
    }

    /// How many samples it takes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n
    }

    /// Never: a transform has at least one sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// An upper bound on the condition number of the Gram matrix.
    #[must_use]
    pub fn condition(&self) -> f64 {
        self.condition
    }

    /// How many shifted inverses make up the inverse square root.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.terms
    }

    /// The largest relative error of the inverse square root's approximation on the whole spectrum,
    /// and so the largest deviation from the closest unitary matrix but for rounding.
    #[must_use]
    pub fn approximation_error(&self) -> f64 {
        self.approximation_error
    }

    /// A bound on what was left out of the sum of the shifted inverses, as a deviation from the closest
    /// unitary matrix in the spectral norm.
    #[must_use]
    pub fn left_out(&self) -> f64 {
        self.root.left_out()
    }

    /// How many FFTs the inverse square root takes, and of which length.
    #[must_use]
    pub fn root_cost(&self) -> (usize, usize) {
        self.root.cost(&self.convolver)
    }

    /// The frequencies `frac((k + 1) phi)` in cycles a sample.
    #[must_use]
    pub fn frequencies(&self) -> Vec<f64> {
        (0..self.n).map(golden::frequency).collect()
    }

    /// The coefficients `X = U^H x`.
    ///
    /// # Errors
    /// [`Error::Length`] for another number of samples, [`Error::NotFinite`].
    pub fn forward(&self, signal: &[Complex64]) -> Result<Vec<Complex64>, Error> {
        check("signal", signal, self.n)?;
        let mut work = self.work();
        for ((slot, x), a) in work.a.iter_mut().zip(signal).zip(&self.outer) {
            *slot = a.conj() * x;
        }
        self.apply_chirp(&mut work, true);
        for (slot, b) in work.a.iter_mut().zip(&self.inner) {
            *slot *= b.conj();
        }
        self.root.apply(&self.convolver, &mut work);
        let out = work.a.iter().zip(&self.gram_phase);
        Ok(out.map(|(y, e)| y * e.conj()).collect())
    }

    /// The signal `x = U X`.
    ///
    /// # Errors
    /// [`Error::Length`] for another number of coefficients, [`Error::NotFinite`].
    pub fn inverse(&self, coefficients: &[Complex64]) -> Result<Vec<Complex64>, Error> {
        check("spectrum", coefficients, self.n)?;
        let mut work = self.work();
        for ((slot, x), e) in work.a.iter_mut().zip(coefficients).zip(&self.gram_phase) {
            *slot = e * x;
        }
        self.root.apply(&self.convolver, &mut work);
        for (slot, b) in work.a.iter_mut().zip(&self.inner) {
            *slot *= b;
        }
        self.apply_chirp(&mut work, false);
        let out = work.a.iter().zip(&self.outer);
        Ok(out.map(|(y, a)| y * a).collect())
    }

    fn work(&self) -> Work {
        let zeros = || vec![Complex64::ZERO; self.convolver.size()];
        let mut scratch = self.convolver.scratch();
        let len = scratch.len().max(self.root.scratch_len());
        scratch.resize(len, Complex64::ZERO);
        Work {
            a: zeros(),
            b: zeros(),
            sum: zeros(),
            scratch,
        }
    }

    /// The chirp's Toeplitz matrix, or its conjugate, on the first `n` of `work.a`.
    fn apply_chirp(&self, work: &mut Work, conjugate: bool) {
        // conj(T) x = conj(T conj(x)).
        let turn = |slot: &mut Complex64| {
            if conjugate {
                *slot = slot.conj();
            }
        };
        work.a[..self.n].iter_mut().for_each(turn);
        self.convolver
            .spectrum_of_first(&mut work.a, &mut work.scratch);
        for (slot, by) in work.a.iter_mut().zip(&self.chirp) {
            *slot *= by;
        }
        self.convolver.back(&mut work.a, &mut work.scratch);
        let scale = 1.0 / self.convolver.size() as f64;
        for slot in &mut work.a[..self.n] {
            *slot *= scale;
            turn(slot);
        }
    }

    /// What a real signal is made of.
    ///
    /// # Errors
    /// As [`Rft::forward`].
    pub fn spectrum(&self, waveform: &[f64]) -> Result<Spectrum, Error> {
        let signal: Vec<Complex64> = waveform.iter().map(|x| Complex64::from(*x)).collect();
        let coefficients = self.forward(&signal)?;
        Ok(Spectrum {
            frequencies: self.frequencies(),
            amplitudes: coefficients.iter().map(|c| c.norm()).collect(),
            phases: coefficients.iter().map(|c| c.arg()).collect(),
        })
    }

    /// The real signal of a spectrum. The frequencies have to be those of this transform.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`], [`Error::Malformed`] for other frequencies or a spectrum
    /// that no real signal has.
    pub fn waveform(&self, spectrum: &Spectrum) -> Result<Vec<f64>, Error> {
        let bad = |why| Error::Malformed {
            what: "spectrum",
            why,
        };
        for (what, values) in [
            ("frequencies", &spectrum.frequencies),
            ("amplitudes", &spectrum.amplitudes),
            ("phases", &spectrum.phases),
        ] {
            check_finite(what, values.iter().copied())?;
            check_len(what, values.len(), self.n)?;
        }
        let near = |(a, b): (&f64, f64)| (a - b).abs() < 1e-9;
        if !spectrum
            .frequencies
            .iter()
            .zip(self.frequencies())
            .all(near)
        {
            return Err(bad("the frequencies are not those of this length"));
        }
        let polar = spectrum.amplitudes.iter().zip(&spectrum.phases);
        let coefficients: Vec<_> = polar.map(|(a, p)| Complex64::from_polar(*a, *p)).collect();
        let signal = self.inverse(&coefficients)?;
        let size: f64 = signal.iter().map(|x| x.norm_sqr()).sum::<f64>().sqrt();
        if signal.iter().any(|x| x.im.abs() > 1e-8 * size) {
            return Err(bad("it belongs to no real signal"));
        }
        Ok(signal.iter().map(|x| x.re).collect())
    }
}

/// Buffers of one transform.
struct Work {
    a: Vec<Complex64>,
    b: Vec<Complex64>,
    sum: Vec<Complex64>,
    scratch: Vec<Complex64>,
}

fn check(what: &'static str, values: &[Complex64], n: usize) -> Result<(), Error> {
    check_len(what, values.len(), n)?;
    check_finite(what, values.iter().map(|x| x.re + x.im))
}

fn check_len(what: &'static str, got: usize, want: usize) -> Result<(), Error> {
    if got != want {
        return Err(Error::Length {
            what,
            want: want as u64,
            got: got as u64,
        });
    }
    Ok(())
}

/// Refuses NaN and infinities.
pub(crate) fn check_finite(
    what: &'static str,
    mut values: impl Iterator<Item = f64>,
) -> Result<(), Error> {
    match values.position(|x| !x.is_finite()) {
        Some(index) => Err(Error::NotFinite {
            what,
            index: index as u64,
        }),
        None => Ok(()),
    }
}
