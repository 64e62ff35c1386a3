//! Records of the ring buffers: decoded, or refused with what was wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_ebpf::{Event, decode};

fuzz_target!(|bytes: &[u8]| {
    match decode(bytes) {
        Ok(Event::Exec(exec)) => {
            let length: usize = exec.arguments().map(|argument| argument.len()).sum();
            assert!(length <= bytes.len());
            let _ = exec.command_line();
        }
        Ok(event) => drop(format!("{event:?}")),
        Err(error) => drop(error.to_string()),
    }
});
