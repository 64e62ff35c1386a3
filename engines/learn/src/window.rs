//! A window: what one unit, or one process tree, did in a bounded time, as counted items and a few sums.
//!
//! A window holds no command lines and no contents. What comes from a spool or a pipe is checked against the
//! bounds here before it is used.

use crate::{Error, subject, token};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The most different items of a window; more are counted in `overflow`.
pub const MAX_ITEMS: usize = 16_384;
/// The longest label of an item, in bytes.
pub const MAX_LABEL: usize = 256;
/// The longest window as a line of JSON, in bytes.
pub const MAX_LINE: usize = 256 * 1024;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One event: its class, and for an execution the program.
    Step,
    /// Two steps one after the other.
    Pair,
    /// Three steps.
    Triple,
    /// Six steps, as STIDE takes them.
    Six,
    /// Twelve steps.
    Twelve,
    /// A program and the one that executed it.
    Chain,
    /// A path that was opened.
    Path,
    /// A peer that was connected to: network and port.
    Peer,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Step,
        Self::Pair,
        Self::Triple,
        Self::Six,
        Self::Twelve,
        Self::Chain,
        Self::Path,
        Self::Peer,
    ];

    /// Its name as features and explanations show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Pair => "pair",
            Self::Triple => "triple",
            Self::Six => "six",
            Self::Twelve => "twelve",
            Self::Chain => "chain",
            Self::Path => "path",
            Self::Peer => "peer",
        }
    }
}

/// A counted item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its token.
    pub token: u64,
    /// How often it was seen.
    pub count: u32,
    /// In words, for explanations; empty where the words would add nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
}

/// Sums over a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Sums {
    /// Events.
    pub events: u32,
    /// Executions.
    pub executions: u32,
    /// Processes created.
    pub forks: u32,
    /// Processes that ended with an error or by a signal.
    pub failures: u32,
    /// Processes that ended.
    pub exits: u32,
    /// Connections.
    pub connections: u32,
    /// Opens of watched files.
    pub opens: u32,
    /// The most children that one process made.
    pub fan_out: u32,
    /// Items that had no room.
    pub overflow: u32,
}

/// One window.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Window {
    /// Whose it is; see [`crate::subject`].
    pub subject: String,
    /// Start, microseconds of the real-time clock.
    pub start: u64,
    /// Length in microseconds.
    pub length: u64,
    /// Sums.
    pub sums: Sums,
    /// Items, each kind and token once, in order.
    pub items: Vec<Item>,
}

impl Window {
    /// The window as one line of JSON, without its end.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_line(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::Window(error.to_string()))
    }

    /// Reads a line and checks it.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn from_line(line: &str) -> Result<Self, Error> {
        if line.len() > MAX_LINE {
            return Err(Error::Window(format!(
                "{} bytes, at most {MAX_LINE} allowed",
                line.len()
            )));
        }
        let window: Self =
            serde_json::from_str(line).map_err(|error| Error::Window(error.to_string()))?;
        window.check()?;
        Ok(window)
    }

    /// Checks the bounds and the order of items.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |reason: String| Err(Error::Window(reason));
        if self.subject.is_empty() || self.subject.len() > subject::MAX_LEN {
            return fail(format!("a subject of {} bytes", self.subject.len()));
        }
        if self.items.len() > MAX_ITEMS {
            return fail(format!("{} items", self.items.len()));
        }
        for item in &self.items {
            if item.label.len() > MAX_LABEL {
                return fail(format!("a label of {} bytes", item.label.len()));
            }
            if item.count == 0 {
                return fail("an item that was never seen".into());
            }
        }
        let ordered = |pair: &[Item]| (pair[0].kind, pair[0].token) < (pair[1].kind, pair[1].token);
        if !self.items.windows(2).all(ordered) {
            return fail("items out of order, or twice".into());
        }
        Ok(())
    }

    /// The items of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &[Item] {
        let from = self.items.partition_point(|item| item.kind < kind);
        let to = self.items.partition_point(|item| item.kind <= kind);
        &self.items[from..to]
    }
}

/// Counts items up to a bound.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    counts: HashMap<(Kind, u64), (u32, String)>,
    overflow: u32,
    most: usize,
}

impl Counter {
    /// A counter of at most so many different items.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most: most.min(MAX_ITEMS),
            ..Self::default()
        }
    }

    /// Counts an item; its label is made only when it is the first of its kind.
    pub fn add(&mut self, kind: Kind, token: u64, label: impl FnOnce() -> String) {
        let room = self.counts.len() < self.most;
        match self.counts.entry((kind, token)) {
            std::collections::hash_map::Entry::Occupied(mut known) => {
                let count = &mut known.get_mut().0;
                *count = count.saturating_add(1);
            }
            std::collections::hash_map::Entry::Vacant(place) if room => {
                let mut label = label();
                let mut end = label.len().min(MAX_LABEL);
                while !label.is_char_boundary(end) {
                    end -= 1;
                }
                label.truncate(end);
                place.insert((1, label));
            }
            std::collections::hash_map::Entry::Vacant(_) => {
                self.overflow = self.overflow.saturating_add(1);
            }
        }
    }

    /// Counts the sequences that end with the newest of these steps; `steps` are the newest last.
    pub fn add_sequences(&mut self, steps: &[u64], orders: &[(Kind, usize)]) {
        for &(kind, order) in orders {
            if let Some(from) = steps.len().checked_sub(order) {
                self.add(kind, token::sequence(&steps[from..]), String::new);
            }
        }
    }

    /// The items in order, and how many had no room.
    #[must_use]
    pub fn finish(self) -> (Vec<Item>, u32) {
        let mut items: Vec<Item> = self
            .counts
            .into_iter()
            .map(|((kind, token), (count, label))| Item {
                kind,
                token,
                count,
                label,
            })
            .collect();
        items.sort_unstable_by_key(|item| (item.kind, item.token));
        (items, self.overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_and_bad_ones_are_refused() {
        let mut counter = Counter::new(3);
        for token in [5, 3, 5, 9, 11] {
            counter.add(Kind::Step, token, || {
                format!("step {token} {}", "ü".repeat(200))
            });
        }
        let (items, overflow) = counter.finish();
        assert_eq!((items.len(), overflow), (3, 1));
        assert!(items.iter().all(|item| item.label.len() <= MAX_LABEL));
        let window = Window {
            subject: "ssh.service".into(),
            items,
            ..Window::default()
        };
        let line = window.to_line().unwrap_or_default();
        assert_eq!(Window::from_line(&line), Ok(window));
        for (from, to, words) in [
            ("ssh.service", "", "subject of 0"),
            ("\"count\":2", "\"count\":0", "never seen"),
            ("\"token\":3", "\"token\":30", "out of order"),
            ("\"length\"", "\"len\"", "unknown field `len`"),
            ("\"kind\":\"step\"", "\"kind\":\"x\"", "unknown variant `x`"),
        ] {
            let error = Window::from_line(&line.replace(from, to));
            let text = error.map_or_else(|error| error.to_string(), |_| "taken".into());
            assert!(text.contains(words), "{words}: {text}");
        }
        let long = format!("{}{}", line, " ".repeat(MAX_LINE));
        assert!(Window::from_line(&long).is_err());
    }
}
