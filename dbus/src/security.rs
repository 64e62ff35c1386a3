//! security-ai: coverage, rules, and the alerts.

use std::collections::HashMap;

use zbus::{ObjectPath, OwnedFd, Variant};

/// At [`crate::path::SECURITY`].
#[zbus::proxy(
    interface = "org.quantumos.Security1",
    default_service = "org.quantumos.Security1",
    default_path = "/org/quantumos/security"
)]
pub trait Security1 {
    /// Reads the rules anew and swaps them in at once; gives loaded, not applicable, failed.
    fn reload_rules(&self) -> Result<(u32, u32, u32), crate::Error>;
    /// Id, title, level, fate (`loaded`, `not-applicable`, `failed`) and reason of each rule.
    #[allow(clippy::type_complexity)]
    fn list_rules(&self) -> Result<Vec<(String, String, String, String, String)>, crate::Error>;
    /// Counters since start, by name.
    fn statistics(&self) -> Result<HashMap<String, u64>, crate::Error>;
    /// Writes events down, one JSON object a line, for so many seconds. Command lines are not masked.
    fn record(&self, capture: zbus::Fd<'_>, seconds: u32) -> Result<(), crate::Error>;
    /// Event class, hook, state and reason, for each class of event.
    #[zbus(property)]
    fn coverage(&self) -> zbus::Result<Vec<(String, String, String, String)>>;
    /// Rules in force.
    #[zbus(property)]
    fn rules_loaded(&self) -> zbus::Result<u32>;
    /// Rules that are valid but have no source of events here.
    #[zbus(property)]
    fn rules_not_applicable(&self) -> zbus::Result<u32>;
    /// Rules that were refused.
    #[zbus(property)]
    fn rules_failed(&self) -> zbus::Result<u32>;
    /// Events that the kernel could not deliver, since start.
    #[zbus(property)]
    fn events_lost(&self) -> zbus::Result<u64>;
    /// An alert was raised, or an equal one was counted again.
    #[zbus(signal)]
    fn alert_raised(
        &self,
        alert: ObjectPath<'_>,
        details: HashMap<String, Variant<'_>>,
    ) -> zbus::Result<()>;
    /// The kernel could not deliver this many events of a class.
    #[zbus(signal)]
    fn events_lost_reported(&self, class: &str, count: u64) -> zbus::Result<()>;
}

/// At [`crate::path::WINDOWS`].
#[zbus::proxy(
    interface = "org.quantumos.Windows1",
    default_service = "org.quantumos.Security1",
    default_path = "/org/quantumos/security/windows"
)]
pub trait Windows1 {
    /// Hands over the windows that wait, one JSON object a line in a memory file, and how many they are.
    fn take(&self) -> Result<(OwnedFd, u32), crate::Error>;
    /// How many wait.
    #[zbus(property(emits_changed_signal = "false"))]
    fn waiting(&self) -> zbus::Result<u32>;
    /// How many ended, since start.
    #[zbus(property(emits_changed_signal = "false"))]
    fn closed(&self) -> zbus::Result<u64>;
    /// How many went because nobody took them, since start.
    #[zbus(property(emits_changed_signal = "false"))]
    fn dropped(&self) -> zbus::Result<u64>;
}

/// At [`crate::path::ALERTS`], beside ObjectManager.
#[zbus::proxy(
    interface = "org.quantumos.Alerts1",
    default_service = "org.quantumos.Security1",
    default_path = "/org/quantumos/security/alerts"
)]
pub trait Alerts1 {
    /// Forgets all alerts; gives how many there were.
    fn clear(&self) -> Result<u32, crate::Error>;
}

/// At [`crate::path::ALERTS`]`/ID`.
#[zbus::proxy(
    interface = "org.quantumos.Alert1",
    default_service = "org.quantumos.Security1",
    assume_defaults = false
)]
pub trait Alert1 {
    /// Forgets this alert.
    fn acknowledge(&self) -> Result<(), crate::Error>;
    /// Identifier, the last part of the path.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> zbus::Result<String>;
    /// The rule's own id.
    #[zbus(property(emits_changed_signal = "const"))]
    fn rule_id(&self) -> zbus::Result<String>;
    /// The rule's title.
    #[zbus(property(emits_changed_signal = "const"))]
    fn title(&self) -> zbus::Result<String>;
    /// Sigma level: `informational`, `low`, `medium`, `high` or `critical`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn level(&self) -> zbus::Result<String>;
    /// Newest occurrence, microseconds of CLOCK_REALTIME.
    #[zbus(property)]
    fn time(&self) -> zbus::Result<u64>;
    /// How many equal alerts are folded into this one.
    #[zbus(property)]
    fn count(&self) -> zbus::Result<u32>;
    /// Class of event: `process_creation`, `file_event`, `network_connection`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn class(&self) -> zbus::Result<String>;
    /// Process id in the root namespace.
    #[zbus(property(emits_changed_signal = "const"))]
    fn pid(&self) -> zbus::Result<u32>;
    /// User id of the process.
    #[zbus(property(emits_changed_signal = "const"))]
    fn uid(&self) -> zbus::Result<u32>;
    /// User name, or the number where there is none.
    #[zbus(property(emits_changed_signal = "const"))]
    fn user(&self) -> zbus::Result<String>;
    /// systemd unit, or empty.
    #[zbus(property(emits_changed_signal = "const"))]
    fn unit(&self) -> zbus::Result<String>;
    /// Path of the executable.
    #[zbus(property(emits_changed_signal = "const"))]
    fn executable(&self) -> zbus::Result<String>;
    /// Command line, secrets masked.
    #[zbus(property(emits_changed_signal = "const"))]
    fn command_line(&self) -> zbus::Result<String>;
    /// Pid, comm and executable of each ancestor, nearest first.
    #[zbus(property(emits_changed_signal = "const"))]
    fn ancestors(&self) -> zbus::Result<Vec<(u32, String, String)>>;
    /// The rule's tags, MITRE ATT&CK ids among them.
    #[zbus(property(emits_changed_signal = "const"))]
    fn tags(&self) -> zbus::Result<Vec<String>>;
    /// The event's fields by Sigma name.
    #[zbus(property(emits_changed_signal = "const"))]
    fn fields(&self) -> zbus::Result<HashMap<String, String>>;
    /// Which selections of the rule matched, and on what.
    #[zbus(property(emits_changed_signal = "const"))]
    fn explanation(&self) -> zbus::Result<String>;
}
