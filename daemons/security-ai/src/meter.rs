//! Writes the file of figures for Prometheus every few seconds, from what the daemon's parts tell.

use crate::control::Control;
use crate::objects::SharedBook;
use crate::outputs::Tally;
use crate::outputs::metrics::{self, Figures};
use crate::outputs::settings::Metrics;
use quantumos_service::{Directories, Status};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// The task that writes, while it is switched on.
pub struct Meter {
    directories: Directories,
    parts: Parts,
    settings: Metrics,
    running: Option<(PathBuf, JoinHandle<()>)>,
}

#[derive(Clone)]
struct Parts {
    status: Status,
    control: Arc<Control>,
    book: SharedBook,
    tally: Tally,
}

impl Meter {
    /// A meter that is off.
    pub(crate) fn new(
        directories: Directories,
        status: Status,
        control: Arc<Control>,
        book: SharedBook,
        tally: Tally,
    ) -> Self {
        Self {
            directories,
            parts: Parts {
                status,
                control,
                book,
                tally,
            },
            settings: Metrics::default(),
            running: None,
        }
    }

    /// Goes on with these settings; a file that is no longer written is removed, since its figures are no longer true.
    pub(crate) async fn configure(&mut self, settings: &Metrics) {
        if *settings == self.settings {
            return;
        }
        self.stop();
        self.settings = settings.clone();
        self.parts.status.set_problem("metrics", None).await;
        if !settings.enabled {
            return;
        }
        let path = match settings.path.strip_prefix("/") {
            Ok(path) => self.directories.root.join(path),
            Err(_) => self.directories.runtime.join("metrics.prom"),
        };
        let every = Duration::from_secs(settings.seconds.into());
        let task = tokio::spawn(self.parts.clone().run(path.clone(), every));
        self.running = Some((path, task));
    }

    fn stop(&mut self) {
        if let Some((path, task)) = self.running.take() {
            task.abort();
            // It may never have been written.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Parts {
    async fn run(self, path: PathBuf, every: Duration) {
        loop {
            let text = metrics::text(&self.figures().await);
            let (to, shown) = (path.clone(), path.display().to_string());
            let written = tokio::task::spawn_blocking(move || metrics::write(&to, &text)).await;
            let problem = match written {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            let problem = problem.map(|error| format!("{shown} can't be written: {error}"));
            self.status.set_problem("metrics", problem).await;
            tokio::time::sleep(every).await;
        }
    }

    async fn figures(&self) -> Figures {
        let (loaded, not_applicable, failed) = self.control.ruling().set.counts();
        let coverage = self.control.coverage().into_iter();
        let standing = self.book.lock().entries().len() as u64;
        Figures {
            raised: self.tally.raised(),
            standing,
            rules: [
                ("loaded", loaded),
                ("not-applicable", not_applicable),
                ("failed", failed),
            ],
            coverage: coverage.map(|(name, _, state, _)| (name, state)).collect(),
            outputs: self.tally.outputs(),
            statistics: self.control.statistics().await.into_iter().collect(),
        }
    }
}
