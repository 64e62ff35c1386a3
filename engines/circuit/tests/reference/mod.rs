//! A slow simulator that shares nothing with the engine's methods: it pulls every new amplitude out of
//! the old ones by the definition of a controlled matrix, in plain loops.

#![allow(dead_code, clippy::panic, clippy::unwrap_used)]

use quantumos_circuit::C64;
use quantumos_circuit::ir::{Circuit, Gate, Op};
use quantumos_circuit::rng::Rng;

/// The state after a circuit of gates and barriers only.
pub fn state(circuit: &Circuit) -> Vec<C64> {
    let mut state = vec![C64::ZERO; 1 << circuit.qubits];
    state[0] = C64::ONE;
    for op in &circuit.ops {
        match op {
            Op::Gate(gate) => state = apply(&state, gate),
            Op::Barrier(_) => {}
            other => panic!("the reference has no {other:?}"),
        }
    }
    state
}

/// One gate: new[x] is the sum over y of matrix[x's target bits][y] old[x with target bits y].
pub fn apply(old: &[C64], gate: &Gate) -> Vec<C64> {
    let matrix = gate.target_matrix();
    let targets = gate.target_qubits();
    (0..old.len())
        .map(|x| {
            if gate.control_qubits().iter().any(|&c| (x >> c) & 1 == 0) {
                return old[x];
            }
            let row: usize = targets
                .iter()
                .enumerate()
                .map(|(i, &t)| ((x >> t) & 1) << i)
                .sum();
            let mut sum = C64::ZERO;
            for y in 0..1usize << targets.len() {
                let mut from = x;
                for (i, &t) in targets.iter().enumerate() {
                    from = (from & !(1 << t)) | (((y >> i) & 1) << t);
                }
                sum += matrix.at(row, y) * old[from];
            }
            sum
        })
        .collect()
}

/// A random circuit of that many gates over every gate of the library that fits, and some with more
/// controls or given by a matrix.
pub fn random(qubits: u32, gates: usize, seed: u64) -> Circuit {
    use quantumos_circuit::ir::{standard, standard_names};
    let names: Vec<&str> = standard_names().collect();
    let mut rng = Rng::stream(seed, 77);
    let mut circuit = Circuit::new(qubits.into(), 0).unwrap();
    let mut count = 0;
    while count < gates {
        let name = names[(rng.bits() % names.len() as u64) as usize];
        let known = standard(name).unwrap();
        if known.qubits() > qubits as usize {
            continue;
        }
        let angles: Vec<f64> = (0..known.angles)
            .map(|_| (rng.unit() - 0.5) * 12.0)
            .collect();
        let mut order: Vec<u32> = (0..qubits).collect();
        for i in 0..order.len() {
            let j = i + (rng.bits() % (order.len() - i) as u64) as usize;
            order.swap(i, j);
        }
        let (on, rest) = order.split_at(known.qubits());
        let more = rng.bits().is_multiple_of(8) && !rest.is_empty();
        for gate in known.gates(&angles.iter().map(|&a| a.into()).collect::<Vec<_>>(), on) {
            let gate = if more {
                gate.controlled(&rest[..1])
            } else {
                gate
            };
            // Some gates go in by their matrix.
            let gate =
                if rng.bits().is_multiple_of(16) && gate.controls == 0 && !gate.qubits.is_empty() {
                    Gate::unitary(gate.target_matrix(), &gate.qubits)
                } else {
                    gate
                };
            circuit.push(Op::Gate(gate)).unwrap();
        }
        count += 1;
    }
    circuit
}

/// The largest distance of two states' amplitudes.
pub fn distance(a: &[C64], b: &[C64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(x, y)| (x - y).norm())
        .fold(0.0, f64::max)
}
