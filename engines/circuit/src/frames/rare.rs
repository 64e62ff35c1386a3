//! Which of many bits come up when each does with the same small chance: the gaps are drawn, not the bits.
//! Logarithms are made of additions and multiplications only, so that draws are the same on every machine.

use crate::rng::Rng;

/// Above this chance every bit is drawn.
const DENSE: f64 = 0.1;

/// Calls `hit` with the number of every bit of `count` that comes up.
pub fn each(chance: f64, count: u64, rng: &mut Rng, mut hit: impl FnMut(u64, &mut Rng)) {
    if chance <= 0.0 || count == 0 {
        return;
    }
    if chance > DENSE {
        for i in 0..count {
            if rng.unit() < chance {
                hit(i, rng);
            }
        }
        return;
    }
    let scale = 1.0 / log_rest(chance);
    let mut at = 0u64;
    loop {
        // 1 - unit is from 0 (excluded) to 1: the gap is 0 with the chance itself.
        let gap = logarithm(1.0 - rng.unit()) * scale;
        if gap >= (count - at) as f64 {
            return;
        }
        at += gap as u64;
        if at >= count {
            return;
        }
        hit(at, rng);
        at += 1;
        if at == count {
            return;
        }
    }
}

/// ln(1 - p), for p up to a quarter without loss of precision.
fn log_rest(p: f64) -> f64 {
    2.0 * series(-p / (2.0 - p))
}

/// The natural logarithm of a positive, normal number, to 1e-15.
fn logarithm(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * series((mantissa - 1.0) / (mantissa + 1.0))
}

/// The inverse of the hyperbolic tangent for numbers up to 0.18.
fn series(s: f64) -> f64 {
    let square = s * s;
    let mut sum = 0.0;
    for n in (0..10).rev() {
        sum = sum * square + 1.0 / f64::from(2 * n + 1);
    }
    s * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_the_library() {
        for x in [1e-16f64, 1e-9, 0.1, 0.5, 0.7, 0.72, 0.99, 1.0] {
            assert!((logarithm(x) - x.ln()).abs() <= 1e-14 * x.ln().abs(), "{x}");
        }
        for p in [1e-15f64, 1e-6, 0.01, 0.1, 0.25] {
            let wanted = (-p).ln_1p();
            assert!((log_rest(p) - wanted).abs() <= 1e-14 * wanted.abs(), "{p}");
        }
    }

    #[test]
    fn every_bit_comes_up_as_often_as_it_should() {
        for chance in [0.003, 0.09, 0.4] {
            let mut hits = [0u32; 8];
            let rounds = 100_000;
            let mut rng = Rng::stream(11, 0);
            for _ in 0..rounds {
                each(chance, 8, &mut rng, |i, _| hits[i as usize] += 1);
            }
            let wanted = f64::from(rounds) * chance;
            let chi: f64 = hits
                .iter()
                .map(|&h| (f64::from(h) - wanted).powi(2) / (wanted * (1.0 - chance)))
                .sum();
            // 8 degrees of freedom, p = 0.001.
            assert!(chi < 26.1, "chance {chance}: chi-square {chi}");
        }
    }

    #[test]
    fn nothing_and_everything() {
        let mut rng = Rng::stream(1, 1);
        each(0.0, 1000, &mut rng, |_, _| panic!("no bit has a chance"));
        let mut all = 0;
        each(1.0, 1000, &mut rng, |_, _| all += 1);
        assert_eq!(all, 1000);
    }
}
