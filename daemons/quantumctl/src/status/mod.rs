//! `quantumctl status`: the daemons at a glance, once or as a live view.

pub mod collect;
pub mod model;
pub mod render;

use clap::Args;

use crate::{bus::Bus, error::Error, live, output::Output};

/// How to show the state.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Keep showing it, live; q ends it
    #[arg(long, short)]
    watch: bool,
}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, args: &StatusArgs) -> Result<(), Error> {
    if args.watch {
        return live::run(bus, output).await;
    }
    let status = collect::status(bus).await;
    output.document(&status, |status| render::status(status, output.style))?;
    if status.running {
        Ok(())
    } else {
        Err(Error::SomeNotRunning(status.missing().join(", ")))
    }
}
