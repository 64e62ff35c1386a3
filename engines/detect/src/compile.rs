//! From a rule's detection to an expression over the atoms of its class.
//! Fields that events of the class never carry become constants, so that a rule that can't fire is known as such.

use crate::condition::{Condition, Quantity};
use crate::event::{Class, Field};
use crate::expression::{Atom, AtomId, Expression};
use crate::modifier::{Predicate, Test};
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

/// The fields that keywords are looked for in.
const TEXTS: [Field; 7] = [
    Field::Image,
    Field::CommandLine,
    Field::CurrentDirectory,
    Field::User,
    Field::ParentImage,
    Field::ParentCommandLine,
    Field::TargetFilename,
];

impl Atoms {
    pub(crate) fn new(class: Class) -> Self {
        Self {
            class,
            list: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// The expression of a detection. Names of fields that events don't carry are added to `absent`.
    pub(crate) fn detection(
        &mut self,
        detection: &Detection,
        absent: &mut Vec<String>,
    ) -> Expression {
        let selections: Vec<Expression> = detection
            .selections
            .iter()
            .map(|s| self.selection(s, absent))
            .collect();
        Expression::any(
            detection
                .conditions
                .iter()
                .map(|condition| combined(condition, &selections)),
        )
    }

    fn selection(&mut self, selection: &Selection, absent: &mut Vec<String>) -> Expression {
        match selection {
            Selection::All(parts) => {
                let parts: Vec<_> = parts
                    .iter()
                    .map(|part| self.selection(part, absent))
                    .collect();
                Expression::all(parts)
            }
            Selection::Any(parts) => {
                let parts: Vec<_> = parts
                    .iter()
                    .map(|part| self.selection(part, absent))
                    .collect();
                Expression::any(parts)
            }
            Selection::Not(inner) => Expression::not(self.selection(inner, absent)),
            Selection::Test(test) => self.test(test, absent),
        }
    }

    fn test(&mut self, test: &Test, absent: &mut Vec<String>) -> Expression {
        if test.field.is_empty() {
            let class = self.class;
            let fields = TEXTS.into_iter().filter(|field| class.carries(*field));
            let anywhere: Vec<_> = fields
                .map(|field| self.atom(field, &test.predicate))
                .collect();
            return Expression::any(anywhere);
        }
        let mut carried = |name: &str| {
            let field = Field::from_name(name).filter(|field| self.class.carries(*field));
            if field.is_none() && !absent.iter().any(|known| known == name) {
                absent.push(name.to_string());
            }
            field
        };
        let other = match &test.predicate {
            Predicate::SameAs { other, .. } => carried(other).is_some(),
            _ => true,
        };
        match (carried(&test.field), &test.predicate) {
            (None, Predicate::Null) => Expression::Constant(true),
            (Some(field), predicate) if other => self.atom(field, predicate),
            _ => Expression::Constant(false),
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
