//! Every literal that any rule looks for in a field, found in one search of its text.
//! Each literal leads to the atoms that use it, with what is left to check: where it stands, or the whole pattern.

use crate::expression::{Atom, AtomId};
use crate::field::Field;
use crate::grams::{Found, Grams};
use crate::modifier::Predicate;
use crate::pattern::{Anchor, Wildcard};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// The index of one field of one class.
#[derive(Debug)]
pub(crate) struct FieldIndex {
    pub(crate) field: Field,
    searched: Option<Grams<User>>,
    /// Users of literals that must be the whole value, and of those that must be its last part (`/name`).
    wholes: Known,
    names: Known,
}

/// Users of texts in lower case. Most tests of programs and files are of these two kinds, and a look-up is all they
/// cost.
#[derive(Debug, Default)]
struct Known {
    users: HashMap<Box<[u8]>, Vec<User>, BuildHasherDefault<Words>>,
    /// One bit for each hash that a text's end and length have: most values are told by it.
    ends: [u64; 8],
}

impl Known {
    fn add(&mut self, text: Vec<u8>, user: User) {
        let end = end(&text);
        self.ends[end / 64] |= 1 << (end % 64);
        self.users.entry(text.into()).or_default().push(user);
    }

    fn find(&self, text: &[u8]) -> &[User] {
        let end = end(text);
        if self.ends[end / 64] >> (end % 64) & 1 == 0 || text.len() > LONGEST {
            return &[];
        }
        let mut room = [0; LONGEST];
        let lower = &mut room[..text.len()];
        lower.copy_from_slice(text);
        lower.make_ascii_lowercase();
        self.users.get(&*lower).map_or(&[], Vec::as_slice)
    }
}

/// A number below 512 from the last three bytes of a text, in upper and lower case the same, and its length.
fn end(text: &[u8]) -> usize {
    let last = text.iter().rev().take(3);
    let word = last.fold(text.len() as u32, |word, byte| {
        word << 8 ^ u32::from(byte | 0x20)
    });
    (word.wrapping_mul(0x9e37_79b1) >> 23) as usize
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

/// Who uses each literal; whether case counts in it.
type Uses = BTreeMap<(Vec<u8>, bool), Vec<User>>;

#[derive(Debug)]
struct User {
    atom: AtomId,
    check: Check,
}

#[derive(Debug)]
enum Check {
    Stands(Anchor),
    /// The whole pattern, whether case counts in it, and its number among those of the field.
    Like(Box<Wildcard>, bool, usize),
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
        Check::Stands(Anchor::Anywhere) | Check::Like(..) => by_length,
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
            Check::Like(Box::new(pattern.clone()), *cased, 0),
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
    pub(crate) fn build(atoms: &[Arc<Atom>], wanted: impl Fn(AtomId) -> bool) -> Vec<FieldIndex> {
        let mut fields: BTreeMap<Field, (Uses, [Known; 2], usize)> = BTreeMap::new();
        for (atom, id) in atoms.iter().zip(0..).filter(|(_, id)| wanted(*id)) {
            if let Some((literal, check, cased)) = literal_of(&atom.predicate) {
                let (searched, known, likes) = fields.entry(atom.field).or_default();
                let kind = looked_up(&literal, &check, cased);
                let mut user = User { atom: id, check };
                if let Check::Like(.., number) = &mut user.check {
                    *number = *likes;
                    *likes += 1;
                }
                match kind {
                    Some(kind) => known[kind].add(literal, user),
                    None => searched.entry((literal, cased)).or_default().push(user),
                }
            }
        }
        fields
            .into_iter()
            .map(|(field, (searched, [wholes, names], _))| FieldIndex {
                field,
                searched: Grams::build(searched),
                wholes,
                names,
            })
            .collect()
    }

    /// Calls `hit` for each atom that holds for this text, possibly more than once.
    pub(crate) fn search(&self, text: &[u8], hit: &mut impl FnMut(AtomId)) {
        for user in self.wholes.find(text) {
            hit(user.atom);
        }
        if !self.names.users.is_empty()
            && let Some(at) = text.iter().rposition(|byte| *byte == b'/')
        {
            for user in self.names.find(&text[at..]) {
                hit(user.atom);
            }
        }
        let Some(searched) = &self.searched else {
            return;
        };
        // A text may hold a literal thousands of times, but it is like the pattern or not.
        let mut compared = [0_u64; 4];
        searched.search(text, &mut |user, found| {
            let Found { at_start, at_end } = found;
            let holds = match &user.check {
                Check::Stands(Anchor::Anywhere) => true,
                Check::Stands(Anchor::Start) => at_start,
                Check::Stands(Anchor::End) => at_end,
                Check::Stands(Anchor::Whole) => at_start && at_end,
                Check::Like(pattern, cased, number) => {
                    let (word, bit) = (number / 64, 1 << (number % 64));
                    let known = compared.get(word).is_some_and(|word| word & bit != 0);
                    if let Some(word) = compared.get_mut(word) {
                        *word |= bit;
                    }
                    !known && pattern.matches(text, *cased)
                }
            };
            if holds {
                hit(user.atom);
            }
        });
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
