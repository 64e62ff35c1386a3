//! The `[responses]` of the configuration.

use super::automatic::Grades;
use super::grade::Grade;
use super::plan::Policy;
use super::protect::Protection;
use crate::process::Identity;
use quantumos_detect::Level;
use quantumos_service::Invalid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest that a response holds without being asked for again: a week.
pub const MOST_SECONDS: u32 = 7 * 86_400;

/// What is done about alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Responses {
    /// Whether the daemon responds on its own, as `levels` and `rules` say.
    pub automatic: bool,
    /// Seconds after which a response is undone by itself; 0 for never.
    pub seconds: u32,
    /// Processor time of a throttled unit, in percent of one core.
    pub throttle_percent: u32,
    /// The most that the daemon does on its own in a minute.
    pub per_minute: u32,
    /// How many responses are remembered; those that hold are not counted.
    pub keep: u32,
    /// Patterns of units that are never acted on, beside the core.
    pub protected_units: Vec<String>,
    /// Patterns of executables that are never acted on, beside the core.
    pub protected_executables: Vec<String>,
    /// The grade for each level.
    pub levels: BTreeMap<String, String>,
    /// The grade for each rule, by id.
    pub rules: BTreeMap<String, String>,
    /// The hardest grade for units, by pattern.
    pub units: BTreeMap<String, String>,
}

impl Default for Responses {
    fn default() -> Self {
        Self {
            automatic: false,
            seconds: 900,
            throttle_percent: 10,
            per_minute: 10,
            keep: 200,
            protected_units: Vec::new(),
            protected_executables: Vec::new(),
            levels: BTreeMap::new(),
            rules: BTreeMap::new(),
            units: BTreeMap::new(),
        }
    }
}

impl Responses {
    /// Checks the values.
    ///
    /// # Errors
    /// Which key is wrong, and why.
    pub fn validate(&self) -> Result<(), Invalid> {
        let between = |key: &str, value: u32, low: u32, high: u32| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            let reason = format!("{value} is not between {low} and {high}");
            Err(Invalid::new(key, reason))
        };
        between("responses.seconds", self.seconds, 0, MOST_SECONDS)?;
        between(
            "responses.throttle-percent",
            self.throttle_percent,
            1,
            10_000,
        )?;
        between("responses.per-minute", self.per_minute, 0, 1000)?;
        between("responses.keep", self.keep, 1, 10_000)?;
        for (key, grades) in [
            ("responses.levels", &self.levels),
            ("responses.rules", &self.rules),
            ("responses.units", &self.units),
        ] {
            for (name, grade) in grades {
                if Grade::from_name(grade).is_none() {
                    let names: Vec<_> = Grade::ALL.into_iter().map(Grade::name).collect();
                    let reason = format!("{name}: {grade:?} is none of {}", names.join(", "));
                    return Err(Invalid::new(key, reason));
                }
            }
        }
        for level in self.levels.keys() {
            if Level::from_name(level).is_none() {
                let reason = format!("{level:?} is no level");
                return Err(Invalid::new("responses.levels", reason));
            }
        }
        for (key, patterns) in [
            ("responses.protected-units", &self.protected_units),
            (
                "responses.protected-executables",
                &self.protected_executables,
            ),
        ] {
            if patterns.iter().any(String::is_empty) {
                return Err(Invalid::new(key, "an empty pattern protects nothing"));
            }
        }
        Ok(())
    }

    /// Which grade is for what.
    #[must_use]
    pub fn grades(&self) -> Grades {
        let read = |grades: &BTreeMap<String, String>| {
            let each = grades.iter();
            each.filter_map(|(name, grade)| Some((name.clone(), Grade::from_name(grade)?)))
                .collect()
        };
        Grades {
            automatic: self.automatic,
            levels: read(&self.levels),
            rules: read(&self.rules),
            units: read(&self.units),
        }
    }

    /// What is protected, this process among it.
    #[must_use]
    pub fn protection(&self, own: Identity) -> Protection {
        Protection {
            units: self.protected_units.clone(),
            executables: self.protected_executables.clone(),
            own,
        }
    }

    /// The times and sizes of plans.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            seconds: self.seconds,
            most_seconds: MOST_SECONDS,
            throttle_percent: self.throttle_percent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_by_key() {
        type Change = fn(&mut Responses);
        let cases: [(Change, &str); 7] = [
            (|r| r.seconds = MOST_SECONDS + 1, "responses.seconds"),
            (|r| r.throttle_percent = 0, "responses.throttle-percent"),
            (|r| r.keep = 0, "responses.keep"),
            (
                |r| r.levels = BTreeMap::from([("high".into(), "shoot".into())]),
                "responses.levels",
            ),
            (
                |r| r.levels = BTreeMap::from([("hgih".into(), "kill".into())]),
                "responses.levels",
            ),
            (
                |r| r.units = BTreeMap::from([("a*".into(), String::new())]),
                "responses.units",
            ),
            (
                |r| r.protected_units = vec![String::new()],
                "responses.protected-units",
            ),
        ];
        assert!(Responses::default().validate().is_ok());
        for (change, key) in cases {
            let mut responses = Responses::default();
            change(&mut responses);
            assert_eq!(responses.validate().unwrap_err().key, key);
        }
    }

    #[test]
    fn nothing_is_done_unless_the_configuration_says_so() {
        assert!(!Responses::default().grades().automatic);
    }
}
