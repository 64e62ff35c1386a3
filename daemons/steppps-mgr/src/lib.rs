//! Seven views of the host as one, over D-Bus: hardware, time, events, habits, displays, the
//! vocabulary of calls and what runs by itself. State comes from the kernel and from other
//! services on the bus, is kept by one task, and is published when it changes. The daemon has
//! no privilege; what it may not see, the dimension says.

mod board;
mod clock;
mod collect;
mod error;
mod keep;
mod kernel;
mod manager;
mod objects;
mod peers;
mod settings;
mod variant;

use quantumos_dbus::{Service, bus_name, path};
use quantumos_service::{BoxError, Context, Daemon};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

pub use error::Error;
pub use settings::{Roots, Settings};

use board::Board;
use manager::{Command, Manager};

/// steppps-mgr.
#[derive(Debug)]
pub struct StepppsMgr {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl Daemon for StepppsMgr {
    type Settings = Settings;
    const SERVICE: Service = Service {
        unit: "steppps-mgr",
        bus_name: bus_name::STEPPPS,
        path: path::STEPPPS,
    };

    async fn start(context: Context, settings: Settings) -> Result<Self, BoxError> {
        let board = Board::new(context.connection.clone());
        let mut manager = Manager::start(context.clone(), settings, board.clone()).await?;
        // The first look comes before the objects, so that no caller meets empty state.
        manager.look_first().await;
        objects::register(&context.connection, &board).await?;
        let (commands, receiver) = mpsc::channel(4);
        let task = tokio::spawn(manager.run(receiver));
        Ok(Self { commands, task })
    }

    async fn reload(&mut self, settings: Settings) -> Result<(), BoxError> {
        let (done, when_done) = oneshot::channel();
        self.commands
            .send(Command::Reload(settings, done))
            .await
            .map_err(|_| Error::Stopped)?;
        when_done.await.map_err(|_| Error::Stopped)?;
        Ok(())
    }

    async fn stop(self) {
        drop(self.commands);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the manager did not end in order");
        }
    }
}
