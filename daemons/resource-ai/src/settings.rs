//! What resource-ai can be told, with its ranges.

use std::path::PathBuf;

use quantumos_resource::class::{Classes, Rule};
use quantumos_resource::controller::Policy;
use quantumos_resource::trigger::{Kind, Trigger};
use quantumos_service::{Invalid, Settings as ServiceSettings};
use serde::{Deserialize, Serialize};

use crate::sources::Sources;

/// What resource-ai may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Read, forecast, explain; decide nothing.
    #[default]
    Observe,
    /// Propose decisions, apply none.
    Advise,
    /// Apply decisions.
    Act,
}

impl Mode {
    /// The word on the bus and in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Advise => "advise",
            Self::Act => "act",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Observe, Self::Advise, Self::Act]
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }
}

/// `/etc/quantumos/resource-ai.toml`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// What it may do until somebody sets another mode over the bus.
    pub mode: Mode,
    /// When the kernel wakes it up.
    pub triggers: Triggers,
    /// How often it reads.
    pub sampling: Sampling,
    /// The forecast model.
    pub model: Model,
    /// Run-queue latency by eBPF.
    pub latency: Latency,
    /// Classes of units, and units that are never touched.
    pub classes: ClassSettings,
    /// When it acts.
    pub policy: Policy,
    /// Where the kernel's files are.
    pub sources: SourceSettings,
}

/// Triggers on the pressure of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Triggers {
    /// Which resources: `cpu`, `memory`, `io`.
    pub resources: Vec<String>,
    /// Stalled time within the window that wakes it up, in milliseconds.
    pub stall_ms: u64,
    /// The window, in milliseconds: a multiple of 2000 unless the daemon has CAP_SYS_RESOURCE.
    pub window_ms: u64,
}

impl Default for Triggers {
    fn default() -> Self {
        Self {
            resources: vec!["cpu".into(), "memory".into(), "io".into()],
            stall_ms: 200,
            window_ms: 2_000,
        }
    }
}

impl Triggers {
    /// The trigger that goes into each pressure file.
    ///
    /// # Errors
    /// When the kernel would refuse it.
    pub fn trigger(&self) -> Result<Trigger, quantumos_resource::Error> {
        let (stall, window) = (
            self.stall_ms.saturating_mul(1_000),
            self.window_ms.saturating_mul(1_000),
        );
        Trigger::new(Kind::Some, stall, window, false)
    }
}

/// How often units are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Sampling {
    /// While nothing happens, in milliseconds.
    pub idle_ms: u64,
    /// While somebody asks for forecasts, and under pressure in a mode that decides, in milliseconds.
    pub busy_ms: u64,
    /// For how long after the last sign of either, in milliseconds.
    pub busy_for_ms: u64,
    /// Most units that are read.
    pub most_units: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            idle_ms: 10_000,
            busy_ms: 1_000,
            busy_for_ms: 30_000,
            most_units: 96,
        }
    }
}

/// The forecast model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Model {
    /// Whether a model may be used at all.
    pub enabled: bool,
    /// Where `pressure.onnx`, its manifest and its signature are.
    pub directory: PathBuf,
    /// Where the public keys are that may sign a model.
    pub trusted: Vec<PathBuf>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: "/usr/lib/quantumos/models".into(),
            trusted: vec![
                "/etc/quantumos/models/trusted.d".into(),
                "/usr/lib/quantumos/models/trusted.d".into(),
            ],
        }
    }
}

/// Run-queue latency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Latency {
    /// Whether to measure it.
    pub enabled: bool,
}

impl Default for Latency {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// Classes of units.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ClassSettings {
    /// Rules on names of units, tried in order before the compiled ones.
    pub rules: Vec<Rule>,
    /// Units that are never touched, besides the compiled ones.
    pub protected: Vec<String>,
}

/// Where the kernel's files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct SourceSettings {
    /// `/proc`.
    pub proc: PathBuf,
    /// The mount of cgroup v2.
    pub cgroup: PathBuf,
}

impl Default for SourceSettings {
    fn default() -> Self {
        let Sources { proc, cgroup } = Sources::default();
        Self { proc, cgroup }
    }
}

impl Settings {
    /// The roots as `Sources`.
    pub fn roots(&self) -> Sources {
        Sources {
            proc: self.sources.proc.clone(),
            cgroup: self.sources.cgroup.clone(),
        }
    }

    /// The classes.
    ///
    /// # Errors
    /// A pattern that is refused.
    pub fn class_rules(&self) -> Result<Classes, quantumos_resource::Error> {
        Classes::new(self.classes.rules.clone(), self.classes.protected.clone())
    }
}

impl ServiceSettings for Settings {
    fn validate(&self) -> Result<(), Invalid> {
        let sampling = &self.sampling;
        for (key, value, low, high) in [
            ("sampling.idle-ms", sampling.idle_ms, 1_000, 30_000),
            ("sampling.busy-ms", sampling.busy_ms, 1_000, 10_000),
            ("sampling.busy-for-ms", sampling.busy_for_ms, 1_000, 600_000),
            ("sampling.most-units", sampling.most_units as u64, 1, 1_024),
        ] {
            if !(low..=high).contains(&value) {
                return Err(Invalid::new(
                    key,
                    format!("{value} is outside {low} to {high}"),
                ));
            }
        }
        for resource in &self.triggers.resources {
            if !["cpu", "memory", "io"].contains(&resource.as_str()) {
                return Err(Invalid::new(
                    "triggers.resources",
                    format!("`{resource}` is none of cpu, memory, io"),
                ));
            }
        }
        self.triggers
            .trigger()
            .map_err(|error| Invalid::new("triggers.window-ms", error.to_string()))?;
        self.class_rules()
            .map_err(|error| Invalid::new("classes", error.to_string()))?;
        for (key, path) in [
            ("model.directory", &self.model.directory),
            ("sources.proc", &self.sources.proc),
            ("sources.cgroup", &self.sources.cgroup),
        ] {
            if !path.is_absolute() {
                return Err(Invalid::new(
                    key,
                    format!("{} is not an absolute path", path.display()),
                ));
            }
        }
        self.policy.check().map_err(|error| {
            let text = error.to_string();
            let name = text
                .strip_prefix("policy: ")
                .and_then(|rest| rest.split(' ').next())
                .unwrap_or("");
            Invalid::new(format!("policy.{name}"), text.clone())
        })
    }
}
