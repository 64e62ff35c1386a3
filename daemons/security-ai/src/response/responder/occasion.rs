//! What the daemon does on its own about an alert, and what it remembers of what it did not do.

use super::{Aim, Failure, Responder, Wanted, look, now};
use crate::alert::Alert;
use crate::process::Identity;
use crate::response::grade::Grade;
use crate::response::plan::{Act, Plan, Refusal, Scope};
use crate::response::record::{About, By, Response, State};
use std::sync::PoisonError;

impl Wanted {
    /// What an alert calls for.
    pub(super) fn of(grade: Grade, alert: &Alert) -> Self {
        let identity = Identity {
            pid: alert.pid,
            start: alert.start,
        };
        Self {
            aim: Aim::Seen(identity, alert.unit.clone()),
            grade,
            scope: None,
            seconds: None,
            reason: format!("rule {:?}, level {}", alert.title, alert.level),
            caller: 0,
        }
    }
}

impl Responder {
    /// Whether one more automatic response may be made this minute.
    pub(super) fn is_within_pace(&self, alert: &Alert) -> bool {
        let most = self.settings().per_minute;
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let is_within = pace.admit(now().boot, most);
        if !is_within {
            tracing::warn!(
                rule = alert.rule,
                pid = alert.pid,
                "no automatic response: there were {most} in the last minute"
            );
        }
        is_within
    }

    /// Responds to an alert.
    pub(super) async fn occasion(&self, wanted: Wanted, id: u64, alert: &Alert) {
        let (facts, mut about) = self.look(&wanted).await;
        look::tell(&mut about, alert);
        about.alert = id;
        let reason = wanted.reason.clone();
        let done = match facts.and_then(|facts| self.plan(&wanted, &facts)) {
            Ok(plan) => {
                let about = about.clone();
                let made = Response::new(plan, about, By::Automatic, reason, now(), &self.boot);
                self.carry_out(made).await
            }
            Err(refusal) => Err(Failure::Refused(refusal)),
        };
        match done {
            Ok(_) => {}
            Err(Failure::Refused(Refusal::InForce(id))) => {
                tracing::debug!(id, "it is in force already");
            }
            Err(Failure::Refused(refusal)) => self.refused(wanted, about, &refusal).await,
            Err(Failure::Failed(error)) => {
                tracing::warn!(rule = alert.rule, %error, "no automatic response");
            }
        }
    }

    /// Remembers why the daemon did nothing on its own, once for each rule and target.
    async fn refused(&self, wanted: Wanted, about: About, refusal: &Refusal) {
        let plan = Plan {
            grade: wanted.grade,
            scope: Scope::Process,
            act: Act::None,
            effect: "nothing is done".into(),
            seconds: 0,
        };
        let mut made = Response::new(plan, about, By::Automatic, wanted.reason, now(), &self.boot);
        made.turn(State::Refused, refusal.to_string());
        let gone = {
            let mut history = self.history.lock();
            let is_known = history.all().any(|known| {
                known.state == State::Refused
                    && known.about.rule == made.about.rule
                    && known.about.unit == made.about.unit
                    && known.about.executable == made.about.executable
            });
            if is_known {
                return;
            }
            let (id, gone) = history.add(made.clone());
            made.id = id;
            gone
        };
        self.withdraw(gone).await;
        self.finish(made, State::Refused, &refusal.to_string())
            .await;
    }
}
