//! What ai-learnd can be told, in `ai-learnd.toml`.

use quantumos_learn::train::LEAST_WINDOWS;
use quantumos_service::Invalid;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// How windows are collected.
    pub windows: Windows,
    /// When and how models are trained.
    pub training: Training,
    /// Where models go.
    pub models: Models,
}

/// How windows are collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Windows {
    /// Seconds between two questions to security-ai.
    pub every_seconds: u32,
    /// The most windows that are kept; the oldest go first.
    pub keep: u32,
}

/// When and how models are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Training {
    /// Windows needed for a first model.
    pub windows_needed: u32,
    /// Hours between two trainings; 0 trains only when asked.
    pub every_hours: u32,
    /// The stated share of normal windows that a model calls strange.
    pub false_positive_rate: f64,
    /// Seed of the training.
    pub seed: u64,
}

/// Where models go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Models {
    /// Where models are published. Takes effect at the next start.
    pub directory: PathBuf,
    /// How many models are kept, the published one included.
    pub keep: u32,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            every_seconds: 300,
            keep: 10_000,
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            windows_needed: 1000,
            every_hours: 24,
            false_positive_rate: 0.0005,
            seed: 2026,
        }
    }
}

impl Default for Models {
    fn default() -> Self {
        Self {
            directory: "/var/lib/quantumos/ai-learnd/models".into(),
            keep: 5,
        }
    }
}

impl quantumos_service::Settings for Settings {
    fn validate(&self) -> Result<(), Invalid> {
        let between = |key: &str, value: u32, low: u32, high: u32| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            let reason = format!("{value} is not between {low} and {high}");
            Err(Invalid::new(key, reason))
        };
        let least = 2 * LEAST_WINDOWS as u32;
        between(
            "windows.every-seconds",
            self.windows.every_seconds,
            1,
            86_400,
        )?;
        between("windows.keep", self.windows.keep, least, 100_000)?;
        let needed = self.training.windows_needed;
        between("training.windows-needed", needed, least, self.windows.keep)?;
        between("training.every-hours", self.training.every_hours, 0, 8760)?;
        let rate = self.training.false_positive_rate;
        if !(1e-6..=0.1).contains(&rate) {
            let reason = format!("{rate} is not between 0.000001 and 0.1");
            return Err(Invalid::new("training.false-positive-rate", reason));
        }
        between("models.keep", self.models.keep, 2, 100)?;
        if !self.models.directory.is_absolute() {
            return Err(Invalid::new(
                "models.directory",
                "has to be an absolute path",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantumos_service::Settings as _;

    #[test]
    fn refuses_by_key() {
        type Change = fn(&mut Settings);
        let cases: [(Change, &str); 5] = [
            (|s| s.windows.every_seconds = 0, "windows.every-seconds"),
            (
                |s| s.training.windows_needed = 20_000,
                "training.windows-needed",
            ),
            (
                |s| s.training.false_positive_rate = f64::NAN,
                "training.false-positive-rate",
            ),
            (|s| s.models.keep = 1, "models.keep"),
            (|s| s.models.directory = "x".into(), "models.directory"),
        ];
        assert!(Settings::default().validate().is_ok());
        for (change, key) in cases {
            let mut settings = Settings::default();
            change(&mut settings);
            assert_eq!(settings.validate().unwrap_err().key, key);
        }
    }
}
