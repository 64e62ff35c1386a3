//! One pass over a field's text finds every literal that any rule looks for in it.
//! Each literal leads to the atoms that use it, with what is left to check: where it stands, or the whole pattern.

use crate::expression::{Atom, AtomId};
use crate::field::Field;
use crate::modifier::Predicate;
use crate::pattern::{Anchor, Wildcard};
use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

/// The most bytes of literals that become a table.
const MAX_TABLE: usize = 16 * 1024;

/// The index of one field of one class.
#[derive(Debug)]
pub(crate) struct FieldIndex {
    pub(crate) field: Field,
    folded: Option<Literals>,
    cased: Option<Literals>,
    /// Users of literals that must be the whole value, and of those that must be its last part (`/name`).
    wholes: Known,
    names: Known,
}

/// Users of texts in lower case. Most tests of programs and files are of these two kinds, and a look-up is all they
/// cost.
#[derive(Debug, Default)]
struct Known {
    users: HashMap<Box<[u8]>, Vec<User>, BuildHasherDefault<Words>>,
    /// One bit for each length that a text has: most values are told by it.
    lengths: u128,
}

impl Known {
    fn add(&mut self, text: Vec<u8>, user: User) {
        self.lengths |= 1_u128.checked_shl(text.len() as u32).unwrap_or(0);
        self.users.entry(text.into()).or_default().push(user);
    }

    fn find(&self, text: &[u8]) -> &[User] {
        let bit = 1_u128.checked_shl(text.len() as u32).unwrap_or(0);
        if self.lengths & bit == 0 {
            return &[];
        }
        let mut room = [0; LONGEST];
        let lower = &mut room[..text.len()];
        lower.copy_from_slice(text);
        lower.make_ascii_lowercase();
        self.users.get(&*lower).map_or(&[], Vec::as_slice)
    }
}

/// The longest text that is looked up, in bytes; longer literals are searched for.
const LONGEST: usize = 127;

/// A hash that takes eight bytes at a time: rules choose what is in the table, so nobody can make it collide.
#[derive(Debug, Default)]
struct Words(u64);

impl Hasher for Words {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

/// Literals of one kind (with or without regard to case), and who uses them.
#[derive(Debug)]
struct Literals {
    automaton: AhoCorasick,
    /// For each literal its length and where its users start; one more entry closes the last.
    starts: Vec<(u32, u32)>,
    users: Vec<User>,
}

/// Who uses each literal.
type Uses = BTreeMap<Vec<u8>, Vec<User>>;

#[derive(Debug)]
struct User {
    atom: AtomId,
    check: Check,
}

#[derive(Debug)]
enum Check {
    Stands(Anchor),
    Like(Box<Wildcard>),
}

/// Fields with so few values that nearly every event has the one that a rule asks for.
const COMMON: [Field; 11] = [
    Field::RecordType,
    Field::NameType,
    Field::Permission,
    Field::Initiated,
    Field::Protocol,
    Field::Change,
    Field::CallType,
    Field::Facility,
    Field::Priority,
    Field::Transport,
    Field::Uid,
];

/// System calls that most audit records are of.
const EVERYDAY: [&[u8]; 6] = [
    b"execve",
    b"execveat",
    b"open",
    b"openat",
    b"openat2",
    b"connect",
];

/// How often an indexed atom is expected to hit: short literals hit often. None for atoms that no index finds.
pub(crate) fn cost(atom: &Atom) -> Option<u32> {
    let (literal, check, _) = literal_of(&atom.predicate)?;
    let everyday = EVERYDAY.iter().any(|call| **call == *literal);
    if COMMON.contains(&atom.field) || atom.field == Field::SystemCall && everyday {
        return Some(300);
    }
    let by_length = match literal.len() {
        0..=2 => 200,
        3 => 80,
        4..=5 => 20,
        6..=8 => 6,
        _ => 2,
    };
    Some(match check {
        Check::Stands(Anchor::Whole) => 1,
        Check::Stands(Anchor::End | Anchor::Start) => by_length.min(20),
        Check::Stands(Anchor::Anywhere) | Check::Like(_) => by_length,
    })
}

fn literal_of(predicate: &Predicate) -> Option<(Vec<u8>, Check, bool)> {
    let Predicate::Like { pattern, cased } = predicate else {
        return None;
    };
    let (literal, check) = match pattern.anchored() {
        Some((anchor, literal)) => (literal, Check::Stands(anchor)),
        None => (
            pattern.longest_literal()?,
            Check::Like(Box::new(pattern.clone())),
        ),
    };
    if literal.is_empty() {
        return None;
    }
    let literal = if *cased {
        literal.to_vec()
    } else {
        literal.to_ascii_lowercase()
    };
    Some((literal, check, *cased))
}

impl FieldIndex {
    /// Indexes of every field that has literals among these atoms, those that are wanted.
    pub(crate) fn build(
        atoms: &[Atom],
        wanted: impl Fn(AtomId) -> bool,
    ) -> Result<Vec<FieldIndex>, BuildError> {
        let mut fields: BTreeMap<Field, ([Uses; 2], [Known; 2])> = BTreeMap::new();
        for (id, atom) in atoms.iter().enumerate() {
            if wanted(id as AtomId)
                && let Some((literal, check, cased)) = literal_of(&atom.predicate)
            {
                let (searched, known) = fields.entry(atom.field).or_default();
                let user = User {
                    atom: id as AtomId,
                    check,
                };
                match looked_up(&literal, &user.check, cased) {
                    Some(kind) => known[kind].add(literal, user),
                    None => searched[usize::from(cased)]
                        .entry(literal)
                        .or_default()
                        .push(user),
                }
            }
        }
        let mut out = Vec::new();
        for (field, ([folded, cased], [wholes, names])) in fields {
            out.push(FieldIndex {
                field,
                folded: Literals::build(folded, true)?,
                cased: Literals::build(cased, false)?,
                wholes,
                names,
            });
        }
        Ok(out)
    }

    /// Calls `hit` for each atom that holds for this text, possibly more than once.
    pub(crate) fn search(&self, text: &[u8], hit: &mut impl FnMut(AtomId)) {
        for user in self.wholes.find(text) {
            hit(user.atom);
        }
        if self.names.lengths != 0
            && let Some(at) = text.iter().rposition(|byte| *byte == b'/')
        {
            for user in self.names.find(&text[at..]) {
                hit(user.atom);
            }
        }
        for (literals, cased) in [(&self.folded, false), (&self.cased, true)] {
            if let Some(literals) = literals {
                literals.search(text, cased, hit);
            }
        }
    }
}

/// Whether a literal can be looked up instead of searched for: 0 as a whole value, 1 as its last part.
fn looked_up(literal: &[u8], check: &Check, cased: bool) -> Option<usize> {
    if cased || literal.len() > LONGEST {
        return None;
    }
    match check {
        Check::Stands(Anchor::Whole) => Some(0),
        Check::Stands(Anchor::End) => {
            let name = literal.strip_prefix(b"/")?;
            (!name.contains(&b'/')).then_some(1)
        }
        _ => None,
    }
}

impl Literals {
    fn build(literals: Uses, fold: bool) -> Result<Option<Literals>, BuildError> {
        if literals.is_empty() {
            return Ok(None);
        }
        // A table is searched faster than links, and costs some hundred kilobytes for thousands of literals.
        let kind = (literals.keys().map(Vec::len).sum::<usize>() <= MAX_TABLE)
            .then_some(AhoCorasickKind::DFA);
        let automaton = AhoCorasick::builder()
            .kind(kind)
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(fold)
            .build(literals.keys())?;
        let mut starts = Vec::with_capacity(literals.len() + 1);
        let mut users = Vec::new();
        for (literal, uses) in literals {
            starts.push((literal.len() as u32, users.len() as u32));
            users.extend(uses);
        }
        starts.push((0, users.len() as u32));
        Ok(Some(Literals {
            automaton,
            starts,
            users,
        }))
    }

    fn search(&self, text: &[u8], cased: bool, hit: &mut impl FnMut(AtomId)) {
        for found in self.automaton.find_overlapping_iter(text) {
            let literal = found.pattern().as_usize();
            let [(length, first), (_, last)] = [self.starts[literal], self.starts[literal + 1]];
            let at_start = found.end() == length as usize;
            let at_end = found.end() == text.len();
            for user in &self.users[first as usize..last as usize] {
                let holds = match &user.check {
                    Check::Stands(Anchor::Anywhere) => true,
                    Check::Stands(Anchor::Start) => at_start,
                    Check::Stands(Anchor::End) => at_end,
                    Check::Stands(Anchor::Whole) => at_start && at_end,
                    Check::Like(pattern) => pattern.matches(text, cased),
                };
                if holds {
                    hit(user.atom);
                }
            }
        }
    }
}
