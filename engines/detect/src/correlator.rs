//! Counts matches for correlation rules, in bounded memory and in the events' own time, so that a replay gives the
//! same. Whoever fires starts anew: a flood is told once for each time that the count is reached.

use crate::correlation::{Kind, Tied};
use crate::event::{Event, Room, bytes_of};
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};

/// The most groups that one correlation keeps; the one longest without a match leaves first.
const MAX_GROUPS: usize = 4096;
/// The most times that one correlation keeps, over all groups.
const MAX_TIMES: usize = 65_536;

/// The correlations of a rule set, tied to its rules.
#[derive(Debug, Default)]
pub struct Correlations {
    tied: Vec<Tied>,
    /// For each rule the correlations (positions in `tied`) that it is a member of.
    members: HashMap<u32, Vec<usize>>,
}

impl Correlations {
    pub(crate) fn new(tied: Vec<Tied>) -> Self {
        let mut members: HashMap<u32, Vec<usize>> = HashMap::new();
        for (position, correlation) in tied.iter().enumerate() {
            for member in &correlation.members {
                let of = members.entry(member.rule).or_default();
                if !of.contains(&position) {
                    of.push(position);
                }
            }
        }
        Self { tied, members }
    }

    /// Whether any of these rules is a member of a correlation.
    #[must_use]
    pub fn concern(&self, rules: &[u32]) -> bool {
        !self.members.is_empty() && rules.iter().any(|rule| self.members.contains_key(rule))
    }
}

/// A correlation that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// Its number in [`crate::RuleSet::rules`].
    pub rule: u32,
    /// What was counted, in words.
    pub evidence: String,
}

/// The counts.
#[derive(Debug, Default)]
pub struct Correlator {
    states: HashMap<String, State>,
}

/// The counts of one correlation.
#[derive(Debug)]
struct State {
    /// What it was when these were counted: counts of another definition are worth nothing.
    tied: Tied,
    groups: HashMap<u64, Group>,
    times: usize,
}

/// Matches of one group: when, and which (a value's hash, or the position of a rule).
#[derive(Debug, Default)]
struct Group {
    entries: VecDeque<(u64, u64)>,
    newest: u64,
}

impl Correlator {
    /// Forgets what the correlations in force don't need.
    pub fn keep(&mut self, of: &Correlations) {
        self.states.retain(|id, state| {
            of.tied
                .iter()
                .any(|tied| tied.id == *id && same(tied, &state.tied))
        });
    }

    /// Takes the rules that matched an event at a time (microseconds), and gives the correlations that fire.
    pub fn take(
        &mut self,
        of: &Correlations,
        matched: &[u32],
        event: &impl Event,
        time: u64,
    ) -> Vec<Fired> {
        let mut fired: Vec<Fired> = Vec::new();
        let mut waiting: VecDeque<u32> = matched.iter().copied().collect();
        // Correlations of correlations: each fires at most once an event, so this ends.
        while let Some(rule) = waiting.pop_front() {
            for &position in of.members.get(&rule).map_or(&[][..], Vec::as_slice) {
                let tied = &of.tied[position];
                if fired.iter().any(|before| before.rule == tied.number) {
                    continue;
                }
                if let Some(count) = self.count(tied, rule, event, time) {
                    fired.push(Fired {
                        rule: tied.number,
                        evidence: evidence(tied, count),
                    });
                    waiting.push_back(tied.number);
                }
            }
        }
        fired
    }

    fn count(&mut self, tied: &Tied, rule: u32, event: &impl Event, time: u64) -> Option<u64> {
        let state = self.states.entry(tied.id.clone()).or_insert_with(|| State {
            tied: tied.clone(),
            groups: HashMap::new(),
            times: 0,
        });
        if !same(tied, &state.tied) {
            state.groups.clear();
            state.times = 0;
        }
        state.tied = tied.clone();
        let mut reached = None;
        // Later places first: one match is one step of a chain, even where a rule stands in it twice.
        for (position, member) in tied.members.iter().enumerate().rev() {
            if member.rule != rule {
                continue;
            }
            let Some(group) = key(&member.group_by, event) else {
                continue;
            };
            let value = match (tied.kind, member.field) {
                (Kind::Values, Some(field)) => match key(&[field], event) {
                    Some(value) => value,
                    None => continue,
                },
                _ => position as u64,
            };
            reached = reached.or(state.add(group, value, time));
        }
        reached
    }
}

impl State {
    /// Adds a match to a group; the count, if it is reached.
    fn add(&mut self, group: u64, value: u64, time: u64) -> Option<u64> {
        if !self.groups.contains_key(&group) && self.groups.len() >= MAX_GROUPS
            || self.times >= MAX_TIMES
        {
            self.evict(group);
        }
        let (kind, span, bounds) = (self.tied.kind, self.tied.span, self.tied.bounds);
        let members = self.tied.members.len() as u64;
        let state = self.groups.entry(group).or_default();
        let before = state.entries.len();
        state.newest = state.newest.max(time);
        // A clock that was set back makes old times new ones: they leave with the rest.
        let since = time.saturating_sub(span);
        state.entries.retain(|(at, _)| *at >= since);
        let count = match kind {
            Kind::Events => {
                state.entries.push_back((time, value));
                // No more than what is asked for need be kept.
                while state.entries.len() as u64 > bounds.least.saturating_add(1) {
                    state.entries.pop_front();
                }
                state.entries.len() as u64
            }
            Kind::Values | Kind::Together => {
                state.entries.retain(|(_, known)| *known != value);
                state.entries.push_back((time, value));
                while state.entries.len() as u64 > bounds.least.saturating_add(1) {
                    state.entries.pop_front();
                }
                state.entries.len() as u64
            }
            Kind::InOrder => {
                // For each rule the latest start of a chain that ends with it.
                let start = match value {
                    0 => Some(time),
                    next => state
                        .entries
                        .iter()
                        .find(|(_, known)| *known == next - 1)
                        .map(|(start, _)| *start),
                };
                if let Some(start) = start {
                    state.entries.retain(|(_, known)| *known != value);
                    state.entries.push_back((start, value));
                }
                if start.is_some() && value + 1 == members {
                    members
                } else {
                    0
                }
            }
        };
        self.times = (self.times + state.entries.len()).saturating_sub(before);
        let reached = count >= bounds.least && count <= bounds.most;
        if reached && let Some(gone) = self.groups.remove(&group) {
            self.times = self.times.saturating_sub(gone.entries.len());
        }
        reached.then_some(count)
    }

    /// Makes room by letting the group go that was longest without a match.
    fn evict(&mut self, but: u64) {
        let others = self.groups.iter().filter(|(group, _)| **group != but);
        let oldest = others
            .min_by_key(|(_, state)| state.newest)
            .map(|(g, _)| *g);
        if let Some(gone) = oldest.and_then(|group| self.groups.remove(&group)) {
            self.times = self.times.saturating_sub(gone.entries.len());
        }
    }
}

/// Whether counts of one are counts of the other; numbers of rules change from load to load.
fn same(a: &Tied, b: &Tied) -> bool {
    a.kind == b.kind
        && a.span == b.span
        && a.bounds == b.bounds
        && a.members.len() == b.members.len()
        && a.members
            .iter()
            .zip(&b.members)
            .all(|(a, b)| a.group_by == b.group_by && a.field == b.field)
}

/// The values of some fields as one number; none where the event lacks one of them.
fn key(fields: &[crate::Field], event: &impl Event) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for field in fields {
        let mut present = false;
        event.each(*field, &mut |value| {
            // Of a list the first counts.
            if !present {
                let mut room = Room::new();
                let bytes = bytes_of(value, &mut room);
                hasher.write_usize(bytes.len());
                hasher.write(bytes);
            }
            present = true;
        });
        if !present {
            return None;
        }
    }
    Some(hasher.finish())
}

fn evidence(tied: &Tied, count: u64) -> String {
    let seconds = tied.span / 1_000_000;
    match tied.kind {
        Kind::Events => format!("{count} matches within {seconds} s"),
        Kind::Values => {
            let field = tied.members.first().and_then(|member| member.field);
            let name = field.map_or("", crate::Field::name);
            format!("{count} values of {name} within {seconds} s")
        }
        Kind::Together => format!("all {count} rules matched within {seconds} s"),
        Kind::InOrder => format!("all {count} rules matched in order within {seconds} s"),
    }
}

#[cfg(test)]
mod tests;
