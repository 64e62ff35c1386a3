//! What security-ai can be told, in `security-ai.toml`.

use crate::outputs::settings::{Lines, Metrics, Otlp};
use crate::response::settings::Responses;
use quantumos_detect::{Level, Options};
use quantumos_service::Invalid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Which rules' alerts are raised.
    pub rules: Rules,
    /// How alerts are kept.
    pub alerts: Alerts,
    /// How events are taken from the kernel.
    pub events: Events,
    /// How windows of what units do are cut.
    pub windows: Windows,
    /// The model of this host.
    pub model: Model,
    /// What is done about alerts.
    pub responses: Responses,
    /// The file of alerts for other programs.
    pub file: Lines,
    /// The file of figures for Prometheus.
    pub metrics: Metrics,
    /// The collector of OpenTelemetry logs.
    pub otlp: Otlp,
}

/// Which rules' alerts are raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Rules {
    /// Alerts below this level are not raised: `informational`, `low`, `medium`, `high` or `critical`.
    pub minimum_level: String,
    /// Rules, by id, that raise nothing.
    pub disabled: Vec<String>,
    /// Values of `%name%` where a rule says `expand`.
    pub placeholders: BTreeMap<String, Vec<String>>,
}

/// How alerts are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Alerts {
    /// The most alerts that stand at a time; the oldest leave first.
    pub keep: u32,
    /// The most different alerts that one rule adds in a minute; more are folded into one.
    pub distinct_per_minute: u32,
    /// The size in KiB at which the file of alerts is turned over.
    pub file_kib: u32,
}

/// How events are taken from the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Events {
    /// Names of threads (at most 15 bytes) whose events the kernel drops. A name is no identity: anyone can take it.
    pub ignored_commands: Vec<String>,
    /// The most processes that are remembered.
    pub processes: u32,
    /// Size of the ring of executions in KiB, a power of two. Takes effect at the next start.
    pub execution_ring_kib: u32,
    /// Size of each other ring in KiB, a power of two. Takes effect at the next start.
    pub other_ring_kib: u32,
    /// The most events of a class that one control group may have reported in a second; programs, their ends and
    /// creations apart. 0 for all. Takes effect at the next start.
    pub group_rate: u32,
    /// Thousandths of one core that the daemon may take before it sheds probes; 0 for no limit. Takes effect at the
    /// next start.
    pub budget_cpu_per_mille: u32,
    /// KiB of resident memory that the daemon may take before it sheds probes; 0 for no limit. Takes effect at the
    /// next start.
    pub budget_memory_kib: u32,
}

/// How windows of what units do are cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Windows {
    /// Length in seconds. Takes effect at the next start.
    pub seconds: u32,
}

/// The model of this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Model {
    /// Whether a published model is used. Takes effect at the next start, as all of these.
    pub enabled: bool,
    /// Where the model in force is published.
    pub directory: PathBuf,
    /// Folders of public keys (`*.pub`) that may sign models.
    pub trusted: Vec<PathBuf>,
    /// Whether the key of the first model is trusted when quantumd says that it is ai-learnd's.
    pub enroll: bool,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: "/var/lib/quantumos/ai-learnd/models/published".into(),
            trusted: vec!["/etc/quantumos/security-ai/trusted.d".into()],
            enroll: true,
        }
    }
}

impl Default for Windows {
    fn default() -> Self {
        Self { seconds: 60 }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            minimum_level: "informational".into(),
            disabled: Vec::new(),
            placeholders: BTreeMap::new(),
        }
    }
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            keep: 500,
            distinct_per_minute: 60,
            file_kib: 4096,
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self {
            ignored_commands: Vec::new(),
            processes: 8192,
            execution_ring_kib: 1024,
            other_ring_kib: 256,
            group_rate: 20_000,
            budget_cpu_per_mille: 20,
            budget_memory_kib: 65_536,
        }
    }
}

impl Rules {
    /// The least level.
    #[must_use]
    pub fn minimum(&self) -> Level {
        Level::from_name(&self.minimum_level).unwrap_or(Level::Informational)
    }

    /// What rules are compiled for.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            placeholders: self.placeholders.clone(),
            ..Options::default()
        }
    }
}

impl quantumos_service::Settings for Settings {
    fn validate(&self) -> Result<(), Invalid> {
        let between = |key: &str, value: u32, low: u32, high: u32| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Invalid::new(
                    key,
                    format!("{value} is not between {low} and {high}"),
                ))
            }
        };
        if Level::from_name(&self.rules.minimum_level).is_none() {
            let reason = "one of informational, low, medium, high, critical";
            return Err(Invalid::new("rules.minimum-level", reason));
        }
        between("alerts.keep", self.alerts.keep, 1, 10_000)?;
        between(
            "alerts.distinct-per-minute",
            self.alerts.distinct_per_minute,
            1,
            10_000,
        )?;
        between("alerts.file-kib", self.alerts.file_kib, 64, 1 << 20)?;
        self.file.validate()?;
        self.metrics.validate()?;
        self.otlp.validate()?;
        between("windows.seconds", self.windows.seconds, 1, 3600)?;
        between("events.processes", self.events.processes, 256, 1 << 20)?;
        for (key, kib) in [
            ("events.execution-ring-kib", self.events.execution_ring_kib),
            ("events.other-ring-kib", self.events.other_ring_kib),
        ] {
            between(key, kib, 64, 1 << 18)?;
            if !kib.is_power_of_two() {
                return Err(Invalid::new(key, format!("{kib} is not a power of two")));
            }
        }
        for name in &self.events.ignored_commands {
            if name.is_empty() || name.len() > 15 || name.contains('\0') {
                return Err(Invalid::new(
                    "events.ignored-commands",
                    format!("{name:?} has not 1 to 15 bytes"),
                ));
            }
        }
        self.responses.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantumos_service::Settings as _;

    #[test]
    fn refuses_by_key() {
        type Change = fn(&mut Settings);
        let cases: [(Change, &str); 13] = [
            (
                |s| s.rules.minimum_level = "severe".into(),
                "rules.minimum-level",
            ),
            (|s| s.alerts.keep = 0, "alerts.keep"),
            (|s| s.alerts.file_kib = 1, "alerts.file-kib"),
            (|s| s.file.path = "alerts.jsonl".into(), "file.path"),
            (|s| s.file.size_kib = 0, "file.size-kib"),
            (|s| s.file.files = 0, "file.files"),
            (|s| s.metrics.path = "/".into(), "metrics.path"),
            (|s| s.metrics.seconds = 0, "metrics.seconds"),
            (|s| s.otlp.endpoint = "https://h".into(), "otlp.endpoint"),
            (|s| s.otlp.queue = 0, "otlp.queue"),
            (|s| s.events.processes = 1, "events.processes"),
            (|s| s.events.other_ring_kib = 300, "events.other-ring-kib"),
            (
                |s| s.events.ignored_commands = vec!["a-name-that-is-too-long".into()],
                "events.ignored-commands",
            ),
        ];
        assert!(Settings::default().validate().is_ok());
        for (change, key) in cases {
            let mut settings = Settings::default();
            change(&mut settings);
            assert_eq!(settings.validate().unwrap_err().key, key);
        }
    }
}
