//! How the thread that takes events learns of them. As long as few come, they wake it, but for those that let themselves
//! be found by a look a little later. Where many come waking would cost more than the events themselves, so the thread
//! looks every millisecond until they are few again. Values in, values out.

use quantumos_ebpf::Rings;
use std::time::{Duration, Instant};

/// How long an event waits at most while the thread looks by itself.
const TICK: Duration = Duration::from_millis(1);
/// Over so long looks that found something are counted.
const SPAN: Duration = Duration::from_millis(100);
/// So many within [`SPAN`] are many: each stands for a wake-up.
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
    /// When to look for what woke nobody.
    again: Option<Instant>,
}

impl Looks {
    /// After how long the thread has to look, woken or not.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<Duration> {
        match self.looking || self.left > 0 {
            true => Some(TICK),
            false => self.again.map(|at| at.saturating_duration_since(now)),
        }
    }

    /// Takes note of a look that found so many events.
    pub fn found(&mut self, events: usize, now: Instant) -> Turn {
        self.left = self.left.saturating_sub(1);
        if events > 0 {
            self.again = Some(now + Rings::AGAIN);
        } else {
            // Not before it is time: what lets itself be found may be still to come.
            self.again = self.again.filter(|at| now < *at);
        }
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
        let found = usize::from(events > 0);
        match self.since {
            Some(since) if now.saturating_duration_since(since) < SPAN => self.counted += found,
            _ => (self.since, self.counted) = (Some(now), found),
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
            again: self.again,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, milliseconds: u64) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    #[test]
    fn many_events_are_looked_for_and_few_wake() {
        let start = Instant::now();
        let at = |milliseconds| after(start, milliseconds);
        let is_ticking = |looks: &Looks| looks.due(start) == Some(TICK);
        let mut looks = Looks::default();
        for n in 0..100 {
            assert_eq!(looks.found(300, at(n * 100)), Turn::Stay, "few wake-ups");
        }
        let many = (0..MANY as u64).map(|n| looks.found(1, at(20_000 + n)));
        let turns: Vec<Turn> = many.collect();
        assert_eq!(turns.last(), Some(&Turn::Look));
        assert!(
            turns[..turns.len() - 1]
                .iter()
                .all(|turn| *turn == Turn::Stay)
        );
        assert!(is_ticking(&looks));
        for n in 0..EMPTY * 3 {
            let events = usize::from(n % EMPTY == 0);
            assert_eq!(looks.found(events, at(21_000)), Turn::Stay, "{n}");
        }
        assert_eq!(looks.found(0, at(22_000)), Turn::Wait);
        for _ in 0..2 {
            assert!(is_ticking(&looks), "what was being written is looked for");
            assert_eq!(looks.found(0, at(22_002)), Turn::Stay);
        }
        assert_eq!(looks.due(at(22_002)), None);
    }

    #[test]
    fn a_turn_that_is_refused_leaves_all_as_it_was() {
        let now = Instant::now();
        let mut looks = Looks::default();
        let many = |looks: &mut Looks| (0..MANY).map(|_| looks.found(1, now)).last();
        assert_eq!(many(&mut looks), Some(Turn::Look));
        looks.refuse();
        assert_eq!(looks.due(now), Some(Rings::AGAIN));
        assert_eq!(many(&mut looks), Some(Turn::Look));
        let empty = (0..EMPTY).map(|_| looks.found(0, now));
        assert_eq!(empty.last(), Some(Turn::Wait));
        looks.refuse();
        assert_eq!(looks.due(now), Some(TICK), "else nobody would look");
    }

    #[test]
    fn what_woke_nobody_is_looked_for_once() {
        let start = Instant::now();
        let at = |milliseconds| after(start, milliseconds);
        let mut looks = Looks::default();
        assert_eq!(looks.due(start), None);
        looks.found(1, start);
        assert_eq!(
            looks.due(at(30)),
            Some(Rings::AGAIN - Duration::from_millis(30))
        );
        looks.found(0, at(40));
        assert!(looks.due(at(40)).is_some(), "woken for nothing");
        looks.found(2, at(60));
        assert_eq!(
            looks.due(at(110)),
            Some(Rings::AGAIN - Duration::from_millis(50))
        );
        assert_eq!(looks.due(at(500)), Some(Duration::ZERO));
        looks.found(0, at(500));
        assert_eq!(looks.due(at(500)), None);
    }
}
