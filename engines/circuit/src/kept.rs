//! What a run has done so far, as lines of text that somebody stores: a run of the same circuit that is given
//! them goes on from there. Shots have random streams of their own, so the result is the same.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The most shots of a run that keeps what it has done.
const SHOTS_MAX: usize = 1 << 20;
/// The most words of a shot's bits.
const WORDS_MAX: usize = 512;
/// Shots of a line, and bytes at most as far as that can be told.
const LINE_SHOTS: usize = 512;
const LINE_BYTES: usize = 40 << 10;

/// The number of a shot and its bits.
pub(crate) type Shot = (usize, Vec<u64>);

/// Some shots that came out alike.
#[derive(Debug, Serialize, Deserialize)]
struct Alike {
    bits: Vec<u64>,
    shots: Vec<usize>,
}

/// Shots of an earlier run, and those of this one that nobody has stored yet.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    earlier: Mutex<Vec<Shot>>,
    fresh: Mutex<Vec<Shot>>,
}

impl Kept {
    /// From the lines of an earlier run. A line that is cut or is no such line is left out.
    pub(crate) fn new(lines: &[String]) -> Self {
        let mut earlier = Vec::new();
        for line in lines {
            let groups: Vec<Alike> = serde_json::from_str(line).unwrap_or_default();
            for Alike { bits, shots } in groups {
                earlier.extend(shots.into_iter().map(|number| (number, bits.clone())));
                if earlier.len() > 2 * SHOTS_MAX {
                    return Self::default();
                }
            }
        }
        Self {
            earlier: Mutex::new(earlier),
            fresh: Mutex::default(),
        }
    }

    /// Whether so many shots of so many words are kept.
    pub(crate) fn takes(shots: usize, words: usize) -> bool {
        shots <= SHOTS_MAX && words <= WORDS_MAX
    }

    /// The shots that an earlier run has done, by number, each once.
    pub(crate) fn earlier(&self, shots: usize, words: usize) -> Vec<Shot> {
        let earlier = self.earlier.lock();
        let mut earlier = std::mem::take(&mut *earlier.unwrap_or_else(PoisonError::into_inner));
        earlier.retain(|(number, bits)| *number < shots && bits.len() == words);
        earlier.sort_by_key(|(number, _)| *number);
        earlier.dedup_by_key(|(number, _)| *number);
        earlier
    }

    /// These shots are done.
    pub(crate) fn add<'a>(&self, shots: impl Iterator<Item = (usize, &'a Vec<u64>)>) {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.extend(shots.map(|(number, bits)| (number, bits.clone())));
    }

    /// What was done since this was asked before, as lines to store.
    pub(crate) fn lines(&self) -> Vec<String> {
        let fresh = self.fresh.lock();
        let mut fresh = std::mem::take(&mut *fresh.unwrap_or_else(PoisonError::into_inner));
        fresh.sort_by(|a, b| (&a.1, a.0).cmp(&(&b.1, b.0)));
        let mut lines = Vec::new();
        let (mut groups, mut shots, mut bytes): (Vec<Alike>, usize, usize) = (Vec::new(), 0, 0);
        for (number, bits) in fresh {
            if shots >= LINE_SHOTS || bytes + 32 * bits.len() > LINE_BYTES {
                lines.extend(serde_json::to_string(&groups));
                (shots, bytes) = (0, 0);
                groups.clear();
            }
            shots += 1;
            bytes += 32;
            match groups.last_mut() {
                Some(last) if last.bits == bits => last.shots.push(number),
                _ => {
                    bytes += 24 * bits.len();
                    groups.push(Alike {
                        bits,
                        shots: vec![number],
                    });
                }
            }
        }
        if !groups.is_empty() {
            lines.extend(serde_json::to_string(&groups));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shots_travel_as_lines_and_nonsense_is_left_out() {
        let kept = Kept::default();
        let all: Vec<Shot> = (0..2000)
            .map(|i| (i, vec![i as u64 % 3, u64::MAX]))
            .collect();
        kept.add(all.iter().map(|(number, bits)| (*number, bits)));
        let mut lines = kept.lines();
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() < 60 << 10));
        assert!(kept.lines().is_empty());
        assert_eq!(Kept::new(&lines).earlier(2000, 2), all);
        // Twice, cut, not JSON, shots and bits that this run does not have.
        lines.push(lines[0].clone());
        lines.push(lines[1][..20].to_owned());
        lines.push("{".to_owned());
        assert_eq!(Kept::new(&lines).earlier(2000, 2), all);
        assert_eq!(Kept::new(&lines).earlier(100, 2).len(), 100);
        assert!(Kept::new(&lines).earlier(2000, 1).is_empty());
    }

    #[test]
    fn wide_shots_make_lines_that_are_not_too_long() {
        let kept = Kept::default();
        let bits: Vec<Vec<u64>> = (0..20).map(|i| vec![u64::MAX - i; WORDS_MAX]).collect();
        kept.add(bits.iter().enumerate());
        assert!(kept.lines().iter().all(|line| line.len() < 60 << 10));
    }
}
