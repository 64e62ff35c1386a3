//! ai-learnd as a daemon: puts the object on the bus and starts the learner.

use crate::archive::Archive;
use crate::interface::Learn1;
use crate::learner::{Ask, Learner, SharedView};
use crate::settings::Settings;
use crate::shelf::Shelf;
use quantumos_dbus::{SERVICES, Service, path};
use quantumos_service::{BoxError, Context, Daemon};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Asks that may wait.
const QUEUE: usize = 16;

/// The daemon.
#[derive(Debug)]
pub struct AiLearnd {
    asks: mpsc::Sender<Ask>,
    learner: JoinHandle<()>,
}

impl Daemon for AiLearnd {
    type Settings = Settings;
    const SERVICE: Service = SERVICES[4];

    async fn start(context: Context, settings: Settings) -> Result<Self, BoxError> {
        let shelf = Shelf::open(&settings.models.directory)?;
        let archive = Archive::open(&context.directories.state)?;
        let view = SharedView::default();
        let (asks, inbox) = mpsc::channel(QUEUE);
        let object = Learn1 {
            authority: context.authority.clone(),
            asks: asks.clone(),
            view: view.clone(),
            shelf: shelf.clone(),
        };
        context
            .connection
            .object_server()
            .at(path::LEARN, object)
            .await?;
        let learner = Learner {
            context,
            settings,
            archive,
            shelf,
            view,
            waiting: Vec::new(),
            next: None,
        };
        Ok(Self {
            asks,
            learner: tokio::spawn(learner.run(inbox)),
        })
    }

    async fn reload(&mut self, settings: Settings) -> Result<(), BoxError> {
        self.asks.send(Ask::Configure(Box::new(settings))).await?;
        Ok(())
    }

    async fn stop(self) {
        // A training that is under way ends with the process; nothing of it is written yet.
        self.learner.abort();
    }
}
