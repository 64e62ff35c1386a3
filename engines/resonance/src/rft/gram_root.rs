//! The inverse square root of the Gram matrix as a sum of products of structured matrices.
//!
//! Each shifted inverse of the rational approximation is `(L(p) L(p)^T - L(q) L(q)^T) / p_0` (Gohberg and
//! Semencul) with p its first column and q = p backwards behind a zero: four FFTs of at least 2n. Where n
//! has small prime factors only, the whole sum B takes less. With Z the cyclic shift and S the
//! shift that turns the sign of what comes around, `(S B - B Z) J` is a sum of outer products
//! `u_j r_j^T` of a numerical rank well below the number of inverses' generators, and then
//! `B = -1/2 sum skew(u_j) circ(r_j)` with the skew-circulant and circulant matrices of these
//! first columns: two FFTs of n for each. What is left out of the sum has a bound: between the bases
//! in which the shifts are diagonal an outer product's share of B is its entries divided by the
//! differences of 2n-th roots of unity, whose Frobenius norm is a convolution.

use super::Work;
use super::low_rank::{Outer, decompose};
use super::products::{multiply, multiply_add};
use super::root::Term;
use super::toeplitz::{Convolver, Toeplitz};
use crate::Error;
use rustfft::num_complex::Complex64;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::PI;
use std::sync::Arc;

/// The largest prime factor of a length whose own FFT is faster than one of the next power of two.
const PRIME_MAX: usize = 31;

/// What leaving out may cost, as a deviation from the unitary matrix.
const DEVIATION: f64 = 2e-14;

/// The operator, in the form that suits the length.
#[derive(Debug)]
pub(super) enum GramRoot {
    Cyclic(Cyclic),
    /// The shifted inverses one by one.
    Padded(Vec<Inverse>),
}

/// One shifted inverse, as the spectra of its two triangular generators.
#[derive(Debug)]
pub(super) struct Inverse {
    plus: Vec<Complex64>,
    minus: Vec<Complex64>,
    weight: f64,
}

/// Products of skew-circulant and circulant matrices.
pub(super) struct Cyclic {
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
    /// `exp(-i pi t / n)`, which makes a skew-circulant matrix circulant.
    twist: Vec<Complex64>,
    untwist: Vec<Complex64>,
    /// Spectra of each skew-circulant matrix and of the circulant to its right.
    pairs: Vec<(Vec<Complex64>, Vec<Complex64>)>,
    left_out: f64,
}

impl GramRoot {
    /// Prepares it; `most` is a bound on the largest eigenvalue of the Gram matrix.
    pub(super) fn new(
        convolver: &Convolver,
        gram: &mut Toeplitz<'_>,
        terms: &[Term],
        most: f64,
    ) -> Result<Self, Error> {
        let mut columns = Vec::with_capacity(terms.len());
        for term in terms {
            columns.push((
                term.weight,
                gram.first_column_of_inverse(term.shift, |_, _| {})?,
            ));
        }
        if is_smooth(convolver.len()) {
            return Ok(Self::Cyclic(Cyclic::new(&columns, most)));
        }
        // Three transforms there and back are not divided by their size.
        let scale = (convolver.size() as f64).powi(2);
        let each = columns.iter().map(|(weight, column)| Inverse {
            plus: convolver.lower(column),
            minus: convolver.lower(&backwards(column)),
            weight: weight / (column[0] * scale),
        });
        Ok(Self::Padded(each.collect()))
    }

    /// A bound on what was left out of the sum, as a deviation from the unitary matrix.
    pub(super) fn left_out(&self) -> f64 {
        match self {
            Self::Cyclic(cyclic) => cyclic.left_out,
            Self::Padded(_) => 0.0,
        }
    }

    /// How many FFTs it takes, and of which length.
    pub(super) fn cost(&self, convolver: &Convolver) -> (usize, usize) {
        match self {
            Self::Cyclic(cyclic) => (2 * cyclic.pairs.len() + 2, cyclic.twist.len()),
            Self::Padded(inverses) => (4 * inverses.len() + 2, convolver.size()),
        }
    }

    /// Room that its FFTs work in.
    pub(super) fn scratch_len(&self) -> usize {
        match self {
            Self::Cyclic(cyclic) => {
                let forward = cyclic.forward.get_inplace_scratch_len();
                forward.max(cyclic.inverse.get_inplace_scratch_len())
            }
            Self::Padded(_) => 0,
        }
    }

    /// Applies it to the first n of `work.a`.
    pub(super) fn apply(&self, convolver: &Convolver, work: &mut Work) {
        match self {
            Self::Cyclic(cyclic) => cyclic.apply(work),
            Self::Padded(inverses) => apply_padded(convolver, inverses, work),
        }
    }
}

fn apply_padded(convolver: &Convolver, inverses: &[Inverse], work: &mut Work) {
    let Work { a, b, sum, scratch } = work;
    convolver.spectrum_of_first(a, scratch);
    sum.fill(Complex64::ZERO);
    for inverse in inverses {
        for (generator, weight) in [
            (&inverse.plus, inverse.weight),
            (&inverse.minus, -inverse.weight),
        ] {
            for ((slot, v), g) in b.iter_mut().zip(a.iter()).zip(generator) {
                *slot = g.conj() * v;
            }
            convolver.back(b, scratch);
            convolver.spectrum_of_first(b, scratch);
            for ((slot, v), g) in sum.iter_mut().zip(b.iter()).zip(generator) {
                *slot += g * v * weight;
            }
        }
    }
    std::mem::swap(a, sum);
    convolver.back(a, scratch);
}

impl Cyclic {
    fn new(columns: &[(f64, Vec<f64>)], most: f64) -> Self {
        let n = columns.first().map_or(0, |(_, column)| column.len());
        let mut planner = FftPlanner::new();
        let twist: Vec<_> = (0..n)
            .map(|t| Complex64::cis(-PI * t as f64 / n as f64))
            .collect();
        let mut own = Self {
            forward: planner.plan_fft_forward(n),
            inverse: planner.plan_fft_inverse(n),
            untwist: twist.iter().map(Complex64::conj).collect(),
            twist,
            pairs: Vec::new(),
            left_out: 0.0,
        };
        let Outer { left, right } = displacement(columns);
        own.pairs = left
            .iter()
            .zip(&right)
            .map(|(left, right)| (own.skew(left), own.spectrum(right)))
            .collect();
        own.leave_out(most.sqrt());
        // Two transforms back are not divided by their size.
        let scale = -0.5 / (n as f64).powi(2);
        for (left, _) in &mut own.pairs {
            left.iter_mut().for_each(|x| *x *= scale);
        }
        own
    }

    fn transform(&self, mut values: Vec<Complex64>) -> Vec<Complex64> {
        self.forward.process(&mut values);
        values
    }

    fn spectrum(&self, column: &[f64]) -> Vec<Complex64> {
        self.transform(column.iter().map(|x| Complex64::from(*x)).collect())
    }

    fn skew(&self, column: &[f64]) -> Vec<Complex64> {
        let twisted = column.iter().zip(&self.twist).map(|(x, t)| t * x);
        self.transform(twisted.collect())
    }

    /// Drops the smallest products as long as all of them together change the transform by less than
    /// [`DEVIATION`].
    fn leave_out(&mut self, scale: f64) {
        let n = self.twist.len();
        // 1 / |difference of the roots of unity|^2, by the difference of the places.
        let apart = |d: usize| 2.0 * (PI * (d as f64 + 0.5) / n as f64).sin();
        let kernel = self.spectrum(&(0..n).map(|d| apart(d).powi(-2)).collect::<Vec<_>>());
        while let Some((left, right)) = self.pairs.last() {
            let sizes = |x: &[Complex64]| x.iter().map(Complex64::norm_sqr).collect::<Vec<_>>();
            let (left, right) = (self.spectrum(&sizes(left)), self.spectrum(&sizes(right)));
            // sum over k, l of left[k] right[l] kernel[k - l], by Parseval.
            let each = left.iter().zip(&right).zip(&kernel);
            let sum: f64 = each.map(|((l, r), k)| (l.conj() * r * k).re).sum();
            // Three sums over n, and the two spectra are not divided by sqrt(n) each.
            let more = self.left_out + scale * (sum.abs() / n as f64).sqrt() / n as f64;
            if more > DEVIATION {
                break;
            }
            self.left_out = more;
            self.pairs.pop();
        }
    }

    fn apply(&self, work: &mut Work) {
        let n = self.twist.len();
        let Work { a, b, sum, scratch } = work;
        let (a, b, sum) = (&mut a[..n], &mut b[..n], &mut sum[..n]);
        self.forward.process_with_scratch(a, scratch);
        sum.fill(Complex64::ZERO);
        for (left, right) in &self.pairs {
            multiply(b, a, right);
            self.inverse.process_with_scratch(b, scratch);
            b.iter_mut().zip(&self.twist).for_each(|(x, t)| *x *= t);
            self.forward.process_with_scratch(b, scratch);
            multiply_add(sum, b, left);
        }
        self.inverse.process_with_scratch(sum, scratch);
        multiply(a, sum, &self.untwist);
    }
}

impl std::fmt::Debug for Cyclic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cyclic")
            .field("n", &self.twist.len())
            .field("products", &self.pairs.len())
            .finish_non_exhaustive()
    }
}

/// `(S B - B Z) J` for B the weighted sum of the symmetric Toeplitz matrices' inverses with these first
/// columns x: each is `q x^T - x q^T - e x^T - x e^T` with q = x backwards behind a zero, divided by
/// x_0, and e the first unit vector.
fn displacement(columns: &[(f64, Vec<f64>)]) -> Outer {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let n = columns.first().map_or(0, |(_, column)| column.len());
    let mut sum = vec![0.0; n];
    for (weight, x) in columns {
        let q: Vec<f64> = backwards(x).iter().map(|q| q / x[0]).collect();
        let scaled = |v: &[f64], by: f64| v.iter().map(|v| v * by).collect::<Vec<_>>();
        left.push(scaled(&q, *weight));
        right.push(x.clone());
        left.push(scaled(x, -weight));
        right.push(q);
        sum.iter_mut()
            .zip(x)
            .for_each(|(sum, x)| *sum += weight * x);
    }
    let mut unit = vec![0.0; n];
    unit[..1].fill(-1.0);
    left.push(unit.clone());
    right.push(sum.clone());
    left.push(sum);
    right.push(unit);
    decompose(left, right)
}

/// A column from its last entry to its second, behind a zero.
fn backwards(column: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0];
    out.extend(column[1..].iter().rev());
    out
}

/// Whether all prime factors are small.
fn is_smooth(mut n: usize) -> bool {
    for prime in 2..=PRIME_MAX {
        while n.is_multiple_of(prime) {
            n /= prime;
        }
    }
    n == 1
}
