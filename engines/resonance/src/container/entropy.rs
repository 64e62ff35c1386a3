//! How much a waveform may be worth as a key. An estimate from above: it sees how many digits there are,
//! not how somebody came by them.

use std::collections::BTreeSet;

/// Bits below which a waveform is refused as a key.
pub const ENTROPY_NEEDED: u16 = 64;

/// Estimated bits: for each value that didn't occur before, as many as its decimal digits hold, up
/// to the 52 of a double. Values that continue a straight line count for nothing.
#[must_use]
pub fn estimate_entropy(waveform: &[f64]) -> u16 {
    let mut seen = BTreeSet::new();
    let mut bits = 0.0;
    for (i, value) in waveform.iter().enumerate() {
        let straight = i >= 2 && {
            let step = waveform[i - 1] - waveform[i - 2];
            let scale = value.abs().max(step.abs()).max(f64::MIN_POSITIVE);
            ((value - waveform[i - 1]) - step).abs() <= 1e-9 * scale
        };
        if seen.insert(value.abs().to_bits()) && !straight {
            bits += digits(*value).min(52.0);
        }
    }
    // As cast saturates.
    bits as u16
}

/// Bits that the decimal digits of a number hold.
fn digits(value: f64) -> f64 {
    let text = format!("{value:e}");
    let mantissa = text.split('e').next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit);
    let digits: String = digits.map(char::from).collect();
    digits.trim_matches('0').len() as f64 * std::f64::consts::LOG2_10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_s_example_is_worth_little() {
        for (waveform, most) in [
            (&[0.1, 0.5, 0.9, 0.5, 0.1][..], 10),
            (&[], 0),
            (&[0.0; 1000], 0),
            (&[0.123_456_789; 1000], 30),
            (&[1.0, -1.0, 1.0, -1.0], 4),
        ] {
            let got = estimate_entropy(waveform);
            assert!(got <= most, "{waveform:?}: {got}");
        }
        let line: Vec<f64> = (0..1000).map(|i| 0.1 + f64::from(i) * 0.013).collect();
        assert!(estimate_entropy(&line) < ENTROPY_NEEDED);
        let random = [0.637_421_973_225_814_7, -0.172_938_402_341_918_2];
        assert!(estimate_entropy(&random) >= ENTROPY_NEEDED);
        let many: Vec<f64> = (1..=10_000).map(|i| f64::from(i).sqrt()).collect();
        assert_eq!(estimate_entropy(&many), u16::MAX);
    }
}
