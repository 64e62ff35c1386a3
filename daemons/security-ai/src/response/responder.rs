//! Who responds: it looks, plans, writes down, acts, tells, and undoes when the time is over. What it does is on the
//! disk before it is done. Orders are taken by one task and carried out side by side, but for one target one after
//! another, so that nothing is done twice.

mod dispatch;
mod gone;
mod look;
mod occasion;
mod on_record;
mod publish;
mod recover;
mod undo;
mod units;

pub use dispatch::run;
pub use units::Listener;

use super::automatic::{Grades, Pace};
use super::clerk::SharedDues;
use super::facts::Host;
use super::grade::Grade;
use super::hands::{Hands, Trouble};
use super::history::{History, MOST_IN_FORCE};
use super::lanes::{Lanes, Turn};
use super::plan::{Act, Facts, Plan, Refusal, Scope};
use super::protect::Protection;
use super::record::{About, By, Now, Response, State};
use super::settings::Responses;
use super::slots::Slots;
use super::store::Store;
use crate::alert::Alert;
use crate::clock;
use crate::journal::Journal;
use crate::objects::SharedBook;
use crate::process::Identity;
use quantumos_dbus::Error;
use quantumos_service::{Authority, Status};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::{mpsc, oneshot, watch};
use zbus::Connection;

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
    /// This event of those that wait is this entry of the ledger.
    Recorded(u64, u64, oneshot::Sender<()>),
    /// The process that this response holds has ended.
    Gone(u64),
    /// The unit that this response holds may have gone.
    Look(u64),
    /// End.
    Stop(oneshot::Sender<()>),
}

/// What all orders share.
pub struct Responder {
    pub(crate) connection: Connection,
    pub(crate) authority: Authority,
    pub(crate) status: Status,
    pub(crate) history: SharedHistory,
    /// None only while it is being written.
    pub(crate) store: tokio::sync::Mutex<Option<Store>>,
    /// What waits for quantumd's ledger.
    pub(crate) dues: SharedDues,
    pub(crate) book: SharedBook,
    pub(crate) journal: Mutex<Journal>,
    pub(crate) host: Host,
    pub(crate) hands: Hands,
    pub(crate) settings: RwLock<Responses>,
    pub(crate) grades: watch::Sender<Arc<Grades>>,
    pub(crate) pace: Mutex<Pace>,
    pub(crate) boot: String,
    pub(crate) orders: mpsc::Sender<Order>,
    /// Whose turn it is with a target.
    pub(crate) targets: Mutex<Lanes>,
    pub(crate) slots: Slots,
    /// What is waited for, of what is held.
    pub(crate) watched: Mutex<gone::Watched>,
    /// Who waits for the end of units that are held.
    pub(crate) units: Listener,
}

/// Why a plan was not carried out.
enum Failure {
    /// It does not fit what is in force by now.
    Refused(Refusal),
    /// It was tried, or could not be.
    Failed(Error),
}

fn now() -> Now {
    let boot = clock::boot_time();
    Now {
        real: clock::real_time(boot),
        boot: boot / 1000,
    }
}

impl Responder {
    /// The settings in force.
    fn settings(&self) -> Responses {
        let settings = self.settings.read();
        settings.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn find(&self, id: u64) -> Option<Response> {
        self.history.lock().get(id).cloned()
    }

    /// Whom a request is about, as far as that is known without asking systemd: the unit, else the process.
    fn subject(&self, aim: &Aim) -> String {
        let of_process = |pid: u32, unit: Option<String>| {
            let unit = unit.filter(|unit| !unit.is_empty());
            unit.unwrap_or_else(|| format!("process {pid}"))
        };
        match aim {
            Aim::Alert(id) => match self.book.lock().get(*id) {
                Some(entry) => of_process(entry.alert.pid, Some(entry.alert.unit.clone())),
                None => String::new(),
            },
            Aim::Process(pid, _) => of_process(*pid, self.host.unit_of(*pid)),
            Aim::Unit(name) => name.clone(),
            Aim::Seen(identity, unit) => of_process(identity.pid, Some(unit.clone())),
        }
    }

    /// Whom a response is about.
    fn subject_of(&self, id: u64) -> String {
        let Some(Response { about, .. }) = self.find(id) else {
            return String::new();
        };
        if about.unit.is_empty() {
            return format!("process {}", about.pid);
        }
        about.unit
    }

    /// Waits for the turn with what an act changes; a unit may have been asked for by another name.
    async fn turn(&self, act: &Act) -> Option<Turn> {
        let target = act.target()?;
        let mut turn = {
            let targets = self.targets.lock();
            let mut targets = targets.unwrap_or_else(PoisonError::into_inner);
            targets.join(target)
        };
        turn.come().await;
        Some(turn)
    }

    /// What would be done.
    async fn planned(&self, wanted: &Wanted) -> Answer {
        let (facts, about) = self.look(wanted).await;
        let plan = facts.and_then(|facts| self.plan(wanted, &facts));
        (plan, about)
    }

    fn plan(&self, wanted: &Wanted, facts: &Facts) -> Result<Plan, Refusal> {
        let request = super::plan::Request {
            grade: wanted.grade,
            of_process: wanted.is_of_process(),
            scope: wanted.scope,
            seconds: wanted.seconds,
        };
        let settings = self.settings();
        let protection: Protection = settings.protection(own(&self.host));
        let plan = super::plan::plan(&request, facts, &protection, &settings.policy())?;
        fits(&self.history.lock(), &plan.act, plan.grade)?;
        Ok(plan)
    }

    async fn respond(&self, wanted: Wanted, by: By) -> Result<u64, Error> {
        let (plan, about) = self.planned(&wanted).await;
        let done = match plan {
            Ok(plan) => {
                let (about, by, reason) = (about.clone(), by.clone(), wanted.reason);
                let response = Response::new(plan, about, by, reason, now(), &self.boot);
                self.carry_out(response).await
            }
            Err(refusal) => Err(Failure::Refused(refusal)),
        };
        match done {
            Ok(id) => Ok(id),
            Err(Failure::Failed(error)) => Err(error),
            Err(Failure::Refused(refusal)) => {
                let why = refusal.to_string();
                self.decline(wanted.grade, &about, &by, &why).await;
                Err(answer(refusal))
            }
        }
    }

    /// Writes a response down, does it, writes down how that went, and tells. Gives its number.
    async fn carry_out(&self, mut response: Response) -> Result<u64, Failure> {
        let _turn = self.turn(&response.act).await;
        let _slot = self.slots.of(response.grade).await;
        response.before = match self.hands.before(&response.act).await {
            Ok(before) => before,
            Err(trouble) => {
                let (about, by) = (&response.about, &response.by);
                self.decline(response.grade, about, by, trouble.text())
                    .await;
                return Err(Failure::Failed(trouble_answer(&trouble)));
            }
        };
        let undoable = response.grade.is_undoable();
        let (id, gone) = {
            let mut history = self.history.lock();
            // What is in force may have changed since it was planned.
            fits(&history, &response.act, response.grade).map_err(Failure::Refused)?;
            let (id, gone) = history.add(response.clone());
            response.id = id;
            self.note(&mut response);
            history.put(response.clone());
            (id, gone)
        };
        self.withdraw(gone).await;
        let is_kept = self.write(id).await;
        if undoable && !is_kept {
            let reason = "it could not be written down, so it was not done: nobody could undo it after a restart";
            self.finish(response, State::Failed, reason).await;
            return Err(Failure::Failed(Error::Io(reason.into())));
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
        result.map_err(Failure::Failed)
    }

    /// Writes down how a response stands, and shows it.
    async fn finish(&self, mut response: Response, state: State, detail: &str) {
        let id = response.id;
        response.turn(state, detail);
        {
            let mut history = self.history.lock();
            // Entries of the ledger may have come meanwhile.
            if let Some(known) = history.get(id) {
                response.ledger.clone_from(&known.ledger);
            }
            self.note(&mut response);
            history.put(response);
        }
        self.write(id).await;
        self.show(id).await;
        self.watch(id);
        let keep = self.settings().keep as usize;
        let gone = self.history.lock().resize(keep);
        self.withdraw(gone).await;
    }

    async fn configure(&self, settings: Responses) {
        // Nobody listens when the daemon is stopping.
        let _ = self.grades.send(Arc::new(settings.grades()));
        let keep = settings.keep as usize;
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = settings;
        let gone = self.history.lock().resize(keep);
        self.withdraw(gone).await;
        self.tell_settings().await;
    }
}

impl Wanted {
    /// Whether a process is meant, and not a unit.
    fn is_of_process(&self) -> bool {
        !matches!(self.aim, Aim::Unit(_))
    }

    /// Whether what is done depends on the process alone, and systemd need not be asked for its unit.
    fn is_of_process_alone(&self) -> bool {
        let grade = matches!(self.grade, Grade::Freeze | Grade::Kill);
        grade && self.is_of_process() && matches!(self.scope, None | Some(Scope::Process))
    }
}

/// Whether something may come into force beside what is.
fn fits(history: &History, act: &Act, grade: Grade) -> Result<(), Refusal> {
    if let Some(same) = history.doing(act) {
        return Err(Refusal::InForce(same.id));
    }
    if grade.is_undoable() && history.in_force().count() >= MOST_IN_FORCE {
        return Err(Refusal::TooMany(format!(
            "{MOST_IN_FORCE} responses are in force, undo some"
        )));
    }
    Ok(())
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
