//! Run-queue latency: how long a woken task waited for a processor, as resource-ai measures it.

use crate::{State, text};

/// The control group that waited longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Its path.
    pub cgroup: String,
    /// Wake-ups that were measured.
    pub wakeups: u64,
    /// Median wait in nanoseconds.
    pub p50: u64,
    /// 99th percentile in nanoseconds.
    pub p99: u64,
}

impl Latency {
    pub(super) fn put(&self, state: &mut State) {
        state.put("RunQueueWorstCgroup", &self.cgroup);
        state.put("RunQueueP50NSec", self.p50);
        state.put("RunQueueP99NSec", self.p99);
    }
}

/// The control group with the highest 99th percentile among those with at least 100 wake-ups;
/// fewer make no percentile. `None` if there is none.
#[must_use]
pub fn worst(rows: &[(String, u64, u64, u64, u64)]) -> Option<Latency> {
    rows.iter()
        .filter(|(_, wakeups, ..)| *wakeups >= 100)
        .max_by_key(|(_, _, _, p99, _)| *p99)
        .map(|(cgroup, wakeups, p50, p99, _)| Latency {
            cgroup: text::clip(cgroup),
            wakeups: *wakeups,
            p50: *p50,
            p99: *p99,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_wakeups_make_no_percentile() {
        let rows = [
            ("/a".to_owned(), 1_000, 10, 500, 900),
            ("/b".to_owned(), 1_000, 10, 700, 800),
            ("/c".to_owned(), 99, 10, 9_000, 9_000),
        ];
        assert_eq!(
            worst(&rows).map(|latency| latency.cgroup),
            Some("/b".to_owned())
        );
        assert_eq!(worst(&rows[2..]), None);
    }
}
