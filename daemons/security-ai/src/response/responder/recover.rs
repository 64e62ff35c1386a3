//! What a start of the daemon does about the responses that held when the last one ended.

use super::{Responder, now};
use crate::response::record::{Recovery, Response, State, recovery};
use futures_util::{StreamExt, stream};

/// Responses that are taken up at a time.
const AT_ONCE: usize = 8;

impl Responder {
    /// Takes up what was in force, and puts everything that is remembered on the bus.
    ///
    /// # Errors
    /// When the bus refuses an object.
    pub async fn recover(&self) -> zbus::Result<()> {
        let (all, held): (Vec<u64>, Vec<Response>) = {
            let history = self.history.lock();
            let all = history.all().map(|response| response.id);
            (all.collect(), history.in_force().cloned().collect())
        };
        for id in all {
            self.put(id).await?;
        }
        // One unit that is slow to answer holds no other up.
        let each = stream::iter(held);
        each.for_each_concurrent(AT_ONCE, |response| self.take_up(response))
            .await;
        Ok(())
    }

    /// Does what a start has to do about one response, after those about the same target.
    async fn take_up(&self, mut response: Response) {
        let _turn = self.turn(&response.act).await;
        match recovery(&response, &self.boot, now()) {
            // What it holds may have gone meanwhile: whoever watches looks first.
            Recovery::None => self.watch(response.id),
            Recovery::Again(deadline) => {
                response.deadline = deadline;
                response.boot.clone_from(&self.boot);
                match self.hands.act(&response.act, &response.before).await {
                    Ok(detail) => self.finish(response, State::Applied, &detail).await,
                    Err(trouble) => {
                        let why = format!("not in force after a restart: {}", trouble.text());
                        self.finish(response, State::Failed, &why).await;
                    }
                }
            }
            Recovery::Undo => {
                let said = "the daemon ended while it acted";
                // It is tried again when its time is over.
                let _ = self.revert(response, State::Undone, said).await;
            }
            Recovery::Over(state, detail) => self.finish(response, state, detail).await,
        }
    }
}
