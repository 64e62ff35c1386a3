//! The alerts that stand: bounded, equal ones folded, the oldest leaving first.
//!
//! Pure: it is told of alerts and answers what to show. A rule that raises more different alerts a minute than
//! allowed has the rest folded by user, so that a flood neither fills the book nor hides other rules' alerts.

use crate::alert::Alert;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// A minute in the alerts' unit of time.
const MINUTE: u64 = 60_000_000;

/// An alert in the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, never given twice.
    pub id: u64,
    /// How many equal alerts it stands for.
    pub count: u32,
    /// What equal alerts share.
    pub key: String,
    /// The first of them, with the time of the newest.
    pub alert: Alert,
}

/// What became of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is new. `removed` are those that had to leave for it.
    Raised {
        /// Its number.
        id: u64,
        /// Numbers of the alerts that left.
        removed: Vec<u64>,
    },
    /// An equal one was there: it counts one more.
    Folded {
        /// Its number.
        id: u64,
    },
}

/// The standing alerts.
#[derive(Debug)]
pub struct Book {
    entries: BTreeMap<u64, Entry>,
    by_key: HashMap<String, u64>,
    next: u64,
    capacity: usize,
    distinct_per_minute: u32,
    pace: HashMap<String, (u64, u32)>,
}

impl Book {
    /// Holds at most `capacity` alerts, and lets a rule add at most `distinct_per_minute`.
    #[must_use]
    pub fn new(capacity: usize, distinct_per_minute: u32) -> Self {
        Self {
            entries: BTreeMap::new(),
            by_key: HashMap::new(),
            next: 1,
            capacity: capacity.max(1),
            distinct_per_minute: distinct_per_minute.max(1),
            pace: HashMap::new(),
        }
    }

    /// Changes the bounds; gives the numbers of the alerts that had to leave.
    pub fn resize(&mut self, capacity: usize, distinct_per_minute: u32) -> Vec<u64> {
        self.capacity = capacity.max(1);
        self.distinct_per_minute = distinct_per_minute.max(1);
        self.shrink()
    }

    /// Adds an alert, or counts it where an equal one stands.
    pub fn add(&mut self, alert: Alert) -> Outcome {
        let mut key = alert.key();
        if !self.by_key.contains_key(&key) && self.too_fast(&alert) {
            key = format!("flood\0{}\0{}", alert.rule, alert.uid);
        }
        if let Some(id) = self.by_key.get(&key).copied()
            && let Some(entry) = self.entries.get_mut(&id)
        {
            entry.count = entry.count.saturating_add(1);
            // Events of different processors come a little out of order; one that is far behind tells of a clock that
            // was set back, and is the newest all the same.
            if alert.time > entry.alert.time || entry.alert.time - alert.time >= MINUTE {
                entry.alert.time = alert.time;
            }
            return Outcome::Folded { id };
        }
        let id = self.next;
        self.next += 1;
        self.by_key.insert(key.clone(), id);
        self.entries.insert(
            id,
            Entry {
                id,
                count: 1,
                key,
                alert,
            },
        );
        Outcome::Raised {
            id,
            removed: self.shrink(),
        }
    }

    /// Puts an entry back that was there before a restart. The newest of two with one number wins.
    pub fn restore(&mut self, entry: Entry) {
        self.remove(entry.id);
        self.next = self.next.max(entry.id.saturating_add(1));
        self.by_key.insert(entry.key.clone(), entry.id);
        self.entries.insert(entry.id, entry);
        self.shrink();
    }

    /// Sets what was counted before a restart.
    pub fn recount(&mut self, id: u64, count: u32, time: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            (entry.count, entry.alert.time) = (count, time);
        }
    }

    /// Gives no number below this.
    pub fn reserve(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// The number that the next new alert gets.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes an alert out; whether it was there.
    pub fn remove(&mut self, id: u64) -> bool {
        let Some(entry) = self.entries.remove(&id) else {
            return false;
        };
        if self.by_key.get(&entry.key) == Some(&id) {
            self.by_key.remove(&entry.key);
        }
        true
    }

    /// Takes all out; gives their numbers.
    pub fn clear(&mut self) -> Vec<u64> {
        self.by_key.clear();
        std::mem::take(&mut self.entries).into_keys().collect()
    }

    /// An alert.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// All, the oldest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.values()
    }

    fn shrink(&mut self) -> Vec<u64> {
        let mut removed = Vec::new();
        while self.entries.len() > self.capacity
            && let Some((&id, _)) = self.entries.first_key_value()
        {
            self.remove(id);
            removed.push(id);
        }
        removed
    }

    fn too_fast(&mut self, alert: &Alert) -> bool {
        if self.pace.len() > 4096 {
            self.pace.clear();
        }
        let (since, added) = self
            .pace
            .entry(alert.rule.clone())
            .or_insert((alert.time, 0));
        // A clock that was set back starts a new minute, too.
        if alert.time < *since || alert.time - *since >= MINUTE {
            (*since, *added) = (alert.time, 0);
        }
        *added = added.saturating_add(1);
        *added > self.distinct_per_minute
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn alert(rule: &str, line: &str, time: u64) -> Alert {
        Alert {
            rule: rule.into(),
            title: format!("Title of {rule}"),
            level: "high".into(),
            tags: vec!["attack.t1059".into()],
            time,
            class: "process_creation".into(),
            pid: 7,
            start: 70,
            uid: 0,
            user: "root".into(),
            unit: "a.service".into(),
            executable: "/bin/x".into(),
            command_line: line.into(),
            ancestors: vec![(1, "systemd".into(), "/usr/lib/systemd/systemd".into())],
            fields: BTreeMap::new(),
            explanation: "Image is \"/bin/x\"".into(),
        }
    }

    #[test]
    fn folds_bounds_and_numbers() {
        let mut book = Book::new(2, 100);
        assert_eq!(
            book.add(alert("r", "a", 1)),
            Outcome::Raised {
                id: 1,
                removed: vec![]
            }
        );
        assert_eq!(book.add(alert("r", "a", 5)), Outcome::Folded { id: 1 });
        assert_eq!(book.add(alert("r", "a", 3)), Outcome::Folded { id: 1 });
        let entry = book.get(1).unwrap();
        assert_eq!((entry.count, entry.alert.time), (3, 5));
        assert_eq!(
            book.add(alert("r", "b", 6)),
            Outcome::Raised {
                id: 2,
                removed: vec![]
            }
        );
        assert_eq!(
            book.add(alert("s", "a", 7)),
            Outcome::Raised {
                id: 3,
                removed: vec![1]
            }
        );
        assert!(book.remove(3) && !book.remove(3));
        assert_eq!(
            book.add(alert("s", "a", 8)),
            Outcome::Raised {
                id: 4,
                removed: vec![]
            }
        );
        assert_eq!(book.clear(), [2, 4]);
        assert_eq!(book.next(), 5);
    }

    #[test]
    fn a_flood_of_one_rule_is_one_alert() {
        let mut book = Book::new(100, 3);
        for n in 0..50 {
            book.add(alert("r", &n.to_string(), 1000 + n));
        }
        assert_eq!(book.entries().len(), 4);
        assert_eq!(book.entries().map(|e| e.count).sum::<u32>(), 50);
        assert!(matches!(
            book.add(alert("s", "x", 1060)),
            Outcome::Raised { .. }
        ));
        assert!(matches!(
            book.add(alert("r", "later", 1000 + MINUTE)),
            Outcome::Raised { .. }
        ));
    }

    #[test]
    fn a_clock_that_jumps_by_an_hour_neither_splits_alerts_nor_lets_a_flood_through() {
        const HOUR: u64 = 60 * MINUTE;
        let mut book = Book::new(1000, 3);
        book.add(alert("r", "a", 5 * HOUR));
        for time in [4 * HOUR, 5 * HOUR, 6 * HOUR, 5 * HOUR + 1] {
            assert_eq!(book.add(alert("r", "a", time)), Outcome::Folded { id: 1 });
            assert_eq!(book.get(1).unwrap().alert.time, time, "of the newest");
        }
        assert_eq!(book.get(1).unwrap().count, 5);
        let mut book = Book::new(1000, 3);
        for (step, start) in [5 * HOUR, 4 * HOUR, 5 * HOUR].into_iter().enumerate() {
            for n in 0..100 {
                book.add(alert("r", &format!("{step} {n}"), start + n));
            }
            // A jump starts a minute, and no more: three alerts, and one for all the others.
            assert_eq!(book.entries().len(), 4 + 3 * step);
        }
        assert_eq!(book.entries().map(|entry| entry.count).sum::<u32>(), 300);
    }

    proptest! {
        #[test]
        fn every_alert_is_counted_once(steps in proptest::collection::vec((0..3_u8, 0..4_u8, 0..9_u8, 0..200_u64), 0..120)) {
            let mut book = Book::new(8, 5);
            let mut standing = 0_u64;
            for (what, rule, line, time) in steps {
                match what {
                    0 => { book.remove(u64::from(line)); }
                    _ => match book.add(alert(&rule.to_string(), &line.to_string(), time * MINUTE / 50)) {
                        Outcome::Raised { id, .. } => prop_assert!(book.get(id).is_some_and(|e| e.count == 1)),
                        Outcome::Folded { id } => prop_assert!(book.get(id).is_some_and(|e| e.count > 1)),
                    },
                }
                prop_assert!(book.entries().len() <= 8);
                prop_assert_eq!(book.by_key.len(), book.entries.len());
                prop_assert!(book.next() > standing);
                standing = book.entries().map(|e| e.id).max().unwrap_or(0);
            }
        }
    }
}
