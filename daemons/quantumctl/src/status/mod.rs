//! `quantumctl status`: the four daemons at a glance.

pub mod collect;
pub mod model;
pub mod render;

use clap::Args;

use crate::{bus::Bus, error::Error, output::Output};

/// How to show the state.
#[derive(Args, Debug)]
pub struct StatusArgs {}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, _args: &StatusArgs) -> Result<(), Error> {
    let status = collect::status(bus).await;
    output.document(&status, |status| render::status(status, output.style))?;
    if status.running {
        Ok(())
    } else {
        Err(Error::SomeNotRunning(status.missing().join(", ")))
    }
}
