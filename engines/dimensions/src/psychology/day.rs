//! One day against the habit.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::habit::{ENOUGH, Habits, slot_of};
use crate::limits;

/// What was active and what was expected since midnight, in samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// Days since the epoch, in the host's time zone.
    pub day: u64,
    /// Samples that could be compared: those in an hour of the week that is known.
    pub compared: u64,
    subjects: BTreeMap<String, (f64, f64)>,
}

impl Day {
    pub(super) fn add(&mut self, hour: u64, active: &BTreeSet<String>, habits: &Habits) {
        if self.day != hour / 24 {
            *self = Self {
                day: hour / 24,
                ..Self::default()
            };
        }
        let slot = slot_of(hour);
        if !habits.knows(slot) {
            return;
        }
        self.compared += 1;
        for name in active {
            if let Some((seen, _)) = self.entry(name) {
                *seen += 1.0;
            }
        }
        for name in habits.subjects() {
            let likelihood = habits.likelihood(slot, name).unwrap_or(0.0);
            if likelihood > 0.0
                && let Some((_, expected)) = self.entry(name)
            {
                *expected += likelihood;
            }
        }
    }

    fn entry(&mut self, name: &str) -> Option<&mut (f64, f64)> {
        if !self.subjects.contains_key(name) {
            if self.subjects.len() >= 2 * limits::SUBJECTS {
                return None;
            }
            self.subjects.insert(name.to_owned(), (0.0, 0.0));
        }
        self.subjects.get_mut(name)
    }

    pub(super) fn is_sound(&self) -> bool {
        self.subjects.len() <= 2 * limits::SUBJECTS
            && self.subjects.iter().all(|(name, (seen, expected))| {
                name.len() <= limits::TEXT
                    && [seen, expected].iter().all(|n| n.is_finite() && **n >= 0.0)
            })
    }

    /// How far the day is from habit: 0 is the same, 1 has nothing in common. It is one less
    /// the weighted Jaccard similarity of what was seen and what was expected; `None` while
    /// fewer than [`ENOUGH`] samples could be compared.
    #[must_use]
    pub fn drift(&self) -> Option<f64> {
        if self.compared < ENOUGH {
            return None;
        }
        let (shared, all) =
            self.subjects
                .values()
                .fold((0.0, 0.0), |(shared, all), (seen, expected)| {
                    (shared + seen.min(*expected), all + seen.max(*expected))
                });
        Some(if all > 0.0 { 1.0 - shared / all } else { 0.0 })
    }
}
