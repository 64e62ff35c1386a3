//! The circuit engine beside its peers: Fourier transforms and random circuits of depth 20, dense, single
//! and double precision, one and all threads; random Clifford circuits with 1000 shots; surface codes with
//! noise; chains of tensors. Every peer runs the same gates with the same threads in a process of its own;
//! ratios are to the fastest of them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use quantumos_circuit::dense::{Real, State};
use quantumos_circuit::frames;
use quantumos_circuit::ir::{Circuit, Gate, Op};
use quantumos_circuit::rng::Rng;
use quantumos_circuit::run::{Choice, Request, run};
use quantumos_circuit::{Error, Watch, stim};

use crate::{Failure, Print};

const ROUNDS: usize = 5;
/// Qubits of the dense circuits, unless `QUANTUMOS_BENCH_QUBITS` says others (such as `22,24,26`).
const QUBITS: &str = "20,22,24";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/circuits.py");
const PEERS_DOUBLE: &[&str] = &["lightning-kokkos", "lightning", "aer", "qulacs"];
const PEERS_SINGLE: &[&str] = &["lightning-kokkos", "lightning", "aer", "qsim"];

type Make = fn(u32) -> Result<Circuit, Error>;

/// Measures the set.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    let python = std::env::var("QUANTUMOS_PEERS").ok();
    if python.is_none() {
        eprintln!("no peers: tests/bench/peers/install makes them, QUANTUMOS_PEERS names them");
    }
    let python = python.as_deref();
    let sizes = std::env::var("QUANTUMOS_BENCH_QUBITS").unwrap_or_else(|_| QUBITS.to_owned());
    let all = std::thread::available_parallelism()?.get();
    for size in sizes.split(',') {
        let qubits: u32 = size.trim().parse()?;
        for (name, make) in [("qft", qft as Make), ("random-20", random as Make)] {
            let circuit = make(qubits)?;
            let text = listing(&circuit);
            for threads in [1, all] {
                let setting = Setting {
                    name,
                    qubits,
                    threads,
                };
                let time = median(|| dense::<f64>(&circuit, threads))?;
                compare(print, python, &setting, "f64", time, PEERS_DOUBLE, &text);
                let time = median(|| dense::<f32>(&circuit, threads))?;
                compare(print, python, &setting, "f32", time, PEERS_SINGLE, &text);
            }
        }
    }
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
        };
        let text = listing(&circuit);
        compare(print, python, &setting, "f64", time, &["stim"], &text);
    }
    for (distance, shots) in [(11, 100_000), (25, 10_000)] {
        surface(print, python, distance, shots, 1)?;
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
        };
        let text = listing(&circuit);
        compare(
            print,
            python,
            &setting,
            "f64",
            time,
            &["aer-mps", "quimb"],
            &text,
        );
    }
    Ok(())
}

/// Detectors and observables of a memory experiment, as many rounds as its distance, sampled in one thread.
fn surface(
    print: Print<'_>,
    python: Option<&str>,
    distance: u32,
    shots: u64,
    threads: usize,
) -> Result<(), Failure> {
    let text = stim::surface_code(distance, distance.into(), 0.001, false)?;
    let program = stim::parse(&text)?;
    let request = frames::Request {
        shots,
        seed: 1,
        threads,
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
    let setting = Setting {
        name: if distance == 11 {
            "surface-11"
        } else {
            "surface-25"
        },
        qubits: program.qubits,
        threads,
    };
    let peers = [if distance == 11 {
        "stim-detect-100000"
    } else {
        "stim-detect-10000"
    }];
    compare(print, python, &setting, "f64", time, &peers, &text);
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

struct Setting {
    name: &'static str,
    qubits: u32,
    threads: usize,
}

fn compare(
    print: Print<'_>,
    python: Option<&str>,
    setting: &Setting,
    precision: &str,
    ours: f64,
    peers: &[&str],
    text: &str,
) {
    let Setting {
        name,
        qubits,
        threads,
    } = setting;
    let name = format!("circuits.{name}-{qubits}-{precision}-{threads}t");
    let mut best: Option<(f64, &str)> = None;
    for peer in python.map_or(&[][..], |_| peers) {
        match python.map(|p| ask(p, peer, setting, precision, text)) {
            Some(Ok(time)) => {
                eprintln!("{name}: {peer} {time:.4} s, here {ours:.4} s");
                if best.is_none_or(|(fastest, _)| time < fastest) {
                    best = Some((time, peer));
                }
            }
            Some(Err(error)) => eprintln!("{name}: {peer}: {error}"),
            None => {}
        }
    }
    match best {
        Some((time, peer)) => print(&name, ours, "s", peer, Some(time / ours)),
        None => print(&name, ours, "s", "", None),
    }
}

fn ask(
    python: &str,
    peer: &str,
    setting: &Setting,
    precision: &str,
    text: &str,
) -> Result<f64, Failure> {
    let mut child = Command::new(python)
        .arg(SCRIPT)
        .arg(peer)
        .args([setting.qubits.to_string(), setting.threads.to_string()])
        .args([precision, &ROUNDS.to_string()])
        .env("BOND", setting.name.rsplit('-').next().unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err("cannot be measured".into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The gates as the script reads them.
fn listing(circuit: &Circuit) -> String {
    let mut text = String::new();
    for gate in gates(circuit) {
        text.push_str(&gate.name());
        for angle in gate.numbers() {
            let _ = write!(text, " {angle}");
        }
        text.push_str(" |");
        for qubit in &gate.qubits {
            let _ = write!(text, " {qubit}");
        }
        text.push('\n');
    }
    text
}

fn gates(circuit: &Circuit) -> impl Iterator<Item = &Gate> {
    circuit.ops.iter().filter_map(|op| match op {
        Op::Gate(gate) => Some(gate),
        _ => None,
    })
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

fn dense<T: Real>(circuit: &Circuit, threads: usize) -> Result<f64, Error> {
    let gates: Vec<Gate> = gates(circuit).cloned().collect();
    let start = Instant::now();
    let mut state = State::<T>::new(circuit.qubits, threads, u64::MAX)?;
    state.apply(&gates, &Watch::default())?;
    Ok(start.elapsed().as_secs_f64())
}

/// A Fourier transform of a state without zeros, so that nobody can skip any.
fn qft(qubits: u32) -> Result<Circuit, Error> {
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
