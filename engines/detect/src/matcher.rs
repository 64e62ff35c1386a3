//! All rules of all classes as one matcher.
//!
//! For an event, each field that rules look at is searched once for all literals; a literal that is found wakes
//! the rules that cannot match without it, and only those have their condition evaluated. Regular expressions,
//! networks and numbers are tested when a condition asks, once. Nothing is allocated after the first events.

use crate::class::Class;
use crate::compile::ClassRules;
use crate::event::{Event, Room, Value, bytes_of};
use crate::expression::{Atom, AtomId, Evidence, Expression};
use crate::field::Field;
use crate::index::{self, FieldIndex};
use crate::modifier::{self, Mode, Predicate};
use aho_corasick::BuildError;

/// The compiled rules. Rules are known by their number, which [`crate::RuleSet`] hands out.
#[derive(Debug, Default)]
pub struct Matcher {
    classes: Vec<ClassMatcher>,
    rules: usize,
}

/// A rule's number and expression.
pub(crate) type Numbered = (u32, Expression);

#[derive(Debug)]
struct ClassMatcher {
    class: Class,
    atoms: Vec<Atom>,
    fields: Vec<FieldIndex>,
    /// Atoms that an index finds; the others are tested on demand.
    indexed: Vec<bool>,
    rules: Vec<Numbered>,
    /// For each atom the rules (positions in `rules`) that it wakes, in one list cut by `wakes_from`.
    wakes: Vec<u32>,
    wakes_from: Vec<u32>,
    /// Rules without a literal that they need: evaluated on every event.
    always: Vec<u32>,
}

/// Room for one evaluation; reuse it from event to event. One a thread.
#[derive(Debug, Default)]
pub struct Scratch {
    truth: Vec<u64>,
    tested: Vec<u64>,
    awake: Vec<u32>,
    /// The event in which a rule was last woken, by its position.
    woken: Vec<u64>,
    event: u64,
    matched: Vec<u32>,
}

impl Matcher {
    pub(crate) fn build(classes: Vec<ClassRules>) -> Result<Matcher, BuildError> {
        let rules = classes.iter().map(|c| c.rules.len()).sum();
        let classes: Result<Vec<_>, _> = classes
            .into_iter()
            .map(|c| ClassMatcher::build(c.class, c.atoms.list, c.rules))
            .collect();
        Ok(Matcher {
            classes: classes?,
            rules,
        })
    }

    /// How many rules are in it.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.rules
    }

    /// Whether any rule is about this class.
    #[must_use]
    pub fn wants(&self, class: Class) -> bool {
        self.classes.iter().any(|c| c.class == class)
    }

    /// The rules about this class.
    #[must_use]
    pub fn rules_of(&self, class: Class) -> Vec<u32> {
        let rules = self.class(class).map_or(&[][..], |(_, rules)| rules);
        rules.iter().map(|(number, _)| *number).collect()
    }

    /// Whether any rule looks at this field of this class: what costs to find out needn't be, else.
    #[must_use]
    pub fn looks_at(&self, class: Class, field: Field) -> bool {
        self.classes
            .iter()
            .any(|c| c.class == class && c.atoms.iter().any(|atom| atom.looks_at(field)))
    }

    pub(crate) fn class(&self, class: Class) -> Option<(&[Atom], &[Numbered])> {
        let found = self.classes.iter().find(|c| c.class == class)?;
        Some((&found.atoms, &found.rules))
    }

    /// Room for this matcher's evaluations. A scratch made for another matcher works, too: it grows.
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        let mut scratch = Scratch::default();
        self.classes.iter().for_each(|class| scratch.fit(class));
        scratch
    }

    /// The numbers of the rules that match, ascending.
    pub fn matches<'s>(&self, event: &impl Event, scratch: &'s mut Scratch) -> &'s [u32] {
        scratch.matched.clear();
        if let Some(class) = self.classes.iter().find(|c| c.class == event.class()) {
            scratch.fit(class);
            scratch.begin(class);
            class.wake(event, scratch);
            class.judge(event, scratch);
            scratch.matched.sort_unstable();
        }
        &scratch.matched
    }

    /// The same as [`Matcher::matches`], found by trying every rule in turn: what the index is measured against.
    #[must_use]
    pub fn matches_in_turn(&self, event: &impl Event) -> Vec<u32> {
        let Some(class) = self.classes.iter().find(|c| c.class == event.class()) else {
            return Vec::new();
        };
        let mut holds = |id: AtomId| class.atoms[id as usize].holds(event);
        let rules = class.rules.iter();
        let mut out: Vec<u32> = rules
            .filter(|(_, expression)| expression.holds(&mut holds))
            .map(|(number, _)| *number)
            .collect();
        out.sort_unstable();
        out
    }

    /// The tests that made a rule match an event.
    #[must_use]
    pub fn explain(&self, rule: u32, event: &impl Event) -> Vec<Evidence> {
        let Some(class) = self.classes.iter().find(|c| c.class == event.class()) else {
            return Vec::new();
        };
        let Some((_, expression)) = class.rules.iter().find(|(number, _)| *number == rule) else {
            return Vec::new();
        };
        let mut holding = Vec::new();
        expression.supporting(
            &mut |id| class.atoms[id as usize].holds(event),
            &mut holding,
        );
        let evidence = |id: AtomId| {
            let atom = &class.atoms[id as usize];
            Evidence {
                field: atom.field,
                test: atom.predicate.describe(),
            }
        };
        holding.into_iter().map(evidence).collect()
    }
}

impl ClassMatcher {
    fn build(
        class: Class,
        atoms: Vec<Atom>,
        rules: Vec<(u32, Expression)>,
    ) -> Result<Self, BuildError> {
        let costs: Vec<Option<u32>> = atoms.iter().map(index::cost).collect();
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
        // What wakes no rule is tested when a rule that is awake asks: that is seldom, and a search is not.
        let indexed: Vec<bool> = waking.iter().map(|rules| !rules.is_empty()).collect();
        let fields = FieldIndex::build(&atoms, |id| indexed[id as usize])?;
        let mut wakes = Vec::new();
        let mut wakes_from = vec![0];
        for list in waking {
            wakes.extend(list);
            wakes_from.push(wakes.len() as u32);
        }
        Ok(Self {
            class,
            atoms,
            fields,
            indexed,
            rules,
            wakes,
            wakes_from,
            always,
        })
    }

    fn wake(&self, event: &impl Event, scratch: &mut Scratch) {
        for &position in &self.always {
            scratch.wake(position);
        }
        for field in &self.fields {
            event.each(field.field, &mut |value| {
                let mut room = Room::new();
                field.search(bytes_of(value, &mut room), &mut |atom| {
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
            });
        }
    }

    fn judge(&self, event: &impl Event, scratch: &mut Scratch) {
        let mut awake = std::mem::take(&mut scratch.awake);
        for &position in &awake {
            let (number, expression) = &self.rules[position as usize];
            let holds = expression.holds(&mut |id| {
                let (word, bit) = (id as usize / 64, 1_u64 << (id % 64));
                if !self.indexed[id as usize] && scratch.tested[word] & bit == 0 {
                    scratch.tested[word] |= bit;
                    if self.atoms[id as usize].holds(event) {
                        scratch.truth[word] |= bit;
                    }
                }
                scratch.truth[word] & bit != 0
            });
            if holds {
                scratch.matched.push(*number);
            }
        }
        awake.clear();
        scratch.awake = awake;
    }
}

impl Scratch {
    fn fit(&mut self, class: &ClassMatcher) {
        let words = class.atoms.len().div_ceil(64);
        if self.truth.len() < words {
            self.truth.resize(words, 0);
            self.tested.resize(words, 0);
        }
        if self.woken.len() < class.rules.len() {
            self.woken.resize(class.rules.len(), 0);
        }
        self.awake.reserve(class.rules.len());
        self.matched.reserve(class.rules.len());
    }

    fn begin(&mut self, class: &ClassMatcher) {
        let words = class.atoms.len().div_ceil(64);
        self.truth[..words].fill(0);
        self.tested[..words].fill(0);
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

impl Atom {
    fn looks_at(&self, field: Field) -> bool {
        let other = match &self.predicate {
            Predicate::SameAs { field, .. } => *field,
            _ => None,
        };
        self.field == field || other == Some(field)
    }

    /// Whether the test holds for any of the field's values.
    pub(crate) fn holds(&self, event: &impl Event) -> bool {
        let mut present = false;
        let mut any = false;
        event.each(self.field, &mut |value| {
            let mut room = Room::new();
            let empty = matches!(value, Value::Bytes(b""));
            present |= !(empty && matches!(self.predicate, Predicate::Null));
            any = any || holds(&self.predicate, value, event, &mut room);
        });
        match self.predicate {
            Predicate::Null => !present,
            _ => any,
        }
    }
}

fn holds<'a>(
    predicate: &Predicate,
    value: Value<'a>,
    event: &impl Event,
    room: &'a mut Room,
) -> bool {
    match predicate {
        Predicate::Like { pattern, cased } => pattern.matches(bytes_of(value, room), *cased),
        Predicate::Regex { regex, .. } => regex.is_match(bytes_of(value, room)),
        Predicate::Exists => true,
        Predicate::Null => false,
        Predicate::Cidr { network, prefix } => {
            let address = match value {
                Value::Address(address) => Some(address),
                other => std::str::from_utf8(bytes_of(other, room))
                    .ok()
                    .and_then(|text| text.parse().ok()),
            };
            address.is_some_and(|address| modifier::in_network(address, *network, *prefix))
        }
        Predicate::Compare(comparison, number) => {
            let left = match value {
                Value::Number(left) => Some(left),
                other => std::str::from_utf8(bytes_of(other, room))
                    .ok()
                    .and_then(|text| text.parse().ok()),
            };
            left.is_some_and(|left| comparison.holds(left, *number))
        }
        Predicate::SameAs {
            field: other,
            mode,
            cased,
            ..
        } => {
            let left = bytes_of(value, room);
            let mut same = false;
            if let Some(field) = other {
                event.each(*field, &mut |right| {
                    let mut room = Room::new();
                    same = same || compares(left, bytes_of(right, &mut room), *mode, *cased);
                });
            }
            same
        }
    }
}

fn compares(left: &[u8], right: &[u8], mode: Mode, cased: bool) -> bool {
    let same = |a: &[u8], b: &[u8]| {
        if cased {
            a == b
        } else {
            a.eq_ignore_ascii_case(b)
        }
    };
    match mode {
        Mode::Whole => same(left, right),
        Mode::StartsWith => left
            .get(..right.len())
            .is_some_and(|start| same(start, right)),
        Mode::EndsWith => left
            .len()
            .checked_sub(right.len())
            .is_some_and(|at| same(&left[at..], right)),
        Mode::Contains => {
            right.is_empty() || left.windows(right.len()).any(|window| same(window, right))
        }
    }
}
