//! Times one workload of the dense method: `speed qft|random QUBITS THREADS f32|f64 [ROUNDS]`. Prints the
//! median seconds. The circuits are those that the benchmark set gives to the peers.

use std::time::Instant;

use quantumos_circuit::dense::{Real, State};
use quantumos_circuit::ir::{Circuit, Gate, Op};
use quantumos_circuit::rng::Rng;
use quantumos_circuit::{Error, Watch};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [workload, qubits, threads, precision, rest @ ..] = &arguments[..] else {
        return Err("speed qft|random QUBITS THREADS f32|f64 [ROUNDS]".into());
    };
    let circuit = match workload.as_str() {
        "qft" => qft(qubits.parse()?)?,
        _ => random(qubits.parse()?, 20)?,
    };
    let rounds = rest.first().map_or(Ok(5), |r| r.parse())?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        times.push(match precision.as_str() {
            "f32" => time::<f32>(&circuit, threads.parse()?)?,
            _ => time::<f64>(&circuit, threads.parse()?)?,
        });
    }
    times.sort_by(f64::total_cmp);
    println!("{:.6}", times[times.len() / 2]);
    Ok(())
}

fn time<T: Real>(circuit: &Circuit, threads: usize) -> Result<f64, Error> {
    let gates: Vec<Gate> = circuit
        .ops
        .iter()
        .filter_map(|op| match op {
            Op::Gate(gate) => Some(gate.clone()),
            _ => None,
        })
        .collect();
    let start = Instant::now();
    let mut state = State::<T>::new(circuit.qubits, threads, u64::MAX)?;
    state.apply(&gates, &Watch::default())?;
    let time = start.elapsed().as_secs_f64();
    eprintln!("{time:.4} s, amplitude {:.3e}", state.amplitude(5));
    Ok(time)
}

/// A Fourier transform of a state without zeros.
fn qft(qubits: u32) -> Result<Circuit, Error> {
    let mut circuit = Circuit::new(qubits.into(), 0)?;
    for q in 0..qubits {
        circuit.gate("ry", &[0.3 + 0.1 * f64::from(q)], &[q])?;
    }
    for j in (0..qubits).rev() {
        circuit.gate("h", &[], &[j])?;
        for k in 0..j {
            circuit.gate(
                "cp",
                &[std::f64::consts::PI / (1u64 << (j - k)) as f64],
                &[k, j],
            )?;
        }
    }
    for q in 0..qubits / 2 {
        circuit.gate("swap", &[], &[q, qubits - 1 - q])?;
    }
    Ok(circuit)
}

/// Layers of random rotations on every qubit and controlled X on random pairs.
fn random(qubits: u32, depth: u32) -> Result<Circuit, Error> {
    let mut circuit = Circuit::new(qubits.into(), 0)?;
    let mut rng = Rng::stream(2024, 0);
    for _ in 0..depth {
        for q in 0..qubits {
            let angles: [f64; 3] = std::array::from_fn(|_| rng.unit() * std::f64::consts::TAU);
            circuit.gate("u", &angles, &[q])?;
        }
        let mut order: Vec<u32> = (0..qubits).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, (rng.bits() % (i as u64 + 1)) as usize);
        }
        for pair in order.chunks_exact(2) {
            circuit.gate("cx", &[], pair)?;
        }
    }
    Ok(circuit)
}
