//! Multiples of the golden ratio modulo one, exact to the last bit of a double: phi / 2 is kept as
//! a fraction of 128 bits, and multiplying by an integer is a wrapping product.

use rustfft::num_complex::Complex64;
use std::f64::consts::TAU;

/// phi / 2 = (1 + sqrt 5) / 4 in units of 2^-128, rounded down.
const HALF_PHI: u128 = 0xcf1b_bcdc_bfa5_3e0a_f9ce_6030_2e76_e41a;

/// One turn.
const TURN: f64 = 340_282_366_920_938_463_463_374_607_431_768_211_456.0;

/// `exp(i pi phi m)`. The angle's error is below `m` 2^-128 turns before rounding.
pub(super) fn h(m: i128) -> Complex64 {
    let turns = HALF_PHI.wrapping_mul(m as u128) as i128;
    Complex64::cis(TAU * (turns as f64 / TURN))
}

/// `sin(pi phi m)` to a relative error of a few 2^-53, also where it is nearly zero.
fn sine(m: i128) -> f64 {
    let turns = HALF_PHI.wrapping_mul(m as u128) as i128;
    // Beyond a quarter turn the angle is taken from the half turn, as an integer and so exactly.
    let quarter = 1 << 126;
    if (-quarter..quarter).contains(&turns) {
        (TAU * (turns as f64 / TURN)).sin()
    } else {
        -(TAU * (turns.wrapping_sub(i128::MIN) as f64 / TURN)).sin()
    }
}

/// The frequency `frac((k + 1) phi)` in [0, 1).
pub(super) fn frequency(k: usize) -> f64 {
    let fraction = HALF_PHI.wrapping_mul(2 * (k as u128 + 1));
    // Rounding may reach one, which is the same frequency as just below it.
    (fraction as f64 / TURN).min(1.0 - f64::EPSILON / 2.0)
}

/// `sin(pi n phi d) / (n sin(pi phi d))`: the Gram matrix in the real form, `d` off the diagonal.
pub(super) fn kernel(n: usize, d: usize) -> f64 {
    if d == 0 {
        return 1.0;
    }
    let (n, d) = (n as i128, d as i128);
    sine(n * d) / (n as f64 * sine(d))
}
