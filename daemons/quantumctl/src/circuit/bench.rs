//! `quantumctl circuit bench`: timings of each method at growing numbers of qubits, as far as memory
//! reaches.

use std::time::Instant;

use clap::Args;
use quantumos_circuit::Watch;
use quantumos_circuit::run::{self, Request};
use quantumos_circuit::workload::{WORKLOADS, Workload, sizes};

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
    /// Have quantumd measure, in a unit of its own
    #[arg(long)]
    pub service: bool,
}

pub fn run(output: &Output, args: &BenchArgs) -> Result<(), Error> {
    let available = available_memory()?;
    for Workload { name, method, make } in WORKLOADS {
        for qubits in sizes(args.max_qubits, args.full, method) {
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
            output.item(&timing, Timing::line)?;
        }
    }
    Ok(())
}
