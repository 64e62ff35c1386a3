//! What a run has done so far, as lines of text that somebody stores: a run of the same circuit that is given
//! them goes on from there. Shots have random streams of their own, so the result is the same.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most shots of a run that keeps what it has done.
const SHOTS_MAX: usize = 1 << 20;
/// The most words of a shot's bits.
const WORDS_MAX: usize = 512;
/// Shots of a line, and bytes at most as far as that can be told.
const LINE_SHOTS: usize = 512;
const LINE_BYTES: usize = 40 << 10;

/// A shot that has ended: its number, its bits, and how far its state was from the true one at most.
pub(crate) type Ended = (usize, Vec<u64>, f64);

/// Some shots that came out alike.
#[derive(Debug, Serialize, Deserialize)]
struct Alike {
    bits: Vec<u64>,
    shots: Vec<usize>,
    /// The distance from the true state.
    off: f64,
}

/// A point of a sweep and what came of it, its numbers by their bits.
#[derive(Debug, Serialize, Deserialize)]
struct Point {
    point: usize,
    result: Value,
}

/// Shots, or points of a sweep, of an earlier run, and those of this one that nobody has stored yet.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    earlier: Mutex<Vec<Ended>>,
    fresh: Mutex<Vec<Ended>>,
    earlier_points: Mutex<BTreeMap<usize, Value>>,
    fresh_points: Mutex<Vec<String>>,
}

/// What marks the bits of a number among texts; results have no such text.
const BITS: char = '~';

/// The same with each number that is not whole as its bits: a decimal text read again may be the number beside it.
fn by_bits(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(number) => Value::String(format!("{BITS}{:x}", number.to_bits())),
            None => value.clone(),
        },
        Value::Array(list) => list.iter().map(by_bits).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), by_bits(value)))
            .collect(),
        other => other.clone(),
    }
}

/// Back again; nothing for what `by_bits` does not make.
fn from_bits(value: Value) -> Option<Value> {
    Some(match value {
        Value::Number(number) if number.is_f64() => return None,
        Value::String(text) => match text.strip_prefix(BITS) {
            Some(bits) => {
                let number = f64::from_bits(u64::from_str_radix(bits, 16).ok()?);
                Value::Number(serde_json::Number::from_f64(number)?)
            }
            None => Value::String(text),
        },
        Value::Array(list) => Value::Array(list.into_iter().map(from_bits).collect::<Option<_>>()?),
        Value::Object(members) => {
            let members = members.into_iter();
            let members = members.map(|(name, value)| Some((name, from_bits(value)?)));
            Value::Object(members.collect::<Option<_>>()?)
        }
        other => other,
    })
}

impl Kept {
    /// From the lines of an earlier run. A line that is cut or is no such line is left out.
    pub(crate) fn new(lines: &[String]) -> Self {
        let mut earlier = Vec::new();
        let mut points = BTreeMap::new();
        for line in lines {
            if let Ok(Point { point, result }) = serde_json::from_str(line) {
                points.extend(from_bits(result).map(|result| (point, result)));
                continue;
            }
            let groups: Vec<Alike> = serde_json::from_str(line).unwrap_or_default();
            for Alike { bits, shots, off } in groups {
                earlier.extend(shots.into_iter().map(|number| (number, bits.clone(), off)));
                if earlier.len() > 2 * SHOTS_MAX {
                    return Self::default();
                }
            }
        }
        Self {
            earlier: Mutex::new(earlier),
            earlier_points: Mutex::new(points),
            ..Self::default()
        }
    }

    /// Whether so many shots of so many words are kept.
    pub(crate) fn takes(shots: usize, words: usize) -> bool {
        shots <= SHOTS_MAX && words <= WORDS_MAX
    }

    /// The shots that an earlier run has done, by number, each once.
    pub(crate) fn earlier(&self, shots: usize, words: usize) -> Vec<Ended> {
        let earlier = self.earlier.lock();
        let mut earlier = std::mem::take(&mut *earlier.unwrap_or_else(PoisonError::into_inner));
        earlier.retain(|(number, bits, off)| {
            *number < shots && bits.len() == words && off.is_finite()
        });
        earlier.sort_by_key(|(number, ..)| *number);
        earlier.dedup_by_key(|(number, ..)| *number);
        earlier
    }

    /// These shots are done.
    pub(crate) fn add(&self, shots: &[Ended]) {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.extend_from_slice(shots);
    }

    /// What came of a point in an earlier run; once.
    pub(crate) fn earlier_point(&self, point: usize) -> Option<Value> {
        let earlier = self.earlier_points.lock();
        earlier
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&point)
    }

    /// This point is done. What is too long for a line is not kept.
    pub(crate) fn add_point(&self, point: usize, result: &Value) {
        let result = by_bits(result);
        if let Ok(line) = serde_json::to_string(&Point { point, result })
            && line.len() <= LINE_BYTES
        {
            let fresh = self.fresh_points.lock();
            fresh.unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    /// What was done since this was asked before, as lines to store.
    pub(crate) fn lines(&self) -> Vec<String> {
        let fresh = self.fresh.lock();
        let mut fresh = std::mem::take(&mut *fresh.unwrap_or_else(PoisonError::into_inner));
        fresh.sort_by(|a, b| (&a.1, a.2.to_bits(), a.0).cmp(&(&b.1, b.2.to_bits(), b.0)));
        let points = self.fresh_points.lock();
        let mut lines = std::mem::take(&mut *points.unwrap_or_else(PoisonError::into_inner));
        let (mut groups, mut shots, mut bytes): (Vec<Alike>, usize, usize) = (Vec::new(), 0, 0);
        for (number, bits, off) in fresh {
            if shots >= LINE_SHOTS || bytes + 32 * bits.len() > LINE_BYTES {
                lines.extend(serde_json::to_string(&groups));
                (shots, bytes) = (0, 0);
                groups.clear();
            }
            shots += 1;
            bytes += 32;
            match groups.last_mut() {
                Some(last) if last.bits == bits && last.off.total_cmp(&off).is_eq() => {
                    last.shots.push(number);
                }
                _ => {
                    bytes += 40 + 24 * bits.len();
                    groups.push(Alike {
                        bits,
                        shots: vec![number],
                        off,
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
        let all: Vec<Ended> = (0..2000)
            .map(|i| (i, vec![i as u64 % 3, u64::MAX], 1e-12 * (i % 2) as f64))
            .collect();
        kept.add(&all);
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
        let bits = (0..20).map(|i| (i, vec![u64::MAX - i as u64; WORDS_MAX], 0.0));
        kept.add(&bits.collect::<Vec<_>>());
        assert!(kept.lines().iter().all(|line| line.len() < 60 << 10));
    }
}
