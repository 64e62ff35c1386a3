//! The controller: from forecasts and classes to CPU weights.
//!
//! When a unit that matters is about to wait for the CPU, and a unit that may wait is
//! using it, one of the two that compete (the children of their common parent) gets
//! another weight. Hysteresis, a hold time for each unit, a limit of changes a minute
//! and a cost for each change keep it from flapping. Times come in; nothing here reads
//! a clock.

mod policy;
mod state;

pub use policy::{Policy, Weights};
pub use state::{Controller, InForce};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::class::Class;

/// The kernel's weight where none is set.
pub const DEFAULT_WEIGHT: u64 = 100;
/// systemd's value of `CPUWeight` where nobody has set one.
pub const NOT_SET: u64 = u64::MAX;
/// The least weight the kernel takes.
pub const MIN_WEIGHT: u64 = 1;
/// The greatest weight the kernel takes.
pub const MAX_WEIGHT: u64 = 10_000;

/// What is known about a unit's weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Nobody has set it.
    NotSet,
    /// It is set, by the administrator or by an earlier decision.
    Set(u64),
    /// It could not be read, or the unit is not one systemd can change.
    Unknown,
}

/// One unit as it is seen now. Pressures are shares of time (1 is all the time), usage
/// is a share of the whole machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Name of the unit.
    pub unit: String,
    /// Its cgroup, from the root, such as `/system.slice/cron.service`.
    pub path: String,
    /// Its class.
    pub class: Class,
    /// Whether it must never be touched.
    pub protected: bool,
    /// Its weight.
    pub weight: Weight,
    /// CPU pressure of the last 5 s.
    pub now: f64,
    /// The forecast for 5 s later.
    pub in_5: f64,
    /// The forecast for 30 s later.
    pub in_30: f64,
    /// CPU time used in the last 5 s.
    pub usage: f64,
}

/// A change that the controller wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The unit whose weight is to change.
    pub unit: String,
    /// Its weight until now: `NOT_SET`, since only such units are changed.
    pub from: u64,
    /// Its weight from now on.
    pub to: u64,
    /// In words, why.
    pub reason: String,
    /// Which rule: `less-for-the-waiting` or `more-for-the-branch`.
    pub rule: String,
    /// The unit that is to gain.
    pub beneficiary: String,
    /// The unit that is to wait.
    pub victim: String,
    /// The numbers behind it, by name.
    pub evidence: BTreeMap<String, f64>,
    /// Until when it holds unless it is extended, in microseconds of the caller's clock.
    pub expires_us: u64,
}

/// What to do after a tick.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Set a weight.
    Apply(Proposal),
    /// The reason still holds: keep it until later.
    Extend {
        /// The unit.
        unit: String,
        /// The new end.
        expires_us: u64,
    },
    /// Give the unit back what it had.
    Restore {
        /// The unit.
        unit: String,
        /// Why.
        why: End,
    },
    /// Forget the decision without touching the unit: somebody else has set the weight,
    /// or the unit is gone.
    Release {
        /// The unit.
        unit: String,
        /// Why.
        why: End,
    },
}

/// Why a decision ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The unit that was to gain no longer needs it, or the other no longer competes.
    Calm,
    /// Its time was over and nothing extended it.
    Expired,
    /// The weight is not the one that was set: somebody else's word counts.
    ChangedByOthers,
    /// The unit is gone.
    UnitGone,
}

impl End {
    /// In words, for explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "the pressure is over",
            Self::Expired => "its time is over",
            Self::ChangedByOthers => "somebody else has set the weight",
            Self::UnitGone => "the unit is gone",
        }
    }
}
