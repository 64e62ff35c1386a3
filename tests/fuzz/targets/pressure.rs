//! The kernel's pressure files.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = quantumos_resource::psi::Pressure::parse(text) {
        assert!(!error.to_string().is_empty());
    }
});
