//! Circuits as OpenQASM and JSON, and observables: whatever the text is, it is a circuit that passes its
//! own checks or an error; small ones are explained, drawn and run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_circuit::run::{Observable, Request, explain, run};
use quantumos_circuit::{Watch, draw, json, qasm};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = Observable::parse(text);
    for circuit in [qasm::parse(text), json::parse(text, None)].into_iter().flatten() {
        assert!(circuit.check().is_ok());
        if circuit.qubits > 8 || circuit.bits > 64 || circuit.ops.len() > 64 || !circuit.is_bound() {
            continue;
        }
        let request = Request {
            shots: 2,
            available: 1 << 24,
            ..Request::default()
        };
        let _ = draw::text(&circuit, 80);
        // Loops that never end are refused after so many steps, which is slow to wait for here.
        let endless = circuit.ops.iter().any(|op| format!("{op:?}").contains("While"));
        if explain(&circuit, &request).is_ok() && !endless {
            let _ = run(&circuit, &request, &Watch::default());
        }
    }
});
