//! Timer units: when each elapses next and what it starts.

use crate::State;

/// A timer unit. Times are microseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The timer unit.
    pub name: String,
    /// The unit that it starts.
    pub activates: String,
    /// When it elapses next, if it does.
    pub next: Option<u64>,
    /// When it elapsed last, if it did.
    pub last: Option<u64>,
}

/// Turns times of the monotonic clock into times since the epoch, with an offset that stays
/// the same while the clock only drifts, so that a timer does not seem to move.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotonic {
    offset: u64,
}

impl Monotonic {
    /// Takes both clocks' times, in microseconds. The offset follows once it is off by more
    /// than two seconds.
    pub fn update(&mut self, realtime: u64, monotonic: u64) {
        let offset = realtime.saturating_sub(monotonic);
        if self.offset.abs_diff(offset) > 2_000_000 {
            self.offset = offset;
        }
    }

    /// When a timer elapses next, from the manager's realtime and monotonic values; 0 and the
    /// largest number both mean never. The earlier one counts.
    #[must_use]
    pub fn next(&self, realtime: u64, monotonic: u64) -> Option<u64> {
        let given = |time: u64| (time > 0 && time < u64::MAX).then_some(time);
        let monotonic = given(monotonic).map(|time| time.saturating_add(self.offset));
        match (given(realtime), monotonic) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

pub(super) fn put(timers: &[Timer], state: &mut State) {
    let mut sorted: Vec<&Timer> = timers.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    state.put_rows(
        "Timers",
        sorted
            .iter()
            .map(|timer| {
                State::new()
                    .with("Name", &timer.name)
                    .with("Activates", &timer.activates)
                    .with_some("NextAt", timer.next)
                    .with_some("LastAt", timer.last)
            })
            .collect(),
    );
    let next = timers
        .iter()
        .filter_map(|timer| Some((timer.next?, &timer.name)))
        .min();
    if let Some((at, name)) = next {
        state.put("NextTimer", name);
        state.put("NextTimerAt", at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    #[test]
    fn the_earlier_time_counts() {
        let mut clock = Monotonic::default();
        clock.update(1_000_000_000, 10_000_000);
        for (realtime, monotonic, want) in [
            (0, 0, None),
            (u64::MAX, u64::MAX, None),
            (5, 0, Some(5)),
            (0, 20_000_000, Some(1_010_000_000)),
            (1_005_000_000, 20_000_000, Some(1_005_000_000)),
        ] {
            assert_eq!(clock.next(realtime, monotonic), want);
        }
    }

    #[test]
    fn drift_does_not_move_a_timer() {
        let mut clock = Monotonic::default();
        clock.update(1_000_000_000, 10_000_000);
        let before = clock.next(0, 20_000_000);
        clock.update(1_001_500_000, 10_000_000);
        assert_eq!(clock.next(0, 20_000_000), before);
        clock.update(1_100_000_000, 10_000_000);
        assert_eq!(clock.next(0, 20_000_000), Some(1_110_000_000));
    }

    #[test]
    fn next_of_all() {
        let timer = |name: &str, next| Timer {
            name: name.to_owned(),
            activates: "x.service".to_owned(),
            next,
            last: None,
        };
        let mut state = State::new();
        put(
            &[
                timer("b.timer", Some(7)),
                timer("a.timer", Some(9)),
                timer("c.timer", None),
            ],
            &mut state,
        );
        assert_eq!(
            state.get("NextTimer"),
            Some(&Value::Text("b.timer".to_owned()))
        );
        let Some(Value::Table(rows)) = state.get("Timers") else {
            panic!("no table")
        };
        assert_eq!(
            rows[0].get("Name"),
            Some(&Value::Text("a.timer".to_owned()))
        );
    }
}
