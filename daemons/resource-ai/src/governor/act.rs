//! What the governor does about decisions: makes, applies, extends and ends them.

use std::time::{SystemTime, UNIX_EPOCH};

use quantumos_dbus::{Error, path};
use quantumos_resource::controller::{Action, End, NOT_SET, Proposal, Weight};

use super::{Governor, MOST_DECISIONS};
use crate::decision::{Decision, Decision1, Shared, State};
use crate::interface::{self, Resource1};
use crate::sampler::monotonic_us;
use crate::settings::Mode;
use crate::systemd::{PROPERTY, Refusal};

impl Governor {
    /// Does what the controller says.
    pub(super) async fn act(&mut self, actions: Vec<Action>, now: u64) {
        for action in actions {
            match action {
                Action::Apply(proposal) => self.make(proposal, now).await,
                Action::Extend { unit, expires_us } => self.extend(&unit, expires_us, now).await,
                Action::Restore { unit, why } => {
                    self.end(&unit, State::Expired, why.as_str(), true).await
                }
                // A unit that is gone may come back and would find its weight changed.
                Action::Release {
                    unit,
                    why: why @ End::UnitGone,
                } => {
                    self.end(&unit, State::Expired, why.as_str(), true).await;
                }
                Action::Release { unit, why } => {
                    self.end(&unit, State::Expired, why.as_str(), false).await
                }
            }
        }
    }

    async fn make(&mut self, proposal: Proposal, now: u64) {
        let unit = proposal.unit.clone();
        let act = self.view.get().mode == Mode::Act;
        let time = realtime_us();
        self.made += 1;
        let decision = Decision {
            id: format!("{time:x}_{}", self.made),
            expires: time + proposal.expires_us.saturating_sub(now),
            state: if act { State::Applied } else { State::Proposed },
            ended: String::new(),
            time,
            proposal,
        };
        self.forget_old().await;
        let shared = Shared::new(decision.clone());
        self.decisions.insert(decision.id.clone(), shared.clone());
        if act {
            // First on disk, then in force: a kill in between leaves nothing unknown behind.
            let (done, kept) = match self.save().await {
                Ok(()) => (
                    self.systemd.set_weight(&unit, decision.proposal.to).await,
                    true,
                ),
                Err(error) => (Err(Refusal::Refused(error.to_string())), false),
            };
            self.weights.remove(&unit);
            let problem = match done {
                Ok(()) => None,
                // Nobody refused: as soon as there is room, it may be done.
                Err(refusal) if !kept => {
                    self.controller.postponed(&unit, now);
                    let mut decision = shared.get();
                    decision.state = State::Failed;
                    decision.ended = crate::Error::from(refusal).to_string();
                    None
                }
                Err(refusal) => {
                    self.controller.failed(&unit, now);
                    let unknown = matches!(refusal, Refusal::NoAnswer(_));
                    let error = crate::Error::from(refusal);
                    if unknown {
                        // It may have been made: taken back in the next round, until that works.
                        self.unfinished.insert(unit.clone(), State::Failed);
                    } else {
                        let mut decision = shared.get();
                        decision.state = State::Failed;
                        decision.ended = error.to_string();
                    }
                    Some(format!("could not set {PROPERTY} of {unit}: {error}"))
                }
            };
            if problem.is_some() {
                let _ = self.save().await;
            }
            if kept {
                self.context.status.set_problem("actuator", problem).await;
            }
        }
        log(&shared.get().clone());
        self.publish(shared).await;
    }

    /// Puts the object on the bus and tells that it is there.
    async fn publish(&self, shared: Shared) {
        let object = Decision1::new(
            shared.clone(),
            self.context.authority.clone(),
            self.commands.clone(),
        );
        let path = shared.get().path();
        let sent = async {
            let path = path?;
            self.context
                .connection
                .object_server()
                .at(&path, object)
                .await?;
            Resource1::decision_made(
                &interface::emitter(&self.context.connection)?,
                path.as_ref(),
            )
            .await
        };
        if let Err(error) = sent.await {
            tracing::warn!(%error, "a decision is not on the bus");
        }
    }

    async fn extend(&mut self, unit: &str, expires_us: u64, now: u64) {
        let Some(shared) = self.holding(unit) else {
            return;
        };
        {
            let mut decision = shared.get();
            decision.proposal.expires_us = expires_us;
            decision.expires = realtime_us() + expires_us.saturating_sub(now);
        }
        let _ = self.save().await;
        self.emit(&shared, false).await;
    }

    /// Ends the decision for a unit, and gives the unit its weight back where `restore`.
    pub(super) async fn end(&mut self, unit: &str, state: State, why: &str, restore: bool) {
        let Some(shared) = self.holding(unit) else {
            return;
        };
        let applied = shared.get().state == State::Applied;
        if applied && restore {
            match self.give_back(unit).await {
                Ok(()) => {}
                Err(error) => {
                    let problem =
                        format!("could not give {unit} its {PROPERTY} back, trying again: {error}");
                    self.context
                        .status
                        .set_problem("actuator", Some(problem))
                        .await;
                    self.unfinished.insert(unit.to_owned(), state);
                    return;
                }
            }
        }
        self.unfinished.remove(unit);
        {
            let mut decision = shared.get();
            decision.state = state;
            decision.ended = why.to_owned();
            decision.expires = decision.expires.min(realtime_us());
            log(&decision);
        }
        let _ = self.save().await;
        self.emit(&shared, true).await;
    }

    async fn give_back(&mut self, unit: &str) -> Result<(), crate::Error> {
        self.weights.remove(unit);
        match self.systemd.set_weight(unit, NOT_SET).await {
            Ok(()) | Err(Refusal::NoSuchUnit) => Ok(()),
            // A transient unit that has ended: systemd knows it no more, and says so in words.
            Err(Refusal::Refused(_))
                if matches!(self.systemd.weight(unit).await, Err(Refusal::NoSuchUnit)) =>
            {
                Ok(())
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// What systemd refused to take back is tried again in every round.
    pub(super) async fn retry_unfinished(&mut self) {
        for (unit, state) in self.unfinished.clone() {
            self.end(&unit, state, "taken back at a later try", true)
                .await;
            if !self.unfinished.contains_key(&unit) {
                self.context.status.set_problem("actuator", None).await;
            }
        }
    }

    /// Takes one decision back because somebody wants it.
    pub(super) async fn undo(&mut self, id: &str, uid: u32) -> Result<(), Error> {
        let shared = self
            .decisions
            .get(id)
            .cloned()
            .ok_or_else(|| Error::NotFound(format!("no decision {id}")))?;
        let (unit, state) = {
            let decision = shared.get();
            (decision.proposal.unit.clone(), decision.state)
        };
        if !state.holds() {
            return Err(Error::InvalidArgument(format!(
                "decision {id} is {} already",
                state.as_str()
            )));
        }
        self.controller.undone(&unit, monotonic_us());
        self.end(&unit, State::Undone, &format!("undone by user {uid}"), true)
            .await;
        if self.unfinished.contains_key(&unit) {
            return Err(Error::Unavailable(format!(
                "systemd did not take {PROPERTY} of {unit} back; it is tried again"
            )));
        }
        Ok(())
    }

    /// Takes back all that holds.
    pub(super) async fn take_all_back(&mut self, why: &str) {
        let units: Vec<String> = self
            .decisions
            .values()
            .map(Shared::get)
            .filter(|decision| decision.state.holds())
            .map(|decision| decision.proposal.unit.clone())
            .collect();
        for unit in units {
            self.controller.undone(&unit, monotonic_us());
            self.end(&unit, State::Undone, why, true).await;
        }
    }

    /// Another mode, kept for the next start. Leaving it ends what it has made.
    pub(super) async fn set_mode(&mut self, mode: Mode) -> Result<(), Error> {
        let before = self.view.get().mode;
        if mode == before {
            return Ok(());
        }
        interface::keep_mode(&self.context.directories.state, self.settings.mode, mode)
            .map_err(|error| Error::Io(format!("the mode: {error}")))?;
        self.take_all_back("the mode was changed").await;
        self.controller = quantumos_resource::controller::Controller::new(self.settings.policy);
        self.view.get().mode = mode;
        tracing::info!(from = before.as_str(), to = mode.as_str(), "mode");
        Ok(())
    }

    /// Takes up the decisions from before a restart: those whose weight is still in force.
    pub(super) async fn take_up(&mut self) {
        let kept = match self.store.load() {
            Ok(kept) => kept,
            Err(error) => {
                self.context
                    .status
                    .set_problem("decisions", Some(error.to_string()))
                    .await;
                return;
            }
        };
        let act = self.view.get().mode == Mode::Act;
        for decision in kept
            .into_iter()
            .filter(|decision| decision.state == State::Applied)
        {
            let unit = decision.proposal.unit.clone();
            let ours = match self.systemd.weight(&unit).await {
                Ok(weight) => weight == Weight::Set(decision.proposal.to),
                // Not known to be somebody else's: keep it until systemd answers.
                Err(_) => true,
            };
            if !ours || decision.path().is_err() {
                tracing::info!(
                    unit,
                    "a decision from before the restart is no longer in force"
                );
                continue;
            }
            tracing::info!(
                unit,
                decision = decision.id,
                "a decision from before the restart is taken up"
            );
            if act {
                self.controller.adopt(unit.clone(), decision.in_force());
            }
            let shared = Shared::new(decision);
            self.decisions
                .insert(shared.get().id.clone(), shared.clone());
            self.publish(shared).await;
            if !act {
                self.end(&unit, State::Undone, "the mode is no longer act", true)
                    .await;
            }
        }
        let _ = self.save().await;
    }

    /// The decision that holds for a unit.
    fn holding(&self, unit: &str) -> Option<Shared> {
        self.decisions
            .values()
            .find(|shared| {
                let decision = shared.get();
                decision.proposal.unit == unit && decision.state.holds()
            })
            .cloned()
    }

    /// What could not be written is written as soon as that is possible.
    pub(super) async fn retry_save(&mut self) {
        if self.unsaved {
            let _ = self.save().await;
        }
    }

    async fn save(&mut self) -> Result<(), crate::Error> {
        let applied: Vec<Decision> = self
            .decisions
            .values()
            .map(|shared| shared.get().clone())
            .filter(|decision| decision.state == State::Applied)
            .collect();
        let saved = self.store.save(&applied);
        self.unsaved = saved.is_err();
        let problem = saved.as_ref().err().map(ToString::to_string);
        self.context.status.set_problem("decisions", problem).await;
        saved
    }

    /// Keeps the number of objects bounded: the oldest that are over go first.
    async fn forget_old(&mut self) {
        while self.decisions.len() >= MOST_DECISIONS {
            let over = self
                .decisions
                .iter()
                .find(|(_, shared)| !shared.get().state.holds());
            let Some(id) = over.map(|(id, _)| id.clone()) else {
                return;
            };
            let path = format!("{}/{id}", path::DECISIONS);
            self.decisions.remove(&id);
            let removed = self
                .context
                .connection
                .object_server()
                .remove::<Decision1, _>(path)
                .await;
            if let Err(error) = removed {
                tracing::debug!(%error, id, "could not remove a decision from the bus");
            }
        }
    }

    async fn emit(&self, shared: &Shared, ended: bool) {
        let path = shared.get().path();
        let sent = async {
            let reference = self
                .context
                .connection
                .object_server()
                .interface::<_, Decision1>(path?)
                .await?;
            let emitter = reference.signal_emitter();
            let object = reference.get().await;
            if ended {
                object.state_changed(emitter).await?;
            }
            object.expires_changed(emitter).await
        };
        if let Err(error) = sent.await {
            tracing::debug!(%error, "could not emit PropertiesChanged");
        }
    }
}

fn log(decision: &Decision) {
    let proposal = &decision.proposal;
    tracing::info!(
        decision = decision.id,
        unit = proposal.unit,
        property = PROPERTY,
        from = if proposal.from == NOT_SET {
            "not set".to_owned()
        } else {
            proposal.from.to_string()
        },
        to = proposal.to,
        rule = proposal.rule,
        state = decision.state.as_str(),
        "{} of {}: {}{}",
        PROPERTY,
        proposal.unit,
        if decision.ended.is_empty() {
            &proposal.reason
        } else {
            &decision.ended
        },
        if decision.state.holds() {
            format!(" ({} {})", decision.state.as_str(), proposal.to)
        } else {
            String::new()
        },
    );
}

/// Microseconds of the real-time clock.
fn realtime_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
