//! `quantumctl circuit sample`: Clifford circuits with noise in stim's format, detectors and observables
//! summed up or shot by shot.

use std::time::Instant;

use clap::{Args, ValueEnum, ValueHint};
use quantumos_circuit::frames::{self, Program, Request};
use quantumos_circuit::{Error as Engine, Watch, stim};
use serde::Serialize;

use super::args::{RunArgs, available_memory, bytes, processors, random_seed};
use super::render::size;
use crate::error::Error;
use crate::output::{self, Output};

/// What to sample and how.
#[derive(Args, Debug)]
pub struct SampleArgs {
    /// A circuit in stim's format; - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: String,
    /// How often to run it
    #[arg(long, default_value_t = 100_000)]
    pub shots: u64,
    /// Seed of the random numbers; the same seed gives the same results
    #[arg(long)]
    pub seed: Option<u64>,
    /// Threads to use [default: as many as there are processors]
    #[arg(long)]
    pub threads: Option<usize>,
    /// Memory that may be used, such as 2G [default: what is available]
    #[arg(long, value_parser = bytes)]
    pub memory: Option<u64>,
    /// Print a line of bits for each shot instead of a summary
    #[arg(long, value_enum)]
    pub per_shot: Option<Bits>,
}

/// Which bits of a shot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bits {
    /// Outcomes of measurements
    Measurements,
    /// Detectors, then observables
    Detectors,
}

/// What came up how often.
#[derive(Debug, Serialize)]
struct Sampled {
    shots: u64,
    seed: u64,
    qubits: u32,
    measurements: u64,
    /// Shots in which any detector fired.
    detected: u64,
    /// Shots in which each detector fired.
    detectors: Vec<u64>,
    /// Shots in which each observable was turned around.
    observables: Vec<u64>,
    seconds: f64,
}

/// A program from a file or, for `-`, from standard input.
pub fn read(file: &str) -> Result<Program, Error> {
    let text = super::text(file, stim::TEXT_MAX)?;
    stim::parse(&text).map_err(|e| Error::Usage(format!("{file}: {e}")))
}

/// What sampling would take.
#[derive(Debug, Serialize)]
struct Explained {
    method: &'static str,
    reason: &'static str,
    bytes: u64,
    available: u64,
    qubits: u32,
    measurements: u64,
    detectors: u64,
    observables: u64,
}

/// Explains how a program would be sampled.
pub fn explain(output: &Output, args: &RunArgs) -> Result<(), Error> {
    let program = read(&args.source.file)?;
    let request = Request {
        shots: args.shots.unwrap_or(1024),
        seed: 0,
        threads: args.threads.unwrap_or_else(processors).max(1),
        available: args.memory.map_or_else(available_memory, Ok)?,
        measurements: true,
    };
    let needed = frames::bytes_needed(&program, &request);
    let explained = Explained {
        method: "stabilizer",
        reason: "Clifford gates and Pauli noise, sampled by frames, 1024 shots at once",
        bytes: u64::try_from(needed).unwrap_or(u64::MAX),
        available: request.available,
        qubits: program.qubits,
        measurements: program.measurements,
        detectors: program.detectors,
        observables: program.observables,
    };
    output.document(&explained, |e| {
        format!(
            "{}: {}\n{} qubits, {} measurements, {} detectors, {} observables\n{} needed, {} available\n",
            e.method,
            e.reason,
            e.qubits,
            e.measurements,
            e.detectors,
            e.observables,
            size(e.bytes),
            size(e.available),
        )
    })
}

pub fn run(output: &Output, args: &SampleArgs) -> Result<(), Error> {
    let program = read(&args.file)?;
    let request = Request {
        shots: args.shots,
        seed: args.seed.unwrap_or_else(random_seed),
        threads: args.threads.unwrap_or_else(processors).max(1),
        available: args.memory.map_or_else(available_memory, Ok)?,
        measurements: args.per_shot == Some(Bits::Measurements),
    };
    if let Some(which) = args.per_shot {
        return lines(&program, &request, which);
    }
    let start = Instant::now();
    let summary = frames::summary(&program, &request, &Watch::default())?;
    let sampled = Sampled {
        shots: summary.shots,
        seed: request.seed,
        qubits: program.qubits,
        measurements: program.measurements,
        detected: summary.detected,
        detectors: summary.detectors,
        observables: summary.observables,
        seconds: start.elapsed().as_secs_f64(),
    };
    output.document(&sampled, render)
}

/// A line of 0 and 1 a shot, as stim writes them.
fn lines(program: &Program, request: &Request, which: Bits) -> Result<(), Error> {
    let mut failed = None;
    let result = frames::sample(program, request, &Watch::default(), &mut |block| {
        let rows: Vec<_> = match which {
            Bits::Measurements => block.measurements.iter().collect(),
            Bits::Detectors => block.detectors.iter().chain(&block.observables).collect(),
        };
        let width = rows.len().div_ceil(8);
        let packed = frames::by_shots(&rows, block.shots);
        let mut text = Vec::with_capacity((rows.len() + 1) * block.shots as usize);
        for shot in 0..block.shots as usize {
            let bytes = &packed[shot * width..][..width];
            let bits = (0..rows.len()).map(|i| b'0' + (bytes[i / 8] >> (i % 8) & 1));
            text.extend(bits);
            text.push(b'\n');
        }
        output::write(&text).map_err(|error| {
            failed = Some(error);
            Engine::Cancelled
        })
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(result?),
    }
}

fn render(s: &Sampled) -> String {
    let share = |count: u64| count as f64 / s.shots.max(1) as f64;
    let mut out = String::new();
    for (i, &count) in s.observables.iter().enumerate() {
        let p = share(count);
        let error = (p * (1.0 - p) / s.shots.max(1) as f64).sqrt();
        out.push_str(&format!(
            "observable {i:<4} turned around in {count} shots, {p:.3e} +- {error:.1e}\n"
        ));
    }
    let fired: u64 = s.detectors.iter().sum();
    out.push_str(&format!(
        "{} detectors, {:.3} of them fire in a shot, any in {:.2} % of the shots\n",
        s.detectors.len(),
        share(fired),
        100.0 * share(s.detected),
    ));
    out.push_str(&format!(
        "{} shots of {} qubits and {} measurements, seed {}, {:.3} s\n",
        s.shots, s.qubits, s.measurements, s.seed, s.seconds
    ));
    out
}
