//! What quantumd's ledger is to have on record of responses: it waits here, in order, until the ledger has it. Values
//! in, values out; the file of responses keeps it over a restart, and [`super::clerk`] tells it.

use super::record::{About, By, Response, State};
use crate::mask::printable;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// What waits at most. More is counted, and the count goes on record when there is room.
const MOST: usize = 4096;
/// The longest fact, in bytes: below what the ledger takes, also all of them together.
const LONGEST_FACT: usize = 512;
/// The word for what was left out.
const LEFT_OUT: &str = "left-out";

/// One event that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Its place in the order, never given twice.
    pub number: u64,
    /// When it happened, in microseconds of the real-time clock.
    pub time: u64,
    /// In a word: `planned`, or how the response stands.
    pub event: String,
    /// The response, or 0.
    pub response: u64,
    /// The facts by name.
    pub facts: BTreeMap<String, String>,
}

impl Due {
    /// What tells it apart, also from those of a daemon whose files were lost.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:x}-{}", self.time, self.number)
    }

    /// The facts as they travel.
    #[must_use]
    pub fn facts(&self) -> HashMap<String, String> {
        self.facts.clone().into_iter().collect()
    }
}

/// How far the ledger is, as it is written down: everything below `recorded` is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mark {
    /// The first number that the ledger may not have.
    pub recorded: u64,
    /// The next number.
    pub next: u64,
    /// Events that found no room.
    pub left_out: u64,
}

/// What waits.
#[derive(Debug, Default)]
pub struct Dues {
    waiting: BTreeMap<u64, Due>,
    mark: Mark,
    /// The first that the file does not have.
    unwritten: u64,
}

impl Dues {
    /// How far the ledger is.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// The next one to tell.
    #[must_use]
    pub fn first(&self) -> Option<&Due> {
        self.waiting.values().next()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All that wait, or those that were not written yet.
    #[must_use]
    pub fn to_write(&self, all: bool) -> Vec<Due> {
        let first = if all { 0 } else { self.unwritten };
        self.waiting
            .range(first..)
            .map(|(_, due)| due.clone())
            .collect()
    }

    /// They are written now.
    pub fn written(&mut self) {
        self.unwritten = self.mark.next;
    }

    /// Has an event wait.
    pub fn add(&mut self, time: u64, event: &str, response: u64, facts: BTreeMap<String, String>) {
        if self.waiting.len() >= MOST {
            self.mark.left_out += 1;
            return;
        }
        self.tell_left_out(time);
        self.insert(time, event, response, facts);
    }

    fn tell_left_out(&mut self, time: u64) {
        let count = std::mem::take(&mut self.mark.left_out);
        if count > 0 {
            let facts = BTreeMap::from([("count".to_owned(), count.to_string())]);
            self.insert(time, LEFT_OUT, 0, facts);
        }
    }

    fn insert(&mut self, time: u64, event: &str, response: u64, facts: BTreeMap<String, String>) {
        let number = self.mark.next;
        self.mark.next += 1;
        let event = event.to_owned();
        let due = Due {
            number,
            time,
            event,
            response,
            facts,
        };
        self.waiting.insert(number, due);
    }

    /// The ledger has it and all before.
    pub fn recorded(&mut self, number: u64, time: u64) -> Option<Due> {
        let due = self.waiting.remove(&number);
        self.mark.recorded = self.mark.recorded.max(number + 1);
        self.waiting = self.waiting.split_off(&self.mark.recorded);
        if self.waiting.len() < MOST / 2 {
            self.tell_left_out(time);
        }
        due
    }

    /// Takes what a file says; of two files both count, in any order.
    pub fn restore(&mut self, due: Due) {
        let number = due.number;
        self.mark.next = self.mark.next.max(number.saturating_add(1));
        if number >= self.mark.recorded && self.waiting.len() < MOST * 2 {
            self.waiting.insert(number, due);
        }
        self.unwritten = self.mark.next;
    }

    /// Takes how far a file says that the ledger is.
    pub fn restore_mark(&mut self, mark: Mark) {
        if mark.next >= self.mark.next {
            self.mark.left_out = mark.left_out;
        }
        self.mark.next = self.mark.next.max(mark.next);
        self.mark.recorded = self.mark.recorded.max(mark.recorded);
        self.waiting = self.waiting.split_off(&self.mark.recorded);
        self.unwritten = self.mark.next;
    }
}

/// The word on record for how a response stands.
#[must_use]
pub fn word(state: State) -> &'static str {
    match state {
        State::Applying => "planned",
        other => other.name(),
    }
}

/// What goes on record of a response.
#[must_use]
pub fn facts(response: &Response) -> BTreeMap<String, String> {
    let mut facts = of(
        response.grade.name(),
        &response.about,
        &response.by,
        &response.detail,
    );
    let mut more = |name: &str, text: &str| set(&mut facts, name, text);
    more("response", &response.id.to_string());
    more("scope", response.scope.name());
    more("effect", &response.effect);
    more("reason", &response.reason);
    facts
}

/// What goes on record of something that was asked for and refused.
#[must_use]
pub fn of(grade: &str, about: &About, by: &By, detail: &str) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let number = |number: u64| match number {
        0 => String::new(),
        number => number.to_string(),
    };
    for (name, text) in [
        ("grade", grade),
        ("unit", &about.unit),
        ("pid", &number(about.pid.into())),
        ("start", &number(about.start)),
        ("executable", &about.executable),
        ("alert", &number(about.alert)),
        ("rule", &about.rule),
        ("by", by.name()),
        ("detail", detail),
    ] {
        set(&mut facts, name, text);
    }
    facts
}

fn set(facts: &mut BTreeMap<String, String>, name: &str, text: &str) {
    if !text.is_empty() {
        let text = printable(text.as_bytes(), LONGEST_FACT);
        facts.insert(name.to_owned(), text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Act;
    use super::super::record::tests::response;
    use super::*;

    fn add(dues: &mut Dues, count: usize) {
        for n in 0..count {
            dues.add(n as u64, "planned", 1, BTreeMap::new());
        }
    }

    #[test]
    fn what_waits_leaves_in_order_and_once() {
        let mut dues = Dues::default();
        add(&mut dues, 3);
        assert_eq!(dues.to_write(false).len(), 3);
        dues.written();
        add(&mut dues, 1);
        assert_eq!(dues.to_write(false).len(), 1);
        assert_eq!(dues.to_write(true).len(), 4);
        let first = dues.first().cloned().unwrap();
        assert_eq!((first.number, first.id().as_str()), (0, "0-0"));
        assert_eq!(dues.recorded(0, 9), Some(first));
        assert_eq!(dues.recorded(0, 9), None);
        assert_eq!((dues.len(), dues.mark().recorded), (3, 1));
    }

    #[test]
    fn files_are_merged_whichever_comes_first() {
        let mut dues = Dues::default();
        add(&mut dues, 4);
        let old: Vec<Due> = dues.to_write(true);
        dues.recorded(0, 9);
        dues.recorded(1, 9);
        let mark = dues.mark();
        for mark_first in [true, false] {
            let mut again = Dues::default();
            if mark_first {
                again.restore_mark(mark);
            }
            old.iter().cloned().for_each(|due| again.restore(due));
            if !mark_first {
                again.restore_mark(mark);
            }
            assert_eq!(again.to_write(true), dues.to_write(true));
            assert_eq!(again.mark(), mark);
            assert!(again.to_write(false).is_empty());
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_the_count_goes_on_record() {
        let mut dues = Dues::default();
        add(&mut dues, MOST + 5);
        assert_eq!((dues.len(), dues.mark().left_out), (MOST, 5));
        let mut told = Vec::new();
        while let Some(due) = dues.first().cloned() {
            dues.recorded(due.number, 99);
            told.push(due);
        }
        assert_eq!(told.len(), MOST + 1);
        let left_out: Vec<_> = told.iter().filter(|due| due.event == LEFT_OUT).collect();
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].facts["count"], "5");
        assert_eq!(dues.mark().left_out, 0);
    }

    #[test]
    fn facts_are_bounded_and_printable() {
        let mut one = response(Act::FreezeUnit("a".into()), State::Applied);
        one.about.executable = "\u{1b}[2J".repeat(1000);
        one.about.unit = "a.service".into();
        let facts = facts(&one);
        assert_eq!(facts["unit"], "a.service");
        assert_eq!(facts["by"], "root");
        assert!(facts.values().all(|fact| fact.len() <= LONGEST_FACT + 16));
        assert!(!facts["executable"].contains('\u{1b}'));
        assert!(!facts.contains_key("pid"), "what is not there is left out");
        assert_eq!(word(State::Applying), "planned");
    }
}
