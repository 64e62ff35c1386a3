//! The one task that responds: it looks, plans, writes down, acts, tells, and undoes when the time is over; one
//! thing after another, so that nothing is done twice. What it does is on the disk before it is done.

mod look;
mod publish;
mod recover;

use super::automatic::{Grades, Pace};
use super::facts::Host;
use super::grade::Grade;
use super::hands::{Hands, Trouble, denials};
use super::history::{History, MOST_IN_FORCE};
use super::plan::{Facts, Plan, Refusal, Scope};
use super::protect::Protection;
use super::record::{About, By, Now, Response, State};
use super::settings::Responses;
use super::store::Store;
use crate::alert::Alert;
use crate::clock;
use crate::journal::Journal;
use crate::objects::SharedBook;
use crate::process::Identity;
use quantumos_dbus::Error;
use quantumos_ebpf::Denial;
use quantumos_service::{Authority, Status};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use zbus::Connection;

/// How often what could not be undone in time is tried again, in microseconds.
const RETRY: u64 = 30_000_000;
/// The longest sleep: timers stand still while the host is suspended, the boot clock does not.
const LOOK: Duration = Duration::from_secs(60);

/// The history, shared by the task that writes it and the objects that show it.
#[derive(Debug, Clone)]
pub struct SharedHistory(Arc<Mutex<History>>);

impl SharedHistory {
    /// Shares a history.
    #[must_use]
    pub fn new(history: History) -> Self {
        Self(Arc::new(Mutex::new(history)))
    }

    /// The history. Never held over an await.
    pub fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be acted on, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aim {
    /// What an alert is about.
    Alert(u64),
    /// A process, with its start in clock ticks where the caller knows it.
    Process(u32, Option<u64>),
    /// A unit.
    Unit(String),
    /// The process that an event showed, and its unit as far as that was known then.
    Seen(Identity, String),
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// On what.
    pub aim: Aim,
    /// How hard.
    pub grade: Grade,
    /// How far.
    pub scope: Option<Scope>,
    /// For how long.
    pub seconds: Option<u32>,
    /// Why.
    pub reason: String,
    /// The caller's process, as the bus knows it.
    pub caller: u32,
}

/// A plan, or why there is none, and what it is about.
pub type Answer = (Result<Plan, Refusal>, About);

/// What the task is told.
pub enum Order {
    /// Say what would be done.
    Plan(Wanted, oneshot::Sender<Answer>),
    /// Do it; gives its number.
    Respond(Wanted, By, oneshot::Sender<Result<u64, Error>>),
    /// Undo one.
    Undo(u64, By, oneshot::Sender<Result<(), Error>>),
    /// Undo all of these grades; how many were undone, and how many could not be.
    UndoAll(Vec<Grade>, By, oneshot::Sender<(u32, u32)>),
    /// An alert that calls for this grade, with its number.
    Occasion(Grade, u64, Box<Alert>),
    /// Go on with these settings.
    Configure(Responses, oneshot::Sender<()>),
    /// End.
    Stop(oneshot::Sender<()>),
}

/// The task's state.
pub struct Responder {
    pub(crate) connection: Connection,
    pub(crate) authority: Authority,
    pub(crate) status: Status,
    pub(crate) history: SharedHistory,
    /// None only while it is being written.
    pub(crate) store: Option<Store>,
    pub(crate) book: SharedBook,
    pub(crate) journal: Journal,
    pub(crate) host: Host,
    pub(crate) hands: Hands,
    pub(crate) settings: Responses,
    pub(crate) protection: Protection,
    pub(crate) grades: watch::Sender<Arc<Grades>>,
    pub(crate) pace: Pace,
    pub(crate) boot: String,
    pub(crate) orders: mpsc::Sender<Order>,
}

fn now() -> Now {
    let boot = clock::boot_time();
    Now {
        real: clock::real_time(boot),
        boot: boot / 1000,
    }
}

impl Responder {
    /// Runs until it is told to stop or nobody is left to tell it. What holds goes on holding.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        loop {
            let left = self.history.lock().deadline();
            let left = left.map(|due| Duration::from_micros(due.saturating_sub(now().boot)));
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(Order::Stop(done)) => {
                        let _ = done.send(());
                        return;
                    }
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                () = tokio::time::sleep(left.unwrap_or(LOOK).min(LOOK)), if left.is_some() => {
                    self.expire().await;
                }
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        // Whoever asked may have given up.
        match order {
            Order::Plan(wanted, answer) => {
                let (facts, about) = self.look(&wanted).await;
                let plan = facts.and_then(|facts| self.plan(&wanted, &facts));
                let _ = answer.send((plan, about));
            }
            Order::Respond(wanted, by, answer) => {
                let _ = answer.send(self.respond(wanted, by).await);
            }
            Order::Undo(id, by, answer) => {
                let _ = answer.send(self.undo(id, &by).await);
            }
            Order::UndoAll(grades, by, answer) => {
                let _ = answer.send(self.undo_all(&grades, &by).await);
            }
            Order::Occasion(grade, id, alert) => self.occasion(grade, id, &alert).await,
            Order::Configure(settings, answer) => {
                self.configure(settings).await;
                let _ = answer.send(());
            }
            Order::Stop(_) => {}
        }
    }

    fn plan(&self, wanted: &Wanted, facts: &Facts) -> Result<Plan, Refusal> {
        let request = super::plan::Request {
            grade: wanted.grade,
            of_process: !matches!(wanted.aim, Aim::Unit(_)),
            scope: wanted.scope,
            seconds: wanted.seconds,
        };
        let policy = self.settings.policy();
        let plan = super::plan::plan(&request, facts, &self.protection, &policy)?;
        let history = self.history.lock();
        if let Some(same) = history.doing(&plan.act) {
            return Err(Refusal::InForce(same.id));
        }
        if plan.grade.is_undoable() && history.in_force().count() >= MOST_IN_FORCE {
            return Err(Refusal::TooMany(format!(
                "{MOST_IN_FORCE} responses are in force, undo some"
            )));
        }
        Ok(plan)
    }

    async fn respond(&mut self, wanted: Wanted, by: By) -> Result<u64, Error> {
        let (facts, about) = self.look(&wanted).await;
        match facts.and_then(|facts| self.plan(&wanted, &facts)) {
            Ok(plan) => {
                let response = Response::new(plan, about, by, wanted.reason, now(), &self.boot);
                self.carry_out(response).await
            }
            Err(refusal) => {
                self.journal_refusal(wanted.grade, &about, &by, &refusal.to_string());
                Err(answer(refusal))
            }
        }
    }

    /// Writes a response down, does it, writes down how that went, and tells. Gives its number.
    async fn carry_out(&mut self, mut response: Response) -> Result<u64, Error> {
        let before = match self.hands.before(&response.act).await {
            Ok(before) => before,
            Err(trouble) => {
                self.journal_refusal(
                    response.grade,
                    &response.about,
                    &response.by,
                    trouble.text(),
                );
                return Err(trouble_answer(&trouble));
            }
        };
        response.before = before;
        let undoable = response.grade.is_undoable();
        let (id, gone) = self.history.lock().add(response.clone());
        response.id = id;
        self.withdraw(gone).await;
        let is_kept = self.write(id).await;
        if undoable && !is_kept {
            let reason = "it could not be written down, so it was not done: nobody could undo it after a restart";
            self.finish(response, State::Failed, reason).await;
            return Err(Error::Io(reason.into()));
        }
        let done = self.hands.act(&response.act, &response.before).await;
        let (state, detail, result) = match done {
            Ok(detail) if undoable => (State::Applied, detail, Ok(id)),
            Ok(detail) => (State::Done, detail, Ok(id)),
            // It may have been done: it can be undone, and is in time.
            Err(Trouble::Unsure(reason)) if undoable => (State::Applied, reason, Ok(id)),
            Err(trouble) => {
                let answer = trouble_answer(&trouble);
                (State::Failed, trouble.text().to_owned(), Err(answer))
            }
        };
        self.finish(response, state, &detail).await;
        result
    }

    /// Writes down how a response stands, and shows it.
    async fn finish(&mut self, mut response: Response, state: State, detail: &str) {
        let id = response.id;
        response.turn(state, detail);
        self.history.lock().put(response);
        self.write(id).await;
        self.show(id).await;
        let gone = self.history.lock().resize(self.settings.keep as usize);
        self.withdraw(gone).await;
    }

    async fn undo(&mut self, id: u64, by: &By) -> Result<(), Error> {
        let found = self.history.lock().get(id).cloned();
        let response = found.ok_or_else(|| Error::NotFound(format!("response {id} has left")))?;
        if !response.state.holds() {
            let state = response.state.name();
            return Err(Error::InvalidArgument(format!(
                "response {id} is {state}: there is nothing to undo"
            )));
        }
        let said = format!("by {}", by.name());
        match self.revert(response, State::Undone, &said).await {
            None => Ok(()),
            Some(trouble) => Err(Error::Unavailable(format!(
                "response {id} could not be undone: {}",
                trouble.text()
            ))),
        }
    }

    async fn undo_all(&mut self, grades: &[Grade], by: &By) -> (u32, u32) {
        let held: Vec<u64> = {
            let history = self.history.lock();
            let held = history
                .in_force()
                .filter(|held| grades.contains(&held.grade));
            held.map(|held| held.id).collect()
        };
        let (mut undone, mut failed) = (0, 0);
        for id in held {
            match self.undo(id, by).await {
                Ok(()) => undone += 1,
                Err(_) => failed += 1,
            }
        }
        (undone, failed)
    }

    /// Undoes a response; what stands in the way, after which it still holds and is tried again.
    async fn revert(&mut self, response: Response, state: State, said: &str) -> Option<Trouble> {
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

    /// Undoes what has had its time.
    async fn expire(&mut self) {
        let boot = now().boot;
        let due: Vec<Response> = {
            let history = self.history.lock();
            let due = history.in_force().filter(|held| held.is_due(boot));
            due.cloned().collect()
        };
        let mut stuck = Vec::new();
        for response in due {
            let (id, effect) = (response.id, response.effect.clone());
            if let Some(trouble) = self
                .revert(response, State::Expired, "its time was over")
                .await
            {
                stuck.push(format!("{id} ({effect}): {}", trouble.text()));
            }
        }
        let problem = (!stuck.is_empty()).then(|| {
            format!(
                "responses could not be undone in time: {}",
                stuck.join("; ")
            )
        });
        self.status.set_problem("responses", problem).await;
    }

    /// An alert that calls for a response.
    async fn occasion(&mut self, grade: Grade, id: u64, alert: &Alert) {
        if !self.pace.admit(now().boot, self.settings.per_minute) {
            tracing::warn!(
                rule = alert.rule,
                pid = alert.pid,
                "no automatic response: there were {} in the last minute",
                self.settings.per_minute
            );
            return;
        }
        let identity = Identity {
            pid: alert.pid,
            start: alert.start,
        };
        let wanted = Wanted {
            aim: Aim::Seen(identity, alert.unit.clone()),
            grade,
            scope: None,
            seconds: None,
            reason: format!("rule {:?}, level {}", alert.title, alert.level),
            caller: 0,
        };
        let (facts, mut about) = self.look(&wanted).await;
        look::tell(&mut about, alert);
        about.alert = id;
        let plan = facts.and_then(|facts| self.plan(&wanted, &facts));
        let boot = self.boot.clone();
        match plan {
            Ok(plan) => {
                let made = Response::new(plan, about, By::Automatic, wanted.reason, now(), &boot);
                if let Err(error) = self.carry_out(made).await {
                    tracing::warn!(rule = alert.rule, %error, "no automatic response");
                }
            }
            Err(Refusal::InForce(id)) => tracing::debug!(id, "it is in force already"),
            Err(refusal) => self.refused(wanted, about, &refusal).await,
        }
    }

    /// Remembers why the daemon did nothing on its own, once for each rule and target.
    async fn refused(&mut self, wanted: Wanted, about: About, refusal: &Refusal) {
        let is_known = self.history.lock().all().any(|known| {
            known.state == State::Refused
                && known.about.rule == about.rule
                && known.about.unit == about.unit
                && known.about.executable == about.executable
        });
        if is_known {
            return;
        }
        let plan = Plan {
            grade: wanted.grade,
            scope: Scope::Process,
            act: super::plan::Act::None,
            effect: "nothing is done".into(),
            seconds: 0,
        };
        let made = Response::new(plan, about, By::Automatic, wanted.reason, now(), &self.boot);
        let (id, gone) = self.history.lock().add(made);
        self.withdraw(gone).await;
        let made = self.history.lock().get(id).cloned();
        if let Some(made) = made {
            self.finish(made, State::Refused, &refusal.to_string())
                .await;
        }
    }

    async fn configure(&mut self, settings: Responses) {
        self.protection = settings.protection(own(&self.host));
        // Nobody listens when the daemon is stopping.
        let _ = self.grades.send(Arc::new(settings.grades()));
        self.settings = settings;
        let gone = self.history.lock().resize(self.settings.keep as usize);
        self.withdraw(gone).await;
        self.tell_settings().await;
    }
}

/// This process.
#[must_use]
pub fn own(host: &Host) -> Identity {
    host.identity(std::process::id()).unwrap_or_default()
}

/// A refusal as it travels over the bus.
#[must_use]
pub fn answer(refusal: Refusal) -> Error {
    let text = refusal.to_string();
    match refusal {
        Refusal::Protected(_) => Error::NotAuthorized(text),
        Refusal::Gone(_) => Error::NotFound(text),
        Refusal::Senseless(_) => Error::InvalidArgument(text),
        Refusal::Unsupported(_) => Error::NotSupported(text),
        Refusal::InForce(_) => Error::Busy(text),
        Refusal::TooMany(_) => Error::LimitExceeded(text),
    }
}

fn trouble_answer(trouble: &Trouble) -> Error {
    let text = trouble.text().to_owned();
    match trouble {
        Trouble::Gone(_) => Error::NotFound(text),
        Trouble::Refused(_) => Error::NotSupported(text),
        Trouble::Unsure(_) => Error::Unavailable(text),
    }
}
