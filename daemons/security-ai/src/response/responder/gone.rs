//! Responses end with what they hold, and nobody has to wait until their time is over to know: of a process a
//! descriptor tells when it has ended, of a unit [`super::units`].

use super::{Order, Responder};
use crate::response::hands::{Trouble, hold};
use crate::response::plan::Act;
use crate::response::record::State;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::PoisonError;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

/// Which response's process or unit is waited for.
pub type Watched = HashMap<u64, Watch>;

/// A task that waits, if one of its own does; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch(Option<JoinHandle<()>>);

impl Watch {
    /// Ends this task when it is dropped.
    pub(super) fn over(task: JoinHandle<()>) -> Self {
        Self(Some(task))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Responder {
    /// Waits for the end of what a response holds, from now on and for as long as it holds.
    pub(super) fn watch(&self, id: u64) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let response = self.find(id).filter(|held| held.state == State::Applied);
        let Some(response) = response else {
            watched.remove(&id);
            return;
        };
        if watched.contains_key(&id) {
            return;
        }
        if response.unit().is_some() {
            watched.insert(id, Watch(None));
            self.units.tell(id);
            return;
        }
        let Act::StopProcess(identity) = response.act else {
            return;
        };
        let process = match hold(&self.hands.proc, identity) {
            Ok(process) => Some(process),
            Err(Trouble::Gone(_)) => None,
            Err(trouble) => {
                let reason = trouble.text();
                tracing::warn!(id, reason, "the end of the process will not be seen");
                return;
            }
        };
        let orders = self.orders.clone();
        let task = tokio::spawn(async move {
            if let Some(process) = process
                && let Err(error) = ended(process).await
            {
                tracing::warn!(id, %error, "the end of the process will not be seen");
                return;
            }
            // Nobody is left to be told when the daemon stops; the next one looks for itself.
            let _ = orders.send(Order::Gone(id)).await;
        });
        watched.insert(id, Watch::over(task));
    }

    /// Ends a response whose process has ended.
    pub(super) async fn gone(&self, id: u64) {
        let Some(act) = self.find(id).map(|held| held.act) else {
            return;
        };
        let _turn = self.turn(&act).await;
        // Somebody may have undone it since.
        if let Some(held) = self.find(id).filter(|held| held.state.holds()) {
            self.finish(held, State::Ended, "the process is gone").await;
        }
    }
}

/// Waits for a process's end.
async fn ended(process: OwnedFd) -> std::io::Result<()> {
    // SAFETY: an owned descriptor stays open and the same one until it is dropped, which the wrapper does last.
    #[allow(unsafe_code)]
    let process = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) }?;
    process.readable().await.map(drop)
}
