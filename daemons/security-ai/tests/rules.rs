//! Our own rules: each fires on what it is for, and none fires on what is ordinary.
//! Cases stand beside the rules, in `rules/cases/NAME.json`.

#![allow(clippy::unwrap_used, clippy::panic)]

use quantumos_detect::capture::{self, Captured};
use quantumos_detect::{Fate, Replay, RuleSet, Source};
use std::collections::{BTreeMap, BTreeSet};
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

/// One case: an event, or a list of events that follow each other.
fn events(case: &serde_json::Value) -> Vec<Captured> {
    let list = case.as_array().cloned();
    let list = list.unwrap_or_else(|| vec![case.clone()]);
    list.iter()
        .map(|event| {
            let event = event.as_object().unwrap_or_else(|| panic!("{case}"));
            capture::event(event).unwrap_or_else(|error| panic!("{error}: {case}"))
        })
        .collect()
}

/// The rules that fire on a case.
fn firing(set: &RuleSet, case: &serde_json::Value) -> BTreeSet<u32> {
    let mut replay = Replay::new(set);
    let events = events(case);
    let fired = events.iter().flat_map(|event| replay.take(event));
    fired.map(|firing| firing.rule).collect()
}

#[test]
fn every_rule_fires_on_its_cases_and_on_no_ordinary_event() {
    let rules = files(&folder(), "yml");
    let cases = files(&folder().join("cases"), "json");
    assert!(rules.len() >= 45, "{} rules", rules.len());
    let set = RuleSet::compile(rules.iter().map(|(name, text)| Source { name, text }));
    // The last rule of a file is what its cases are about: those before it are what it counts.
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
        let case: serde_json::Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let number = numbers.get(name).copied();
        let list = |key: &str| {
            case[key]
                .as_array()
                .unwrap_or_else(|| panic!("{name}: {key}"))
        };
        let (fires, quiet) = (list("fires"), list("quiet"));
        assert!(
            number.is_none() || !(fires.is_empty() || quiet.is_empty()),
            "{name} needs a case that fires and one that doesn't"
        );
        for event in fires {
            if !number.is_some_and(|number| firing(&set, event).contains(&number)) {
                wrong.push(format!("{name} should fire on {event}"));
            }
        }
        for event in quiet {
            // Cases named after no rule are ordinary life: nothing at all may fire.
            let fired = firing(&set, event);
            let fired = fired
                .iter()
                .filter(|rule| number.is_none_or(|number| number == **rule));
            for rule in fired {
                wrong.push(format!(
                    "{name}: {} fires on {event}",
                    set.rules[*rule as usize].title
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
        let rule = set.rules.last().unwrap();
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

#[test]
fn the_manual_names_every_source_of_events_and_every_correlation() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/man/security-ai.8");
    let manual = std::fs::read_to_string(manual).unwrap().replace('\\', "");
    let services = ["auditd", "syslog", "sshd", "cron", "clamav", "vsftpd"];
    let correlations = ["event_count", "value_count", "temporal", "temporal_ordered"];
    let classes = quantumos_detect::Class::ALL
        .iter()
        .map(|class| class.name());
    let classes = classes.filter(|name| !matches!(*name, "auditd" | "log"));
    for name in classes.chain(services).chain(correlations) {
        let named = |word: &str| word.trim_matches(|c| "\",.()".contains(c)) == name;
        assert!(
            manual.split_whitespace().any(named),
            "{name} is not in security-ai(8)"
        );
    }
}
