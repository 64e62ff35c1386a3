//! EVENT: what happened on the host, correlated into incidents.
//!
//! Events come from systemd (units), the kernel (log records and uevents), security-ai
//! (alerts) and resource-ai (pressure). See [`Incidents`] for the rule that correlates them.
//! Health: an open incident of its own severity, and any failed unit is attention.

mod incident;
mod kernel;

pub use incident::{Event, Incident, Incidents, Kind, Severity, WINDOW};
pub use kernel::{Record, Uevent, kernel_event};

use crate::{Deadband, Health, Report, State, health::Checks};

/// Counters of this dimension: incidents are exact, totals of a storm need not be.
pub const DEADBANDS: &[(&str, Deadband)] = &[
    ("UnitEvents", Deadband::Relative(0.1)),
    ("SecurityEvents", Deadband::Relative(0.1)),
    ("PressureEvents", Deadband::Relative(0.1)),
    ("KernelEvents", Deadband::Relative(0.1)),
    ("HardwareEvents", Deadband::Relative(0.1)),
    ("MessagesLost", Deadband::Relative(0.1)),
];

/// Counts and incidents of what happened.
#[derive(Clone, Debug, Default)]
pub struct Happenings {
    /// Units that systemd calls failed; `None` without systemd.
    pub failed_units: Option<Vec<String>>,
    /// Where events come from.
    pub sources: Vec<String>,
    /// Why other sources give none.
    pub missing: Vec<String>,
    /// Messages that came faster than they could be taken in.
    pub lost: u64,
}

impl Happenings {
    /// The dimension's report.
    #[must_use]
    pub fn report(&self, incidents: &Incidents) -> Report {
        if self.sources.is_empty() {
            return Report::unavailable(&format!(
                "no source of events: {}",
                self.missing.join("; ")
            ));
        }
        let mut state = State::new();
        let mut checks = Checks::default();
        if let Some(failed) = &self.failed_units {
            let mut failed = failed.clone();
            failed.sort();
            let health = if failed.is_empty() {
                Health::Ok
            } else {
                Health::Attention
            };
            checks.note(health, Some(format!("{} failed", failed.join(", "))));
            state.put("FailedUnits", failed);
        }
        incidents.put(&mut state);
        incidents.check(&mut checks);
        state.put("MissingSources", self.missing.clone());
        state.put("MessagesLost", self.lost);
        Report::found(self.sources.clone(), state, checks, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_units_want_attention() {
        let happenings = |failed: &[&str]| Happenings {
            failed_units: Some(failed.iter().map(|&unit| unit.to_owned()).collect()),
            sources: vec!["org.freedesktop.systemd1".to_owned()],
            missing: Vec::new(),
            lost: 0,
        };
        assert_eq!(
            happenings(&[]).report(&Incidents::default()).health,
            Health::Ok
        );
        let report = happenings(&["b.service", "a.service"]).report(&Incidents::default());
        assert_eq!(
            (report.health, report.reason.as_str()),
            (Health::Attention, "a.service, b.service failed")
        );
    }

    #[test]
    fn no_source_says_which_are_missing() {
        let happenings = Happenings {
            missing: vec!["/dev/kmsg: not permitted".to_owned()],
            ..Happenings::default()
        };
        let report = happenings.report(&Incidents::default());
        assert!(!report.available);
        assert_eq!(
            report.reason,
            "no source of events: /dev/kmsg: not permitted"
        );
    }
}
