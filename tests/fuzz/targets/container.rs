//! Fronts of containers: what parses is written back byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_resonance::container::Front;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(front) = Front::from_bytes(bytes) {
        assert_eq!(front.to_bytes(), bytes);
        assert_eq!(Front::len(bytes), Ok(Some(bytes.len())));
        assert!(front.details().metadata.len() <= bytes.len());
    }
});
