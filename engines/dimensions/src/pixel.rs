//! PIXEL: displays, backlight, sessions, idle and power policy.
//!
//! Sources are DRM connectors, backlights and power supplies in sysfs, and logind. Health: a
//! battery that discharges at or under 15 % is attention, 5 % critical.

mod display;
mod power;

pub use display::{Backlight, Connector, connector_name};
pub use power::{Battery, Policy};

use crate::{Deadband, Report, State, health::Checks};

/// Gauges of this dimension.
pub const DEADBANDS: &[(&str, Deadband)] = &[
    ("IdleSince", Deadband::Absolute(1e6)),
    ("Capacity", Deadband::Absolute(1.0)),
];

/// A session of logind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// The seat, if it has one.
    pub seat: String,
    /// `tty`, `wayland`, `x11`, …
    pub kind: String,
    /// `user`, `greeter`, `manager`, …
    pub class: String,
    /// `active`, `online` or `closing`.
    pub state: String,
    /// Whether nobody uses it.
    pub idle: bool,
}

/// What logind says of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// Whether nobody uses any session.
    pub idle: bool,
    /// Since when, in microseconds since the epoch; 0 when never idle.
    pub idle_since: u64,
    /// What logind does when idle: `ignore`, `suspend`, `lock`, …
    pub idle_action: String,
    /// What logind does when the lid closes.
    pub lid_action: String,
    /// Whether the lid is closed.
    pub lid_closed: bool,
    /// Whether the host runs on external power.
    pub external_power: bool,
    /// Its sessions.
    pub sessions: Vec<Session>,
}

/// All that was read about what people see of the host.
#[derive(Clone, Debug, Default)]
pub struct Surface {
    /// DRM connectors.
    pub connectors: Vec<Connector>,
    /// Backlights.
    pub backlights: Vec<Backlight>,
    /// Batteries.
    pub batteries: Vec<Battery>,
    /// Power policy of kernel and firmware.
    pub policy: Policy,
    /// logind, if it is on the bus.
    pub login: Option<Login>,
    /// Where it came from.
    pub sources: Vec<String>,
}

impl Surface {
    /// The dimension's report. Without a connector, a backlight and a session there is nothing
    /// that anybody sees.
    #[must_use]
    pub fn report(&self) -> Report {
        let sessions = self.login.as_ref().map_or(0, |login| login.sessions.len());
        if self.connectors.is_empty() && self.backlights.is_empty() && sessions == 0 {
            let logind = if self.login.is_some() {
                "no session of logind"
            } else {
                "no logind"
            };
            return Report::unavailable(&format!("no DRM connector, no backlight and {logind}"));
        }
        let mut state = State::new();
        let mut checks = Checks::default();
        let connected = self
            .connectors
            .iter()
            .filter(|connector| connector.connected())
            .count();
        state.put("DisplaysConnected", connected);
        state.put_rows(
            "Connectors",
            self.connectors.iter().map(Connector::row).collect(),
        );
        state.put_rows(
            "Backlights",
            self.backlights.iter().map(Backlight::row).collect(),
        );
        state.put_rows(
            "Batteries",
            self.batteries.iter().map(Battery::row).collect(),
        );
        self.policy.put(&mut state);
        if let Some(login) = &self.login {
            login.put(&mut state);
        }
        checks.ok();
        for battery in &self.batteries {
            battery.check(&mut checks);
        }
        Report::found(self.sources.clone(), state, checks, &[])
    }
}

impl Login {
    fn put(&self, state: &mut State) {
        state.put("Idle", self.idle);
        if self.idle_since > 0 {
            state.put("IdleSince", self.idle_since);
        }
        state.put("IdleAction", &self.idle_action);
        state.put("LidAction", &self.lid_action);
        state.put("LidClosed", self.lid_closed);
        state.put("OnExternalPower", self.external_power);
        state.put_rows(
            "Sessions",
            self.sessions
                .iter()
                .map(|session| {
                    State::new()
                        .with("Name", &session.id)
                        .with("User", &session.user)
                        .with("Seat", &session.seat)
                        .with("Type", &session.kind)
                        .with("Class", &session.class)
                        .with("State", &session.state)
                        .with("Idle", session.idle)
                })
                .collect(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Health, Value};

    #[test]
    fn nothing_to_see_says_so() {
        assert_eq!(
            Surface::default().report().reason,
            "no DRM connector, no backlight and no logind"
        );
        let with_logind = Surface {
            login: Some(Login::default()),
            ..Surface::default()
        };
        assert_eq!(
            with_logind.report().reason,
            "no DRM connector, no backlight and no session of logind"
        );
    }

    #[test]
    fn a_session_is_enough() {
        let login = Login {
            sessions: vec![Session {
                id: "1".to_owned(),
                ..Session::default()
            }],
            ..Login::default()
        };
        let report = Surface {
            login: Some(login),
            ..Surface::default()
        }
        .report();
        assert!(report.available);
        assert_eq!(report.health, Health::Ok);
        assert_eq!(
            report.state.get("DisplaysConnected"),
            Some(&Value::Count(0))
        );
    }

    #[test]
    fn a_low_battery_is_not_well() {
        let surface = |battery: &str, status: &str| Surface {
            connectors: vec![Connector::parse("card0-eDP-1", "connected", "", "", "")],
            batteries: Battery::parse("BAT0", battery, status)
                .into_iter()
                .collect(),
            ..Surface::default()
        };
        for (capacity, status, want) in [
            ("80", "Discharging", Health::Ok),
            ("15", "Discharging", Health::Attention),
            ("5", "Discharging", Health::Critical),
            ("5", "Charging", Health::Ok),
        ] {
            assert_eq!(
                surface(capacity, status).report().health,
                want,
                "{capacity} {status}"
            );
        }
    }
}
