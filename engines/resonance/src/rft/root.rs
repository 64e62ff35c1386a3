//! The inverse square root as a sum of inverses: the trapezoidal rule on the contour of Hale,
//! Higham and Trefethen (SIAM J. Numer. Anal. 46, 2008, method 3), which for this function is
//! Zolotarev's best rational approximation. On [a, b] with k^2 = a / b the relative error of n terms
//! falls as exp(-2 pi n K(k) / K'(k)): each further term gains a fixed number of digits.

use std::f64::consts::{FRAC_PI_2, PI};

/// `x^(-1/2)` is about the sum of `weight / (x + shift)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Term {
    pub(super) shift: f64,
    pub(super) weight: f64,
}

/// The fewest terms whose error on [least, most] is at the limit of doubles.
pub(super) fn inverse_square_root(least: f64, most: f64) -> Vec<Term> {
    let ratio = (least / most).min(1.0);
    let k = ratio.sqrt();
    let complete = complete(k);
    // K(k) is at least pi / 2.
    let gain = 2.0 * PI * FRAC_PI_2 / complete;
    let count = (DIGITS / gain).ceil().max(1.0) as usize;
    let scale = 2.0 * complete * least.sqrt() / (PI * count as f64);
    let term = |j: usize| {
        let u = (j as f64 + 0.5) * complete / count as f64;
        // Near the end cn is small, so the functions are taken at the mirrored place.
        if u <= 0.5 * complete {
            let (sn, cn, dn) = jacobi(u, k);
            Term {
                shift: least * (sn / cn).powi(2),
                weight: scale * dn / (cn * cn),
            }
        } else {
            let (sn, cn, dn) = jacobi(complete - u, k);
            Term {
                shift: most * (cn / sn).powi(2),
                weight: scale * dn / (k * sn * sn),
            }
        }
    };
    (0..count).map(term).collect()
}

/// The largest relative error of the sum on [least, most], looked for at 4,000 places in equal ratios.
pub(super) fn largest_error(terms: &[Term], least: f64, most: f64) -> f64 {
    let places = 4000;
    (0..=places)
        .map(|i| least * (most / least).powf(f64::from(i) / f64::from(places)))
        .map(|x| {
            let sum: f64 = terms.iter().map(|t| t.weight / (x + t.shift)).sum();
            (sum * x.sqrt() - 1.0).abs()
        })
        .fold(0.0, f64::max)
}

/// ln(2^53) and a little.
const DIGITS: f64 = 37.5;

/// K'(k): the complete elliptic integral with complementary modulus `k`, by the arithmetic-geometric mean.
fn complete(k: f64) -> f64 {
    let (mut a, mut b) = (1.0f64, k);
    while (a - b).abs() > 1e-15 * a {
        (a, b) = (0.5 * (a + b), (a * b).sqrt());
    }
    FRAC_PI_2 / a
}

/// sn, cn and dn of `u` with complementary modulus `k`, by descending Landen transformations.
fn jacobi(u: f64, k: f64) -> (f64, f64, f64) {
    let (mut a, mut b) = (1.0f64, k);
    let mut steps = Vec::new();
    let mut c = ((1.0 - k) * (1.0 + k)).sqrt();
    while c.abs() > 1e-16 * a && steps.len() < 32 {
        c = 0.5 * (a - b);
        (a, b) = (0.5 * (a + b), (a * b).sqrt());
        steps.push(c / a);
    }
    let mut phi = u * a * 2f64.powi(steps.len() as i32);
    for ratio in steps.iter().rev() {
        phi = 0.5 * (phi + (ratio * phi.sin()).asin());
    }
    let (sn, cn) = phi.sin_cos();
    let modulus = (1.0 - k) * (1.0 + k);
    (sn, cn, (1.0 - modulus * sn * sn).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_at_the_limit_of_doubles_for_every_ratio() {
        for ratio in [1.0, 1.5, 2.85, 35.0, 1216.0, 1e5] {
            for least in [1.0, 0.0015, 300.0] {
                let terms = inverse_square_root(least, least * ratio);
                let error = largest_error(&terms, least, least * ratio);
                assert!(error < 6e-15, "{ratio}: {} terms, {error:e}", terms.len());
            }
        }
    }
}
