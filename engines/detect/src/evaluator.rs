//! Rules of one class, asked about one event.
//!
//! Each field that rules look at is searched once for all literals; a literal that is found wakes the rules that
//! cannot match without it, and only those have their condition evaluated. Regular expressions, networks and numbers
//! are tested when a condition asks, once.

use crate::event::{Event, Room, bytes_of};
use crate::expression::{Atom, AtomId, Expression};
use crate::index::{self, FieldIndex};
use std::sync::Arc;

/// A rule's number and expression.
pub(crate) type Numbered = (u32, Expression);

#[derive(Debug, Default)]
pub(crate) struct Evaluator {
    atoms: Vec<Arc<Atom>>,
    fields: Vec<FieldIndex>,
    /// Indexes that are searched when a condition asks.
    later: Vec<FieldIndex>,
    /// How each atom becomes known.
    ways: Vec<Way>,
    rules: Vec<Numbered>,
    /// For each atom the rules (positions in `rules`) that it wakes, in one list cut by `wakes_from`.
    wakes: Vec<u32>,
    wakes_from: Vec<u32>,
    /// Rules without a literal that they need: evaluated on every event.
    always: Vec<u32>,
}

/// How it becomes known whether an atom holds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// It is, before conditions are looked at.
    Known,
    /// By searching this one of the later indexes.
    Searched(u32),
    /// By testing it alone.
    Tested,
}

/// Room for one evaluation; reuse it from event to event. One a thread.
#[derive(Debug, Default)]
pub struct Scratch {
    truth: Vec<u64>,
    tested: Vec<u64>,
    /// Which of the later indexes were searched.
    searched: Vec<bool>,
    awake: Vec<u32>,
    /// The event in which a rule was last woken, by its position.
    woken: Vec<u64>,
    event: u64,
    pub(crate) matched: Vec<u32>,
}

impl Evaluator {
    /// The rules over these atoms. Atoms that no rule has any more are left out.
    pub(crate) fn build(atoms: &[Arc<Atom>], rules: &[Numbered]) -> Self {
        let costs: Vec<Option<u32>> = atoms.iter().map(|atom| index::cost(atom)).collect();
        let mut waking: Vec<Vec<u32>> = vec![Vec::new(); atoms.len()];
        let mut always = Vec::new();
        for (position, (_, expression)) in rules.iter().enumerate() {
            match expression.needed(&|id| costs[id as usize]) {
                Some((_, needed)) => needed
                    .iter()
                    .for_each(|id| waking[*id as usize].push(position as u32)),
                None => always.push(position as u32),
            }
        }
        let mut used = vec![false; atoms.len()];
        let mut numbers = vec![0; atoms.len()];
        for (_, expression) in rules {
            expression.each_atom(&mut |id| used[id as usize] = true);
        }
        let mut kept = Vec::new();
        let mut indexed = Vec::new();
        let mut wakes = Vec::new();
        let mut wakes_from = vec![0];
        for (id, atom) in atoms.iter().enumerate().filter(|(id, _)| used[*id]) {
            numbers[id] = kept.len() as AtomId;
            kept.push(Arc::clone(atom));
            indexed.push(!waking[id].is_empty());
            wakes.extend(&waking[id]);
            wakes_from.push(wakes.len() as u32);
        }
        let effort = |id: AtomId| match waking[id as usize].is_empty() {
            true => atoms[id as usize].effort(),
            false => 1,
        };
        let rules = rules
            .iter()
            .map(|(number, expression)| {
                let number_of = |id: AtomId| numbers[id as usize];
                (*number, expression.renumbered(&number_of, &effort))
            })
            .collect();
        let fields = FieldIndex::build(&kept, |id| indexed[id as usize]);
        // What wakes no rule is looked for when a rule that is awake asks: that is seldom, and a search is not.
        let later = FieldIndex::build(&kept, |id| !indexed[id as usize]);
        let ways = kept
            .iter()
            .zip(&indexed)
            .map(|(atom, indexed)| match indexed {
                true => Way::Known,
                false => match later.iter().position(|index| index.field == atom.field) {
                    Some(place) if index::cost(atom).is_some() => Way::Searched(place as u32),
                    _ => Way::Tested,
                },
            });
        Self {
            ways: ways.collect(),
            fields,
            later,
            atoms: kept,
            rules,
            wakes,
            wakes_from,
            always,
        }
    }

    /// The numbers of the rules that match go to `scratch.matched`.
    pub(crate) fn evaluate(&self, event: &impl Event, scratch: &mut Scratch) {
        scratch.begin(self);
        self.wake(event, scratch);
        self.judge(event, scratch);
        scratch.matched.sort_unstable();
    }

    fn wake(&self, event: &impl Event, scratch: &mut Scratch) {
        for &position in &self.always {
            scratch.wake(position);
        }
        for field in &self.fields {
            self.search(field, event, &mut |atom| {
                if scratch.learn(atom) {
                    let (from, to) = (
                        self.wakes_from[atom as usize],
                        self.wakes_from[atom as usize + 1],
                    );
                    for &position in &self.wakes[from as usize..to as usize] {
                        scratch.wake(position);
                    }
                }
            });
        }
    }

    fn judge(&self, event: &impl Event, scratch: &mut Scratch) {
        let mut awake = std::mem::take(&mut scratch.awake);
        for &position in &awake {
            let (number, expression) = &self.rules[position as usize];
            let holds = expression.holds(&mut |id| self.holds(id, event, scratch));
            if holds {
                scratch.matched.push(*number);
            }
        }
        awake.clear();
        scratch.awake = awake;
    }

    fn holds(&self, id: AtomId, event: &impl Event, scratch: &mut Scratch) -> bool {
        let (word, bit) = (id as usize / 64, 1_u64 << (id % 64));
        match self.ways[id as usize] {
            Way::Known => {}
            Way::Searched(place) => {
                if !scratch.searched[place as usize] {
                    scratch.searched[place as usize] = true;
                    self.search(&self.later[place as usize], event, &mut |atom| {
                        scratch.learn(atom);
                    });
                }
            }
            Way::Tested => {
                if scratch.tested[word] & bit == 0 {
                    scratch.tested[word] |= bit;
                    if self.atoms[id as usize].holds(event) {
                        scratch.truth[word] |= bit;
                    }
                }
            }
        }
        scratch.truth[word] & bit != 0
    }

    fn search(&self, index: &FieldIndex, event: &impl Event, hit: &mut impl FnMut(AtomId)) {
        event.each(index.field, &mut |value| {
            let mut room = Room::new();
            index.search(bytes_of(value, &mut room), hit);
        });
    }
}

impl Scratch {
    pub(crate) fn fit(&mut self, rules: &Evaluator) {
        let words = rules.atoms.len().div_ceil(64);
        if self.truth.len() < words {
            self.truth.resize(words, 0);
            self.tested.resize(words, 0);
        }
        if self.searched.len() < rules.later.len() {
            self.searched.resize(rules.later.len(), false);
        }
        if self.woken.len() < rules.rules.len() {
            self.woken.resize(rules.rules.len(), 0);
        }
        self.awake.reserve(rules.rules.len());
        self.matched.reserve(rules.rules.len());
    }

    fn begin(&mut self, rules: &Evaluator) {
        self.fit(rules);
        let words = rules.atoms.len().div_ceil(64);
        self.truth[..words].fill(0);
        self.tested[..words].fill(0);
        self.searched[..rules.later.len()].fill(false);
        self.awake.clear();
        // Counts events, not time: 2^64 of them don't come.
        self.event += 1;
    }

    /// Notes that an atom holds; whether that is news.
    fn learn(&mut self, atom: AtomId) -> bool {
        let (word, bit) = (atom as usize / 64, 1_u64 << (atom % 64));
        let news = self.truth[word] & bit == 0;
        self.truth[word] |= bit;
        news
    }

    fn wake(&mut self, position: u32) {
        let woken = &mut self.woken[position as usize];
        if *woken != self.event {
            *woken = self.event;
            self.awake.push(position);
        }
    }
}
