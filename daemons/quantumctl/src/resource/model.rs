//! Decisions, latencies and forecasts as the commands see them.

use quantumos_dbus::Dictionary;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{error::Error, text::value};

/// A value of a unit property that means "not set".
pub const UNSET: u64 = u64::MAX;

/// A decision. Times are microseconds of the real-time clock.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all(deserialize = "PascalCase"))]
pub struct Decision {
    /// Identifier.
    pub id: String,
    /// systemd unit.
    pub unit: String,
    /// Unit property: `CPUWeight`.
    pub property: String,
    /// Value before; `u64::MAX` is not set.
    pub from: u64,
    /// Value after.
    pub to: u64,
    /// Why.
    pub reason: String,
    /// The signals and the forecast behind it.
    pub evidence: Map<String, Json>,
    /// `proposed`, `applied`, `undone`, `expired` or `failed`.
    pub state: String,
    /// When it was made.
    pub time: u64,
    /// When it reverts by itself.
    pub expires: u64,
    /// Object path.
    #[serde(skip_deserializing)]
    pub path: String,
}

impl Decision {
    /// From the properties of the object at `path`.
    pub fn new(path: &str, properties: &Dictionary) -> Result<Self, Error> {
        let mut decision: Self = value::record(path, properties)?;
        decision.path = path.to_owned();
        Ok(decision)
    }
}

/// Time from wake-up to running in a cgroup, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// The cgroup.
    pub cgroup: String,
    /// How many wake-ups were seen.
    pub wakeups: u64,
    /// Median.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// Longest.
    pub max_ns: u64,
}

impl From<(String, u64, u64, u64, u64)> for Latency {
    fn from(row: (String, u64, u64, u64, u64)) -> Self {
        Self {
            cgroup: row.0,
            wakeups: row.1,
            p50_ns: row.2,
            p99_ns: row.3,
            max_ns: row.4,
        }
    }
}

/// CPU pressure (`cpu.some`) of a cgroup in percent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The cgroup.
    pub cgroup: String,
    /// Its systemd unit.
    pub unit: String,
    /// Now.
    pub now: f64,
    /// In five seconds.
    pub in_5s: f64,
    /// In thirty seconds.
    pub in_30s: f64,
    /// What the forecast rests on: the model, or how it did without.
    pub basis: String,
}

impl From<(String, String, f64, f64, f64, String)> for Forecast {
    fn from(row: (String, String, f64, f64, f64, String)) -> Self {
        Self {
            cgroup: row.0,
            unit: row.1,
            now: row.2,
            in_5s: row.3,
            in_30s: row.4,
            basis: row.5,
        }
    }
}
