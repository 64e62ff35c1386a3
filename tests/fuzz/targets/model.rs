//! Model files: what is read is what `write` would have written, byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_resource::onnx;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(network) = onnx::read(bytes) {
        assert_eq!(onnx::write(&network), bytes);
    }
});
