//! `org.quantumos.Learn1`: reads what the learner shows, or asks it.

use crate::learner::{Ask, SharedView, View};
use crate::shelf::Shelf;
use quantumos_dbus::{Error, path};
use quantumos_service::Authority;
use tokio::sync::{mpsc, oneshot};
use zbus::Connection;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

/// The polkit action of training and rolling back.
pub const MANAGE: &str = "org.quantumos.learn.manage";

/// The root object.
pub struct Learn1 {
    pub(crate) authority: Authority,
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) view: SharedView,
    pub(crate) shelf: Shelf,
}

impl Learn1 {
    async fn ask<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<T, crate::Error>>) -> Ask,
    ) -> Result<T, Error> {
        let stopping = || Error::Unavailable("ai-learnd is stopping".into());
        let (answer, answered) = oneshot::channel();
        self.asks.send(ask(answer)).await.map_err(|_| stopping())?;
        Ok(answered.await.map_err(|_| stopping())??)
    }
}

#[zbus::interface(name = "org.quantumos.Learn1", introspection_docs = false)]
impl Learn1 {
    #[zbus(out_args("models"))]
    #[allow(clippy::type_complexity)] // the contract's a(ttsuddds)
    fn list_models(&self) -> Vec<(u64, u64, String, u32, f64, f64, f64, String)> {
        let published = self.shelf.published();
        let row = |serial: u64| match self.shelf.manifest(serial) {
            Ok(manifest) => {
                let state = if serial == published {
                    "published"
                } else {
                    "kept"
                };
                let windows = u32::try_from(manifest.training.windows).unwrap_or(u32::MAX);
                let figures = manifest.figures;
                (
                    serial,
                    manifest.trained_at,
                    state.to_owned(),
                    windows,
                    figures.auc,
                    figures.detected,
                    figures.false_positives,
                    String::new(),
                )
            }
            Err(error) => {
                let reason = error.to_string();
                (serial, 0, "unreadable".to_owned(), 0, 0.0, 0.0, 0.0, reason)
            }
        };
        self.shelf.serials().into_iter().map(row).collect()
    }

    #[zbus(out_args("serial", "published", "reason"))]
    async fn train(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(u64, bool, String), Error> {
        self.authority.check(&header, MANAGE).await?;
        let outcome = self.ask(Ask::Train).await?;
        Ok((outcome.serial, outcome.published, outcome.reason))
    }

    #[zbus(out_args("published"))]
    async fn rollback(
        &self,
        #[zbus(header)] header: Header<'_>,
        serial: u64,
    ) -> Result<u64, Error> {
        self.authority.check(&header, MANAGE).await?;
        self.ask(|answer| Ask::Rollback(serial, answer)).await
    }

    #[zbus(property)]
    fn windows(&self) -> u32 {
        self.view.lock().windows
    }

    #[zbus(property)]
    fn needed(&self) -> u32 {
        self.view.lock().needed
    }

    #[zbus(property)]
    fn published(&self) -> u64 {
        self.view.lock().published
    }

    #[zbus(property)]
    fn training(&self) -> bool {
        self.view.lock().training
    }

    #[zbus(property)]
    fn signer(&self) -> String {
        self.view.lock().signer.clone()
    }

    #[zbus(signal)]
    pub(crate) async fn model_published(
        emitter: &SignalEmitter<'_>,
        serial: u64,
    ) -> zbus::Result<()>;
}

/// Tells which properties are others than before.
pub async fn changed(connection: &Connection, old: &View, new: &View) {
    let sent = async {
        let server = connection.object_server();
        let reference = server.interface::<_, Learn1>(path::LEARN).await?;
        let (object, emitter) = (reference.get().await, reference.signal_emitter());
        if old.windows != new.windows {
            object.windows_changed(emitter).await?;
        }
        if old.needed != new.needed {
            object.needed_changed(emitter).await?;
        }
        if old.published != new.published {
            object.published_changed(emitter).await?;
        }
        if old.training != new.training {
            object.training_changed(emitter).await?;
        }
        if old.signer != new.signer {
            object.signer_changed(emitter).await?;
        }
        Ok::<(), zbus::Error>(())
    };
    if let Err(error) = sent.await {
        tracing::debug!(%error, "PropertiesChanged could not be sent");
    }
}
