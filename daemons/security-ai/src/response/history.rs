//! The responses that hold and those that are remembered: bounded, the oldest that are over leaving first.
//! Pure; the task that acts owns it, the objects on the bus read it.

use super::plan::Act;
use super::record::{Response, State};
use std::collections::BTreeMap;

/// The most responses that hold at a time.
pub const MOST_IN_FORCE: usize = 256;

/// All responses.
#[derive(Debug)]
pub struct History {
    responses: BTreeMap<u64, Response>,
    next: u64,
    serial: u64,
    keep: usize,
}

impl History {
    /// Remembers this many that are over.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self {
            responses: BTreeMap::new(),
            next: 1,
            serial: 1,
            keep,
        }
    }

    /// Changes how many are remembered; gives the numbers of those that had to leave.
    pub fn resize(&mut self, keep: usize) -> Vec<u64> {
        self.keep = keep;
        self.shrink()
    }

    /// Adds a response and gives it its number; also the numbers of those that had to leave.
    pub fn add(&mut self, mut response: Response) -> (u64, Vec<u64>) {
        let id = self.next;
        self.next += 1;
        response.id = id;
        self.put(response);
        (id, self.shrink())
    }

    /// Replaces a response by what has become of it.
    pub fn put(&mut self, mut response: Response) {
        response.serial = self.serial;
        self.serial += 1;
        self.responses.insert(response.id, response);
    }

    /// Puts a response back that was there before a restart. Of two with one number the one written later wins.
    pub fn restore(&mut self, response: Response) {
        self.next = self.next.max(response.id.saturating_add(1));
        self.serial = self.serial.max(response.serial.saturating_add(1));
        let newer = self
            .responses
            .get(&response.id)
            .is_none_or(|known| known.serial < response.serial);
        if newer {
            self.responses.insert(response.id, response);
        }
        self.shrink();
    }

    /// Gives no number below this one.
    pub fn reserve(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// The number of the next one.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// A response.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Response> {
        self.responses.get(&id)
    }

    /// All, the oldest first.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Response> {
        self.responses.values()
    }

    /// Those that hold, the oldest first.
    pub fn in_force(&self) -> impl Iterator<Item = &Response> {
        self.all().filter(|response| response.state.holds())
    }

    /// Those that hold a unit, with its name.
    pub fn of_units(&self) -> impl Iterator<Item = (u64, &str)> {
        self.in_force()
            .filter_map(|held| Some((held.id, held.unit()?)))
    }

    /// The one that does this already.
    #[must_use]
    pub fn doing(&self, act: &Act) -> Option<&Response> {
        self.in_force().find(|response| same(&response.act, act))
    }

    /// When the next one that is applied is over, in microseconds of the boot clock, but for those left out.
    #[must_use]
    pub fn deadline(&self, without: impl Fn(u64) -> bool) -> Option<u64> {
        let applied = self.all().filter(|one| one.state == State::Applied);
        let counted = applied.filter(|one| one.deadline != 0 && !without(one.id));
        counted.map(|one| one.deadline).min()
    }

    fn shrink(&mut self) -> Vec<u64> {
        let over: Vec<u64> = self
            .all()
            .filter(|response| !response.state.holds())
            .map(|response| response.id)
            .collect();
        let many = over.len().saturating_sub(self.keep);
        let gone: Vec<u64> = over.into_iter().take(many).collect();
        for id in &gone {
            self.responses.remove(id);
        }
        gone
    }
}

/// Whether two acts are one: the same thing to the same target.
fn same(a: &Act, b: &Act) -> bool {
    match (a, b) {
        (Act::Throttle { unit: a, .. }, Act::Throttle { unit: b, .. }) => a == b,
        (Act::None, _) => false,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::response;
    use super::*;

    fn freeze(unit: &str) -> Act {
        Act::FreezeUnit(unit.into())
    }

    #[test]
    fn what_holds_stays_and_the_oldest_of_the_rest_leave() {
        let mut history = History::new(2);
        let (held, _) = history.add(response(freeze("a"), State::Applied));
        for n in 0..3 {
            let (id, gone) = history.add(response(freeze("b"), State::Done));
            assert_eq!(gone.len(), usize::from(n == 2), "{id}");
        }
        assert!(history.get(held).is_some());
        assert_eq!(history.all().len(), 3);
        assert_eq!(history.doing(&freeze("a")).map(|r| r.id), Some(held));
        assert!(history.doing(&freeze("b")).is_none());
        assert_eq!(history.deadline(|_| false), Some(63_000_000));
        assert_eq!(history.deadline(|id| id == held), None);
        let mut over = history.get(held).cloned().unwrap();
        over.turn(State::Undone, "");
        history.put(over);
        assert_eq!(history.deadline(|_| false), None);
        assert_eq!(history.resize(1).len(), 2);
    }

    #[test]
    fn of_two_with_one_number_the_later_wins() {
        let mut first = response(freeze("a"), State::Applied);
        (first.id, first.serial) = (4, 9);
        let mut second = first.clone();
        second.serial = 10;
        second.turn(State::Undone, "");
        for order in [[&first, &second], [&second, &first]] {
            let mut history = History::new(10);
            for one in order {
                history.restore(one.clone());
            }
            assert_eq!(history.get(4).unwrap().state, State::Undone);
            assert_eq!(history.next(), 5);
            history.put(first.clone());
            assert_eq!(history.get(4).unwrap().serial, 11);
        }
    }

    #[test]
    fn throttling_twice_is_once_and_observing_never_is() {
        let throttle = |quota| Act::Throttle {
            unit: "a".into(),
            quota,
            io_weight: 1,
        };
        assert!(same(&throttle(1), &throttle(2)));
        assert!(!same(&Act::None, &Act::None));
        assert!(!same(&throttle(1), &freeze("a")));
    }
}
