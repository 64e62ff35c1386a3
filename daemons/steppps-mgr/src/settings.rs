//! What steppps-mgr can be told: `steppps-mgr.toml`.

use std::{path::PathBuf, time::Duration};

use quantumos_service::Invalid;
use serde::{Deserialize, Serialize};

/// Settings of steppps-mgr.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Seconds between two looks at what gives no signal when it changes; 1 to 3600.
    pub rescan_seconds: u64,
    /// Seconds between two samples of what is active; 1 to 3600.
    pub sample_seconds: u64,
    /// Milliseconds that signals are gathered before the state is read anew; 1 to 10000.
    pub gather_milliseconds: u64,
    /// Whether habits of programs are learned, by the names of their processes.
    pub learn_programs: bool,
    /// Whether habits of units are learned.
    pub learn_units: bool,
    /// Where the kernel is looked at.
    pub roots: Roots,
}

/// Where the kernel is looked at; other places than the defaults are for tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Roots {
    /// Where proc is mounted.
    pub proc: PathBuf,
    /// Where sysfs is mounted.
    pub sys: PathBuf,
    /// The kernel's log.
    pub kmsg: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rescan_seconds: 30,
            sample_seconds: 60,
            gather_milliseconds: 250,
            learn_programs: true,
            learn_units: true,
            roots: Roots::default(),
        }
    }
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            kmsg: "/dev/kmsg".into(),
        }
    }
}

impl quantumos_service::Settings for Settings {
    fn validate(&self) -> Result<(), Invalid> {
        for (key, value, most) in [
            ("rescan-seconds", self.rescan_seconds, 3600),
            ("sample-seconds", self.sample_seconds, 3600),
            ("gather-milliseconds", self.gather_milliseconds, 10_000),
        ] {
            if value == 0 || value > most {
                return Err(Invalid::new(
                    key,
                    format!("{value} is not from 1 to {most}"),
                ));
            }
        }
        for (key, path) in [
            ("roots.proc", &self.roots.proc),
            ("roots.sys", &self.roots.sys),
            ("roots.kmsg", &self.roots.kmsg),
        ] {
            if !path.is_absolute() {
                return Err(Invalid::new(
                    key,
                    format!("{} is not an absolute path", path.display()),
                ));
            }
        }
        Ok(())
    }
}

impl Settings {
    pub(crate) fn rescan(&self) -> Duration {
        Duration::from_secs(self.rescan_seconds)
    }

    pub(crate) fn sample(&self) -> Duration {
        Duration::from_secs(self.sample_seconds)
    }

    pub(crate) fn gather(&self) -> Duration {
        Duration::from_millis(self.gather_milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use quantumos_service::Settings as _;

    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Settings::default().validate(), Ok(()));
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let mut settings = Settings {
            rescan_seconds: 0,
            ..Settings::default()
        };
        assert_eq!(settings.validate().unwrap_err().key, "rescan-seconds");
        settings = Settings {
            gather_milliseconds: 10_001,
            ..Settings::default()
        };
        assert_eq!(settings.validate().unwrap_err().key, "gather-milliseconds");
        settings = Settings::default();
        settings.roots.sys = "sys".into();
        assert_eq!(settings.validate().unwrap_err().key, "roots.sys");
    }
}
