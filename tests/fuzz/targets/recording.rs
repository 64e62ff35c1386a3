//! Recorded runs that the model is trained from: what parses is written and parsed back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_resource::record::Run;

fuzz_target!(|text: &str| {
    if let Ok(recording) = Run::parse(text) {
        let again = recording.to_text();
        assert_eq!(Run::parse(&again).map(|r| r.to_text()).ok(), Some(again));
    }
});
