//! resource-ai as a daemon: puts the objects on the bus and starts the governor.

use quantumos_dbus::{SERVICES, Service, path};
use quantumos_service::{BoxError, Context, Daemon};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use zbus::fdo::ObjectManager;

use crate::governor::{Command, Governor, SharedView};
use crate::interface::{Resource1, kept_mode};
use crate::settings::Settings;

/// Commands that may wait.
const QUEUE: usize = 64;

/// The daemon.
#[derive(Debug)]
pub struct ResourceAi {
    commands: mpsc::Sender<Command>,
    governor: JoinHandle<()>,
}

impl Daemon for ResourceAi {
    type Settings = Settings;
    const SERVICE: Service = SERVICES[3];

    async fn start(context: Context, settings: Settings) -> Result<Self, BoxError> {
        let view = SharedView::new(kept_mode(&context.directories.state, settings.mode));
        let (commands, queue) = mpsc::channel(QUEUE);
        let server = context.connection.object_server();
        let root = Resource1::new(
            view.clone(),
            context.authority.clone(),
            commands.clone(),
            settings.roots(),
        );
        server.at(path::RESOURCE, root).await?;
        server.at(path::DECISIONS, ObjectManager).await?;
        let (governor, queues) =
            Governor::start(context.clone(), settings, view, (commands.clone(), queue)).await?;
        Ok(Self {
            commands,
            governor: tokio::spawn(governor.run(queues)),
        })
    }

    async fn reload(&mut self, settings: Settings) -> Result<(), BoxError> {
        self.commands
            .send(Command::Reload(Box::new(settings)))
            .await?;
        Ok(())
    }

    async fn stop(self) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(Command::Stop(done)).await.is_ok() {
            let _ = wait.await;
        }
        let _ = self.governor.await;
    }
}
