//! The rules' meaning, written as plainly as can be: what the matcher is held against.
//! It walks the parsed rule with no index, no folding and no sharing.

use crate::condition::{Condition, Quantity};
use crate::event::{Event, Record, Room, Value, bytes_of};
use crate::expression::Atom;
use crate::field::Field;
use crate::modifier::{Predicate, Test};
use crate::rule::{self, Detection, Document, Selection};
use crate::ruleset::{RuleSet, Source};
use crate::{Class, yaml};
use proptest::prelude::*;

fn matches(detection: &Detection, event: &Record) -> bool {
    let held: Vec<bool> = detection
        .selections
        .iter()
        .map(|s| selection(s, event))
        .collect();
    detection.conditions.iter().any(|c| condition(c, &held))
}

fn condition(c: &Condition, held: &[bool]) -> bool {
    match c {
        Condition::Selection(n) => held[*n],
        Condition::Of(Quantity::All, members) => members.iter().all(|n| held[*n]),
        Condition::Of(Quantity::AtLeast(count), members) => {
            members.iter().filter(|n| held[**n]).count() >= *count as usize
        }
        Condition::And(parts) => parts.iter().all(|p| condition(p, held)),
        Condition::Or(parts) => parts.iter().any(|p| condition(p, held)),
        Condition::Not(inner) => !condition(inner, held),
    }
}

fn selection(s: &Selection, event: &Record) -> bool {
    match s {
        Selection::All(parts) => parts.iter().all(|p| selection(p, event)),
        Selection::Any(parts) => parts.iter().any(|p| selection(p, event)),
        Selection::Not(inner) => !selection(inner, event),
        Selection::Test(test) => holds(test, event),
    }
}

fn holds(test: &Test, event: &Record) -> bool {
    if test.field.is_empty() {
        let fields = [
            "Image",
            "CommandLine",
            "CurrentDirectory",
            "User",
            "ParentImage",
            "ParentCommandLine",
        ];
        return fields.iter().any(|f| {
            holds(
                &Test {
                    field: (*f).into(),
                    predicate: test.predicate.clone(),
                },
                event,
            )
        });
    }
    let Some(field) = Field::from_name(&test.field).filter(|f| event.class().carries(*f)) else {
        return matches!(test.predicate, Predicate::Null);
    };
    match &test.predicate {
        Predicate::Like { pattern, cased } => {
            let mut any = false;
            event.each(field, &mut |value: Value<'_>| {
                any |= pattern.matches(bytes_of(value, &mut Room::new()), *cased)
            });
            any
        }
        other => Atom {
            field,
            predicate: other.clone(),
        }
        .holds(event),
    }
}

/// A rule's YAML from random pieces.
fn rule() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        Just("Image"),
        Just("CommandLine"),
        Just("User"),
        Just("AncestorImages"),
        Just("ProcessId"),
        Just("NoSuchField"),
        Just("")
    ];
    let modifier = prop_oneof![
        Just(""),
        Just("|contains"),
        Just("|startswith"),
        Just("|endswith"),
        Just("|contains|all"),
        Just("|cased"),
        Just("|contains|cased"),
        Just("|re"),
        Just("|re|i"),
        Just("|neq"),
        Just("|exists"),
        Just("|endswith|neq")
    ];
    let value = "[abA/*?]{1,4}";
    let test = (field, modifier, proptest::collection::vec(value, 1..4)).prop_map(
        |(field, modifier, values)| {
            let values: Vec<String> = values
                .into_iter()
                .map(|v| match modifier {
                    "|exists" => "true".into(),
                    m if m.starts_with("|re") => v.replace(['*', '?'], "."),
                    _ => v,
                })
                .collect();
            let number = field == "ProcessId" && !modifier.contains("exists");
            let values = if number {
                vec!["1".to_string(), "12*".into()]
            } else {
                values
            };
            format!("\"{field}{modifier}\": ['{}']", values.join("', '"))
        },
    );
    let map = proptest::collection::btree_map("[0-9]", test, 1..3).prop_map(|tests| {
        let mut keys = std::collections::BTreeSet::new();
        let tests: Vec<String> = tests
            .into_values()
            .filter(|t| keys.insert(t.split(':').next().unwrap_or("").to_string()))
            .collect();
        format!("{{{}}}", tests.join(", "))
    });
    let selection = prop_oneof![
        map.clone(),
        proptest::collection::vec(map, 1..3).prop_map(|m| format!("[{}]", m.join(", ")))
    ];
    let condition = prop_oneof![
        Just("s1"),
        Just("s1 and s2"),
        Just("s1 or not s2"),
        Just("1 of s*"),
        Just("all of them"),
        Just("2 of s*"),
        Just("not s1 and (s2 or s3)"),
        Just("s1 and not 1 of s*"),
        Just("not 2 of them"),
        Just("s3 or (s1 and not s2)"),
    ];
    (proptest::collection::vec(selection, 3), condition).prop_map(|(s, condition)| {
        format!(
            "logsource: {{category: process_creation}}\ndetection:\n  s1: {}\n  s2: {}\n  s3: {}\n  condition: {condition}\n",
            s[0], s[1], s[2]
        )
    })
}

fn event() -> impl Strategy<Value = Record> {
    let text = "[abAB/]{0,6}";
    let some = |field: Field| proptest::collection::vec(text, 0..2).prop_map(move |v| (field, v));
    (
        some(Field::Image),
        some(Field::CommandLine),
        some(Field::User),
        proptest::collection::vec(text, 0..3),
        proptest::option::of(0..200_i64),
    )
        .prop_map(|(image, line, user, ancestors, pid)| {
            let mut record = Record::new(Class::ProcessCreation);
            for (field, values) in [image, line, user, (Field::AncestorImages, ancestors)] {
                record = values.into_iter().fold(record, |r, v| r.with(field, v));
            }
            pid.into_iter().fold(record, |r, pid| {
                r.with_value(Field::ProcessId, Value::Number(pid))
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_matcher_means_what_the_rules_say(
        rules in proptest::collection::vec(rule(), 1..8),
        events in proptest::collection::vec(event(), 1..12),
    ) {
        let files: Vec<String> = rules.iter().enumerate().map(|(n, r)| format!("title: t{n}\n{r}")).collect();
        let set = RuleSet::compile(files.iter().map(|text| Source { name: "r.yml", text }));
        let mut scratch = set.matcher.scratch();
        for event in &events {
            let found = set.matcher.matches(event, &mut scratch).to_vec();
            prop_assert_eq!(&found, &set.matcher.matches_in_turn(event));
            for (listed, text) in set.report.iter().zip(&files) {
                let documents = yaml::parse(text).unwrap();
                let Ok(Document::Rule(_, detection)) = rule::read(&documents[0], &std::collections::BTreeMap::new()) else { panic!("{text}") };
                let expected = matches(&detection, event);
                match &listed.fate {
                    crate::Fate::Loaded { rule, .. } => {
                        prop_assert_eq!(found.contains(rule), expected, "{}\n{:?}", text, event);
                        if expected { let _ = set.matcher.explain(*rule, event); }
                    }
                    crate::Fate::NotApplicable(why) => prop_assert_eq!(expected, why.contains("always"), "{}: {}", text, why),
                    crate::Fate::Failed(error) => panic!("{text}: {error}"),
                }
            }
        }
    }
}
