//! What goes on record in quantumd's ledger, and what came of it. It waits in the same write as the response itself.

use super::{Responder, now};
use crate::announce::announce;
use crate::response::bus::{ResponseObject, response_path};
use crate::response::due;
use crate::response::grade::Grade;
use crate::response::record::{About, By, OnRecord, Response, State};
use zbus::object_server::SignalEmitter;

impl Responder {
    /// Has what has become of a response wait for the ledger; it goes to the disk with the response.
    pub(super) fn note(&self, response: &mut Response) {
        let event = due::word(response.state);
        // A detail that changes is nothing new.
        if response
            .ledger
            .last()
            .is_some_and(|last| last.event == event)
        {
            return;
        }
        let facts = due::facts(response);
        self.dues.lock().add(now().real, event, response.id, facts);
        response.ledger.push(OnRecord {
            event: event.to_owned(),
            entry: None,
        });
    }

    /// Records that something was asked for and not done.
    pub(super) async fn decline(&self, grade: Grade, about: &About, by: &By, why: &str) {
        let facts = due::of(grade.name(), about, by, why);
        let event = due::word(State::Refused);
        self.dues.lock().add(now().real, event, 0, facts);
        self.write_page(None, true).await;
        if let Err(error) = self.journal().refusal(grade, about, by, why) {
            tracing::debug!(%error, "no journal entry");
            tracing::warn!(by = by.name(), "{} was refused: {why}", grade.name());
        }
    }

    /// The ledger has an event.
    pub(super) async fn recorded(&self, number: u64, entry: u64) {
        let due = self.dues.lock().recorded(number, now().real);
        let Some(due) = due else { return };
        let id = {
            let mut history = self.history.lock();
            history.get(due.response).cloned().map(|mut response| {
                let waits = |on: &&mut OnRecord| on.event == due.event && on.entry.is_none();
                if let Some(on) = response.ledger.iter_mut().find(waits) {
                    on.entry = Some(entry);
                }
                history.put(response);
                due.response
            })
        };
        // Told again after a power cut, it would be the same entry: nobody has to wait for the disk.
        self.write_page(id, false).await;
        if let Some(id) = id {
            let tell = async |object: &ResponseObject, emitter: &SignalEmitter<'_>| {
                object.ledger_changed(emitter).await
            };
            announce(&self.connection, response_path(id).as_str(), tell).await;
        }
    }
}
