//! All rules of all classes as one matcher.
//!
//! An event is asked about by the rules of its class only; an audit record by those rules only that a record made from
//! such an event can match. Nothing is allocated after the first events.

use crate::class::Class;
use crate::compile::ClassRules;
use crate::evaluator::{Evaluator, Numbered, Scratch};
use crate::event::Event;
use crate::expression::{Atom, AtomId, Evidence, Expression};
use crate::field::Field;
use crate::shape::Shape;
use std::sync::Arc;

/// The compiled rules. Rules are known by their number, which [`crate::RuleSet`] hands out.
#[derive(Debug, Default)]
pub struct Matcher {
    /// By the class's number; none for classes without rules.
    classes: Vec<Option<Of>>,
    /// By the shape's number: what is left of the audit rules for records of that shape.
    shapes: Vec<Evaluator>,
    rules: usize,
}

/// The rules of a class as they were written, and as they are evaluated.
#[derive(Debug)]
struct Of {
    atoms: Vec<Arc<Atom>>,
    rules: Vec<Numbered>,
    evaluator: Evaluator,
}

impl Matcher {
    pub(crate) fn build(classes: Vec<ClassRules>) -> Matcher {
        let mut built = Matcher {
            rules: classes.iter().map(|c| c.rules.len()).sum(),
            ..Matcher::default()
        };
        built.classes.resize_with(Class::ALL.len(), || None);
        for ClassRules {
            class,
            atoms,
            rules,
        } in classes
        {
            let atoms: Vec<Arc<Atom>> = atoms.list.into_iter().map(Arc::new).collect();
            if class == Class::Audit {
                built.shapes = shaped(&atoms, &rules);
            }
            built.classes[class as usize] = Some(Of {
                evaluator: Evaluator::build(&atoms, &rules),
                atoms,
                rules,
            });
        }
        built
    }

    /// How many rules are in it.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.rules
    }

    /// Whether any rule is about this class.
    #[must_use]
    pub fn wants(&self, class: Class) -> bool {
        self.of(class).is_some()
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
        self.of(class)
            .is_some_and(|c| c.atoms.iter().any(|atom| atom.looks_at(field)))
    }

    /// The rules that look at this field of this class.
    #[must_use]
    pub fn rules_looking_at(&self, class: Class, field: Field) -> Vec<u32> {
        let Some((atoms, rules)) = self.class(class) else {
            return Vec::new();
        };
        let looks = |id: AtomId| atoms[id as usize].looks_at(field);
        rules
            .iter()
            .filter(|(_, expression)| expression.has(&looks))
            .map(|(number, _)| *number)
            .collect()
    }

    pub(crate) fn class(&self, class: Class) -> Option<(&[Arc<Atom>], &[Numbered])> {
        let found = self.of(class)?;
        Some((&found.atoms, &found.rules))
    }

    fn of(&self, class: Class) -> Option<&Of> {
        self.classes.get(class as usize)?.as_ref()
    }

    /// Room for this matcher's evaluations. A scratch made for another matcher works, too: it grows.
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        let mut scratch = Scratch::default();
        for class in self.classes.iter().flatten() {
            scratch.fit(&class.evaluator);
        }
        scratch
    }

    /// The numbers of the rules that match, ascending.
    pub fn matches<'s>(&self, event: &impl Event, scratch: &'s mut Scratch) -> &'s [u32] {
        scratch.matched.clear();
        let shaped = event
            .shape()
            .and_then(|shape| self.shapes.get(shape.place()));
        let whole = || self.of(event.class()).map(|class| &class.evaluator);
        if let Some(rules) = shaped.or_else(whole) {
            rules.evaluate(event, scratch);
        }
        &scratch.matched
    }

    /// The same as [`Matcher::matches`], found by trying every rule in turn: what the index is measured against.
    #[must_use]
    pub fn matches_in_turn(&self, event: &impl Event) -> Vec<u32> {
        let Some(class) = self.of(event.class()) else {
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
        let Some(class) = self.of(event.class()) else {
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

/// The audit rules by shape, each with what every record of the shape settles put in.
fn shaped(atoms: &[Arc<Atom>], rules: &[Numbered]) -> Vec<Evaluator> {
    let mut shapes = Vec::new();
    shapes.resize_with(Shape::COUNT, Evaluator::default);
    for (shape, settled, known) in Shape::settled() {
        let verdicts: Vec<Option<bool>> = atoms
            .iter()
            .map(|atom| atom.settled(&settled).then(|| atom.holds(&known)))
            .collect();
        let left: Vec<Numbered> = rules
            .iter()
            .map(|(number, rule)| (*number, rule.given(&|id| verdicts[id as usize])))
            .filter(|(_, rule)| *rule != Expression::Constant(false))
            .collect();
        shapes[shape.place()] = Evaluator::build(atoms, &left);
    }
    shapes
}
