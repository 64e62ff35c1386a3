//! `quantumctl circuit`: runs, explains, draws and measures quantum circuits in this process, on this
//! machine's memory and threads.

mod args;
mod bench;
mod model;
mod render;
mod sample;
mod service;
mod sweep;

pub use args::CircuitCommand;

use std::io::Read;
use std::time::Instant;

use quantumos_circuit::run::{self, Request};
use quantumos_circuit::{Circuit, Watch, draw, json, qasm};

use crate::bus::Bus;
use crate::error::Error;
use crate::output::Output;
use args::{FormatName, Source};
use model::{Explanation, Result as RunResult};

/// Runs a command that quantumd is asked for.
pub async fn run(bus: &Bus, output: &Output, command: &CircuitCommand) -> Result<(), Error> {
    match command {
        CircuitCommand::Run(args) => service::run(bus, output, args).await,
        CircuitCommand::Bench(args) => service::bench(bus, output, args).await,
        other => alone(output, other),
    }
}

/// Runs one of the commands that need no bus.
pub fn run_alone(output: &Output, command: &CircuitCommand) -> Option<Result<(), Error>> {
    let service = match command {
        CircuitCommand::Run(args) => args.service,
        CircuitCommand::Bench(args) => args.service,
        _ => false,
    };
    (!service).then(|| alone(output, command))
}

fn alone(output: &Output, command: &CircuitCommand) -> Result<(), Error> {
    match command {
        CircuitCommand::Run(args) if args.gradient || !args.sweep.is_empty() => {
            sweep::run(output, args)
        }
        CircuitCommand::Run(args) => {
            let circuit = args.bound(read(&args.source)?)?;
            let request = args.request(&circuit)?;
            let plan = run::explain(&circuit, &request)?;
            let start = Instant::now();
            let outcome = run::run_planned(&circuit, &request, &plan, &Watch::default())?;
            let result = RunResult::new(&outcome, &plan, &request, start.elapsed());
            output.document(&result, |r| {
                render::result(r, output.columns(), &output.style)
            })
        }
        CircuitCommand::Explain(args) if args.gradient || !args.sweep.is_empty() => {
            let message =
                "one run is explained: give values with --input, not --sweep or --gradient";
            Err(Error::Usage(message.to_owned()))
        }
        CircuitCommand::Explain(args) if args.source.is_stim() => sample::explain(output, args),
        CircuitCommand::Explain(args) => {
            let circuit = args.bound(read(&args.source)?)?;
            let request: Request = args.request(&circuit)?;
            let plan = run::explain(&circuit, &request)?;
            let explanation = Explanation::new(&circuit, &plan, &request);
            output.document(&explanation, |e| render::explanation(e, &output.style))
        }
        CircuitCommand::Draw(args) => {
            let width = args.width.or_else(|| output.columns()).unwrap_or(100);
            let text = if args.source.is_stim() {
                draw::program(&sample::read(&args.source.file)?, width)?
            } else {
                draw::text(&read(&args.source)?, width)?
            };
            let drawing = model::Drawing { text };
            output.document(&drawing, |d| d.text.clone())
        }
        CircuitCommand::Sample(args) => sample::run(output, args),
        CircuitCommand::Bench(args) => bench::run(output, args),
    }
}

/// That stim's format has a command of its own.
fn not_stim(source: &Source) -> Result<(), Error> {
    if !source.is_stim() {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{}: circuits in stim's format are sampled: quantumctl circuit sample",
        source.file
    )))
}

/// A circuit from a file or, for `-`, from standard input; JSON if it starts like JSON.
fn read(source: &Source) -> Result<Circuit, Error> {
    let file = &source.file;
    not_stim(source)?;
    let text = text(file, qasm::TEXT_MAX)?;
    let json = match source.format {
        FormatName::Json => true,
        FormatName::Auto => text.trim_start().starts_with('{'),
        _ => false,
    };
    let parsed = if json {
        json::parse(&text, None)
    } else {
        qasm::parse(&text)
    };
    parsed.map_err(|error| Error::Usage(format!("{file}: {error}")))
}

/// The text of a file or, for `-`, of standard input.
fn text(file: &str, most: usize) -> Result<String, Error> {
    let failed = |source| Error::file(file, source);
    // One byte more than is accepted, so that a longer text is refused and not cut.
    let limit = most as u64 + 1;
    let mut text = String::new();
    if file == "-" {
        std::io::stdin()
            .take(limit)
            .read_to_string(&mut text)
            .map_err(failed)?;
    } else {
        let opened = std::fs::File::open(file).map_err(failed)?;
        opened
            .take(limit)
            .read_to_string(&mut text)
            .map_err(failed)?;
    }
    Ok(text)
}

impl From<quantumos_circuit::Error> for Error {
    fn from(error: quantumos_circuit::Error) -> Self {
        use quantumos_circuit::Error as Engine;
        let text = error.to_string();
        match error {
            Engine::Memory { .. } | Engine::Unsupported { .. } => Self::CannotRun(text),
            _ => Self::Usage(text),
        }
    }
}
