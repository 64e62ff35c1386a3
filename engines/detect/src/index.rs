//! One pass over a field's text finds every literal that any rule looks for in it.
//! Each literal leads to the atoms that use it, with what is left to check: where it stands, or the whole pattern.

use crate::expression::{Atom, AtomId};
use crate::field::Field;
use crate::modifier::Predicate;
use crate::pattern::{Anchor, Wildcard};
use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use std::collections::BTreeMap;

/// The index of one field of one class.
#[derive(Debug)]
pub(crate) struct FieldIndex {
    pub(crate) field: Field,
    folded: Option<Literals>,
    cased: Option<Literals>,
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

/// How often an indexed atom is expected to hit: short literals hit often. None for atoms that no index finds.
pub(crate) fn cost(atom: &Atom) -> Option<u32> {
    let (literal, check, _) = literal_of(&atom.predicate)?;
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
    /// Indexes of every field that has literals among these atoms.
    pub(crate) fn build(atoms: &[Atom]) -> Result<Vec<FieldIndex>, BuildError> {
        let mut fields: BTreeMap<Field, [Uses; 2]> = BTreeMap::new();
        for (id, atom) in atoms.iter().enumerate() {
            if let Some((literal, check, cased)) = literal_of(&atom.predicate) {
                let kinds = fields.entry(atom.field).or_default();
                kinds[usize::from(cased)]
                    .entry(literal)
                    .or_default()
                    .push(User {
                        atom: id as AtomId,
                        check,
                    });
            }
        }
        let mut out = Vec::new();
        for (field, [folded, cased]) in fields {
            out.push(FieldIndex {
                field,
                folded: Literals::build(folded, true)?,
                cased: Literals::build(cased, false)?,
            });
        }
        Ok(out)
    }

    /// Calls `hit` for each atom that holds for this text, possibly more than once.
    pub(crate) fn search(&self, text: &[u8], hit: &mut impl FnMut(AtomId)) {
        for (literals, cased) in [(&self.folded, false), (&self.cased, true)] {
            if let Some(literals) = literals {
                literals.search(text, cased, hit);
            }
        }
    }
}

impl Literals {
    fn build(literals: Uses, fold: bool) -> Result<Option<Literals>, BuildError> {
        if literals.is_empty() {
            return Ok(None);
        }
        let automaton = AhoCorasick::builder()
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
