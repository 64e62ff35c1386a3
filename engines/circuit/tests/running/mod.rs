//! What tests of runs share: requests, and counts compared with counts.

#![allow(dead_code, clippy::panic, clippy::unwrap_used)]

use quantumos_circuit::ir::Circuit;
use quantumos_circuit::run::{Choice, Outcome, Request, run};
use quantumos_circuit::{Watch, qasm};

pub fn request(method: Choice, shots: u64) -> Request {
    Request {
        method,
        shots,
        seed: 7,
        ..Request::default()
    }
}

pub fn go(circuit: &Circuit, request: &Request) -> Outcome {
    run(circuit, request, &Watch::default()).unwrap_or_else(|e| panic!("{e}"))
}

pub fn three(text: &str) -> Circuit {
    qasm::parse(&format!("OPENQASM 3.0;\ninclude \"stdgates.inc\";\n{text}")).unwrap()
}

/// The distance of counts from other counts, against what chance allows.
pub fn same(a: &Outcome, b: &Outcome, name: &str) {
    let (mut chi, mut degrees) = (0.0, -1.0f64);
    let keys: std::collections::BTreeSet<&String> =
        a.counts.keys().chain(b.counts.keys()).collect();
    for key in keys {
        let x = *a.counts.get(key).unwrap_or(&0) as f64;
        let y = *b.counts.get(key).unwrap_or(&0) as f64;
        chi += (x - y) * (x - y) / (x + y);
        degrees += 1.0;
    }
    let most = degrees + 4.0 * (2.0 * degrees).sqrt() + 4.0;
    assert!(chi <= most, "{name}: chi-square {chi} at {degrees} degrees");
}
