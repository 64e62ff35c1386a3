//! Responses that hold a unit end with it. While there are any, systemd tells of every unit that changes or goes, and
//! those that hold it are looked at; while there are none, nobody is woken.

use super::gone::Watch;
use super::{Order, Responder, SharedHistory};
use crate::response::plan::Act;
use crate::response::record::State;
use futures_util::{Stream, StreamExt};
use quantumos_service::systemd::{Systemd, unit_path};
use std::collections::BTreeSet;
use tokio::sync::mpsc;

/// Who listens to systemd.
#[derive(Debug)]
pub struct Listener {
    told: mpsc::UnboundedSender<u64>,
    _task: Watch,
}

struct Listening {
    systemd: Systemd,
    history: SharedHistory,
    /// The responses to look at.
    pending: BTreeSet<u64>,
}

impl Listener {
    /// Listens as soon as it is told of a response.
    #[must_use]
    pub fn start(systemd: Systemd, history: SharedHistory, orders: mpsc::Sender<Order>) -> Self {
        let (told, inbox) = mpsc::unbounded_channel();
        let listening = Listening {
            systemd,
            history,
            pending: BTreeSet::new(),
        };
        Self {
            told,
            _task: Watch::over(tokio::spawn(listening.run(inbox, orders))),
        }
    }

    /// Has a response that holds a unit looked at now, and whenever the unit changes.
    pub(super) fn tell(&self, id: u64) {
        // It ends with the daemon only.
        let _ = self.told.send(id);
    }
}

impl Listening {
    async fn run(mut self, mut told: mpsc::UnboundedReceiver<u64>, orders: mpsc::Sender<Order>) {
        let mut changes = None;
        loop {
            tokio::select! {
                id = told.recv() => {
                    let Some(id) = id else { return };
                    self.pending.insert(id);
                    if changes.is_none() {
                        changes = self.listen().await;
                    }
                }
                unit = next(&mut changes), if changes.is_some() => match unit {
                    Some(path) => self.changed(&path),
                    None => changes = None,
                },
                // Signals go on being read while the orders have no room.
                room = orders.reserve(), if !self.pending.is_empty() => {
                    let Ok(room) = room else { return };
                    if let Some(id) = self.pending.pop_first() {
                        room.send(Order::Look(id));
                    }
                }
            }
            if changes.is_some() && self.history.lock().of_units().next().is_none() {
                changes = None;
            }
        }
    }

    /// Starts to listen; what happened before was not heard.
    async fn listen(&mut self) -> Option<impl Stream<Item = String> + Unpin + use<>> {
        match self.systemd.changes().await {
            Ok(changes) => {
                let history = self.history.lock();
                self.pending.extend(history.of_units().map(|(id, _)| id));
                Some(changes)
            }
            Err(error) => {
                tracing::warn!(%error, "the end of units will not be seen");
                None
            }
        }
    }

    fn changed(&mut self, path: &str) {
        let history = self.history.lock();
        let held = history.of_units();
        let concerned = held.filter(|(_, unit)| unit_path(unit) == path);
        self.pending.extend(concerned.map(|(id, _)| id));
    }
}

async fn next(changes: &mut Option<impl Stream<Item = String> + Unpin>) -> Option<String> {
    changes.as_mut()?.next().await
}

impl Responder {
    /// Ends a response of whose unit nothing is left.
    pub(super) async fn look_at_unit(&self, id: u64) {
        let Some(act) = self.find(id).map(|held| held.act) else {
            return;
        };
        let _turn = self.turn(&act).await;
        // Somebody may have undone it since.
        let Some(held) = self.find(id).filter(|held| held.state == State::Applied) else {
            return;
        };
        let _slot = self.slots.of(held.grade).await;
        match self.hands.over(&self.host, &held).await {
            Ok(None) => {}
            // What is left is in the policy of the probes.
            Ok(Some(why)) if matches!(act, Act::DenyFile { .. } | Act::DenyGroups(_)) => {
                // It is tried again when its time is over.
                let _ = self.revert(held, State::Ended, why).await;
            }
            Ok(Some(why)) => self.finish(held, State::Ended, why).await,
            Err(trouble) => {
                let reason = trouble.text();
                tracing::warn!(id, reason, "whether the unit is still held is not known");
            }
        }
    }
}
