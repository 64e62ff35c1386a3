//! Conditions, regular expressions and wildcards of a rule that is otherwise sound, a condition, a pattern and a value on
//! a line each: what loads can be matched in bounded time, the rest says why.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_detect::{Class, Fate, Field, Record, RuleSet, Source};

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (condition, pattern, value) = (next(), next(), next());
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let rule = format!(
        "title: t\nid: t\nlogsource: {{category: process_creation, product: linux}}\ndetection:\n  sel_a: {{CommandLine|re: {}}}\n  \
         sel_b: {{CommandLine|contains: {}}}\n  sel_c: {{Image: {}}}\n  condition: {}\n",
        quoted(pattern),
        quoted(pattern),
        quoted(pattern),
        quoted(condition),
    );
    let set = RuleSet::compile([Source {
        name: "fuzz.yml",
        text: &rule,
    }]);
    for listed in &set.report {
        if let Fate::Failed(error) = &listed.fate {
            assert!(!error.reason.is_empty() && error.line > 0, "{error:?}");
        }
    }
    let mut scratch = set.matcher.scratch();
    let mut event = Record::new(Class::from_name("process_creation").expect("a class"));
    for name in ["Image", "CommandLine"] {
        event = event.with(Field::from_name(name).expect("a field"), value);
    }
    for rule in set.matcher.matches(&event, &mut scratch).to_vec() {
        assert!(!set.matcher.explain(rule, &event).is_empty() || condition.contains("not"));
    }
});
