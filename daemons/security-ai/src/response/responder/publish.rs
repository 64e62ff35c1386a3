//! How responses are written down, put on the bus, signalled and recorded in the journal.

use super::Responder;
use crate::announce::announce;
use crate::journal::Journal;
use crate::response::bus::{ResponseObject, Responses1, details, response_path};
use crate::response::record::Response;
use crate::response::store::Page;
use quantumos_dbus::path;
use std::sync::{MutexGuard, PoisonError};
use zbus::object_server::SignalEmitter;

impl Responder {
    /// Writes a response down, and waits for the disk; whether it would be known after a restart.
    pub(super) async fn write(&self, id: u64) -> bool {
        self.write_page(Some(id), true).await
    }

    /// Writes down a response, if one is named, and what waits for the ledger.
    pub(super) async fn write_page(&self, id: Option<u64>, sync: bool) -> bool {
        // Held until the disk has it: what is written later is newer.
        let mut kept = self.store.lock().await;
        let Some(mut store) = kept.take() else {
            return false;
        };
        let mut all = {
            let history = self.history.lock();
            Page {
                responses: history.all().cloned().collect(),
                next: history.next(),
                ..Page::default()
            }
        };
        let unwritten = {
            let mut dues = self.dues.lock();
            let unwritten = dues.to_write(false);
            (all.dues, all.mark) = (dues.to_write(true), dues.mark());
            dues.written();
            unwritten
        };
        let work = tokio::task::spawn_blocking(move || {
            let written = if store.wants_all() {
                store.write(&all, sync)
            } else {
                let one = |response: &&Response| Some(response.id) == id;
                let new = Page {
                    responses: all.responses.iter().filter(one).cloned().collect(),
                    next: all.next,
                    dues: unwritten,
                    mark: all.mark,
                };
                store.write(&new, sync)
            };
            let written = written.map_err(|on_disk| {
                let in_memory = store.keep_in_memory(&all);
                (on_disk, in_memory)
            });
            (store, written)
        });
        let (problem, is_kept) = match work.await {
            Ok((store, written)) => {
                *kept = Some(store);
                match written {
                    Ok(()) => (None, true),
                    Err((error, Ok(()))) => (
                        Some(format!(
                            "responses are kept until the host ends only, their file can't be written: {error}"
                        )),
                        true,
                    ),
                    Err((error, Err(also))) => (
                        Some(format!(
                            "responses can't be written down ({error}; {also}): nothing is done that would have to be undone"
                        )),
                        false,
                    ),
                }
            }
            Err(error) => (
                Some(format!("responses can't be written down: {error}")),
                false,
            ),
        };
        drop(kept);
        self.status.set_problem("responses-file", problem).await;
        self.dues.wake();
        is_kept
    }

    /// Puts a response on the bus, or announces its change; signals it and records it in the journal.
    pub(super) async fn show(&self, id: u64) {
        let Some(response) = self.history.lock().get(id).cloned() else {
            return;
        };
        let server = self.connection.object_server();
        let at = response_path(id);
        let known = server.interface::<_, ResponseObject>(&at).await;
        let shown = async {
            match known {
                Ok(reference) => {
                    let object = reference.get().await;
                    let emitter = reference.signal_emitter();
                    object.state_changed(emitter).await?;
                    object.detail_changed(emitter).await
                }
                Err(_) => self.put(id).await,
            }
        };
        if let Err(error) = shown.await {
            tracing::error!(id, %error, "the response could not be shown on the bus");
        }
        let sent = async {
            let emitter = SignalEmitter::new(&self.connection, path::RESPONSES)?;
            Responses1::response_changed(&emitter, at.into(), details(&response)).await
        };
        if let Err(error) = sent.await {
            tracing::error!(id, %error, "ResponseChanged could not be sent");
        }
        if let Err(error) = self.journal().response(&response) {
            tracing::debug!(%error, "no journal entry");
            tracing::warn!(
                response = id,
                state = response.state.name(),
                "{}: {} {}",
                response.grade.name(),
                response.effect,
                response.detail
            );
        }
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a response's object on the bus.
    ///
    /// # Errors
    /// When the bus refuses.
    pub(super) async fn put(&self, id: u64) -> zbus::Result<()> {
        let object = ResponseObject {
            id,
            history: self.history.clone(),
            authority: self.authority.clone(),
            orders: self.orders.clone(),
        };
        let server = self.connection.object_server();
        server.at(response_path(id), object).await.map(drop)
    }

    /// Takes responses off the bus that are not remembered any more.
    pub(super) async fn withdraw(&self, ids: Vec<u64>) {
        for id in ids {
            let server = self.connection.object_server();
            if let Err(error) = server.remove::<ResponseObject, _>(response_path(id)).await {
                tracing::debug!(id, %error, "the response had no object");
            }
        }
    }

    /// Announces what the configuration changed.
    pub(super) async fn tell_settings(&self) {
        let tell = async |object: &Responses1, emitter: &SignalEmitter<'_>| {
            object.set(&self.settings());
            object.automatic_changed(emitter).await?;
            object.protected_changed(emitter).await
        };
        announce(&self.connection, path::RESPONSES, tell).await;
    }
}
