//! resource-ai: pressure, latency, forecasts and decisions.

use zbus::{Fd, ObjectPath};

use crate::Dictionary;

/// At [`crate::path::RESOURCE`].
#[zbus::proxy(
    interface = "org.quantumos.Resource1",
    default_service = "org.quantumos.Resource1",
    default_path = "/org/quantumos/resource"
)]
pub trait Resource1 {
    /// Resource and kind (`cpu.some`), avg10, avg60, avg300 and the share of the last sampling
    /// interval in percent, total in microseconds.
    #[allow(clippy::type_complexity)]
    fn pressure(&self) -> Result<Vec<(String, f64, f64, f64, f64, u64)>, crate::Error>;
    /// Cgroup (`#` and its id once it is gone), wake-ups, and p50, p99 and maximum time from wake-up to running in nanoseconds.
    fn latency(&self) -> Result<Vec<(String, u64, u64, u64, u64)>, crate::Error>;
    /// Cgroup, unit, and cpu.some now, in 5 s and in 30 s, in percent, and what that rests on:
    /// `model`, `exponential-average`, `persistence` (less than a minute is known of it) or
    /// `calm` (no pressure in the last minute).
    #[allow(clippy::type_complexity)]
    fn forecast(&self) -> Result<Vec<(String, String, f64, f64, f64, String)>, crate::Error>;
    /// What is known of a unit and what was decided for it and why, as JSON.
    fn explain(&self, unit: &str) -> Result<String, crate::Error>;
    /// Says that the process (a pidfd) is in the foreground of the caller's session.
    fn set_foreground(&self, process: Fd<'_>) -> Result<(), crate::Error>;
    /// `observe`, `advise` or `act`.
    #[zbus(property)]
    fn mode(&self) -> zbus::Result<String>;
    /// Sets the mode; polkit decides.
    #[zbus(property)]
    fn set_mode(&self, mode: &str) -> zbus::Result<()>;
    /// The forecast model: whether it's in use, why not, its figures and digest.
    #[zbus(property)]
    fn model(&self) -> zbus::Result<Dictionary>;
    /// A pressure trigger fired: resource, kind (`some`, `full`) and its window.
    #[zbus(signal)]
    fn pressure_stalled(&self, resource: &str, kind: &str, window_usec: u64) -> zbus::Result<()>;
    /// A decision object was made.
    #[zbus(signal)]
    fn decision_made(&self, decision: ObjectPath<'_>) -> zbus::Result<()>;
}

/// At [`crate::path::DECISIONS`]`/ID`.
#[zbus::proxy(
    interface = "org.quantumos.Decision1",
    default_service = "org.quantumos.Resource1",
    assume_defaults = false
)]
pub trait Decision1 {
    /// Reverts the change.
    fn undo(&self) -> Result<(), crate::Error>;
    /// Identifier, the last part of the path.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> zbus::Result<String>;
    /// systemd unit.
    #[zbus(property(emits_changed_signal = "const"))]
    fn unit(&self) -> zbus::Result<String>;
    /// Unit property, as systemd names it: `CPUWeight`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn property(&self) -> zbus::Result<String>;
    /// Value before; `u64::MAX` is not set.
    #[zbus(property(emits_changed_signal = "const"))]
    fn from(&self) -> zbus::Result<u64>;
    /// Value after.
    #[zbus(property(emits_changed_signal = "const"))]
    fn to(&self) -> zbus::Result<u64>;
    /// Why, in one sentence.
    #[zbus(property(emits_changed_signal = "const"))]
    fn reason(&self) -> zbus::Result<String>;
    /// The signals and the forecast behind it.
    #[zbus(property(emits_changed_signal = "const"))]
    fn evidence(&self) -> zbus::Result<Dictionary>;
    /// `proposed`, `applied`, `undone`, `expired` or `failed`.
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;
    /// When it was made, microseconds of CLOCK_REALTIME.
    #[zbus(property(emits_changed_signal = "const"))]
    fn time(&self) -> zbus::Result<u64>;
    /// When it reverts by itself, microseconds of CLOCK_REALTIME.
    #[zbus(property)]
    fn expires(&self) -> zbus::Result<u64>;
}
