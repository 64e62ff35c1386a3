//! Messages of the journal and of the audit system in it: read or refused, and what is read can be matched.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_detect::{Audited, Event, Field, RuleSet, Source, capture};
use std::sync::OnceLock;

// The module alone: all of security-ai would bring the build of its probes with it.
#[allow(dead_code)]
#[path = "../../../daemons/security-ai/src/message.rs"]
mod message;

use message::Message;

const RULES: &str = "title: k\nid: k\nlogsource: {product: linux}\ndetection: {keywords: [fail], condition: keywords}\n---\n\
    title: a\nid: a\nlogsource: {product: linux, service: auditd}\ndetection: {s: {type: ADD_USER}, condition: s}\n";

fuzz_target!(|bytes: &[u8]| {
    static SET: OnceLock<RuleSet> = OnceLock::new();
    let source = || Source { name: "r.yml", text: RULES };
    let set = SET.get_or_init(|| RuleSet::compile([source()]));
    let Some(message) = Message::read(bytes) else {
        return;
    };
    let mut scratch = set.matcher.scratch();
    let mut ask = |event: &dyn Fn(&mut dyn FnMut(&str))| event(&mut |line| {
        let again = capture::read(line).expect("what was written is read");
        for rule in set.matcher.matches(&again.record, &mut scratch).to_vec() {
            let _ = set.matcher.explain(rule, &again.record);
        }
    });
    ask(&|take| take(&capture::write(&message, message.time)));
    if let Some(record) = &message.record {
        ask(&|take| take(&capture::write(record, message.time)));
    }
    for record in Audited::of(&message) {
        ask(&|take| take(&capture::write(&record, message.time)));
    }
    for field in Field::ALL {
        assert!(message.first(*field).len() <= 16 * 1024);
        message.each(*field, &mut |_| {});
    }
});
