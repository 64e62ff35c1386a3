//! `quantumctl container`: data sealed under a waveform, signed with a key of the store, with a
//! history that verifies without opening. Opening, verifying and listing need no service.

mod create;
mod file;
mod open;
mod show;

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

pub use self::show::code;
use crate::{bus::Bus, error::Error, output::Output};

/// What to do with containers, which are files.
#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    /// Seal a file or standard input in a new container
    Create(create::CreateArgs),
    /// Open a container with its waveform
    Open(open::OpenArgs),
    /// Verify signature, data and history of a container, without opening it
    Verify(show::VerifyArgs),
    /// List containers
    List {
        /// Container files, or directories of them
        #[arg(required = true, value_hint = ValueHint::AnyPath)]
        paths: Vec<PathBuf>,
    },
}

/// Runs what needs no bus, or nothing.
pub fn run_alone(output: &Output, command: &ContainerCommand) -> Option<Result<(), Error>> {
    match command {
        ContainerCommand::Create(_) => None,
        ContainerCommand::Open(args) => Some(open::open(output, args)),
        ContainerCommand::Verify(args) => Some(show::verify(output, args)),
        ContainerCommand::List { paths } => Some(show::list(output, paths)),
    }
}

/// Runs what needs the bus.
pub async fn run(bus: &Bus, output: &Output, command: &ContainerCommand) -> Result<(), Error> {
    match command {
        ContainerCommand::Create(args) => create::create(bus, output, args).await,
        // These have been done without it.
        _ => Ok(()),
    }
}
