//! Responses that hold a process end with it: a descriptor of the process tells when it has ended, and nobody has to
//! wait until the response's time is over to know.

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

/// Who waits for the end of which response's process.
pub type Watched = HashMap<u64, Watch>;

/// A task that waits; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Responder {
    /// Waits for the end of the process that a response holds, from now on and for as long as it holds.
    pub(super) fn watch(&self, id: u64) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let response = self.find(id).filter(|held| held.state == State::Applied);
        let Some(Act::StopProcess(identity)) = response.map(|held| held.act) else {
            watched.remove(&id);
            return;
        };
        if watched.contains_key(&id) {
            return;
        }
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
        watched.insert(id, Watch(task));
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
