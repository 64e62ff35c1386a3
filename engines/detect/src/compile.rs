//! From a rule's detection to an expression over the atoms of a class.
//! Fields that events of the class never carry become constants, so that a rule that can't fire is known as such.

use crate::audit::{self, Watch};
use crate::class::Class;
use crate::condition::{Condition, Quantity};
use crate::expression::{Atom, AtomId, Expression};
use crate::field::Field;
use crate::modifier::{Predicate, Test};
use crate::options::Options;
use crate::pattern::Wildcard;
use crate::rule::{Detection, Selection};
use std::collections::HashMap;

/// The atoms of one class.
#[derive(Debug)]
pub(crate) struct Atoms {
    class: Class,
    pub(crate) list: Vec<Atom>,
    known: HashMap<(Field, String), AtomId>,
}

/// What is compiled of one class.
#[derive(Debug)]
pub(crate) struct ClassRules {
    pub(crate) class: Class,
    pub(crate) atoms: Atoms,
    /// Each rule's number and expression.
    pub(crate) rules: Vec<(u32, Expression)>,
}

/// What one rule is compiled with.
pub(crate) struct Surroundings<'a> {
    pub(crate) options: &'a Options,
    /// The fields that keywords are looked for in.
    pub(crate) texts: &'a [Field],
    /// The audit configuration that the rule states.
    pub(crate) watches: &'a [Watch],
    /// Whether the rule is meant to see files being read.
    pub(crate) reads: bool,
    /// What the rule tests and events never carry.
    pub(crate) absent: Vec<String>,
}

impl Surroundings<'_> {
    fn is_absent(&mut self, what: String) {
        if !self.absent.contains(&what) {
            self.absent.push(what);
        }
    }
}

impl Atoms {
    pub(crate) fn new(class: Class) -> Self {
        Self {
            class,
            list: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// The expression of a detection.
    pub(crate) fn detection(
        &mut self,
        detection: &Detection,
        around: &mut Surroundings<'_>,
    ) -> Expression {
        let mut selections = Vec::with_capacity(detection.selections.len());
        for selection in &detection.selections {
            selections.push(self.selection(selection, around));
        }
        Expression::any(
            detection
                .conditions
                .iter()
                .map(|condition| combined(condition, &selections)),
        )
    }

    /// That one of the fields has the value beside it.
    pub(crate) fn any_of(&mut self, values: &[(Field, String)]) -> Expression {
        let mut any = Vec::with_capacity(values.len());
        for (field, value) in values {
            any.push(self.atom(
                *field,
                &Predicate::Like {
                    pattern: Wildcard::literal(value.as_str()),
                    cased: true,
                },
            ));
        }
        Expression::any(any)
    }

    fn selection(&mut self, selection: &Selection, around: &mut Surroundings<'_>) -> Expression {
        match selection {
            Selection::All(parts) => {
                let parts: Vec<_> = parts
                    .iter()
                    .map(|part| self.selection(part, around))
                    .collect();
                Expression::all(parts)
            }
            Selection::Any(parts) => {
                let parts: Vec<_> = parts
                    .iter()
                    .map(|part| self.selection(part, around))
                    .collect();
                Expression::any(parts)
            }
            Selection::Not(inner) => Expression::not(self.selection(inner, around)),
            Selection::Test(test) => self.test(test, around),
        }
    }

    fn test(&mut self, test: &Test, around: &mut Surroundings<'_>) -> Expression {
        if test.field.is_empty() {
            let anywhere: Vec<_> = around
                .texts
                .iter()
                .map(|field| self.atom(*field, &test.predicate))
                .collect();
            return Expression::any(anywhere);
        }
        let class = self.class;
        let mut carried = |name: &str| {
            let field =
                Field::from_name(name).filter(|field| around.options.carries(class, *field));
            if field.is_none() {
                around.is_absent(name.to_string());
            }
            field
        };
        let other = match &test.predicate {
            Predicate::SameAs { other, .. } => carried(other).is_some(),
            _ => true,
        };
        match (carried(&test.field), &test.predicate) {
            (None, Predicate::Null) => Expression::Constant(true),
            (Some(field), predicate) if other => match class {
                Class::Audit => self.audit(field, predicate, around),
                _ => self.atom(field, predicate),
            },
            _ => Expression::Constant(false),
        }
    }

    /// A test of an audit record, by the audit configuration that goes with the rule.
    fn audit(
        &mut self,
        field: Field,
        predicate: &Predicate,
        around: &mut Surroundings<'_>,
    ) -> Expression {
        let written = self.atom(field, predicate);
        match (field, predicate) {
            (Field::SystemCall, Predicate::Like { pattern, cased })
                if !around
                    .options
                    .system_calls
                    .iter()
                    .any(|call| pattern.matches(call.as_bytes(), *cased)) =>
            {
                around.is_absent(format!("the system call {pattern}"));
                Expression::Constant(false)
            }
            (Field::AuditKey, _) => {
                let mut any = vec![written];
                for tests in audit::recorded(predicate, around.watches) {
                    let all: Vec<_> = tests
                        .iter()
                        .map(|(field, predicate)| self.atom(*field, predicate))
                        .collect();
                    any.push(Expression::all(all));
                }
                Expression::any(any)
            }
            (Field::AuditName, _) if !around.reads => {
                let read = self.atom(Field::Permission, &audit::read_only());
                Expression::all([written, Expression::not(read)])
            }
            _ => written,
        }
    }

    fn atom(&mut self, field: Field, predicate: &Predicate) -> Expression {
        let next = self.list.len() as AtomId;
        let id = *self.known.entry((field, predicate.key())).or_insert(next);
        if id == next {
            self.list.push(Atom {
                field,
                predicate: predicate.clone(),
            });
        }
        Expression::Atom(id)
    }
}

fn combined(condition: &Condition, selections: &[Expression]) -> Expression {
    // Positions come from the condition's parser, which only hands out those of this rule.
    let at = |n: &usize| {
        selections
            .get(*n)
            .cloned()
            .unwrap_or(Expression::Constant(false))
    };
    match condition {
        Condition::Selection(n) => at(n),
        Condition::Of(Quantity::All, members) => Expression::all(members.iter().map(at)),
        Condition::Of(Quantity::AtLeast(count), members) => {
            Expression::at_least(*count, members.iter().map(at))
        }
        Condition::And(parts) => {
            Expression::all(parts.iter().map(|part| combined(part, selections)))
        }
        Condition::Or(parts) => {
            Expression::any(parts.iter().map(|part| combined(part, selections)))
        }
        Condition::Not(inner) => Expression::not(combined(inner, selections)),
    }
}
