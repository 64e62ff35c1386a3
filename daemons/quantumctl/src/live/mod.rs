//! `quantumctl status --watch`: the live view on a terminal; elsewhere, or with `--json`, the
//! state again whenever it has changed.

mod feed;
mod model;
mod panels;
mod screen;
mod view;

use std::io::{IsTerminal, stdin, stdout};

use quantumos_dbus::SERVICES;
use tokio::sync::mpsc;

use self::{
    model::{ASKING, Model, Update},
    view::Look,
};
use crate::{
    bus::Bus,
    error::Error,
    output::Output,
    status::{
        model::{ServiceStatus, Status},
        render,
    },
};

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output) -> Result<(), Error> {
    let (updates, mut tasks) = feed::follow(bus).await?;
    let result = if !output.json && stdout().is_terminal() && stdin().is_terminal() {
        let host = nix::unistd::gethostname().unwrap_or_default();
        let model = Model::new(host.to_string_lossy().into_owned(), unknown());
        let look = Look {
            colour: output.style.colour,
            zone: output.zone.clone(),
        };
        screen::run(model, &look, updates).await
    } else {
        lines(output, updates).await
    };
    tasks.abort_all();
    result
}

/// The daemons before they have been asked.
fn unknown() -> Vec<ServiceStatus> {
    SERVICES
        .iter()
        .map(|service| ServiceStatus {
            name: service.unit.to_owned(),
            bus_name: service.bus_name.to_owned(),
            state: ASKING.to_owned(),
            ..ServiceStatus::default()
        })
        .collect()
}

/// Prints the state of all daemons, once all have been asked, whenever it changed.
async fn lines(output: &Output, mut updates: mpsc::Receiver<Update>) -> Result<(), Error> {
    let mut services = unknown();
    let mut printed: Option<Status> = None;
    while let Some(update) = updates.recv().await {
        let Update::Service(status) = update else {
            continue;
        };
        if let Some(slot) = services.iter_mut().find(|s| s.name == status.name) {
            *slot = *status;
        }
        let asked = services.iter().all(|service| service.state != ASKING);
        let status = Status::new(services.clone());
        if asked && printed.as_ref() != Some(&status) {
            output.item(&status, |status| {
                let gap = if printed.is_some() { "\n" } else { "" };
                format!("{gap}{}", render::status(status, output.style))
            })?;
            printed = Some(status);
        }
    }
    Err(Error::Bus("the connection was closed".to_owned()))
}
