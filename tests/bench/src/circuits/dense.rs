//! The dense method: its time beside the peers', and how it stands to what memory allows: how often it sweeps
//! the state, how long sweeps of as many bytes take when they only change numbers in place, and the largest
//! memory of a process that does nothing else.

use std::process::Command;
use std::time::Instant;

use quantumos_circuit::dense::{Real, State, Traffic};
use quantumos_circuit::ir::{Circuit, Gate};
use quantumos_circuit::workload::qft;
use quantumos_circuit::{Error, Watch};

use super::peers::{Peers, Setting, gates, listing};
use super::{median, random};
use crate::{Failure, Print};

const PEERS_DOUBLE: &[&str] = &["lightning-kokkos", "lightning", "aer", "qulacs"];
const PEERS_SINGLE: &[&str] = &["lightning-kokkos", "qsim", "lightning", "aer"];
/// Tells a child process what to run: workload, qubits, threads, precision.
const ALONE: &str = "QUANTUMOS_BENCH_ALONE";

type Make = fn(u32) -> Result<Circuit, Error>;

/// All dense rows of a number of qubits.
pub fn measure(print: Print<'_>, peers: &mut Peers, qubits: u32) -> Result<(), Failure> {
    let all = std::thread::available_parallelism()?.get();
    for name in ["qft", "random-20"] {
        let circuit = maker(name)(qubits)?;
        let text = listing(&circuit);
        for threads in [1, all] {
            let mut row = |precision, ours: (f64, Traffic, f64), list, bytes: usize| {
                let setting = Setting {
                    name,
                    qubits,
                    threads,
                    precision,
                };
                let (time, traffic, sweep) = ours;
                peers.compare(print, &setting, time, list, &text);
                let title = setting.title();
                print(
                    &format!("{title}-passes"),
                    traffic.passes as f64,
                    "",
                    "",
                    None,
                );
                let bound = traffic.bytes as f64 * sweep;
                print(
                    &format!("{title}-bandwidth"),
                    bound,
                    "s",
                    "here",
                    Some(bound / time),
                );
                match peak(&setting) {
                    Ok(peak) => {
                        let part = peak / (bytes << qubits) as f64;
                        print(&format!("{title}-peak"), part, "states", "", None);
                    }
                    Err(error) => eprintln!("{title}: no peak of memory: {error}"),
                }
            };
            row("f64", ours::<f64>(&circuit, threads)?, PEERS_DOUBLE, 16);
            row("f32", ours::<f32>(&circuit, threads)?, PEERS_SINGLE, 8);
        }
    }
    Ok(())
}

/// Does what [`ALONE`] says and prints the peak of memory, in a process that does nothing else.
pub fn alone() -> Result<bool, Failure> {
    let Ok(what) = std::env::var(ALONE) else {
        return Ok(false);
    };
    let [name, qubits, threads, precision] = what.split(',').collect::<Vec<_>>()[..] else {
        return Err(format!("{ALONE} is not understood: {what}").into());
    };
    let circuit = maker(name)(qubits.parse()?)?;
    let threads = threads.parse()?;
    // The program itself is no part of what the state takes: what it has before is taken off.
    let before = resident()?;
    match precision {
        "f64" => once::<f64>(&circuit, threads)?,
        _ => once::<f32>(&circuit, threads)?,
    };
    println!("{}", resident()?.saturating_sub(before));
    Ok(true)
}

/// The most KiB that this process has had in memory so far.
fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
    Ok(peak.ok_or("no VmHWM")?.trim().parse()?)
}

fn maker(name: &str) -> Make {
    if name == "qft" { qft } else { random }
}

/// Bytes at most that running a row once adds to a process.
fn peak(setting: &Setting) -> Result<f64, Failure> {
    let Setting {
        name,
        qubits,
        threads,
        precision,
    } = setting;
    let output = Command::new(std::env::current_exe()?)
        .arg("circuits")
        .env(ALONE, format!("{name},{qubits},{threads},{precision}"))
        .output()?;
    let kib: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(kib * 1024.0)
}

fn once<T: Real>(circuit: &Circuit, threads: usize) -> Result<(f64, Traffic), Error> {
    let gates: Vec<Gate> = gates(circuit).cloned().collect();
    let start = Instant::now();
    let mut state = State::<T>::new(circuit.qubits, threads, u64::MAX)?;
    state.apply(&gates, &Watch::default())?;
    Ok((start.elapsed().as_secs_f64(), state.traffic()))
}

/// Seconds, what was swept, and the seconds that a byte takes when it is only changed in place.
fn ours<T: Real>(circuit: &Circuit, threads: usize) -> Result<(f64, Traffic, f64), Failure> {
    let mut traffic = Traffic::default();
    let time = median(|| {
        let (time, swept) = once::<T>(circuit, threads)?;
        traffic = swept;
        Ok(time)
    })?;
    let bytes = (2 * size_of::<T>()) << circuit.qubits;
    // Numbers in double precision, whatever the state's: only bytes count.
    let mut memory = vec![1.0f64; bytes / 8];
    let sweep = median(|| {
        let start = Instant::now();
        let part = memory.len().div_ceil(threads);
        std::thread::scope(|scope| {
            for part in memory.chunks_mut(part) {
                scope.spawn(move || part.iter_mut().for_each(|x| *x = *x * 0.5 + 0.5));
            }
        });
        Ok(start.elapsed().as_secs_f64())
    })?;
    std::hint::black_box(&memory);
    // What is changed in place is read and written.
    Ok((time, traffic, sweep / (2 * bytes) as f64))
}
