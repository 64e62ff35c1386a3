//! Correlations played over messages.

use super::*;
use crate::{Class, Fate, Field, Record, RuleSet, Source};
use proptest::prelude::*;

const BASE: &str = r"
title: Login failed
id: failed
name: failed
logsource: {product: linux, service: sshd}
detection: {k: [Failed], condition: k}
---
title: Login
id: login
name: login
logsource: {product: linux, service: sshd}
detection: {k: [Accepted], condition: k}
---
";

struct Run {
    set: RuleSet,
    correlator: Correlator,
}

impl Run {
    fn new(correlation: &str) -> Self {
        let text = format!("{BASE}title: C\nid: c\ncorrelation:\n{correlation}");
        let set = RuleSet::compile([Source {
            name: "c.yml",
            text: &text,
        }]);
        for listed in &set.report {
            assert!(matches!(listed.fate, Fate::Loaded { .. }), "{listed:?}");
        }
        Self {
            set,
            correlator: Correlator::default(),
        }
    }

    /// Whether the correlation fires on a message at a second.
    fn take(&mut self, second: u64, message: &str, user: &str) -> bool {
        let mut event = Record::new(Class::Log)
            .with(Field::Identifier, "sshd")
            .with(Field::Message, message);
        if !user.is_empty() {
            event = event.with(Field::JournalUid, user);
        }
        let mut scratch = self.set.matcher.scratch();
        let matched = self.set.matcher.matches(&event, &mut scratch).to_vec();
        let fired =
            self.correlator
                .take(&self.set.correlations, &matched, &event, second * 1_000_000);
        fired
            .iter()
            .any(|fired| self.set.rules[fired.rule as usize].id == "c")
    }
}

type Steps<'a> = &'a [(u64, &'a str, &'a str, bool)];

fn play(correlation: &str, steps: Steps<'_>) {
    let mut run = Run::new(correlation);
    for (n, (second, message, user, expected)) in steps.iter().enumerate() {
        assert_eq!(
            run.take(*second, message, user),
            *expected,
            "step {n} of {correlation}"
        );
    }
}

#[test]
fn counts_events_in_a_window_for_each_group() {
    let three = "  type: event_count\n  rules: failed\n  group-by: [_UID]\n  timespan: 10s\n  condition: {gte: 3}\n";
    play(
        three,
        &[
            (1, "Failed", "a", false),
            (2, "Failed", "b", false),
            (3, "Failed", "a", false),
            (4, "Accepted", "a", false),
            (5, "Failed", "", false),
            (9, "Failed", "a", true),
            // It starts anew.
            (9, "Failed", "a", false),
            (9, "Failed", "a", false),
            // The window has passed.
            (30, "Failed", "b", false),
            (31, "Failed", "b", false),
            (41, "Failed", "b", false),
            (41, "Failed", "b", true),
            // A clock that was set back.
            (1, "Failed", "d", false),
            (1, "Failed", "d", false),
            (0, "Failed", "d", true),
        ],
    );
}

#[test]
fn counts_values() {
    play(
        "  type: value_count\n  rules: [failed]\n  timespan: 1m\n  condition: {field: _UID, gt: 2}\n",
        &[
            (1, "Failed", "a", false),
            (2, "Failed", "a", false),
            (3, "Failed", "b", false),
            (4, "Failed", "b", false),
            (5, "Failed", "", false),
            (6, "Failed", "c", true),
            (7, "Failed", "c", false),
        ],
    );
}

#[test]
fn rules_together_and_in_order() {
    play(
        "  type: temporal\n  rules: [failed, login]\n  group-by: [_UID]\n  timespan: 10s\n",
        &[
            (1, "Accepted", "a", false),
            (2, "Failed", "b", false),
            (5, "Failed", "a", true),
            (6, "Accepted", "b", true),
            (7, "Failed", "a", false),
            (18, "Accepted", "a", false),
        ],
    );
    play(
        "  type: temporal_ordered\n  rules: [failed, login]\n  group-by: [_UID]\n  timespan: 10s\n",
        &[
            (1, "Accepted", "a", false),
            (2, "Failed", "a", false),
            (3, "Accepted", "a", true),
            (4, "Failed", "a", false),
            (20, "Accepted", "a", false),
        ],
    );
    play(
        "  type: temporal_ordered\n  rules: [failed, failed, login]\n  timespan: 10s\n",
        &[
            (1, "Failed", "a", false),
            (2, "Accepted", "a", false),
            (3, "Failed", "a", false),
            (4, "Accepted", "a", true),
        ],
    );
}

#[test]
fn correlations_of_correlations_and_what_is_refused() {
    let many = "  type: event_count\n  rules: failed\n  timespan: 10s\n  condition: {gte: 2}\n";
    let text = format!(
        "{BASE}title: Many\nid: many\nname: many\ncorrelation:\n{many}---\ntitle: Then\nid: c\ncorrelation:\n  type: temporal_ordered\n  rules: [many, login]\n  timespan: 1h\n"
    );
    let set = RuleSet::compile([Source {
        name: "r",
        text: &text,
    }]);
    let mut run = Run {
        set,
        correlator: Correlator::default(),
    };
    assert!(!run.take(1, "Failed", "a"));
    assert!(!run.take(2, "Failed", "a"));
    assert!(run.take(3, "Accepted", "a"));

    let cases = [
        (
            "  type: x\n  rules: failed\n  timespan: 1s\n",
            "the type is one of",
        ),
        (
            "  type: temporal\n  rules: nobody\n  timespan: 1s\n",
            "its rule nobody is not loaded",
        ),
        (
            "  type: temporal\n  rules: [c]\n  timespan: 1s\n",
            "not loaded",
        ),
        (
            "  type: temporal\n  rules: [failed]\n  timespan: 1x\n",
            "a timespan is",
        ),
        (
            "  type: temporal\n  rules: [failed]\n  timespan: 0s\n",
            "between",
        ),
        ("  type: temporal\n  rules: [failed]\n", "no `timespan`"),
        (
            "  type: temporal\n  rules: []\n  timespan: 1s\n",
            "needs a rule",
        ),
        (
            "  type: temporal\n  rules: [failed]\n  timespan: 1s\n  x: 1\n",
            "`x` is no key",
        ),
        (
            "  type: event_count\n  rules: failed\n  timespan: 1s\n  condition: {lt: 5}\n",
            "is needed",
        ),
        (
            "  type: event_count\n  rules: failed\n  timespan: 1s\n  condition: {gte: 999999}\n",
            "a count lies",
        ),
        (
            "  type: value_count\n  rules: failed\n  timespan: 1s\n  condition: {gte: 5}\n",
            "needs the `field`",
        ),
        (
            "  type: event_count\n  rules: failed\n  group-by: Image\n  timespan: 1s\n  condition: {gte: 5}\n",
            "carry no Image",
        ),
    ];
    for (correlation, reason) in cases {
        let text = format!("{BASE}title: C\nid: c\ncorrelation:\n{correlation}");
        let set = RuleSet::compile([Source {
            name: "c.yml",
            text: &text,
        }]);
        let said = match &set.report[2].fate {
            Fate::Failed(error) => {
                assert!(error.line > 12, "{error}");
                error.reason.clone()
            }
            Fate::NotApplicable(why) => why.clone(),
            Fate::Loaded { .. } => panic!("{correlation}"),
        };
        assert!(said.contains(reason), "{correlation}: {said}");
        assert!(!set.is_quiet(0), "its rules raise alerts themselves");
    }
}

#[test]
fn counts_survive_a_reload_of_the_same() {
    let two = "  type: event_count\n  rules: failed\n  timespan: 10s\n  condition: {gte: 2}\n";
    let mut run = Run::new(two);
    assert!(run.set.is_quiet(0), "only the correlation raises an alert");
    assert!(!run.take(1, "Failed", "a"));
    run.set = Run::new(two).set;
    run.correlator.keep(&run.set.correlations);
    assert!(run.take(2, "Failed", "a"));
    assert!(!run.take(3, "Failed", "a"));
    run.set = Run::new(&two.replace("10s", "11s")).set;
    run.correlator.keep(&run.set.correlations);
    assert!(!run.take(4, "Failed", "a"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn memory_is_bounded(events in proptest::collection::vec((0..100_u64, 0..9000_u32), 0..3000)) {
        let mut run = Run::new("  type: event_count\n  rules: failed\n  group-by: [_UID]\n  timespan: 1h\n  condition: {gte: 100}\n");
        let set = std::mem::take(&mut run.set);
        for (second, user) in events {
            let event = Record::new(Class::Log).with(Field::JournalUid, user.to_string());
            run.correlator.take(&set.correlations, &[0], &event, second * 1_000_000);
        }
        for state in run.correlator.states.values() {
            prop_assert!(state.groups.len() <= MAX_GROUPS);
            let held: usize = state.groups.values().map(|group| group.entries.len()).sum();
            prop_assert_eq!(held, state.times);
            prop_assert!(held <= MAX_TIMES);
        }
    }
}
