//! The last changes of a dimension, bounded in number and in memory.

use std::collections::VecDeque;

use crate::{State, limits};

/// The last changes of a dimension. The oldest go first when a bound is reached.
#[derive(Clone, Debug, Default)]
pub struct History {
    entries: VecDeque<(u64, State)>,
    weight: usize,
}

impl History {
    /// Adds what changed at `time` (microseconds since the epoch).
    pub fn push(&mut self, time: u64, change: State) {
        self.weight += change.weight();
        self.entries.push_back((time, change));
        while self.entries.len() > limits::HISTORY
            || (self.weight > limits::HISTORY_BYTES && self.entries.len() > 1)
        {
            if let Some((_, gone)) = self.entries.pop_front() {
                self.weight -= gone.weight();
            }
        }
    }

    /// The newest `limit` entries, the newest first; all when `limit` is 0.
    pub fn newest(&self, limit: usize) -> impl Iterator<Item = &(u64, State)> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        self.entries.iter().rev().take(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_first_and_bounded() {
        let mut history = History::default();
        for time in 0..1000 {
            history.push(time, State::new().with("N", time));
        }
        assert_eq!(history.newest(0).count(), limits::HISTORY);
        let times: Vec<u64> = history.newest(3).map(|(time, _)| *time).collect();
        assert_eq!(times, [999, 998, 997]);
        assert_eq!(history.newest(usize::MAX).count(), limits::HISTORY);
    }

    #[test]
    fn large_entries_push_out_more() {
        let mut history = History::default();
        let large = || State::new().with("List", vec!["x".repeat(100); 100]);
        for time in 0..100 {
            history.push(time, large());
        }
        let weight: usize = history.newest(0).map(|(_, state)| state.weight()).sum();
        assert!(weight <= limits::HISTORY_BYTES, "{weight}");
        assert!(history.newest(0).count() > 1);
    }
}
