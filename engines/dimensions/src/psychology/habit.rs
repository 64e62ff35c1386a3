//! Habits: how often each subject is active in each hour of the week, with old weeks fading.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::limits;

/// Hours of a week.
pub const SLOTS: usize = 168;
/// Observations of an hour of the week from which on its habit counts.
pub const ENOUGH: u64 = 30;
/// Weeks in which an observation loses half of its weight.
const HALF_LIFE: f64 = 4.0;
/// More samples than an hour can have, by far: one a second.
const SAMPLES_OF_AN_HOUR: u64 = 3600;

/// The hour of the week (0 is Thursday 00:00, as the epoch was) of an hour since the epoch.
#[must_use]
pub fn slot_of(hour: u64) -> usize {
    usize::try_from(hour % SLOTS as u64).unwrap_or(0)
}

/// The samples of one hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// Hours since the epoch, in the host's time zone.
    pub hour: u64,
    /// Samples taken.
    pub samples: u64,
    /// In how many of them each subject was active.
    pub active: BTreeMap<String, u64>,
}

impl Visit {
    pub(super) fn add(&mut self, hour: u64, active: &BTreeSet<String>) {
        self.hour = hour;
        self.samples += 1;
        for name in active {
            if let Some(count) = self.active.get_mut(name) {
                *count += 1;
            } else if self.active.len() < limits::SUBJECTS {
                self.active.insert(name.clone(), 1);
            }
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.samples <= SAMPLES_OF_AN_HOUR
            && self.active.len() <= limits::SUBJECTS
            && self
                .active
                .iter()
                .all(|(name, count)| *count <= self.samples && name.len() <= limits::TEXT)
    }
}

/// Weights of one hour of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    /// Weight of all samples.
    total: f32,
    /// The hour that joined last.
    hour: u64,
}

/// What has been learned from hours that are over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Habits {
    /// Samples ever taken in.
    pub observations: u64,
    /// The hour that joined last, of all.
    last_hour: u64,
    slots: BTreeMap<u8, Slot>,
    subjects: BTreeMap<String, BTreeMap<u8, f32>>,
}

impl Habits {
    /// Whether `visit` joined last already.
    pub(super) fn holds(&self, visit: &Visit) -> bool {
        self.observations > 0 && self.last_hour == visit.hour
    }

    /// Drops what cannot have come from [`Habits::learn`]: a file may have been damaged.
    pub(super) fn repair(&mut self) {
        self.slots.retain(|slot, weights| {
            usize::from(*slot) < SLOTS && weights.total.is_finite() && weights.total >= 0.0
        });
        let slots = &self.slots;
        for weights in self.subjects.values_mut() {
            weights.retain(|slot, weight| {
                weight.is_finite()
                    && *weight > 0.0
                    && slots
                        .get(slot)
                        .is_some_and(|all| *weight <= all.total * 1.001)
            });
        }
        self.subjects
            .retain(|name, weights| !weights.is_empty() && name.len() <= limits::TEXT);
        while self.subjects.len() > limits::SUBJECTS {
            self.subjects.pop_last();
        }
    }

    /// Lets an hour join.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub(super) fn learn(&mut self, visit: &Visit) {
        let slot = slot_of(visit.hour) as u8;
        let entry = self.slots.entry(slot).or_default();
        let weeks = visit.hour.saturating_sub(entry.hour) as f64 / SLOTS as f64;
        let fade = if entry.total > 0.0 {
            0.5_f64.powf(weeks / HALF_LIFE) as f32
        } else {
            0.0
        };
        entry.total = entry.total * fade + visit.samples as f32;
        entry.hour = visit.hour;
        self.last_hour = visit.hour;
        self.observations = self.observations.saturating_add(visit.samples);
        for weights in self.subjects.values_mut() {
            if let Some(weight) = weights.get_mut(&slot) {
                *weight *= fade;
            }
        }
        for (name, count) in &visit.active {
            let weight = *count as f32;
            if !self.subjects.contains_key(name) && !self.make_room(weight) {
                continue;
            }
            *self
                .subjects
                .entry(name.clone())
                .or_default()
                .entry(slot)
                .or_default() += weight;
        }
        // What has faded to less than a hundredth of a sample is forgotten.
        for weights in self.subjects.values_mut() {
            weights.retain(|_, weight| *weight >= 0.01);
        }
        self.subjects.retain(|_, weights| !weights.is_empty());
    }

    /// Makes room for a subject of that weight, at the cost of the lightest one if that is
    /// lighter. So a flood of names, each seen for a while, cannot drive out a habit.
    fn make_room(&mut self, weight: f32) -> bool {
        if self.subjects.len() < limits::SUBJECTS {
            return true;
        }
        let lightest = self
            .subjects
            .iter()
            .map(|(name, weights)| (weights.values().sum::<f32>(), name))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((least, name)) = lightest else {
            return true;
        };
        if least >= weight {
            return false;
        }
        let name = name.clone();
        self.subjects.remove(&name);
        true
    }

    /// How many subjects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether nothing has been learned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// How many hours of the week are known.
    #[must_use]
    pub fn known(&self) -> usize {
        (0..SLOTS).filter(|slot| self.knows(*slot)).count()
    }

    /// Whether there are enough observations of that hour of the week.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn knows(&self, slot: usize) -> bool {
        self.total(slot) >= ENOUGH as f64
    }

    fn total(&self, slot: usize) -> f64 {
        u8::try_from(slot)
            .ok()
            .and_then(|slot| self.slots.get(&slot))
            .map_or(0.0, |slot| f64::from(slot.total))
    }

    /// The part of the time, 0 to 1, that `name` is active in that hour of the week; `None`
    /// while that hour is not known.
    #[must_use]
    pub fn likelihood(&self, slot: usize, name: &str) -> Option<f64> {
        if !self.knows(slot) {
            return None;
        }
        let weight = self
            .subjects
            .get(name)
            .and_then(|weights| weights.get(&u8::try_from(slot).ok()?));
        Some((f64::from(weight.copied().unwrap_or(0.0)) / self.total(slot)).min(1.0))
    }

    /// The subjects that are active at least that part of the time in that hour of the week.
    #[must_use]
    pub fn likely(&self, slot: usize, at_least: f64) -> Vec<String> {
        self.subjects
            .keys()
            .filter(|name| {
                self.likelihood(slot, name)
                    .is_some_and(|likelihood| likelihood >= at_least)
            })
            .cloned()
            .collect()
    }

    /// All subjects.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.subjects.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(hour: u64, samples: u64, active: &[(&str, u64)]) -> Visit {
        Visit {
            hour,
            samples,
            active: active
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect(),
        }
    }

    #[test]
    fn old_weeks_fade_by_half_in_four() {
        let mut habits = Habits::default();
        habits.learn(&visit(0, 60, &[("a", 60)]));
        habits.learn(&visit(4 * SLOTS as u64, 60, &[("b", 60)]));
        let likelihood = |name| habits.likelihood(0, name).unwrap();
        assert!((likelihood("a") - 1.0 / 3.0).abs() < 1e-6);
        assert!((likelihood("b") - 2.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut habits = Habits::default();
        for week in 0..80 {
            let name = if week == 0 { "once" } else { "always" };
            habits.learn(&visit(week * SLOTS as u64, 60, &[(name, 60)]));
        }
        assert_eq!(habits.subjects().collect::<Vec<_>>(), ["always"]);
    }

    #[test]
    fn a_flood_of_names_drives_out_no_habit() {
        let mut habits = Habits::default();
        for hour in 0..24 {
            habits.learn(&visit(hour, 60, &[("habit", 60)]));
        }
        for hour in 24..600 {
            let names: Vec<String> = (0..200).map(|n| format!("{hour}-{n}")).collect();
            let active: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 60)).collect();
            habits.learn(&visit(hour, 60, &active));
        }
        assert_eq!(habits.len(), limits::SUBJECTS);
        assert!(habits.subjects().any(|name| name == "habit"));
    }

    #[test]
    fn a_damaged_file_is_repaired() {
        let text = r#"{"observations":5,"last_hour":1,
            "slots":{"0":{"total":60.0,"hour":1},"200":{"total":60.0,"hour":1},"1":{"total":-1.0,"hour":1}},
            "subjects":{"a":{"0":30.0,"1":5.0,"200":1.0},"b":{"0":61.0},"c":{"7":1.0}}}"#;
        let mut habits: Habits = serde_json::from_str(text).unwrap();
        habits.repair();
        assert_eq!(habits.subjects().collect::<Vec<_>>(), ["a"]);
        assert_eq!(habits.likelihood(0, "a"), Some(0.5));
        assert_eq!(habits.known(), 1);
    }
}
