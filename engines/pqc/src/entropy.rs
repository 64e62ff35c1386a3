//! Randomness from several sources: the continuous health tests of NIST SP 800-90B (4.4) for each raw
//! source, and the mix of what they give by HKDF. The mix is as good as its best part.

use crate::root::hkdf_sha512;
use crate::{Error, Secret};

/// Bits of entropy that a byte of a raw source is taken to have at least. Sources here claim eight;
/// half of that keeps false alarms out and sees any source that is stuck or narrow.
pub const BITS_PER_BYTE: u32 = 4;
/// Window of the adaptive proportion test, in bytes.
pub const WINDOW: u32 = 512;
/// Bytes that a source has to pass before it counts.
pub const STARTUP: usize = 1024;

/// A false alarm in 2^20 tests of a source that has just what it is taken to have.
const ALPHA_BITS: u32 = 20;

/// Which test a source failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// One value came too often in a row.
    #[error("it repeated one byte {0} times (repetition count test)")]
    Repetition(u32),
    /// One value came too often in a window.
    #[error("one byte came {0} times in 512 (adaptive proportion test)")]
    Proportion(u32),
}

/// The continuous tests of one source. Once failed, it stays so.
#[derive(Debug, Clone)]
pub struct Health {
    repeat_limit: u32,
    window_limit: u32,
    last: Option<(u8, u32)>,
    window: Option<(u8, u32, u32)>,
    failed: Option<Failed>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// Tests at their start.
    #[must_use]
    pub fn new() -> Self {
        Self {
            repeat_limit: 1 + ALPHA_BITS.div_ceil(BITS_PER_BYTE),
            window_limit: proportion_limit(),
            last: None,
            window: None,
            failed: None,
        }
    }

    /// Takes the next bytes of the source.
    ///
    /// # Errors
    /// The test that failed, now or before; the bytes are not to be used then.
    pub fn check(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        for byte in bytes {
            if let Err(failed) = self.next(*byte) {
                self.failed.get_or_insert(failed);
            }
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn next(&mut self, byte: u8) -> Result<(), Failed> {
        let repeats = match self.last {
            Some((last, count)) if last == byte => count.saturating_add(1),
            _ => 1,
        };
        self.last = Some((byte, repeats));
        let (first, count, seen) = match self.window {
            Some((first, count, seen)) if seen < WINDOW => {
                (first, count + u32::from(first == byte), seen + 1)
            }
            _ => (byte, 1, 1),
        };
        self.window = Some((first, count, seen));
        if repeats >= self.repeat_limit {
            return Err(Failed::Repetition(repeats));
        }
        if count >= self.window_limit {
            return Err(Failed::Proportion(count));
        }
        Ok(())
    }
}

/// 1 + the number of hits in a window that a source of [`BITS_PER_BYTE`] passes with probability
/// 2^-20 at most (critical value of the binomial distribution).
fn proportion_limit() -> u32 {
    let p = 0.5f64.powi(BITS_PER_BYTE as i32);
    let alpha = 0.5f64.powi(ALPHA_BITS as i32);
    let mut mass = (1.0 - p).powi(WINDOW as i32);
    let mut below = mass;
    let mut hits = 0;
    while below < 1.0 - alpha && hits < WINDOW {
        mass *= f64::from(WINDOW - hits) / f64::from(hits + 1) * p / (1.0 - p);
        below += mass;
        hits += 1;
    }
    hits + 1
}

/// The state of a generator that sources are mixed into.
#[derive(Debug, Clone)]
pub struct Pool(Secret<32>);

impl Pool {
    /// A pool that starts from the library's own generator, which the kernel seeds.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn new() -> Result<Self, Error> {
        Secret::random().map(Self)
    }

    /// Mixes named samples in, and gives 32 bytes that follow from all that was ever mixed in.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn mix(&mut self, samples: &[(&str, &[u8])]) -> Result<Secret<32>, Error> {
        let total: usize = samples
            .iter()
            .map(|(name, bytes)| 16 + name.len() + bytes.len())
            .sum();
        // Room for all of it, so that no copy is left behind by growing.
        let mut all = zeroize::Zeroizing::new(Vec::with_capacity(32 + total));
        all.extend_from_slice(self.0.expose());
        for (name, bytes) in samples {
            for part in [name.as_bytes(), bytes] {
                all.extend_from_slice(&(part.len() as u64).to_be_bytes());
                all.extend_from_slice(part);
            }
        }
        let derive = |what: &[u8]| {
            Secret::fill_with(|out| hkdf_sha512(b"quantumos entropy v1", &all, &[what], out))
        };
        let out = derive(b"output")?;
        self.0 = derive(b"state")?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_standard() {
        let health = Health::new();
        assert_eq!(health.repeat_limit, 6);
        // The binomial tail, summed from the other side.
        let tail = |from: u32| {
            let ln = |n: u32| (1..=n).map(|k| f64::from(k).ln()).sum::<f64>();
            (from..=WINDOW)
                .map(|k| {
                    let ways = ln(WINDOW) - ln(k) - ln(WINDOW - k);
                    (ways + f64::from(k) * 0.0625f64.ln() + f64::from(WINDOW - k) * 0.9375f64.ln())
                        .exp()
                })
                .sum::<f64>()
        };
        let alpha = 0.5f64.powi(20);
        assert!(tail(health.window_limit) <= alpha && tail(health.window_limit - 1) > alpha);
    }

    #[test]
    fn good_sources_pass_and_bad_ones_fail_for_ever() {
        let mut random = vec![0; 1 << 16];
        aws_lc_rs::rand::fill(&mut random).unwrap();
        assert_eq!(Health::new().check(&random), Ok(()));
        let counter: Vec<u8> = (0..=255u8).cycle().take(1 << 16).collect();
        assert_eq!(
            Health::new().check(&counter),
            Ok(()),
            "no test of these sees a counter"
        );
        let mut stuck = Health::new();
        stuck.check(&random).unwrap();
        assert_eq!(stuck.check(&[7; 5]), Ok(()));
        assert_eq!(stuck.check(&[7]), Err(Failed::Repetition(6)));
        assert_eq!(stuck.check(&random), Err(Failed::Repetition(6)), "for ever");
        // Few values, never six alike in a row.
        let narrow: Vec<u8> = (0..2048).map(|at| [1, 2, 1, 3][at % 4]).collect();
        assert!(matches!(
            Health::new().check(&narrow),
            Err(Failed::Proportion(_))
        ));
        // Pieces do not matter.
        let mut pieces = Health::new();
        let found = narrow.chunks(7).find_map(|piece| pieces.check(piece).err());
        assert!(matches!(found, Some(Failed::Proportion(_))));
    }

    #[test]
    fn the_mix_depends_on_every_sample_and_on_what_was_before() {
        let start = Pool(Secret::from_slice("pool", &[1; 32]).unwrap());
        let mix = |pool: &Pool, samples: &[(&str, &[u8])]| pool.clone().mix(samples).unwrap();
        let one = mix(&start, &[("a", b"x"), ("b", b"y")]);
        assert_eq!(one, mix(&start, &[("a", b"x"), ("b", b"y")]));
        for other in [
            mix(&start, &[("a", b"x"), ("b", b"z")]),
            mix(&start, &[("a", b"w"), ("b", b"y")]),
            mix(&start, &[("a", b"xb"), ("", b"y")]),
            mix(&start, &[]),
            mix(
                &Pool(Secret::from_slice("pool", &[2; 32]).unwrap()),
                &[("a", b"x"), ("b", b"y")],
            ),
        ] {
            assert_ne!(one, other);
        }
        let mut pool = start.clone();
        let (first, second) = (pool.mix(&[]).unwrap(), pool.mix(&[]).unwrap());
        assert!(first != second && pool.0 != first && pool.0 != second);
    }
}
