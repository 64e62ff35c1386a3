//! How the thread that takes events learns of them. As long as few come, each wakes it. Where many come that would cost
//! more than the events themselves, so it looks every millisecond until they are few again. Values in, values out.

use std::time::{Duration, Instant};

/// How long an event waits at most while the thread looks by itself.
pub const TICK: Duration = Duration::from_millis(1);
/// Over so long events are counted.
const SPAN: Duration = Duration::from_millis(100);
/// So many within [`SPAN`] are many.
const MANY: usize = 32;
/// After so many looks that found nothing they are few.
const EMPTY: u32 = 32;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Go on as before.
    Stay,
    /// Look by itself from now on.
    Look,
    /// Be woken from now on. What came meanwhile is still there: look twice more.
    Wait,
}

/// The state.
#[derive(Debug, Default)]
pub struct Looks {
    looking: bool,
    since: Option<Instant>,
    counted: usize,
    empty: u32,
    /// Looks that are left after the last turn.
    left: u32,
}

impl Looks {
    /// Whether the thread has to look after [`TICK`], woken or not.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.looking || self.left > 0
    }

    /// Takes note of a look that found so many events.
    pub fn found(&mut self, events: usize, now: Instant) -> Turn {
        self.left = self.left.saturating_sub(1);
        if self.looking {
            self.empty = if events == 0 { self.empty + 1 } else { 0 };
            if self.empty < EMPTY {
                return Turn::Stay;
            }
            *self = Self {
                // One that was being written while records still woke nobody.
                left: 2,
                ..Self::default()
            };
            return Turn::Wait;
        }
        match self.since {
            Some(since) if now.saturating_duration_since(since) < SPAN => self.counted += events,
            _ => (self.since, self.counted) = (Some(now), events),
        }
        if self.counted < MANY {
            return Turn::Stay;
        }
        self.looking = true;
        Turn::Look
    }

    /// The last turn could not be had: the thread goes on as it did before.
    pub fn refuse(&mut self) {
        *self = Self {
            looking: !self.looking,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_events_are_looked_for_and_few_wake() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut looks = Looks::default();
        for n in 0..100 {
            assert_eq!(looks.found(3, at(n * 100)), Turn::Stay, "few");
        }
        let many = (0..MANY as u64).map(|n| looks.found(1, at(20_000 + n)));
        let turns: Vec<Turn> = many.collect();
        assert_eq!(turns.last(), Some(&Turn::Look));
        assert!(
            turns[..turns.len() - 1]
                .iter()
                .all(|turn| *turn == Turn::Stay)
        );
        assert!(looks.is_due());
        for n in 0..EMPTY * 3 {
            let events = usize::from(n % EMPTY == 0);
            assert_eq!(looks.found(events, at(21_000)), Turn::Stay, "{n}");
        }
        assert_eq!(looks.found(0, at(22_000)), Turn::Wait);
        for _ in 0..2 {
            assert!(looks.is_due(), "what was being written is looked for");
            assert_eq!(looks.found(0, at(22_002)), Turn::Stay);
        }
        assert!(!looks.is_due());
        assert_eq!(looks.found(MANY, at(23_000)), Turn::Look);
        looks.refuse();
        assert!(!looks.is_due());
        assert_eq!(looks.found(MANY, at(24_000)), Turn::Look);
        let empty = (0..EMPTY).map(|_| looks.found(0, at(24_000)));
        assert_eq!(empty.last(), Some(Turn::Wait));
        looks.refuse();
        assert!(looks.looking, "else nobody would look");
    }
}
