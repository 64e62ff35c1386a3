//! Guessing at a container gets slower: after five failed unlocks each further one has to wait,
//! from a second on twice as long every time, at most an hour. The caller keeps the state and gives
//! the time.

use crate::Error;

const FREE: u32 = 5;
const SECOND: u64 = 1_000_000;
const LONGEST: u64 = 3600 * SECOND;

/// What is remembered of the failures of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Throttle {
    /// Failures in a row.
    pub failures: u32,
    /// When the last one was, in microseconds of the caller's clock.
    pub last: u64,
}

impl Throttle {
    /// Whether another attempt may be made at `now`.
    ///
    /// # Errors
    /// [`Error::Throttled`] with the time that has to pass.
    pub fn check(&self, now: u64) -> Result<(), Error> {
        let Some(over) = self.failures.checked_sub(FREE) else {
            return Ok(());
        };
        let pause = SECOND
            .checked_shl(over)
            .filter(|_| over < 32)
            .map_or(LONGEST, |pause| pause.min(LONGEST));
        // A clock that was set back does not help: the whole pause has to pass.
        let passed = now.saturating_sub(self.last);
        match pause.checked_sub(passed) {
            None | Some(0) => Ok(()),
            Some(wait) => Err(Error::Throttled { wait }),
        }
    }

    /// Remembers a failure.
    pub fn failed(&mut self, now: u64) {
        self.failures = self.failures.saturating_add(1);
        self.last = now;
    }

    /// Forgets them after a success.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let mut throttle = Throttle::default();
        for _ in 0..FREE {
            assert_eq!(throttle.check(0), Ok(()));
            throttle.failed(0);
        }
        for (failures, seconds) in [(5, 1), (6, 2), (7, 4), (16, 2048), (17, 3600), (60, 3600)] {
            throttle = Throttle { failures, last: 7 };
            let wait = seconds * SECOND;
            assert_eq!(throttle.check(7), Err(Error::Throttled { wait }));
            assert_eq!(throttle.check(6 + wait), Err(Error::Throttled { wait: 1 }));
            assert_eq!(throttle.check(7 + wait), Ok(()));
            assert_eq!(throttle.check(0), Err(Error::Throttled { wait }));
        }
        throttle.succeeded();
        assert_eq!(throttle.check(0), Ok(()));
        throttle.failures = u32::MAX;
        throttle.failed(1);
        assert!(throttle.check(1).is_err());
    }
}
