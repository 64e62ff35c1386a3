//! What a learned model is made of: its network, its profile and the windows it came from. What is read is what
//! `write` would have written, byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_learn::{Profile, Window, features, onnx};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(density) = onnx::read(bytes) {
        assert_eq!(onnx::write(&density), bytes);
    }
    if let Ok(profile) = Profile::read(bytes) {
        assert_eq!(profile.write(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(window) = Window::from_line(text)
    {
        let x = features::of(&window, &Profile::default(), &features::HOST);
        assert!(x.iter().all(|value| value.is_finite()));
    }
});
