//! Random numbers from a stated seed: the same on every machine, for every number of threads. Each
//! shot draws from a stream of its own, so that the order in which shots run does not matter.

/// A stream of random numbers (xoshiro256++, started by splitmix64).
#[derive(Debug, Clone)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The stream of that number under that seed.
    #[must_use]
    pub fn stream(seed: u64, stream: u64) -> Self {
        let mut at = mix(seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_add(mix(stream));
        let state = std::array::from_fn(|_| {
            at = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(at)
        });
        Self { state }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number from 0 (included) to 1 (excluded), 53 bits of it random.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |seed, stream| Rng::stream(seed, stream).bits();
        assert_eq!(draw(1, 2), draw(1, 2));
        let mut seen: Vec<u64> = (0..1000)
            .flat_map(|i| [draw(i, 7), draw(7, 2000 + i)])
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2000);
    }

    #[test]
    fn units_fill_the_interval_evenly() {
        let mut rng = Rng::stream(3, 0);
        let mut buckets = [0u32; 16];
        for _ in 0..160_000 {
            buckets[(rng.unit() * 16.0) as usize] += 1;
        }
        let chi: f64 = buckets
            .iter()
            .map(|&b| (f64::from(b) - 1e4).powi(2) / 1e4)
            .sum();
        // 15 degrees of freedom, p = 0.001.
        assert!(chi < 37.7, "chi-square {chi}");
    }
}
