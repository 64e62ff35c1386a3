//! A rule after compilation: a boolean expression over numbered atoms, constants folded away.
//! Atoms are shared between the rules of a class, so that a test that ten rules use is made once.

use crate::field::Field;
use crate::modifier::{Mode, Predicate};
use crate::pattern::Wildcard;

/// A number of an [`Atom`] in its class.
pub(crate) type AtomId = u32;

/// A boolean expression over atoms.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Constant(bool),
    Atom(AtomId),
    Not(Box<Expression>),
    All(Box<[Expression]>),
    Any(Box<[Expression]>),
    AtLeast(u32, Box<[Expression]>),
}

/// One test of one field of the schema.
#[derive(Debug, Clone)]
pub(crate) struct Atom {
    pub(crate) field: Field,
    pub(crate) predicate: Predicate,
}

/// Why a rule matched: one test that held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The field that was tested.
    pub field: Field,
    /// The test in words: `ends with "/nc"`.
    pub test: String,
}

impl Expression {
    pub(crate) fn not(inner: Expression) -> Expression {
        match inner {
            Expression::Constant(value) => Expression::Constant(!value),
            Expression::Not(inner) => *inner,
            other => Expression::Not(Box::new(other)),
        }
    }

    pub(crate) fn all(parts: impl IntoIterator<Item = Expression>) -> Expression {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Expression::Constant(true) => {}
                Expression::Constant(false) => return part,
                Expression::All(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        match kept.len() {
            0 => Expression::Constant(true),
            1 => kept.swap_remove(0),
            _ => Expression::All(kept.into()),
        }
    }

    pub(crate) fn any(parts: impl IntoIterator<Item = Expression>) -> Expression {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Expression::Constant(false) => {}
                Expression::Constant(true) => return part,
                Expression::Any(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        match kept.len() {
            0 => Expression::Constant(false),
            1 => kept.swap_remove(0),
            _ => Expression::Any(kept.into()),
        }
    }

    pub(crate) fn at_least(
        mut count: u32,
        parts: impl IntoIterator<Item = Expression>,
    ) -> Expression {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Expression::Constant(true) => count = count.saturating_sub(1),
                Expression::Constant(false) => {}
                other => kept.push(other),
            }
        }
        match count {
            0 => Expression::Constant(true),
            1 => Expression::any(kept),
            n if n as usize > kept.len() => Expression::Constant(false),
            n if n as usize == kept.len() => Expression::all(kept),
            n => Expression::AtLeast(n, kept.into()),
        }
    }

    /// The value, given the atoms' values.
    pub(crate) fn holds(&self, atom: &mut impl FnMut(AtomId) -> bool) -> bool {
        match self {
            Expression::Constant(value) => *value,
            Expression::Atom(id) => atom(*id),
            Expression::Not(inner) => !inner.holds(atom),
            Expression::All(parts) => parts.iter().all(|part| part.holds(atom)),
            Expression::Any(parts) => parts.iter().any(|part| part.holds(atom)),
            Expression::AtLeast(count, parts) => {
                let mut left = *count;
                parts.iter().any(|part| {
                    left -= u32::from(part.holds(atom));
                    left == 0
                })
            }
        }
    }

    /// The expression that is left when some atoms are known.
    pub(crate) fn given(&self, known: &impl Fn(AtomId) -> Option<bool>) -> Expression {
        let each = |parts: &[Expression]| -> Vec<Expression> {
            parts.iter().map(|part| part.given(known)).collect()
        };
        match self {
            Expression::Constant(value) => Expression::Constant(*value),
            Expression::Atom(id) => known(*id).map_or(Expression::Atom(*id), Expression::Constant),
            Expression::Not(inner) => Expression::not(inner.given(known)),
            Expression::All(parts) => Expression::all(each(parts)),
            Expression::Any(parts) => Expression::any(each(parts)),
            Expression::AtLeast(count, parts) => Expression::at_least(*count, each(parts)),
        }
    }

    /// The same with other numbers for its atoms, and the parts in the order in which they are best looked at: what
    /// `effort` says is cheap comes first.
    pub(crate) fn renumbered(
        &self,
        number: &impl Fn(AtomId) -> AtomId,
        effort: &impl Fn(AtomId) -> u32,
    ) -> Expression {
        let each = |parts: &[Expression]| -> Box<[Expression]> {
            let mut parts: Vec<&Expression> = parts.iter().collect();
            parts.sort_by_cached_key(|part| part.effort(effort));
            parts
                .into_iter()
                .map(|part| part.renumbered(number, effort))
                .collect()
        };
        match self {
            Expression::Constant(value) => Expression::Constant(*value),
            Expression::Atom(id) => Expression::Atom(number(*id)),
            Expression::Not(inner) => Expression::Not(Box::new(inner.renumbered(number, effort))),
            Expression::All(parts) => Expression::All(each(parts)),
            Expression::Any(parts) => Expression::Any(each(parts)),
            Expression::AtLeast(count, parts) => Expression::AtLeast(*count, each(parts)),
        }
    }

    /// Calls `visit` with each atom in it.
    pub(crate) fn each_atom(&self, visit: &mut impl FnMut(AtomId)) {
        match self {
            Expression::Constant(_) => {}
            Expression::Atom(id) => visit(*id),
            Expression::Not(inner) => inner.each_atom(visit),
            Expression::All(parts) | Expression::Any(parts) | Expression::AtLeast(_, parts) => {
                parts.iter().for_each(|part| part.each_atom(visit));
            }
        }
    }

    fn effort(&self, of: &impl Fn(AtomId) -> u32) -> u32 {
        match self {
            Expression::Constant(_) => 0,
            Expression::Atom(id) => of(*id),
            Expression::Not(inner) => inner.effort(of),
            Expression::All(parts) | Expression::Any(parts) | Expression::AtLeast(_, parts) => {
                parts
                    .iter()
                    .fold(0, |sum, part| part.effort(of).saturating_add(sum))
            }
        }
    }

    /// Whether an atom is in it.
    pub(crate) fn has(&self, atom: &impl Fn(AtomId) -> bool) -> bool {
        match self {
            Expression::Constant(_) => false,
            Expression::Atom(id) => atom(*id),
            Expression::Not(inner) => inner.has(atom),
            Expression::All(parts) | Expression::Any(parts) | Expression::AtLeast(_, parts) => {
                parts.iter().any(|part| part.has(atom))
            }
        }
    }

    /// The atoms that hold and count towards the verdict (those under a `not` speak against it and are left out).
    pub(crate) fn supporting(&self, atom: &mut impl FnMut(AtomId) -> bool, out: &mut Vec<AtomId>) {
        match self {
            Expression::Atom(id) if atom(*id) && !out.contains(id) => out.push(*id),
            Expression::Constant(_) | Expression::Not(_) | Expression::Atom(_) => {}
            Expression::All(parts) | Expression::Any(parts) | Expression::AtLeast(_, parts) => {
                for part in parts {
                    if part.holds(atom) {
                        part.supporting(atom, out);
                    }
                }
            }
        }
    }

    /// A set of atoms of which at least one must hold for this to hold, with its cost (how often it is expected to
    /// send us to the full condition). None where there is no such set.
    pub(crate) fn needed(
        &self,
        cost: &impl Fn(AtomId) -> Option<u32>,
    ) -> Option<(u32, Vec<AtomId>)> {
        match self {
            Expression::Atom(id) => cost(*id).map(|cost| (cost, vec![*id])),
            Expression::Constant(_) | Expression::Not(_) => None,
            Expression::All(parts) => parts
                .iter()
                .filter_map(|part| part.needed(cost))
                .min_by_key(|(cost, _)| *cost),
            Expression::Any(parts) => {
                union(parts.iter().map(|part| part.needed(cost)), parts.len())
            }
            Expression::AtLeast(count, parts) => {
                // If so many must hold, then one of any (all - count + 1) of them must.
                let mut sets: Vec<_> = parts.iter().filter_map(|part| part.needed(cost)).collect();
                sets.sort_by_key(|(cost, _)| *cost);
                let enough = parts.len() - *count as usize + 1;
                union(sets.into_iter().take(enough).map(Some), enough)
            }
        }
    }
}

fn union(
    sets: impl Iterator<Item = Option<(u32, Vec<AtomId>)>>,
    expected: usize,
) -> Option<(u32, Vec<AtomId>)> {
    let mut total = 0_u32;
    let mut atoms = Vec::new();
    let mut seen = 0;
    for set in sets {
        let (cost, more) = set?;
        total = total.saturating_add(cost);
        atoms.extend(more);
        seen += 1;
    }
    atoms.sort_unstable();
    atoms.dedup();
    (seen == expected).then_some((total, atoms))
}

impl Predicate {
    /// What tells two predicates apart, so that equal ones become one atom.
    pub(crate) fn key(&self) -> String {
        match self {
            Predicate::Like {
                pattern,
                cased: true,
            } => format!("like {pattern:?}"),
            Predicate::Like {
                pattern,
                cased: false,
            } => format!("ilike {:?}", folded(pattern)),
            // The regex does not show its flags.
            Predicate::Regex { regex, flags } => format!("re {flags:?} {regex:?}"),
            other => format!("{other:?}"),
        }
    }

    /// The test in words.
    pub(crate) fn describe(&self) -> String {
        let quoted = |bytes: &[u8]| format!("\"{}\"", bytes.escape_ascii());
        match self {
            Predicate::Like { pattern, .. } => match pattern.anchored() {
                Some((crate::pattern::Anchor::Whole, text)) => format!("is {}", quoted(text)),
                Some((crate::pattern::Anchor::Start, text)) => {
                    format!("starts with {}", quoted(text))
                }
                Some((crate::pattern::Anchor::End, text)) => format!("ends with {}", quoted(text)),
                Some((crate::pattern::Anchor::Anywhere, text)) => {
                    format!("contains {}", quoted(text))
                }
                None => format!("looks like {}", quoted(pattern.to_string().as_bytes())),
            },
            Predicate::Regex { regex, .. } => format!("matches /{}/", regex.as_str()),
            Predicate::Cidr { network, prefix } => format!("lies in {network}/{prefix}"),
            Predicate::Compare(comparison, number) => format!("is {comparison:?} {number}"),
            Predicate::SameAs {
                other,
                mode: Mode::Whole,
                ..
            } => format!("equals {other}"),
            Predicate::SameAs { other, mode, .. } => format!("{mode:?} {other}"),
            Predicate::Exists => "is present".into(),
            Predicate::Null => "is absent or empty".into(),
        }
    }
}

fn folded(pattern: &Wildcard) -> Wildcard {
    let mut pattern = pattern.clone();
    for part in pattern.parts_mut() {
        if let crate::pattern::Part::Literal(bytes) = part {
            bytes.make_ascii_lowercase();
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expression() -> impl Strategy<Value = Expression> {
        let leaf = prop_oneof![
            (0..6_u32).prop_map(Expression::Atom),
            any::<bool>().prop_map(Expression::Constant)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let many = proptest::collection::vec(inner.clone(), 1..4);
            prop_oneof![
                inner.prop_map(|e| Expression::Not(Box::new(e))),
                many.clone().prop_map(|e| Expression::All(e.into())),
                many.clone().prop_map(|e| Expression::Any(e.into())),
                (1..3_u32, many).prop_map(|(n, e)| {
                    let n = n.min(e.len() as u32);
                    Expression::AtLeast(n, e.into())
                }),
            ]
        })
    }

    fn fold(expression: &Expression) -> Expression {
        match expression {
            Expression::Not(inner) => Expression::not(fold(inner)),
            Expression::All(parts) => Expression::all(parts.iter().map(fold)),
            Expression::Any(parts) => Expression::any(parts.iter().map(fold)),
            Expression::AtLeast(n, parts) => Expression::at_least(*n, parts.iter().map(fold)),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn folding_keeps_the_meaning_and_needed_sets_are_needed(e in expression(), bits in 0..64_u32) {
            let value = e.holds(&mut |id| bits >> id & 1 == 1);
            let folded = fold(&e);
            prop_assert_eq!(folded.holds(&mut |id| bits >> id & 1 == 1), value);
            let known = e.given(&|id| (id % 2 == 0).then_some(bits >> id & 1 == 1));
            prop_assert_eq!(known.holds(&mut |id| bits >> id & 1 == 1), value);
            // Atoms 4 and 5 play the tests that no index finds.
            if let Some((_, needed)) = folded.needed(&|id| (id < 4).then_some(id + 1))
                && value
            {
                prop_assert!(needed.iter().any(|id| bits >> id & 1 == 1), "{:?} {:?}", folded, needed);
            }
        }
    }
}
