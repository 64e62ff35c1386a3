//! Circuits to measure methods with, and the numbers of qubits to measure them at.

use crate::ir::Op;
use crate::rng::Rng;
use crate::run::Choice;
use crate::{Circuit, Error};

/// A kind of circuit, and the method that it is for.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// The method.
    pub method: Choice,
    /// Makes one with that many qubits.
    pub make: fn(u32) -> Result<Circuit, Error>,
}

/// All of them.
pub const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "qft",
        method: Choice::Dense,
        make: qft,
    },
    Workload {
        name: "random",
        method: Choice::Dense,
        make: random,
    },
    Workload {
        name: "clifford",
        method: Choice::Stabilizer,
        make: clifford,
    },
    Workload {
        name: "w-state",
        method: Choice::Sparse,
        make: w_state,
    },
];

/// The most qubits that a measurement may ask for.
pub const QUBITS_MAX: u32 = 10_000;
/// Without `full` the dense method stops here.
const QUICK: u32 = 20;

/// At how many qubits to measure a method: up to `most`, every number up to 28 if `full`.
#[must_use]
pub fn sizes(most: u32, full: bool, method: Choice) -> Vec<u32> {
    let most = match method {
        Choice::Dense if !full => most.min(QUICK),
        Choice::Dense => most.min(40),
        Choice::Sparse => most.min(512),
        _ => most.min(QUBITS_MAX),
    };
    let step = if full { 1 } else { 4 };
    let mut sizes: Vec<u32> = (4..=most.min(28)).step_by(step).collect();
    let mut next = 32;
    while next <= most {
        sizes.push(next);
        next += (next / 4).max(1);
    }
    if sizes.last() != Some(&most) {
        sizes.push(most);
    }
    sizes
}

/// A Fourier transform of a product state without zeros, so that nobody can skip any.
///
/// # Errors
/// [`Error::Limit`] for too many qubits.
pub fn qft(qubits: u32) -> Result<Circuit, Error> {
    let mut circuit = Circuit::new(qubits.into(), 0)?;
    for q in 0..qubits {
        circuit.gate("ry", &[0.3 + 0.1 * f64::from(q)], &[q])?;
    }
    for j in (0..qubits).rev() {
        circuit.gate("h", &[], &[j])?;
        for k in 0..j {
            let angle = std::f64::consts::PI * 0.5f64.powi((j - k) as i32);
            circuit.gate("cp", &[angle], &[k, j])?;
        }
    }
    for q in 0..qubits / 2 {
        circuit.gate("swap", &[], &[q, qubits - 1 - q])?;
    }
    Ok(circuit)
}

/// Twenty layers of random rotations and controlled X between neighbours.
fn random(qubits: u32) -> Result<Circuit, Error> {
    let mut rng = Rng::stream(2024, 0);
    let mut circuit = Circuit::new(qubits.into(), 0)?;
    for layer in 0..20 {
        for q in 0..qubits {
            let angles: [f64; 3] = std::array::from_fn(|_| rng.unit() * std::f64::consts::TAU);
            circuit.gate("u", &angles, &[q])?;
        }
        for q in (layer % 2..qubits.saturating_sub(1)).step_by(2) {
            circuit.gate("cx", &[], &[q, q + 1])?;
        }
    }
    Ok(circuit)
}

/// The same with Clifford gates.
fn clifford(qubits: u32) -> Result<Circuit, Error> {
    let mut circuit = random(qubits)?;
    let names = ["h", "s", "sx", "y"];
    let mut rng = Rng::stream(2025, 0);
    let mut turned = Circuit::new(qubits.into(), 0)?;
    for op in circuit.ops.drain(..) {
        match op {
            Op::Gate(gate) if gate.qubits.len() == 1 => {
                let name = names[(rng.bits() % names.len() as u64) as usize];
                turned.gate(name, &[], &gate.qubits)?;
            }
            other => drop(turned.push(other)?),
        }
    }
    Ok(turned)
}

/// One 1 among zeros.
fn w_state(qubits: u32) -> Result<Circuit, Error> {
    let mut circuit = Circuit::new(qubits.into(), 0)?;
    circuit.gate("x", &[], &[0])?;
    for q in 1..qubits {
        let angle = 2.0 * (1.0 / f64::from(qubits - q + 1)).sqrt().acos();
        circuit.gate("cry", &[angle], &[q - 1, q])?;
        circuit.gate("cx", &[], &[q, q - 1])?;
    }
    Ok(circuit)
}
