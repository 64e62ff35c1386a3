//! `resource-ai-train`: records runs, trains the forecast model on them and writes it
//! with its signed manifest. A tool for the makers of an image; the daemon never runs it.

mod load;
mod recorder;
mod scenario;
mod training;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "resource-ai-train",
    version,
    about = "Record runs and train the forecast model of resource-ai"
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Record the counters of all units while a seeded load runs in units of its own
    /// (needs systemd and root)
    Record(recorder::Options),
    /// Train on recorded runs, measure on those held out, write and sign the model
    Train(training::Options),
    /// Be one of the workers of such a load
    Load(load::Options),
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Record(options) => recorder::record(&options),
        Command::Train(options) => training::run(&options),
        Command::Load(options) => load::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("resource-ai-train: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What every command answers with.
type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The error of a file, with its name.
fn named(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> std::io::Error + '_ {
    move |error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
