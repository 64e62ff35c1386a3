//! Our own rules: each fires on what it is for, and none fires on what is ordinary.
//! Cases stand beside the rules, in `rules/cases/NAME.json`.

#![allow(clippy::unwrap_used, clippy::panic)]

use quantumos_detect::{Class, Fate, Field, Record, RuleSet, Source, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")
}

fn files(folder: &Path, extension: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|e| e == extension) {
            let name = path.file_stem().unwrap().to_str().unwrap().to_string();
            out.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
    out
}

fn record(case: &serde_json::Value) -> Record {
    let case = case.as_object().unwrap();
    let class = Class::from_name(case["class"].as_str().unwrap()).unwrap();
    let mut record = Record::new(class);
    for (name, value) in case.iter().filter(|(name, _)| *name != "class") {
        let field = Field::from_name(name).unwrap_or_else(|| panic!("no field {name}"));
        assert!(
            class.carries(field),
            "{} events have no {name}",
            class.name()
        );
        let values = value
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![value.clone()]);
        for value in values {
            record = match &value {
                serde_json::Value::Bool(flag) => record.with_value(field, Value::Flag(*flag)),
                serde_json::Value::Number(number) => {
                    record.with_value(field, Value::Number(number.as_i64().unwrap()))
                }
                serde_json::Value::String(text) => match text.parse() {
                    Ok(address) if field == Field::DestinationIp => {
                        record.with_value(field, Value::Address(address))
                    }
                    _ => record.with(field, text.as_str()),
                },
                other => panic!("{name}: {other}"),
            };
        }
    }
    record
}

#[test]
fn every_rule_fires_on_its_cases_and_on_no_ordinary_event() {
    let rules = files(&folder(), "yml");
    let cases = files(&folder().join("cases"), "json");
    assert!(rules.len() >= 15, "{} rules", rules.len());
    let set = RuleSet::compile(rules.iter().map(|(name, text)| Source { name, text }));
    let mut scratch = set.matcher.scratch();
    let mut numbers = BTreeMap::new();
    for listed in &set.report {
        match &listed.fate {
            Fate::Loaded { rule, absent } if absent.is_empty() => {
                numbers.insert(listed.file.clone(), *rule)
            }
            fate => panic!("{}: {fate:?}", listed.file),
        };
        assert!(
            cases.contains_key(&listed.file),
            "{} has no cases",
            listed.file
        );
    }
    let mut wrong = Vec::new();
    for (name, text) in &cases {
        let case: serde_json::Value = serde_json::from_str(text).unwrap();
        let number = numbers.get(name).copied();
        let (fires, quiet) = (
            case["fires"].as_array().unwrap(),
            case["quiet"].as_array().unwrap(),
        );
        assert!(
            number.is_none() || !(fires.is_empty() || quiet.is_empty()),
            "{name}"
        );
        for event in fires {
            let found = set.matcher.matches(&record(event), &mut scratch);
            if !number.is_some_and(|number| found.contains(&number)) {
                wrong.push(format!("{name} should fire on {event}"));
            }
        }
        for event in quiet {
            let found = set.matcher.matches(&record(event), &mut scratch).to_vec();
            // Cases named after no rule are ordinary life: nothing at all may fire.
            let fired = found
                .into_iter()
                .filter(|rule| number.is_none_or(|number| number == *rule));
            for rule in fired {
                wrong.push(format!(
                    "{name}: {} fires on {event}",
                    set.rules[rule as usize].title
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_says_what_an_administrator_needs() {
    for (name, text) in files(&folder(), "yml") {
        let set = RuleSet::compile([Source {
            name: &name,
            text: &text,
        }]);
        let rule = &set.rules[0];
        assert!(
            !rule.description.is_empty() && !rule.false_positives.is_empty(),
            "{name}"
        );
        assert!(
            rule.tags.iter().any(|tag| tag.starts_with("attack.t")),
            "{name} names no technique"
        );
        assert_eq!(rule.id.len(), 36, "{name}");
    }
}
