//! What a field must hold for any rule to match: so that whoever delivers events can leave the rest out at the source.
//! For each rule a set of literals is chosen of which one must stand in the field; rules without such a set are named.

use crate::class::Class;
use crate::event::{Event, Record};
use crate::expression::{Atom, AtomId, Expression};
use crate::field::Field;
use crate::matcher::Matcher;
use crate::modifier::Predicate;
use crate::pattern::{Anchor, Part, Wildcard};
use std::collections::BTreeSet;

/// A literal that must stand in a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Literal {
    /// Where it must stand.
    pub anchor: Anchor,
    /// The bytes, as the rule has them.
    pub bytes: Vec<u8>,
}

/// What the rules of a class need of one field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// An event whose field holds none of these matches no rule but those in `anything`.
    pub literals: BTreeSet<Literal>,
    /// Rules that can match whatever the field holds.
    pub anything: Vec<u32>,
}

impl Matcher {
    /// What the rules of a class need of a field.
    #[must_use]
    pub fn needs(&self, class: Class, field: Field) -> Needs {
        self.needs_given(class, field, &[], &Record::new(class))
    }

    /// The rules that can match events of the record's class whose fields in `settled` are as the record has them.
    #[must_use]
    pub fn possible(&self, settled: &[Field], known: &Record) -> Vec<u32> {
        let Some((atoms, rules)) = self.class(known.class()) else {
            return Vec::new();
        };
        let verdict = |id: AtomId| {
            let atom = &atoms[id as usize];
            settled.contains(&atom.field).then(|| atom.holds(known))
        };
        rules
            .iter()
            .filter(|(_, expression)| expression.given(&verdict) != Expression::Constant(false))
            .map(|(number, _)| *number)
            .collect()
    }

    /// What the rules of a class need of a field, in events whose fields in `settled` are as `known` has them.
    /// Rules that such events can't match are left out, as are those that then don't look at the field at all
    /// where something is settled.
    #[must_use]
    pub fn needs_given(
        &self,
        class: Class,
        field: Field,
        settled: &[Field],
        known: &Record,
    ) -> Needs {
        let mut needs = Needs::default();
        let Some((atoms, rules)) = self.class(class) else {
            return needs;
        };
        let verdicts: Vec<Option<bool>> = atoms
            .iter()
            .map(|atom| settled.contains(&atom.field).then(|| atom.holds(known)))
            .collect();
        let literals: Vec<Option<Literal>> =
            atoms.iter().map(|atom| literal(atom, field)).collect();
        let cost = |id: AtomId| literals[id as usize].as_ref().map(cost);
        for (number, expression) in rules {
            let expression = expression.given(&|id| verdicts[id as usize]);
            let looks = expression.has(&|id| atoms[id as usize].field == field);
            if expression == Expression::Constant(false) || !looks && !settled.is_empty() {
                continue;
            }
            match expression.needed(&cost) {
                Some((_, ids)) => {
                    needs
                        .literals
                        .extend(ids.iter().filter_map(|id| literals[*id as usize].clone()));
                }
                None => needs.anything.push(*number),
            }
        }
        needs
    }
}

fn literal(atom: &Atom, field: Field) -> Option<Literal> {
    let Predicate::Like { pattern, .. } = &atom.predicate else {
        return None;
    };
    let (anchor, bytes) = pattern.anchored().or_else(|| edge(pattern))?;
    (atom.field == field && !bytes.is_empty()).then(|| Literal {
        anchor,
        bytes: bytes.to_vec(),
    })
}

/// The first or last literal of a pattern with wildcards inside.
fn edge(pattern: &Wildcard) -> Option<(Anchor, &[u8])> {
    match pattern.parts() {
        [.., Part::Literal(last)] => Some((Anchor::End, last)),
        [Part::Literal(first), ..] => Some((Anchor::Start, first)),
        _ => pattern
            .longest_literal()
            .map(|literal| (Anchor::Anywhere, literal)),
    }
}

/// How much a literal is expected to let through.
fn cost(literal: &Literal) -> u32 {
    let short = 20_u32.saturating_sub(literal.bytes.len() as u32);
    match literal.anchor {
        Anchor::Whole => 1,
        Anchor::End => 10 + short,
        Anchor::Start => 20 + short,
        Anchor::Anywhere => 100 + short,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Anchor, Class, Field, RuleSet, Source};

    #[test]
    fn names_what_must_be_delivered() {
        let rule = |n: u32, selection: &str| {
            format!(
                "title: t{n}\nlogsource: {{category: file_event}}\ndetection:\n  s: {selection}\n  f: {{Image: x}}\n  condition: s and not f\n"
            )
        };
        type Case<'a> = (&'a str, &'a [(Anchor, &'a str)], bool);
        let cases: &[Case<'_>] = &[
            (
                "{TargetFilename: /etc/a}",
                &[(Anchor::Whole, "/etc/a")],
                false,
            ),
            (
                "{TargetFilename: [/etc/a, /etc/b/*]}",
                &[(Anchor::Whole, "/etc/a"), (Anchor::Start, "/etc/b/")],
                false,
            ),
            (
                "{TargetFilename|contains: /etc/, TargetFilename|endswith: .sh}",
                &[(Anchor::End, ".sh")],
                false,
            ),
            (
                "{TargetFilename: /home/*/.ssh/config}",
                &[(Anchor::End, "/.ssh/config")],
                false,
            ),
            (
                "{TargetFilename|contains: x}",
                &[(Anchor::Anywhere, "x")],
                false,
            ),
            ("{Image|endswith: /wget}", &[], true),
            (
                "[{Image|endswith: /wget}, {TargetFilename: /etc/a}]",
                &[],
                true,
            ),
        ];
        for (n, (selection, literals, anything)) in cases.iter().enumerate() {
            let text = rule(n as u32, selection);
            let set = RuleSet::compile([Source {
                name: "r.yml",
                text: &text,
            }]);
            let needs = set.matcher.needs(Class::FileEvent, Field::TargetFilename);
            let found: Vec<_> = needs
                .literals
                .iter()
                .map(|l| (l.anchor, std::str::from_utf8(&l.bytes).unwrap()))
                .collect();
            assert_eq!(found, *literals, "{selection}");
            assert_eq!(!needs.anything.is_empty(), *anything, "{selection}");
        }
    }
}
