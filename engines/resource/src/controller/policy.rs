//! The numbers that the controller follows, with their ranges.

use serde::{Deserialize, Serialize};

use super::{MAX_WEIGHT, MIN_WEIGHT};
use crate::Error;
use crate::class::Class;

/// The weight each class gets while it has to gain or to wait. A service keeps its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Weights {
    /// What has the focus.
    pub foreground: u64,
    /// Sessions and applications.
    pub interactive: u64,
    /// Maintenance.
    pub background: u64,
    /// Compiles.
    pub build: u64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            foreground: 800,
            interactive: 400,
            background: 10,
            build: 20,
        }
    }
}

impl Weights {
    /// The weight of a class; `None` for services.
    pub fn of(&self, class: Class) -> Option<u64> {
        match class {
            Class::Foreground => Some(self.foreground),
            Class::Interactive => Some(self.interactive),
            Class::Service => None,
            Class::Background => Some(self.background),
            Class::Build => Some(self.build),
        }
    }
}

/// When to act. Pressures and usage are shares, times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Policy {
    /// A unit whose pressure in 5 s is forecast at least this high needs help.
    pub high: f64,
    /// Below this it does not.
    pub low: f64,
    /// It has to need help for this long first.
    pub enter_ms: u64,
    /// It has to be calm for this long before what was done is taken back.
    pub leave_ms: u64,
    /// After a change a unit is left alone for this long.
    pub hold_ms: u64,
    /// A decision ends after this long unless its reason still holds.
    pub lifetime_ms: u64,
    /// After somebody has undone a decision, its unit is left alone for this long.
    pub respect_ms: u64,
    /// Most changes in a minute, over all units.
    pub changes_per_minute: u32,
    /// A unit that uses less of the machine than this takes nothing from anybody.
    pub min_usage: f64,
    /// What a change costs: pressure times usage has to be above it.
    pub cost: f64,
    /// The weights.
    pub weights: Weights,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            high: 0.20,
            low: 0.05,
            enter_ms: 2_000,
            leave_ms: 20_000,
            hold_ms: 30_000,
            lifetime_ms: 120_000,
            respect_ms: 600_000,
            changes_per_minute: 6,
            min_usage: 0.05,
            cost: 0.02,
            weights: Weights::default(),
        }
    }
}

impl Policy {
    /// Checks every number against its range.
    ///
    /// # Errors
    /// `Error::Policy` names the number.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |what: String| Err(Error::Policy(what));
        for (name, value) in [
            ("high", self.high),
            ("low", self.low),
            ("min-usage", self.min_usage),
            ("cost", self.cost),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return fail(format!("{name} = {value} is not a share of 0 to 1"));
            }
        }
        if self.low >= self.high {
            return fail(format!(
                "low = {} is not below high = {}",
                self.low, self.high
            ));
        }
        let day = 86_400_000;
        for (name, value, least) in [
            ("enter-ms", self.enter_ms, 0),
            ("leave-ms", self.leave_ms, 1_000),
            ("hold-ms", self.hold_ms, 1_000),
            ("lifetime-ms", self.lifetime_ms, 2_000),
            ("respect-ms", self.respect_ms, 0),
        ] {
            if !(least..=day).contains(&value) {
                return fail(format!("{name} = {value} is outside {least} to {day}"));
            }
        }
        if !(1..=600).contains(&self.changes_per_minute) {
            return fail(format!(
                "changes-per-minute = {} is outside 1 to 600",
                self.changes_per_minute
            ));
        }
        for class in [
            Class::Foreground,
            Class::Interactive,
            Class::Background,
            Class::Build,
        ] {
            let weight = self.weights.of(class).unwrap_or(MIN_WEIGHT);
            if !(MIN_WEIGHT..=MAX_WEIGHT).contains(&weight) {
                return fail(format!(
                    "weights.{} = {weight} is outside {MIN_WEIGHT} to {MAX_WEIGHT}",
                    class.as_str()
                ));
            }
        }
        Ok(())
    }
}
