//! From a request and what is known of its target to what would be done, or why nothing is.
//!
//! Pure: a dry run and the real thing ask the same function. What is known may be old by a moment when it is
//! acted on, so acts on processes carry the process's start, and acts on units the name that systemd checks.

use super::grade::Grade;
use super::protect::Protection;
use crate::process::Identity;
use serde::{Deserialize, Serialize};

/// The most control groups of a unit in which executions are refused.
pub const MOST_GROUPS: usize = 64;
/// The weight at the disks of a unit that is throttled; 100 is the usual.
pub const SLOW_IO_WEIGHT: u64 = 1;

const NO_PROCESS: &str = "there is no such process, or another one has its number by now";

/// How far a response reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One process; for a denial, one file in one unit.
    Process,
    /// A unit with all that is in it.
    Unit,
    /// The host: for denials only.
    Host,
}

impl Scope {
    /// The word on the bus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Unit => "unit",
            Self::Host => "host",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Process, Self::Unit, Self::Host]
            .into_iter()
            .find(|scope| scope.name() == name)
    }
}

/// A file, as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Inode number.
    pub inode: u64,
    /// Device, major number.
    pub device_major: u32,
    /// Device, minor number.
    pub device_minor: u32,
}

/// What is known of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessFacts {
    /// Which one.
    pub identity: Identity,
    /// The path of its executable as a merged `/usr` gives it; empty while unknown.
    pub executable: String,
    /// Whether that path leads the host to the file that runs, or the process is root's.
    pub is_authentic: bool,
    /// The file that runs.
    pub file: Option<File>,
    /// The kind of its file system, where the kernel's hook can't tell the file from others: see [`super::device`].
    pub shares_numbers: Option<String>,
    /// Whether it is a thread of the kernel.
    pub kernel_thread: bool,
    /// Whether it has ended and waits for its parent.
    pub has_ended: bool,
    /// Its systemd unit.
    pub unit: Option<String>,
}

/// What is known of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitFacts {
    /// Its own name, no alias.
    pub name: String,
    /// Its control groups' numbers (v2), its own first.
    pub groups: Vec<u64>,
    /// The processes in them.
    pub processes: Vec<ProcessFacts>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// Its process and that one's ancestors.
    pub lineage: Vec<Identity>,
    /// Its unit.
    pub unit: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How hard.
    pub grade: Grade,
    /// Whether a process is meant, and not a unit. One that has gone must never become its unit.
    pub of_process: bool,
    /// How far; what suits the grade when none.
    pub scope: Option<Scope>,
    /// For how long, in seconds; 0 until it is undone, the configured time when none.
    pub seconds: Option<u32>,
}

/// What is known when a request is decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The process that is meant; none when a unit is, or when it has gone.
    pub process: Option<ProcessFacts>,
    /// The unit that is meant, or that of the process.
    pub unit: Option<UnitFacts>,
    /// Who asks; none for what the daemon does on its own.
    pub caller: Option<Caller>,
}

/// What is done, with the target by the names that can't be taken by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Nothing.
    None,
    /// systemd limits a unit's processor time, in microseconds a second, and its weight at the disks.
    Throttle {
        /// The unit.
        unit: String,
        /// Microseconds a second.
        quota: u64,
        /// Weight.
        io_weight: u64,
    },
    /// systemd freezes a unit.
    FreezeUnit(String),
    /// A process is stopped.
    StopProcess(Identity),
    /// systemd lets no packet in or out of a unit.
    Isolate(String),
    /// systemd kills all of a unit.
    KillUnit(String),
    /// A process is killed.
    KillProcess(Identity),
    /// A file is not executed, in these control groups or (none) anywhere.
    DenyFile {
        /// The file.
        file: File,
        /// The control groups.
        groups: Vec<u64>,
    },
    /// Nothing is executed in these control groups.
    DenyGroups(Vec<u64>),
}

impl Act {
    /// What it changes, by a name that is equal where two of them must not be under way together.
    #[must_use]
    pub fn target(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Throttle { unit, .. }
            | Self::FreezeUnit(unit)
            | Self::Isolate(unit)
            | Self::KillUnit(unit) => Some(unit.clone()),
            Self::StopProcess(of) | Self::KillProcess(of) => Some(format!("process {}", of.pid)),
            // What one denial leaves in force depends on the others.
            Self::DenyFile { .. } | Self::DenyGroups(_) => Some("denials".into()),
        }
    }
}

/// What would be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How hard.
    pub grade: Grade,
    /// How far.
    pub scope: Scope,
    /// What.
    pub act: Act,
    /// The same in words.
    pub effect: String,
    /// After how many seconds it is undone by itself; 0 for never.
    pub seconds: u32,
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The target must not be acted on.
    #[error("{0}")]
    Protected(String),
    /// The target is not there any more, or not yet.
    #[error("{0}")]
    Gone(String),
    /// The request makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// This host can't.
    #[error("{0}")]
    Unsupported(String),
    /// It is so already.
    #[error("response {0} does that already")]
    InForce(u64),
    /// Too much is in force.
    #[error("{0}")]
    TooMany(String),
}

/// The times and sizes that plans have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Seconds after which a response is undone by itself.
    pub seconds: u32,
    /// The longest that can be asked for.
    pub most_seconds: u32,
    /// Processor time of a throttled unit, in hundredths of one core.
    pub throttle_percent: u32,
}

/// What would be done for `request`.
///
/// # Errors
/// Why it would not be.
pub fn plan(
    request: &Request,
    facts: &Facts,
    protection: &Protection,
    policy: &Policy,
) -> Result<Plan, Refusal> {
    let grade = request.grade;
    let scope = scope(request)?;
    let (act, effect) = match (grade, scope) {
        (Grade::Observe, _) => (Act::None, "it is written down, nothing is done".into()),
        (Grade::Notify, _) => (
            Act::None,
            "a signal and a warning in the journal tell of it".into(),
        ),
        (Grade::Throttle, _) => throttle(unit(facts, protection)?, policy),
        (Grade::Isolate, _) => isolate(unit(facts, protection)?),
        (Grade::Freeze, Scope::Unit) => freeze_unit(unit(facts, protection)?),
        (Grade::Freeze, _) => stop(process(facts, protection)?),
        (Grade::Kill, Scope::Unit) => kill_unit(unit(facts, protection)?),
        (Grade::Kill, _) => kill(process(facts, protection)?),
        (Grade::Deny, Scope::Unit) => deny_groups(unit(facts, protection)?)?,
        (Grade::Deny, Scope::Process) => deny_in_unit(facts, protection)?,
        (Grade::Deny, Scope::Host) => deny_file(facts, protection)?,
    };
    Ok(Plan {
        grade,
        scope,
        act,
        effect,
        seconds: seconds(request, policy)?,
    })
}

/// The scope that is asked for, or the one that suits.
fn scope(request: &Request) -> Result<Scope, Refusal> {
    let wrong = |text: &str| Err(Refusal::Senseless(text.into()));
    let of_process = request.of_process;
    match (request.grade, request.scope) {
        (Grade::Throttle | Grade::Isolate, None | Some(Scope::Unit)) => Ok(Scope::Unit),
        (Grade::Throttle | Grade::Isolate, Some(_)) => wrong(
            "only units are throttled and isolated, with all that is in them: scope has to be unit",
        ),
        (Grade::Deny, Some(Scope::Host)) if !of_process => {
            wrong("a file is denied on the host by the process that runs it: name that")
        }
        (Grade::Deny, Some(Scope::Host)) => Ok(Scope::Host),
        (_, Some(Scope::Host)) => wrong("only a denial can be for the host"),
        (grade, Some(Scope::Process)) if !of_process && grade.acts() => {
            wrong("a unit has no scope process: name the process")
        }
        (_, Some(scope)) => Ok(scope),
        (_, None) if of_process => Ok(Scope::Process),
        (_, None) => Ok(Scope::Unit),
    }
}

fn seconds(request: &Request, policy: &Policy) -> Result<u32, Refusal> {
    match request.seconds {
        _ if !request.grade.is_undoable() => Ok(0),
        None => Ok(policy.seconds),
        Some(seconds) if seconds > policy.most_seconds => Err(Refusal::Senseless(format!(
            "{seconds} seconds are more than {}; 0 is until it is undone",
            policy.most_seconds
        ))),
        Some(seconds) => Ok(seconds),
    }
}

/// The process, if it may be acted on.
fn process<'a>(facts: &'a Facts, protection: &Protection) -> Result<&'a ProcessFacts, Refusal> {
    let process = facts
        .process
        .as_ref()
        .ok_or_else(|| Refusal::Gone(NO_PROCESS.into()))?;
    if let Some(reason) = protection.of_process(process, facts.caller.as_ref()) {
        return Err(Refusal::Protected(reason));
    }
    if process.has_ended {
        let pid = process.identity.pid;
        return Err(Refusal::Gone(format!("process {pid} has ended already")));
    }
    Ok(process)
}

/// The unit, if it and all that is in it may be acted on.
fn unit<'a>(facts: &'a Facts, protection: &Protection) -> Result<&'a UnitFacts, Refusal> {
    let unit = known_unit(facts)?;
    match protection.of_unit(unit, facts.caller.as_ref()) {
        Some(reason) => Err(Refusal::Protected(reason)),
        None => Ok(unit),
    }
}

fn known_unit(facts: &Facts) -> Result<&UnitFacts, Refusal> {
    facts.unit.as_ref().ok_or_else(|| {
        let reason = match &facts.process {
            Some(process) => format!(
                "process {} is in no unit that systemd knows",
                process.identity.pid
            ),
            None => "there is no such unit".into(),
        };
        Refusal::Gone(reason)
    })
}

fn throttle(unit: &UnitFacts, policy: &Policy) -> (Act, String) {
    let percent = policy.throttle_percent;
    let act = Act::Throttle {
        unit: unit.name.clone(),
        quota: u64::from(percent) * 10_000,
        io_weight: SLOW_IO_WEIGHT,
    };
    let effect = format!(
        "{} ({}) gets {percent} % of one core and the last place at the disks",
        unit.name,
        count(unit)
    );
    (act, effect)
}

fn isolate(unit: &UnitFacts) -> (Act, String) {
    let effect = format!(
        "{} ({}) gets no packet in or out; local sockets go on",
        unit.name,
        count(unit)
    );
    (Act::Isolate(unit.name.clone()), effect)
}

fn freeze_unit(unit: &UnitFacts) -> (Act, String) {
    let effect = format!("{} ({}) runs no further", unit.name, count(unit));
    (Act::FreezeUnit(unit.name.clone()), effect)
}

fn kill_unit(unit: &UnitFacts) -> (Act, String) {
    let effect = format!(
        "{} ({}) is killed; systemd starts it again if its Restart= says so",
        unit.name,
        count(unit)
    );
    (Act::KillUnit(unit.name.clone()), effect)
}

fn stop(process: &ProcessFacts) -> (Act, String) {
    let effect = format!("{} is stopped", named(process));
    (Act::StopProcess(process.identity), effect)
}

fn kill(process: &ProcessFacts) -> (Act, String) {
    let effect = format!("{} is killed", named(process));
    (Act::KillProcess(process.identity), effect)
}

fn deny_groups(unit: &UnitFacts) -> Result<(Act, String), Refusal> {
    let effect = format!("{} executes nothing any more", unit.name);
    Ok((Act::DenyGroups(groups(unit)?), effect))
}

/// A denial acts on no process that runs, so only what the unit is matters, not what else is in it.
fn deny_in_unit(facts: &Facts, protection: &Protection) -> Result<(Act, String), Refusal> {
    let (process, file) = executable(facts)?;
    let unit = known_unit(facts)?;
    if let Some(reason) = protection.of_unit_name(&unit.name, facts.caller.as_ref()) {
        return Err(Refusal::Protected(reason));
    }
    let groups = groups(unit)?;
    let effect = format!("{} is not executed in {}", process.executable, unit.name);
    Ok((Act::DenyFile { file, groups }, effect))
}

fn deny_file(facts: &Facts, protection: &Protection) -> Result<(Act, String), Refusal> {
    let (process, file) = executable(facts)?;
    if process.is_authentic
        && let Some(reason) = protection.of_file(&process.executable)
    {
        return Err(Refusal::Protected(reason));
    }
    let effect = format!("{} is not executed on this host", process.executable);
    let groups = Vec::new();
    Ok((Act::DenyFile { file, groups }, effect))
}

fn executable(facts: &Facts) -> Result<(&ProcessFacts, File), Refusal> {
    let gone = |text: &str| Refusal::Gone(text.into());
    let process = facts.process.as_ref();
    let process = process.ok_or_else(|| gone(NO_PROCESS))?;
    let file = process
        .file
        .ok_or_else(|| gone("the process has no executable, or has ended"))?;
    if let Some(kind) = &process.shares_numbers {
        return Err(Refusal::Unsupported(format!(
            "{} is on {kind}, where other files can have its number, and they would be denied too; name its unit to deny all in that",
            process.executable
        )));
    }
    Ok((process, file))
}

fn groups(unit: &UnitFacts) -> Result<Vec<u64>, Refusal> {
    match unit.groups.len() {
        0 => Err(Refusal::Unsupported(format!(
            "{} has no control group of the unified hierarchy",
            unit.name
        ))),
        1..=MOST_GROUPS => Ok(unit.groups.clone()),
        more => Err(Refusal::TooMany(format!(
            "{} has {more} control groups, at most {MOST_GROUPS} can be denied",
            unit.name
        ))),
    }
}

fn named(process: &ProcessFacts) -> String {
    format!("process {} ({})", process.identity.pid, process.executable)
}

fn count(unit: &UnitFacts) -> String {
    match unit.processes.len() {
        1 => "1 process".into(),
        n => format!("{n} processes"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
