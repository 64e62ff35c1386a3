//! `quantumctl container`: data sealed under a waveform, signed with a key of the store, with a
//! history that verifies without opening. Opening, verifying and listing files need no service; the
//! register of headers is quantumd's.

mod create;
mod file;
mod open;
mod register;
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
    /// Have quantumd keep the signed headers of containers, for the histories of others
    Register {
        /// Container files
        #[arg(required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// List the containers whose headers quantumd keeps
    Registered,
    /// Verify the history of a registered container
    History {
        /// Id, or the beginning of one
        id: String,
    },
    /// Have quantumd forget a container; its file stays
    Forget {
        /// Id, or the beginning of one
        id: String,
    },
}

/// Runs what needs no bus, or nothing.
pub fn run_alone(output: &Output, command: &ContainerCommand) -> Option<Result<(), Error>> {
    match command {
        ContainerCommand::Open(args) => Some(open::open(output, args)),
        ContainerCommand::Verify(args) => (!args.online()).then(|| show::verify(output, args)),
        ContainerCommand::List { paths } => Some(show::list(output, paths)),
        _ => None,
    }
}

/// Runs what needs the bus.
pub async fn run(bus: &Bus, output: &Output, command: &ContainerCommand) -> Result<(), Error> {
    match command {
        ContainerCommand::Create(args) => create::create(bus, output, args).await,
        ContainerCommand::Register { files } => register::register(bus, output, files).await,
        ContainerCommand::Registered => register::list(bus, output).await,
        ContainerCommand::History { id } => register::history(bus, output, id).await,
        ContainerCommand::Forget { id } => register::forget(bus, output, id).await,
        ContainerCommand::Verify(args) if args.online() => {
            show::verify_registered(bus, output, args).await
        }
        // These have been done without it.
        _ => Ok(()),
    }
}
