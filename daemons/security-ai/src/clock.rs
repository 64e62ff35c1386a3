//! The two clocks: that of the kernel's events, and that of people.

use nix::time::{ClockId, clock_gettime};

/// Microseconds of the real-time clock for nanoseconds of the boot clock.
#[must_use]
pub fn real_time(boot: u64) -> u64 {
    let age = (boot_time() / 1000).saturating_sub(boot / 1000);
    (nanoseconds(ClockId::CLOCK_REALTIME) / 1000).saturating_sub(age)
}

/// Nanoseconds of the boot clock, in which events count.
#[must_use]
pub fn boot_time() -> u64 {
    nanoseconds(ClockId::CLOCK_BOOTTIME)
}

fn nanoseconds(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| {
        (time.tv_sec() as u64).saturating_mul(1_000_000_000) + time.tv_nsec() as u64
    })
}

/// A clock for distances between events and messages, in microseconds: that of people when the daemon started, which
/// goes on evenly when somebody sets theirs. A window in which events are counted must not grow or shrink with it.
#[derive(Debug, Clone)]
pub struct Steady {
    /// Microseconds by which the real-time clock is ahead of the boot clock: when this was made, and now.
    ahead: i128,
    ahead_now: fn() -> i128,
}

impl Default for Steady {
    fn default() -> Self {
        Self::with(|| {
            let real = i128::from(nanoseconds(ClockId::CLOCK_REALTIME) / 1000);
            real - i128::from(boot_time() / 1000)
        })
    }
}

impl Steady {
    /// With another way to tell how far ahead the real-time clock is.
    pub(crate) fn with(ahead_now: fn() -> i128) -> Self {
        Self {
            ahead: ahead_now(),
            ahead_now,
        }
    }

    /// The time of an event, whose boot clock counts nanoseconds.
    #[must_use]
    pub fn of_boot(&self, boot: u64) -> u64 {
        at_least_zero(i128::from(boot / 1000) + self.ahead)
    }

    /// The time of a message that was just received, in microseconds of the real-time clock as it is set now.
    #[must_use]
    pub fn of_real(&self, real: u64) -> u64 {
        at_least_zero(i128::from(real) - (self.ahead_now)() + self.ahead)
    }
}

fn at_least_zero(time: i128) -> u64 {
    u64::try_from(time.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local!(static AHEAD: Cell<i128> = const { Cell::new(0) });

    #[test]
    fn distances_stay_when_the_clock_of_people_jumps() {
        const HOUR: i128 = 3_600_000_000;
        AHEAD.set(1_000 * HOUR);
        let steady = Steady::with(|| AHEAD.get());
        let event = |boot_seconds: u64| steady.of_boot(boot_seconds * 1_000_000_000);
        // A message of the same moment, as journald stamps it.
        let message = |boot_seconds: u64| {
            let real = i128::from(boot_seconds) * 1_000_000 + AHEAD.get();
            steady.of_real(u64::try_from(real).unwrap())
        };
        assert_eq!(event(5), message(5));
        for jump in [HOUR, -2 * HOUR, 100_000 * HOUR, -99_000 * HOUR] {
            AHEAD.set(AHEAD.get() + jump);
            assert_eq!(event(9), event(5) + 4_000_000);
            assert_eq!(message(9), event(9), "{jump}");
        }
        assert_eq!(steady.of_real(0), 0);
        assert!(Steady::default().of_boot(boot_time()) > 1_500_000_000_000_000);
    }
}
