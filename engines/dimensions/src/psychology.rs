//! PSYCHOLOGY: the host's habits: which units and programs are active at which hour of the
//! week, how far today is from that, and what the next hour usually brings.
//!
//! A sample each minute says what is active. An hour's samples join the habit when the hour
//! is over, so a habit is compared only with what came after it: the first week is always
//! `learning`. Weights halve every four weeks. Health: unknown while learning; a drift of 0.5
//! or more over at least 30 compared samples is attention.

mod day;
mod habit;
mod program;

pub use day::Day;
pub use habit::{ENOUGH, Habits, SLOTS, Visit, slot_of};
pub use program::program;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Deadband, Health, Report, State, health::Checks};

/// Gauges of this dimension.
pub const DEADBANDS: &[(&str, Deadband)] = &[
    ("Observations", Deadband::Relative(0.02)),
    ("DriftObservations", Deadband::Relative(0.1)),
    ("Drift", Deadband::Absolute(0.05)),
];

/// From this likelihood on a subject is expected to be active.
const EXPECTED: f64 = 0.8;
/// Below this likelihood a subject is unusual.
const UNUSUAL: f64 = 0.05;
/// From this drift on a day is unlike the habit.
const DRIFTED: f64 = 0.5;

/// What is being learned now: the hour that runs and the day so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Present {
    /// The hour that runs.
    pub visit: Visit,
    /// The day so far.
    pub day: Day,
}

/// Learns habits from samples.
#[derive(Clone, Debug, Default)]
pub struct Learner {
    habits: Habits,
    present: Present,
    active: BTreeSet<String>,
}

impl Learner {
    /// Continues with what was learned before. What is out of bounds is dropped; an hour that
    /// is part of the habits already is not counted again.
    #[must_use]
    pub fn resume(mut habits: Habits, mut present: Present) -> Self {
        habits.repair();
        if !present.visit.is_sound() || habits.holds(&present.visit) {
            present.visit = Visit::default();
        }
        if !present.day.is_sound() {
            present.day = Day::default();
        }
        Self {
            habits,
            present,
            active: BTreeSet::new(),
        }
    }

    /// Takes in what is active in `hour`, counted from the epoch in the host's own time zone.
    /// Gives true when an hour has become part of the habits, which should then be kept.
    pub fn observe(&mut self, hour: u64, active: BTreeSet<String>) -> bool {
        let over = self.present.visit.hour != hour && self.present.visit.samples > 0;
        if over {
            self.habits.learn(&std::mem::take(&mut self.present.visit));
        }
        self.present.visit.add(hour, &active);
        self.present.day.add(hour, &active, &self.habits);
        self.active = active;
        over
    }

    /// What has been learned from hours that are over.
    #[must_use]
    pub fn habits(&self) -> &Habits {
        &self.habits
    }

    /// What is being learned now.
    #[must_use]
    pub fn present(&self) -> &Present {
        &self.present
    }

    /// The dimension's report, after at least one sample.
    #[must_use]
    pub fn report(&self, sources: &[String]) -> Report {
        if sources.is_empty() {
            return Report::unavailable("neither units nor processes can be listed");
        }
        let hour = self.present.visit.hour;
        let known = self.habits.knows(slot_of(hour));
        let observations = self.habits.observations + self.present.visit.samples;
        let mut state = State::new()
            .with("Phase", if known { "ready" } else { "learning" })
            .with("Observations", observations)
            .with("HoursKnown", self.habits.known())
            .with("HoursOfWeek", SLOTS)
            .with("Subjects", self.habits.len());
        let mut checks = Checks::default();
        if known {
            let slot = slot_of(hour);
            let expected = self.habits.likely(slot, EXPECTED);
            let missing = expected
                .iter()
                .filter(|name| !self.active.contains(*name))
                .cloned()
                .collect::<Vec<_>>();
            let unusual = self
                .active
                .iter()
                .filter(|name| {
                    self.habits
                        .likelihood(slot, name)
                        .is_some_and(|likelihood| likelihood < UNUSUAL)
                })
                .cloned()
                .collect::<Vec<_>>();
            state.put("Expected", expected);
            state.put("Missing", missing);
            state.put("Unusual", unusual);
        }
        if self.habits.knows(slot_of(hour + 1)) {
            state.put(
                "ExpectedNextHour",
                self.habits.likely(slot_of(hour + 1), EXPECTED),
            );
        }
        state.put("DriftObservations", self.present.day.compared);
        match self.present.day.drift() {
            Some(drift) => {
                state.put("Drift", (drift * 1000.0).round() / 1000.0);
                let health = if drift >= DRIFTED { Health::Attention } else { Health::Ok };
                checks.note(health, Some(format!("today differs from habit by {drift:.2} of 1")));
            }
            None => checks.note(
                Health::Unknown,
                Some(format!("learning: {observations} observations, this hour of the week needs {ENOUGH} of an earlier week")),
            ),
        }
        Report::found(sources.to_vec(), state, checks, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use proptest::prelude::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn hour(learner: &mut Learner, hour: u64, names: &[&str]) {
        for _ in 0..60 {
            learner.observe(hour, set(names));
        }
    }

    /// A learner that has seen two weeks, the same things active in every hour.
    fn learned(names: &[&str]) -> Learner {
        let mut learner = Learner::default();
        for at in 0..2 * SLOTS as u64 {
            hour(&mut learner, at, names);
        }
        learner
    }

    fn report(learner: &Learner) -> Report {
        learner.report(&["/proc".to_owned()])
    }

    #[test]
    fn the_first_week_is_learning() {
        let mut learner = Learner::default();
        for at in 0..SLOTS as u64 {
            hour(&mut learner, at, &["a"]);
            let report = report(&learner);
            assert_eq!(
                report.state.get("Phase"),
                Some(&Value::Text("learning".to_owned())),
                "hour {at}"
            );
            assert_eq!(report.health, Health::Unknown);
            assert!(report.reason.starts_with("learning:"), "{}", report.reason);
        }
        hour(&mut learner, SLOTS as u64, &["a"]);
        let report = report(&learner);
        assert_eq!(
            report.state.get("Phase"),
            Some(&Value::Text("ready".to_owned()))
        );
        assert_eq!(
            report.state.get("Expected"),
            Some(&Value::Texts(vec!["a".to_owned()]))
        );
    }

    #[test]
    fn what_is_missing_and_unusual_is_named() {
        let mut learner = learned(&["a", "b"]);
        hour(&mut learner, 2 * SLOTS as u64, &["b", "c"]);
        let report = report(&learner);
        assert_eq!(
            report.state.get("Missing"),
            Some(&Value::Texts(vec!["a".to_owned()]))
        );
        assert_eq!(
            report.state.get("Unusual"),
            Some(&Value::Texts(vec!["c".to_owned()]))
        );
    }

    #[test]
    fn drift_of_a_day() {
        for (names, drift, health) in [
            (&["a", "b"][..], 0.0, Health::Ok),
            // One of three is shared: 1 - 1/3.
            (&["b", "c"][..], 0.667, Health::Attention),
            (&["c", "d"][..], 1.0, Health::Attention),
        ] {
            let mut learner = learned(&["a", "b"]);
            hour(&mut learner, 2 * SLOTS as u64, names);
            let report = report(&learner);
            assert_eq!(
                report.state.get("Drift"),
                Some(&Value::Real(drift)),
                "{names:?}"
            );
            assert_eq!(report.health, health, "{names:?}");
        }
    }

    #[test]
    fn an_hour_is_counted_once_after_a_crash() {
        let mut learner = Learner::default();
        hour(&mut learner, 7, &["a"]);
        let before = learner.present().clone();
        assert!(learner.observe(8, set(&["a"])));
        // The habits were written, the present of before was not replaced yet.
        let resumed = Learner::resume(learner.habits().clone(), before.clone());
        assert_eq!(resumed.habits().observations, 60);
        assert_eq!(resumed.present().visit, Visit::default());
        // Neither was written: nothing is lost.
        let mut resumed = Learner::resume(Habits::default(), before);
        assert!(resumed.observe(8, set(&["a"])));
        assert_eq!(resumed.habits().observations, 60);
    }

    #[test]
    fn state_outlives_json() {
        let learner = learned(&["unit:a.service", "program:b"]);
        let text = serde_json::to_string(learner.habits()).unwrap();
        let habits: Habits = serde_json::from_str(&text).unwrap();
        let resumed = Learner::resume(habits, learner.present().clone());
        assert!(resumed.habits() == learner.habits());
    }

    proptest! {
        #[test]
        fn any_samples_stay_bounded(samples in proptest::collection::vec((any::<u64>(), "[a-z]{1,3}"), 0..400)) {
            let mut learner = Learner::default();
            for (hour, name) in samples {
                learner.observe(hour, [name].into_iter().collect());
            }
            prop_assert!(learner.habits().len() <= crate::limits::SUBJECTS);
            prop_assert!(report(&learner).state.weight() < 128 * 1024);
        }
    }
}
