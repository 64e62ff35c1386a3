//! `quantumctl circuit bench`: timings of each method at growing numbers of qubits, as far as memory
//! reaches.

use std::time::Instant;

use clap::Args;
use quantumos_circuit::ir::Op;
use quantumos_circuit::rng::Rng;
use quantumos_circuit::run::{self, Choice, Request};
use quantumos_circuit::{Circuit, Error as Engine, Watch};

use super::args::{available_memory, processors};
use super::model::Timing;
use crate::error::Error;
use crate::output::Output;

/// How far to go.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// The most qubits
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub max_qubits: u32,
    /// Measure every method at every size and up to the last qubit that fits, which takes minutes
    #[arg(long)]
    pub full: bool,
}

type Make = fn(u32) -> Result<Circuit, Engine>;
const CIRCUITS: [(&str, Choice, Make); 4] = [
    ("qft", Choice::Dense, qft),
    ("random", Choice::Dense, random),
    ("clifford", Choice::Stabilizer, clifford),
    ("w-state", Choice::Sparse, w_state),
];
/// Without `--full` the dense method stops here.
const QUICK: u32 = 20;

pub fn run(output: &Output, args: &BenchArgs) -> Result<(), Error> {
    let available = available_memory()?;
    for (name, method, make) in CIRCUITS {
        for qubits in sizes(args, method) {
            let circuit = make(qubits)?;
            let request = Request {
                method,
                shots: 100,
                threads: processors(),
                available,
                ..Request::default()
            };
            if run::explain(&circuit, &request).is_err() {
                break;
            }
            let mut times = Vec::new();
            for _ in 0..if args.full { 5 } else { 3 } {
                let start = Instant::now();
                run::run(&circuit, &request, &Watch::default())?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            times.sort_by(f64::total_cmp);
            let timing = Timing {
                circuit: name.to_owned(),
                method: method.name().to_owned(),
                qubits,
                milliseconds: times[times.len() / 2],
            };
            output.item(&timing, |t| {
                format!(
                    "{:<9} {:<10} {:>5} qubits  {:>12.3} ms\n",
                    t.circuit, t.method, t.qubits, t.milliseconds
                )
            })?;
        }
    }
    Ok(())
}

fn sizes(args: &BenchArgs, method: Choice) -> Vec<u32> {
    let most = match method {
        Choice::Dense if !args.full => args.max_qubits.min(QUICK),
        Choice::Dense => args.max_qubits.min(40),
        Choice::Sparse => args.max_qubits.min(512),
        _ => args.max_qubits,
    };
    let step = if args.full { 1 } else { 4 };
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

fn qft(qubits: u32) -> Result<Circuit, Engine> {
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

fn random(qubits: u32) -> Result<Circuit, Engine> {
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

fn clifford(qubits: u32) -> Result<Circuit, Engine> {
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

fn w_state(qubits: u32) -> Result<Circuit, Engine> {
    let mut circuit = Circuit::new(qubits.into(), 0)?;
    circuit.gate("x", &[], &[0])?;
    for q in 1..qubits {
        let angle = 2.0 * (1.0 / f64::from(qubits - q + 1)).sqrt().acos();
        circuit.gate("cry", &[angle], &[q - 1, q])?;
        circuit.gate("cx", &[], &[q, q - 1])?;
    }
    Ok(circuit)
}
