//! The clock: source, discipline, load and time of boot.

use crate::{State, text};

/// What the kernel's clock discipline (adjtimex) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Whether something keeps the clock to a reference.
    pub synchronised: bool,
    /// Upper bound of the error, in microseconds, where the source tells it.
    pub max_error: Option<u64>,
    /// Estimated error, in microseconds, where the source tells it.
    pub estimated_error: Option<u64>,
}

/// The clock's source and discipline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// The clock source in use.
    pub source: Option<String>,
    /// The clock sources that the kernel offers.
    pub available: Vec<String>,
    /// The discipline, or why it is not known.
    pub discipline: Option<Result<Discipline, String>>,
}

impl Clock {
    /// From the sysfs attributes `current_clocksource` and `available_clocksource`.
    #[must_use]
    pub fn parse(current: Option<&str>, available: Option<&str>) -> Self {
        Self {
            source: current.map(text::clip).filter(|source| !source.is_empty()),
            available: available
                .unwrap_or_default()
                .split_ascii_whitespace()
                .take(16)
                .map(text::clip)
                .collect(),
            discipline: None,
        }
    }

    pub(super) fn put(&self, state: &mut State) {
        state.put_some("ClockSource", self.source.as_ref());
        if !self.available.is_empty() {
            state.put("ClockSourcesAvailable", self.available.clone());
        }
        match &self.discipline {
            Some(Ok(discipline)) => {
                state.put("ClockSynchronized", discipline.synchronised);
                // Without a reference the kernel lets the bound grow for ever: no measurement.
                if discipline.synchronised {
                    state.put_some("ClockMaxErrorUSec", discipline.max_error);
                    state.put_some("ClockEstimatedErrorUSec", discipline.estimated_error);
                }
            }
            Some(Err(reason)) => state.put("ClockReason", reason),
            None => {}
        }
    }
}

/// Load over 1, 5 and 15 minutes, from `/proc/loadavg`.
#[must_use]
pub fn load(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_ascii_whitespace();
    let mut next =
        || text::number::<f64>(words.next()?).filter(|load| load.is_finite() && *load >= 0.0);
    Some([next()?, next()?, next()?])
}

/// When the host booted, in microseconds since the epoch rounded to the second: `now` less
/// the uptime, which is the first number of `/proc/uptime`.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn booted_at(uptime: &str, now: u64) -> Option<u64> {
    let seconds: f64 = text::number(uptime.split_ascii_whitespace().next()?)?;
    if !seconds.is_finite() || !(0.0..1e10).contains(&seconds) {
        return None;
    }
    let at = now.checked_sub((seconds * 1e6) as u64)?;
    Some((at + 500_000) / 1_000_000 * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sources() {
        let clock = Clock::parse(Some("tsc\n"), Some("tsc kvm-clock acpi_pm \n"));
        assert_eq!(clock.source.as_deref(), Some("tsc"));
        assert_eq!(clock.available, ["tsc", "kvm-clock", "acpi_pm"]);
    }

    #[test]
    fn errors_of_a_free_clock_are_no_measurement() {
        let state = |synchronised| {
            let mut state = State::new();
            let discipline = Discipline {
                synchronised,
                max_error: Some(16_000_000),
                estimated_error: Some(16),
            };
            Clock {
                discipline: Some(Ok(discipline)),
                ..Clock::default()
            }
            .put(&mut state);
            state
        };
        assert_eq!(state(false), State::new().with("ClockSynchronized", false));
        assert_eq!(state(true).len(), 3);
    }

    #[test]
    fn loads() {
        for (text, want) in [
            ("0.10 1.5 2 1/200 4242\n", Some([0.1, 1.5, 2.0])),
            ("0.10 1.5", None),
            ("-1 1 1", None),
            ("NaN 1 1", None),
        ] {
            assert_eq!(load(text), want, "{text}");
        }
    }

    #[test]
    fn boot_time() {
        for (uptime, now, want) in [
            ("100.40 300.00\n", 1_000_000_000, Some(900_000_000)),
            ("100.60 300.00\n", 1_000_000_000, Some(899_000_000)),
            ("100", 1, None),
            ("-1", 1_000_000_000, None),
            ("inf", 1_000_000_000, None),
            ("", 1_000_000_000, None),
        ] {
            assert_eq!(booted_at(uptime, now), want, "{uptime}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_safe(text in any::<String>(), now in any::<u64>()) {
            let _ = load(&text);
            let _ = booted_at(&text, now);
        }
    }
}
