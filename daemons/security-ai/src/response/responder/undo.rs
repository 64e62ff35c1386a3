//! How responses are undone: when somebody asks for it, and when their time is over.

use super::{Responder, now};
use crate::response::grade::Grade;
use crate::response::hands::{Trouble, denials};
use crate::response::record::{By, Response, State};
use quantumos_dbus::Error;
use quantumos_ebpf::Denial;
use std::collections::BTreeSet;

/// How often what could not be undone in time is tried again, in microseconds.
const RETRY: u64 = 30_000_000;

impl Responder {
    /// Undoes one for somebody.
    pub(super) async fn undo(&self, id: u64, by: &By) -> Result<(), Error> {
        let gone = || Error::NotFound(format!("response {id} has left"));
        let act = self.find(id).ok_or_else(gone)?.act;
        let _turn = self.turn(&act).await;
        let response = self.find(id).ok_or_else(gone)?;
        if !response.state.holds() {
            let state = response.state.name();
            return Err(Error::InvalidArgument(format!(
                "response {id} is {state}: there is nothing to undo"
            )));
        }
        let _slot = self.slots.of(response.grade).await;
        let said = format!("by {}", by.name());
        match self.revert(response, State::Undone, &said).await {
            None => Ok(()),
            Some(trouble) => Err(Error::Unavailable(format!(
                "response {id} could not be undone: {}",
                trouble.text()
            ))),
        }
    }

    /// Undoes one whose time is over; says what stands in the way.
    pub(super) async fn expire(&self, id: u64) -> Option<String> {
        let act = self.find(id)?.act;
        let _turn = self.turn(&act).await;
        // Somebody may have undone it since.
        let response = self.find(id).filter(|held| held.is_due(now().boot))?;
        let _slot = self.slots.of(response.grade).await;
        let effect = response.effect.clone();
        let reverted = self.revert(response, State::Expired, "its time was over");
        let trouble = reverted.await?;
        Some(format!("{id} ({effect}): {}", trouble.text()))
    }

    /// Undoes a response; what stands in the way, after which it still holds and is tried again.
    pub(super) async fn revert(
        &self,
        response: Response,
        state: State,
        said: &str,
    ) -> Option<Trouble> {
        let others: BTreeSet<Denial> = {
            let history = self.history.lock();
            let others = history.in_force().filter(|other| other.id != response.id);
            others.flat_map(|other| denials(&other.act)).collect()
        };
        let undone = self
            .hands
            .undo(&response.act, &response.before, &others)
            .await;
        match undone {
            Ok(detail) => {
                let both = [said, &detail].map(str::to_owned);
                let both: Vec<_> = both.into_iter().filter(|text| !text.is_empty()).collect();
                self.finish(response, state, &both.join("; ")).await;
                None
            }
            Err(Trouble::Gone(reason)) => {
                self.finish(response, State::Ended, &reason).await;
                None
            }
            Err(trouble) => {
                // systemd thaws nothing of which nothing runs any more.
                if let Ok(Some(why)) = self.hands.over(&self.host, &response).await {
                    self.finish(response, State::Ended, why).await;
                    return None;
                }
                let id = response.id;
                let detail = format!("not undone yet: {}", trouble.text());
                tracing::error!(id, "{detail}");
                let mut held = response;
                if held.deadline != 0 {
                    held.deadline = held.deadline.max(now().boot.saturating_add(RETRY));
                }
                self.finish(held, State::Applied, &detail).await;
                Some(trouble)
            }
        }
    }

    /// Those of these grades that hold, the oldest first.
    pub(super) fn held(&self, grades: &[Grade]) -> Vec<u64> {
        let history = self.history.lock();
        let held = history.in_force();
        let held = held.filter(|held| grades.contains(&held.grade));
        held.map(|held| held.id).collect()
    }

    /// Those that have had their time.
    pub(super) fn due(&self, boot: u64) -> Vec<u64> {
        let history = self.history.lock();
        let due = history.in_force().filter(|held| held.is_due(boot));
        due.map(|held| held.id).collect()
    }

    /// When the next one is over, in microseconds of the boot clock, but for those left out.
    pub(super) fn deadline(&self, without: impl Fn(u64) -> bool) -> Option<u64> {
        self.history.lock().deadline(without)
    }

    /// Whether a response is, or may be, in force.
    pub(super) fn holds(&self, id: u64) -> bool {
        self.find(id).is_some_and(|response| response.state.holds())
    }

    /// Names in `Problems` what could not be undone in time.
    pub(super) async fn tell_stuck(&self, stuck: impl Iterator<Item = &String>) {
        let stuck: Vec<&str> = stuck.map(String::as_str).collect();
        let problem = (!stuck.is_empty()).then(|| {
            let stuck = stuck.join("; ");
            format!("responses could not be undone in time: {stuck}")
        });
        self.status.set_problem("responses", problem).await;
    }
}
