//! `quantumd.toml`: where the TPM is, whether software protection may stand in for it, and limits.

use crate::tpm::Tcti;
use quantumos_service::{Invalid, Settings as Validate};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All of quantumd's settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// The TPM.
    pub tpm: TpmSettings,
    /// What may protect the root key.
    pub protection: ProtectionSettings,
    /// Limits on keys.
    pub keys: KeySettings,
    /// Limits on jobs.
    pub jobs: JobSettings,
    /// How circuits run.
    pub circuits: CircuitSettings,
}

/// `[tpm]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct TpmSettings {
    /// Where it is, in the TSS's notation.
    pub tcti: String,
    /// Seconds between checks that it still answers; also between attempts to open the root key.
    pub check_seconds: u64,
}

/// `[protection]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ProtectionSettings {
    /// Whether a host key file may protect the root key where no TPM is found at enrolment.
    pub allow_software: bool,
    /// The host key file; empty is `host.key` in the state directory, made when absent.
    pub host_key: PathBuf,
    /// Whether the TPM asks for a PIN; takes effect at enrolment and when the root key is resealed.
    pub pin: bool,
    /// Public key (PEM, RSA) of who approves states of the PCRs; empty asks for none. Takes effect
    /// as `pin` does.
    pub pcr_public_key: PathBuf,
    /// Where the approvals are, in the form of systemd's tpm2-pcr-signature.json; empty looks where
    /// systemd puts them.
    pub pcr_signature: PathBuf,
}

/// `[keys]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct KeySettings {
    /// How many active keys one user may have.
    pub per_owner: u32,
}

/// `[jobs]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct JobSettings {
    /// How many jobs one user may have, those that ended and are kept included.
    pub per_owner: u32,
    /// Seconds that a job is kept after its end.
    pub keep_seconds: u64,
}

/// `[circuits]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct CircuitSettings {
    /// Bytes that one circuit may take at most; 0 is what the host has available.
    pub memory_max: u64,
    /// Seconds that one circuit may run.
    pub run_seconds: u64,
    /// After so many seconds a circuit stores what it has done, again and again; 0 for never.
    pub checkpoint_seconds: u64,
    /// Where systemd listens and starts a unit for each connection.
    pub socket: PathBuf,
    /// The program that runs a circuit where nobody listens there.
    pub runner: PathBuf,
}

impl Default for CircuitSettings {
    fn default() -> Self {
        Self {
            memory_max: 0,
            run_seconds: 3600,
            checkpoint_seconds: 30,
            socket: "/run/quantumos/circuits.sock".into(),
            runner: "/usr/libexec/quantumos/quantum-circuit".into(),
        }
    }
}

impl Default for TpmSettings {
    fn default() -> Self {
        Self {
            tcti: "device:/dev/tpmrm0".into(),
            check_seconds: 60,
        }
    }
}

impl Default for KeySettings {
    fn default() -> Self {
        Self { per_owner: 256 }
    }
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            per_owner: 16,
            keep_seconds: 600,
        }
    }
}

impl Validate for Settings {
    fn validate(&self) -> Result<(), Invalid> {
        self.tpm
            .tcti
            .parse::<Tcti>()
            .map_err(|why| Invalid::new("tpm.tcti", why))?;
        if !(1..=86_400).contains(&self.tpm.check_seconds) {
            return Err(Invalid::new("tpm.check-seconds", "1 to 86400 seconds"));
        }
        if !(1..=65_536).contains(&self.keys.per_owner) {
            return Err(Invalid::new("keys.per-owner", "1 to 65536 keys"));
        }
        if !(1..=1024).contains(&self.jobs.per_owner) {
            return Err(Invalid::new("jobs.per-owner", "1 to 1024 jobs"));
        }
        if self.jobs.keep_seconds > 86_400 {
            return Err(Invalid::new("jobs.keep-seconds", "0 to 86400 seconds"));
        }
        let circuits = &self.circuits;
        if circuits.memory_max != 0 && circuits.memory_max < 128 << 20 {
            return Err(Invalid::new(
                "circuits.memory-max",
                "0, or 128 MiB at least",
            ));
        }
        if !(1..=604_800).contains(&circuits.run_seconds) {
            return Err(Invalid::new("circuits.run-seconds", "1 to 604800 seconds"));
        }
        if circuits.checkpoint_seconds > 604_800 {
            return Err(Invalid::new(
                "circuits.checkpoint-seconds",
                "0 to 604800 seconds",
            ));
        }
        for (key, path) in [
            ("circuits.socket", &circuits.socket),
            ("circuits.runner", &circuits.runner),
        ] {
            if !path.is_absolute() {
                return Err(Invalid::new(key, "an absolute path"));
            }
        }
        let protection = &self.protection;
        for (key, path) in [
            ("protection.host-key", &protection.host_key),
            ("protection.pcr-public-key", &protection.pcr_public_key),
            ("protection.pcr-signature", &protection.pcr_signature),
        ] {
            if !path.as_os_str().is_empty() && !path.is_absolute() {
                return Err(Invalid::new(key, "an absolute path"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_bad_values_are_named() {
        Settings::default().validate().unwrap();
        type Case = (&'static str, fn(&mut Settings));
        let cases: [Case; 14] = [
            ("circuits.memory-max", |s| s.circuits.memory_max = 1),
            ("circuits.run-seconds", |s| s.circuits.run_seconds = 0),
            ("circuits.checkpoint-seconds", |s| {
                s.circuits.checkpoint_seconds = 1_000_000;
            }),
            ("circuits.socket", |s| s.circuits.socket = "here".into()),
            ("circuits.runner", |s| s.circuits.runner = PathBuf::new()),
            ("tpm.tcti", |s| s.tpm.tcti = "banana".into()),
            ("tpm.check-seconds", |s| s.tpm.check_seconds = 0),
            ("tpm.check-seconds", |s| s.tpm.check_seconds = 100_000),
            ("keys.per-owner", |s| s.keys.per_owner = 0),
            ("jobs.per-owner", |s| s.jobs.per_owner = 0),
            ("jobs.keep-seconds", |s| s.jobs.keep_seconds = 100_000),
            ("protection.host-key", |s| {
                s.protection.host_key = "relative".into()
            }),
            ("protection.pcr-public-key", |s| {
                s.protection.pcr_public_key = "relative".into()
            }),
            ("protection.pcr-signature", |s| {
                s.protection.pcr_signature = "relative".into()
            }),
        ];
        for (key, change) in cases {
            let mut settings = Settings::default();
            change(&mut settings);
            assert_eq!(settings.validate().unwrap_err().key, key);
        }
    }
}
