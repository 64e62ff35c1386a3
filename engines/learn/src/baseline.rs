//! The classical detectors that a model is measured beside: STIDE (Forrest and others, 1996; Warrender and others,
//! 1999), which is the share of windows of so many system calls that training never showed.

use std::collections::HashSet;

/// The sequences of one length that were seen.
#[derive(Debug, Clone)]
pub struct Stide {
    length: usize,
    seen: HashSet<Vec<u16>>,
}

impl Stide {
    /// Takes in normal traces. STIDE's own length is 6.
    pub fn new<'a>(length: usize, traces: impl IntoIterator<Item = &'a [u16]>) -> Self {
        let length = length.max(1);
        let seen = traces
            .into_iter()
            .flat_map(|trace| trace.windows(length).map(<[u16]>::to_vec))
            .collect();
        Self { length, seen }
    }

    /// The share of a trace's sequences that are new; 0 for a trace that is too short.
    #[must_use]
    pub fn score(&self, trace: &[u16]) -> f64 {
        let total = trace.windows(self.length).count();
        let new = trace
            .windows(self.length)
            .filter(|part| !self.seen.contains(*part))
            .count();
        new as f64 / total.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_new_sequences() {
        let normal: [&[u16]; 2] = [&[1, 2, 3, 4], &[3, 4, 5]];
        let stide = Stide::new(2, normal);
        for (trace, wanted) in [
            (&[1, 2, 3][..], 0.0),
            (&[2, 1, 2], 0.5),
            (&[9, 9, 9], 1.0),
            (&[1], 0.0),
        ] {
            assert_eq!(stide.score(trace), wanted, "{trace:?}");
        }
    }
}
