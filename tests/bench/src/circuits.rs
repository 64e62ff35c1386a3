//! The circuit engine beside its peers: Fourier transforms and random circuits of depth 20, dense, single
//! and double precision, one and all threads; random Clifford circuits with 1000 shots; surface codes with
//! noise; chains of tensors.

mod dense;
mod peers;

use std::io::Write as _;
use std::time::Instant;

use quantumos_circuit::frames;
use quantumos_circuit::ir::Circuit;
use quantumos_circuit::rng::Rng;
use quantumos_circuit::run::{Choice, Request, run};
use quantumos_circuit::{Error, Watch, stim};

use crate::{Failure, Print};
use peers::{Peers, Setting, listing};

const ROUNDS: usize = 5;
/// Qubits of the dense circuits, unless `QUANTUMOS_BENCH_QUBITS` says others (or none).
const QUBITS: &str = "22,24,26";

/// Measures the set.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    if dense::alone()? {
        return Ok(());
    }
    let mut peers = Peers::new();
    others(print, &mut peers)?;
    let sizes = std::env::var("QUANTUMOS_BENCH_QUBITS").unwrap_or_else(|_| QUBITS.to_owned());
    for size in sizes.split(',').filter(|s| !s.trim().is_empty()) {
        dense::measure(print, &mut peers, size.trim().parse()?)?;
    }
    Ok(())
}

/// Everything that is not dense.
fn others(print: Print<'_>, peers: &mut Peers) -> Result<(), Failure> {
    for qubits in [150, 1000] {
        let circuit = clifford(qubits, 100)?;
        let request = Request {
            method: Choice::Stabilizer,
            shots: 1000,
            ..Request::default()
        };
        let time = median(|| {
            let start = Instant::now();
            run(&circuit, &request, &Watch::default())?;
            Ok(start.elapsed().as_secs_f64())
        })?;
        let setting = Setting {
            name: "clifford-100",
            qubits,
            threads: 1,
            precision: "f64",
        };
        let text = listing(&circuit);
        peers.compare(print, &setting, time, &["stim"], &text);
    }
    for (distance, shots) in [(11, 100_000), (25, 10_000)] {
        surface(print, peers, distance, shots)?;
    }
    for (name, depth, bond) in [("mps-12-64", 12, 64), ("mps-16-128", 16, 128)] {
        let circuit = brickwork(150, depth)?;
        let request = Request {
            method: Choice::Mps,
            bond,
            shots: 0,
            amplitudes: vec![vec![0; 3]],
            available: u64::MAX,
            threads: 1,
            ..Request::default()
        };
        let time = median(|| {
            let start = Instant::now();
            run(&circuit, &request, &Watch::default())?;
            Ok(start.elapsed().as_secs_f64())
        })?;
        let setting = Setting {
            name,
            qubits: 150,
            threads: 1,
            precision: "f64",
        };
        let text = listing(&circuit);
        peers.compare(print, &setting, time, &["aer-mps", "quimb"], &text);
    }
    Ok(())
}

/// Detectors and observables of a memory experiment, as many rounds as its distance, in one thread: sampled from a
/// circuit that was read before, and, as command lines do it, read, sampled and written out shot by shot.
fn surface(print: Print<'_>, peers: &mut Peers, distance: u32, shots: u64) -> Result<(), Failure> {
    let text = stim::surface_code(distance, distance.into(), 0.001, false)?;
    let program = stim::parse(&text)?;
    let request = frames::Request {
        shots,
        seed: 1,
        threads: 1,
        available: u64::MAX,
        measurements: false,
    };
    let time = median(|| {
        let start = Instant::now();
        let mut seen = 0;
        frames::sample(&program, &request, &Watch::default(), &mut |block| {
            seen += block.shots;
            Ok(())
        })?;
        assert_eq!(seen, shots);
        Ok(start.elapsed().as_secs_f64())
    })?;
    let mut setting = Setting {
        name: if distance == 11 {
            "surface-11"
        } else {
            "surface-25"
        },
        qubits: program.qubits,
        threads: 1,
        precision: "f64",
    };
    let (sampler, command) = if distance == 11 {
        ("stim-detect-100000", "stim-command-100000")
    } else {
        ("stim-detect-10000", "stim-command-10000")
    };
    peers.compare(print, &setting, time, &[sampler], &text);
    let mut nowhere = std::fs::File::create("/dev/null")?;
    let time = median(|| {
        let start = Instant::now();
        let program = stim::parse(&text)?;
        frames::sample(&program, &request, &Watch::default(), &mut |block| {
            let rows: Vec<_> = block.detectors.iter().chain(&block.observables).collect();
            let bytes = frames::by_shots(&rows, block.shots);
            let written = nowhere.write_all(&bytes);
            written.map_err(|_| Error::Numeric("writing to /dev/null"))
        })?;
        Ok(start.elapsed().as_secs_f64())
    })?;
    setting.name = if distance == 11 {
        "surface-11-written"
    } else {
        "surface-25-written"
    };
    peers.compare(print, &setting, time, &[command], &text);
    Ok(())
}

/// Rotations about Y on every qubit and controlled X between neighbours, turn and turn about.
fn brickwork(qubits: u32, depth: u32) -> Result<Circuit, Error> {
    let mut circuit = Circuit::new(qubits.into(), 0)?;
    let mut rng = Rng::stream(2026, 0);
    for layer in 0..depth {
        for q in 0..qubits {
            circuit.gate("ry", &[rng.unit() * std::f64::consts::TAU], &[q])?;
        }
        for q in (layer % 2..qubits - 1).step_by(2) {
            circuit.gate("cx", &[], &[q, q + 1])?;
        }
    }
    Ok(circuit)
}

/// The median of five, after one that does not count.
fn median(mut once: impl FnMut() -> Result<f64, Error>) -> Result<f64, Error> {
    once()?;
    let mut times = (0..ROUNDS)
        .map(|_| once())
        .collect::<Result<Vec<f64>, _>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}

/// Layers of random rotations on every qubit and controlled X on random pairs.
fn random(qubits: u32) -> Result<Circuit, Error> {
    let mut circuit = Circuit::new(qubits.into(), 0)?;
    let mut rng = Rng::stream(2024, 0);
    for _ in 0..20 {
        for q in 0..qubits {
            let angles: [f64; 3] = std::array::from_fn(|_| rng.unit() * std::f64::consts::TAU);
            circuit.gate("u", &angles, &[q])?;
        }
        pairs(&mut circuit, &mut rng)?;
    }
    Ok(circuit)
}

fn clifford(qubits: u32, depth: u32) -> Result<Circuit, Error> {
    let mut circuit = Circuit::new(qubits.into(), 0)?;
    let mut rng = Rng::stream(2025, 0);
    for _ in 0..depth {
        for q in 0..qubits {
            let name = ["h", "s", "sx", "y"][(rng.bits() % 4) as usize];
            circuit.gate(name, &[], &[q])?;
        }
        pairs(&mut circuit, &mut rng)?;
    }
    Ok(circuit)
}

fn pairs(circuit: &mut Circuit, rng: &mut Rng) -> Result<(), Error> {
    let mut order: Vec<u32> = (0..circuit.qubits).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, (rng.bits() % (i as u64 + 1)) as usize);
    }
    for pair in order.chunks_exact(2) {
        circuit.gate("cx", &[], pair)?;
    }
    Ok(())
}
