//! security-ai: what is done about alerts, and undone again.

use std::collections::HashMap;

use zbus::{ObjectPath, OwnedObjectPath, Variant};

use crate::Dictionary;

/// At [`crate::path::RESPONSES`], beside ObjectManager.
#[zbus::proxy(
    interface = "org.quantumos.Responses1",
    default_service = "org.quantumos.Security1",
    default_path = "/org/quantumos/security/responses"
)]
pub trait Responses1 {
    /// Responds. Target: `alert` (s), `pid` (u) with or without `start` (t, clock ticks since boot), or `unit` (s).
    /// Grade: `observe`, `notify`, `throttle`, `freeze`, `isolate`, `deny` or `kill`. Options: `scope` (s: `process`,
    /// `unit`, `host`), `seconds` (u, 0 until it is undone), `reason` (s).
    fn respond(
        &self,
        target: Dictionary,
        grade: &str,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// What `respond` would do: `Allowed` (b), `Grade`, `Action` (of polkit), `Pid`, `Start`, `Executable`, `Unit`, and
    /// either `Scope`, `Effect`, `Seconds` or `Refusal`.
    fn plan(
        &self,
        target: Dictionary,
        grade: &str,
        options: Dictionary,
    ) -> Result<Dictionary, crate::Error>;
    /// Undoes all that is in force; how many were undone, and how many could not be.
    fn undo_all(&self) -> Result<(u32, u32), crate::Error>;
    /// Whether the daemon responds on its own.
    #[zbus(property)]
    fn automatic(&self) -> zbus::Result<bool>;
    /// Patterns of units and executables that are never acted on.
    #[zbus(property)]
    fn protected(&self) -> zbus::Result<Vec<String>>;
    /// A response was made, or its state changed.
    #[zbus(signal)]
    fn response_changed(
        &self,
        response: ObjectPath<'_>,
        details: HashMap<String, Variant<'_>>,
    ) -> zbus::Result<()>;
}

/// At [`crate::path::RESPONSES`]`/ID`.
#[zbus::proxy(
    interface = "org.quantumos.Response1",
    default_service = "org.quantumos.Security1",
    assume_defaults = false
)]
pub trait Response1 {
    /// Undoes it.
    fn undo(&self) -> Result<(), crate::Error>;
    /// Identifier, the last part of the path.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> zbus::Result<String>;
    /// `observe`, `notify`, `throttle`, `freeze`, `isolate`, `deny` or `kill`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn grade(&self) -> zbus::Result<String>;
    /// `process`, `unit` or `host`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn scope(&self) -> zbus::Result<String>;
    /// What is done, in words.
    #[zbus(property(emits_changed_signal = "const"))]
    fn effect(&self) -> zbus::Result<String>;
    /// Process id, or 0.
    #[zbus(property(emits_changed_signal = "const"))]
    fn pid(&self) -> zbus::Result<u32>;
    /// Its start in clock ticks since boot.
    #[zbus(property(emits_changed_signal = "const"))]
    fn start(&self) -> zbus::Result<u64>;
    /// Path of its executable, or empty.
    #[zbus(property(emits_changed_signal = "const"))]
    fn executable(&self) -> zbus::Result<String>;
    /// systemd unit, or empty.
    #[zbus(property(emits_changed_signal = "const"))]
    fn unit(&self) -> zbus::Result<String>;
    /// Why, in the words of who asked for it.
    #[zbus(property(emits_changed_signal = "const"))]
    fn reason(&self) -> zbus::Result<String>;
    /// The alert behind it: `Alert`, `RuleId`, `Title`, `Level`, `Explanation`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn evidence(&self) -> zbus::Result<HashMap<String, String>>;
    /// The user who asked for it, or `automatic`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn by(&self) -> zbus::Result<String>;
    /// `applying`, `applied`, `done`, `undone`, `expired`, `ended`, `failed` or `refused`.
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;
    /// How it came to stand so, or empty.
    #[zbus(property)]
    fn detail(&self) -> zbus::Result<String>;
    /// Entries of quantumd's ledger that have it on record, by event: `planned` and the states that it came to.
    #[zbus(property)]
    fn ledger(&self) -> zbus::Result<HashMap<String, u64>>;
    /// When it was made, microseconds of CLOCK_REALTIME.
    #[zbus(property(emits_changed_signal = "const"))]
    fn time(&self) -> zbus::Result<u64>;
    /// When it is undone by itself, microseconds of CLOCK_REALTIME; 0 for never.
    #[zbus(property(emits_changed_signal = "const"))]
    fn expires(&self) -> zbus::Result<u64>;
}
