//! Batteries and the power policy of kernel and firmware.

use crate::{State, health::Checks, text};

/// A battery of the host; those of mice and phones are not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Battery {
    /// The kernel's name, such as `BAT0`.
    pub name: String,
    /// Charge in percent.
    pub capacity: u64,
    /// `Charging`, `Discharging`, `Full`, …
    pub status: String,
}

impl Battery {
    /// From the attributes `capacity` and `status`.
    #[must_use]
    pub fn parse(name: &str, capacity: &str, status: &str) -> Option<Self> {
        Some(Self {
            name: text::clip(name),
            capacity: text::number(capacity).filter(|percent| *percent <= 100)?,
            status: text::clip(status),
        })
    }

    pub(super) fn row(&self) -> State {
        State::new()
            .with("Name", &self.name)
            .with("Capacity", self.capacity)
            .with("Status", &self.status)
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn check(&self, checks: &mut Checks) {
        if self.status == "Discharging" {
            checks.above(
                &format!("{} in %", self.name),
                self.capacity as f64,
                15.0,
                5.0,
            );
        }
    }
}

/// How kernel and firmware trade power against speed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// ACPI platform profile, such as `balanced`.
    pub profile: Option<String>,
    /// Frequency governor of the first processor.
    pub governor: Option<String>,
}

impl Policy {
    pub(super) fn put(&self, state: &mut State) {
        state.put_some("PlatformProfile", self.profile.as_ref());
        state.put_some("CpuGovernor", self.governor.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batteries() {
        assert_eq!(Battery::parse("BAT0", "101", "Full"), None);
        assert_eq!(Battery::parse("BAT0", "", "Full"), None);
        assert_eq!(
            Battery::parse("BAT0", "99\n", "Full\n").unwrap().status,
            "Full"
        );
    }
}
