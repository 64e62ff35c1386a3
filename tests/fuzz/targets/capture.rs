//! Captures and the cases beside rules: what is read is written and read again the same, and can be replayed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_detect::{Replay, RuleSet, Source, capture};
use std::sync::OnceLock;

const RULES: &str = "title: t\nid: t\nlogsource: {product: linux}\ndetection: {keywords: ['curl', '/etc/shadow'], condition: keywords}\n";

fuzz_target!(|text: &str| {
    static SET: OnceLock<RuleSet> = OnceLock::new();
    let source = || Source { name: "r.yml", text: RULES };
    let set = SET.get_or_init(|| RuleSet::compile([source()]));
    let mut replay = Replay::new(set);
    for line in text.lines() {
        if let Ok(captured) = capture::read(line) {
            let written = capture::write(&captured.record, captured.time);
            let again = capture::read(&written).expect("what was written");
            assert_eq!(capture::write(&again.record, again.time), written);
            replay.take(&captured);
        }
    }
});
