//! Adjoint gradients against central differences of the reference, for every gate with angles.

#![allow(clippy::panic, clippy::unwrap_used)]

mod reference;

use quantumos_circuit::gradient::gradient;
use quantumos_circuit::ir::{Angle, Circuit, standard, standard_names};
use quantumos_circuit::run::Observable;
use quantumos_circuit::{C64, Error, Watch};

const MEMORY: u64 = 1 << 26;

/// `Z0 + 0.5 X1 Y2` of the state, from its amplitudes.
fn wanted(circuit: &Circuit, values: &[f64]) -> f64 {
    let state = reference::state(&circuit.bind(values).unwrap());
    let mut sum = 0.0;
    for (x, a) in state.iter().enumerate() {
        sum += a.norm_sqr() * if x & 1 == 1 { -1.0 } else { 1.0 };
        // Y takes 0 to i and 1 to -i.
        let y = if x >> 2 & 1 == 1 { -C64::I } else { C64::I };
        sum += 0.5 * (state[x ^ 6].conj() * y * a).re;
    }
    sum
}

#[test]
fn gradients_are_those_of_differences() {
    let observable = Observable::parse("Z0 + 0.5*X1 Y2").unwrap();
    for name in standard_names() {
        let known = standard(name).unwrap();
        if known.angles == 0 || name == "u0" || known.qubits() > 3 {
            continue;
        }
        let mut circuit = Circuit::new(3, 0).unwrap();
        circuit.ops = reference::random(3, 12, 8).ops;
        let angles: Vec<Angle> = (0..known.angles)
            .map(|i| circuit.parameter(&format!("p{i}")).scaled(1.5 - i as f64))
            .collect();
        for on in [[0, 1, 2], [2, 0, 1]] {
            circuit
                .gate_with(name, &angles, &on[..known.qubits()])
                .unwrap();
            circuit.gate("swap", &[], &[0, 2]).unwrap();
            circuit.ops.extend(reference::random(3, 5, 9).ops);
        }
        let values: Vec<f64> = (0..known.angles).map(|i| 0.4 + 0.3 * i as f64).collect();
        let (value, slopes) =
            gradient(&circuit, &values, &observable, 1, MEMORY, &Watch::default()).unwrap();
        assert!((value - wanted(&circuit, &values)).abs() < 1e-12, "{name}");
        for (i, slope) in slopes.iter().enumerate() {
            let at = |by: f64| {
                let mut moved = values.clone();
                moved[i] += by;
                wanted(&circuit, &moved)
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (slope - difference).abs() < 1e-8,
                "{name} {i}: {slope} {difference}"
            );
        }
    }
}

#[test]
fn what_has_no_gradient_is_refused() {
    let observable = Observable::parse("Z").unwrap();
    let mut circuit = Circuit::new(1, 1).unwrap();
    let t = circuit.parameter("t");
    circuit.gate_with("rx", &[t], &[0]).unwrap();
    let go = |c: &Circuit, v: &[f64], m| gradient(c, v, &observable, 1, m, &Watch::default());
    assert!(matches!(go(&circuit, &[], MEMORY), Err(Error::Circuit(_))));
    assert!(matches!(
        go(&circuit, &[1.0], 10),
        Err(Error::Memory { .. })
    ));
    circuit.measure(0, 0).unwrap();
    assert!(matches!(
        go(&circuit, &[1.0], MEMORY),
        Err(Error::Unsupported { .. })
    ));
}
