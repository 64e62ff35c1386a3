//! The state of the daemons as values. Their serialised form is what `--json` prints.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// All daemons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Whether every daemon is running.
    pub running: bool,
    /// One entry a daemon, always the same ones in the same order.
    pub services: Vec<ServiceStatus>,
}

impl Status {
    /// From the daemons' states.
    pub fn new(services: Vec<ServiceStatus>) -> Self {
        Self {
            running: services.iter().all(|service| service.running),
            services,
        }
    }

    /// Units that are not running, for the error message.
    pub fn missing(&self) -> Vec<&str> {
        self.services
            .iter()
            .filter(|service| !service.running)
            .map(|service| service.name.as_str())
            .collect()
    }
}

/// One daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServiceStatus {
    /// Its systemd unit, without suffix.
    pub name: String,
    /// Its bus name.
    pub bus_name: String,
    /// Whether somebody owns the name and answers.
    pub running: bool,
    /// `ready` or `degraded`; `not running` or `unreachable` when it doesn't answer.
    pub state: String,
    /// Package version.
    pub version: String,
    /// What keeps it from doing all of its job.
    pub problems: Vec<String>,
    /// Why the newest configuration was refused; empty when it is in force.
    pub configuration_error: String,
    /// Why it is unreachable, or which part of its state could not be read.
    pub error: Option<String>,
    /// What is particular to this daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

/// The properties of `org.quantumos.Service1`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceProperties {
    /// Package version.
    pub version: String,
    /// `ready` or `degraded`.
    pub state: String,
    /// Why degraded.
    pub problems: Vec<String>,
    /// Why the newest configuration was refused.
    pub configuration_error: String,
}

/// What is particular to a daemon.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// quantumd.
    Quantum(Quantum),
    /// security-ai.
    Security(Security),
    /// resource-ai.
    Resource(Resource),
    /// steppps-mgr.
    Steppps(Steppps),
    /// ai-learnd.
    Learn(Learn),
}

/// Windows, the model in force, the key.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all(deserialize = "PascalCase"))]
pub struct Learn {
    /// Windows that are kept to learn from.
    pub windows: u32,
    /// Windows that a training needs.
    pub needed: u32,
    /// Serial number of the model in force; 0 for none.
    pub published: u64,
    /// Whether a training is under way.
    pub training: bool,
    /// The key in quantumd that signs; empty before the first model.
    pub signer: String,
}

/// The root key and the engines.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all(deserialize = "PascalCase"))]
pub struct Quantum {
    /// `tpm`, `software` or `none`.
    pub protection: String,
    /// Manufacturer and firmware; empty without a TPM.
    pub tpm_vendor: String,
    /// Name, state and detail of each engine.
    pub engines: Vec<(String, String, String)>,
}

/// Coverage, rules, losses.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all(deserialize = "PascalCase"))]
pub struct Security {
    /// Event class, hook, state and reason.
    pub coverage: Vec<(String, String, String, String)>,
    /// Rules in force.
    pub rules_loaded: u32,
    /// Valid rules without a source of events here.
    pub rules_not_applicable: u32,
    /// Rules that were refused.
    pub rules_failed: u32,
    /// Events that the kernel could not deliver.
    pub events_lost: u64,
}

impl Security {
    /// How many classes of event are seen fully, how many in part, and how many are asked for.
    pub fn covered(&self) -> (usize, usize, usize) {
        let count = |states: &[&str]| {
            let states = self
                .coverage
                .iter()
                .filter(|row| states.contains(&row.2.as_str()));
            states.count()
        };
        let asked = self.coverage.len() - count(&["off"]);
        (count(&["active", "attached"]), count(&["partial"]), asked)
    }
}

/// The mode, the model, the pressure.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Resource {
    /// `observe`, `advise` or `act`.
    pub mode: String,
    /// The forecast model.
    pub model: Map<String, Json>,
    /// Pressure by resource and kind.
    pub pressure: Vec<Pressure>,
}

impl Resource {
    /// The pressure of `resource` (`cpu.some`), in percent over the last ten seconds.
    pub fn avg10(&self, resource: &str) -> Option<f64> {
        self.pressure
            .iter()
            .find(|pressure| pressure.resource == resource)
            .map(|pressure| pressure.avg10)
    }
}

/// Pressure stall information of one resource and kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pressure {
    /// Resource and kind: `cpu.some`.
    pub resource: String,
    /// Percent of the last 10 seconds in which somebody waited.
    pub avg10: f64,
    /// Of the last 60 seconds.
    pub avg60: f64,
    /// Of the last 300 seconds.
    pub avg300: f64,
    /// Of the last sampling interval.
    pub recent: f64,
    /// Microseconds since boot.
    pub total_usec: u64,
}

impl From<(String, f64, f64, f64, f64, u64)> for Pressure {
    fn from(row: (String, f64, f64, f64, f64, u64)) -> Self {
        Self {
            resource: row.0,
            avg10: row.1,
            avg60: row.2,
            avg300: row.3,
            recent: row.4,
            total_usec: row.5,
        }
    }
}

/// The seven dimensions, in short.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Steppps {
    /// One entry a dimension.
    pub dimensions: Vec<DimensionHealth>,
}

/// One dimension, in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DimensionHealth {
    /// `space`, `time`, …
    pub name: String,
    /// Whether the host has a source for it.
    pub available: bool,
    /// `ok`, `attention`, `critical` or `unknown`.
    pub health: String,
    /// Why not available or not ok.
    pub reason: String,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Three daemons running, one not.
    pub fn sample() -> Status {
        let service = |name: &str, bus_name: &str, state: &str, detail: Option<Detail>| {
            let running = detail.is_some();
            ServiceStatus {
                name: name.into(),
                bus_name: bus_name.into(),
                running,
                state: state.into(),
                version: if running {
                    "0.1.0".into()
                } else {
                    String::new()
                },
                detail,
                ..ServiceStatus::default()
            }
        };
        let coverage =
            |class: &str, state: &str| (class.into(), "tp_btf".into(), state.into(), String::new());
        let dimension = |name: &str, available| DimensionHealth {
            name: name.into(),
            available,
            health: if available { "ok" } else { "unknown" }.into(),
            reason: if available { "" } else { "no display" }.into(),
        };
        let mut security = service(
            "security-ai",
            "org.quantumos.Security1",
            "degraded",
            Some(Detail::Security(Security {
                coverage: vec![
                    coverage("exec", "attached"),
                    coverage("connect", "unavailable"),
                    coverage("open", "partial"),
                    coverage("ptrace", "off"),
                ],
                rules_loaded: 108,
                rules_not_applicable: 12,
                rules_failed: 1,
                events_lost: 0,
            })),
        );
        security.problems = vec!["no BTF at /sys/kernel/btf/vmlinux".into()];
        security.configuration_error = "/etc/quantumos/security-ai.toml:3: unknown key".into();
        Status::new(vec![
            service(
                "quantumd",
                "org.quantumos.Quantum1",
                "ready",
                Some(Detail::Quantum(Quantum {
                    protection: "tpm".into(),
                    tpm_vendor: "SW swtpm 0.7.3".into(),
                    engines: vec![("pqc".into(), "ready".into(), "ML-DSA-87".into())],
                })),
            ),
            service(
                "steppps-mgr",
                "org.quantumos.Steppps1",
                "ready",
                Some(Detail::Steppps(Steppps {
                    dimensions: vec![dimension("space", true), dimension("pixel", false)],
                })),
            ),
            security,
            service(
                "resource-ai",
                "org.quantumos.Resource1",
                "not running",
                None,
            ),
        ])
    }

    #[test]
    fn json_says_what_is_not_running() {
        let status = sample();
        assert_eq!(status.missing(), ["resource-ai"]);
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["running"], false);
        assert_eq!(json["services"][0]["detail"]["protection"], "tpm");
        assert_eq!(json["services"][3]["detail"], Json::Null);
        assert_eq!(
            json["services"][2]["detail"]["coverage"][1],
            serde_json::json!(["connect", "tp_btf", "unavailable", ""])
        );
    }
}
