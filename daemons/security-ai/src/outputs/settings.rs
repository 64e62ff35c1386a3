//! Where alerts go besides the bus and the journal: what `security-ai.toml` says of it. All of it is off by default.

use quantumos_service::Invalid;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The file of alerts for other programs to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Lines {
    /// Whether it is written.
    pub enabled: bool,
    /// Where, below the configuration's root.
    pub path: PathBuf,
    /// The size in KiB at which it is turned over.
    pub size_kib: u32,
    /// How many files there are, the one that is written among them.
    pub files: u32,
}

/// The file of figures for a Prometheus textfile collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Metrics {
    /// Whether it is written.
    pub enabled: bool,
    /// Where, below the configuration's root; empty for `metrics.prom` in the runtime directory.
    pub path: PathBuf,
    /// How often, in seconds.
    pub seconds: u32,
}

/// A collector that takes OpenTelemetry logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Otlp {
    /// `http://HOST:PORT/v1/logs` or `unix:/path/of/a/socket`; empty for none.
    pub endpoint: String,
    /// Alerts that may wait for the collector; more are dropped and counted.
    pub queue: u32,
    /// How long the collector may take for an answer, in seconds.
    pub timeout_seconds: u32,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            enabled: false,
            path: "/var/log/quantumos/security-ai/alerts.jsonl".into(),
            size_kib: 16_384,
            files: 5,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            enabled: false,
            path: PathBuf::new(),
            seconds: 15,
        }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            queue: 1024,
            timeout_seconds: 10,
        }
    }
}

fn between(key: &str, value: u32, low: u32, high: u32) -> Result<(), Invalid> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let reason = format!("{value} is not between {low} and {high}");
    Err(Invalid::new(key, reason))
}

impl Lines {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        if !self.path.is_absolute() || self.path.file_name().is_none() {
            return Err(Invalid::new("file.path", "not the absolute path of a file"));
        }
        between("file.size-kib", self.size_kib, 64, 1 << 22)?;
        between("file.files", self.files, 1, 100)
    }
}

impl Metrics {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let given = !self.path.as_os_str().is_empty();
        if given && (!self.path.is_absolute() || self.path.file_name().is_none()) {
            return Err(Invalid::new(
                "metrics.path",
                "not the absolute path of a file",
            ));
        }
        between("metrics.seconds", self.seconds, 1, 3600)
    }
}

impl Otlp {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        if !self.endpoint.is_empty() {
            let endpoint = super::endpoint::Endpoint::parse(&self.endpoint);
            endpoint.map_err(|reason| Invalid::new("otlp.endpoint", reason))?;
        }
        between("otlp.queue", self.queue, 1, 1 << 16)?;
        between("otlp.timeout-seconds", self.timeout_seconds, 1, 300)
    }
}
