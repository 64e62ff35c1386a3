//! From an event to its alerts: the processes are brought up to date, the rules are asked, and what they say is
//! put into words. Runs on one thread; waits for nothing but the look-ups that a rule or an alert needs.

use crate::accounts::Accounts;
use crate::alert::Alert;
use crate::clock::{Steady, real_time};
use crate::judge::Asked;
use crate::mask::Masker;
use crate::message::Message;
use crate::names::Names;
use crate::observed::{View, What};
use crate::proc::Proc;
use crate::process::Processes;
use crate::recorder::Tap;
use crate::settings::Rules;
use crate::units::Units;
use crate::windows::Windows;
use quantumos_detect::{Audited, Class, Correlator, Field, Record, RuleSet, Scratch};
use quantumos_ebpf::{Context, Event, ProcessKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rules, and which of them raise alerts.
#[derive(Debug, Default)]
pub struct Ruling {
    /// The rules.
    pub set: RuleSet,
    silent: Vec<bool>,
}

impl Ruling {
    /// Leaves out what the settings say.
    #[must_use]
    pub fn new(set: RuleSet, settings: &Rules) -> Self {
        let silent = |rule: &quantumos_detect::Rule| {
            rule.level < settings.minimum() || settings.disabled.contains(&rule.id)
        };
        let numbered = set.rules.iter().zip(0..);
        let silent = numbered
            .map(|(rule, number)| silent(rule) || set.is_quiet(number))
            .collect();
        Self { set, silent }
    }

    /// Whether a rule raises nothing.
    #[must_use]
    pub fn is_silent(&self, rule: u32) -> bool {
        self.silent.get(rule as usize).copied().unwrap_or(true)
    }

    /// Whether a rule that isn't silenced may match a message of the journal.
    #[must_use]
    pub fn wants_messages(&self) -> bool {
        let matcher = &self.set.matcher;
        let mut rules = matcher.rules_of(Class::Log);
        let mut settled = vec![Field::RecordType, Field::SystemCall, Field::AuditName];
        settled.extend(Field::ALL.iter().filter(|field| field.is_argument()));
        for kind in RECORDS {
            let record = Record::new(Class::Audit).with(Field::RecordType, *kind);
            rules.extend(matcher.possible(&settled, &record));
        }
        rules.into_iter().any(|rule| self.counts(rule))
    }

    /// Whether a rule that isn't silenced looks for the name of the host at the other end.
    #[must_use]
    pub fn wants_names(&self) -> bool {
        let matcher = &self.set.matcher;
        [Class::NetworkConnection, Class::SocketRedirection]
            .into_iter()
            .flat_map(|class| matcher.rules_looking_at(class, Field::DestinationHostname))
            .any(|rule| self.counts(rule))
    }

    /// Whether it matters that a rule matches.
    fn counts(&self, rule: u32) -> bool {
        !self.is_silent(rule) || self.set.correlations.concern(&[rule])
    }
}

/// Audit records that come through the journal: made of messages, or written there by the audit system.
const RECORDS: &[&str] = &[
    "SERVICE_STOP",
    "SERVICE_START",
    "ADD_USER",
    "DEL_USER",
    "ADD_GROUP",
    "DEL_GROUP",
    "USER_CHAUTHTOK",
    "USER_AUTH",
    "USER_LOGIN",
    "USER_CMD",
    "USER_TTY",
    "TTY",
    "CONFIG_CHANGE",
    "ANOM_PROMISCUOUS",
];

/// The detector's state.
#[derive(Debug)]
pub struct Detector {
    processes: Processes,
    accounts: Accounts,
    units: Units,
    names: Names,
    proc: Proc,
    masker: Masker,
    ruling: Arc<Ruling>,
    scratch: Scratch,
    correlator: Correlator,
    steady: Steady,
    line: Vec<u8>,
    events: [u64; quantumos_ebpf::Class::ALL.len()],
    messages: u64,
    matches: u64,
    alerts: u64,
    windows: Option<Windows>,
    tap: Option<Tap>,
}

impl Detector {
    /// A detector that remembers up to `processes` processes.
    ///
    /// # Errors
    /// None in practice: see [`Masker::new`].
    pub fn new(ruling: Arc<Ruling>, proc: Proc, processes: usize) -> Result<Self, regex::Error> {
        Ok(Self {
            processes: Processes::new(processes),
            accounts: Accounts::default(),
            units: Units::new(proc.clone()),
            names: Names::default(),
            proc,
            masker: Masker::new()?,
            scratch: ruling.set.matcher.scratch(),
            correlator: Correlator::default(),
            steady: Steady::default(),
            ruling,
            line: Vec::new(),
            events: [0; quantumos_ebpf::Class::ALL.len()],
            messages: 0,
            matches: 0,
            alerts: 0,
            windows: None,
            tap: None,
        })
    }

    /// Collects windows of what units do, too.
    #[must_use]
    pub fn collecting(mut self, windows: Windows) -> Self {
        self.windows = Some(windows);
        self
    }

    /// The windows that are open.
    pub fn windows(&mut self) -> Option<&mut Windows> {
        self.windows.as_mut()
    }

    /// Writes events down from now on; only one recording at a time.
    ///
    /// # Errors
    /// When there is one already.
    pub fn record(&mut self, start: impl FnOnce() -> std::io::Result<Tap>) -> Result<(), String> {
        if self.tap.as_ref().is_some_and(|tap| !tap.is_over()) {
            return Err("another recording is under way".into());
        }
        self.tap = Some(start().map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Takes over what runs already.
    pub fn scan(&mut self) {
        for process in self.proc.processes() {
            self.processes.found(process);
        }
    }

    /// Swaps the rules.
    pub fn set_ruling(&mut self, ruling: Arc<Ruling>) {
        self.scratch = ruling.set.matcher.scratch();
        self.correlator.keep(&ruling.set.correlations);
        self.ruling = ruling;
    }

    /// What was counted since start.
    #[must_use]
    pub fn statistics(&self) -> BTreeMap<String, u64> {
        let mut out: BTreeMap<String, u64> = quantumos_ebpf::Class::ALL
            .into_iter()
            .map(|class| {
                (
                    format!("events.{}", class.name()),
                    self.events[class as usize],
                )
            })
            .collect();
        out.insert("events.log".into(), self.messages);
        out.insert("rules.matches".into(), self.matches);
        out.insert("alerts".into(), self.alerts);
        out.insert("names.known".into(), self.names.len() as u64);
        out.insert("processes".into(), self.processes.len() as u64);
        out.insert("processes.forgotten".into(), self.processes.forgotten());
        out
    }

    /// Takes an event, and hands over the alerts that it causes.
    pub fn take(&mut self, event: &Event, raise: &mut dyn FnMut(Alert)) {
        self.events[event.class() as usize] += 1;
        match event {
            Event::Exec(exec) => {
                let mut line = std::mem::take(&mut self.line);
                join(&exec.argv, &mut line);
                self.complete(exec.context.parent);
                self.processes.executed(exec, &line);
                self.judge(What::Executed(exec, &line), &exec.context, raise);
                self.line = line;
            }
            Event::Exit(exit) => {
                self.judge(What::Ended(exit), &exit.context, raise);
                self.processes.ended(exit.context.process.into());
            }
            Event::Fork(fork) => self.processes.forked(fork),
            Event::Connect(connect) => {
                self.complete(connect.context.process);
                self.judge(What::Connecting(connect), &connect.context, raise);
            }
            Event::Open(open) => {
                self.complete(open.context.process);
                if open.read {
                    self.judge(What::Read(open), &open.context, raise);
                }
                if open.write {
                    self.judge(What::Written(open), &open.context, raise);
                }
            }
            Event::Action(action) => {
                self.complete(action.context.process);
                if let Some(target) = &action.target {
                    self.complete(target.process);
                }
                self.judge(What::Done(action), &action.context, raise);
            }
        }
        if let Some(windows) = &mut self.windows {
            windows.note(event, &self.processes, &self.units);
        }
    }

    /// Takes a message of the journal, and hands over the alerts that it causes.
    pub fn take_message(&mut self, message: &Message, raise: &mut dyn FnMut(Alert)) {
        self.messages += 1;
        if self
            .tap
            .as_ref()
            .is_some_and(|tap| !tap.take(message, message.time))
        {
            self.tap = None;
        }
        let mut asked = Asked {
            ruling: &self.ruling,
            scratch: &mut self.scratch,
            correlator: &mut self.correlator,
            matches: 0,
            alerts: 0,
        };
        let time = || self.steady.of_real(message.time);
        asked.about_message(message, &time, &self.accounts, &self.masker, raise);
        self.matches += asked.matches;
        self.alerts += asked.alerts;
    }

    /// Whether the rules in force need the journal.
    #[must_use]
    pub fn wants_messages(&self) -> bool {
        self.ruling.wants_messages()
    }

    /// Whether the rules in force look for names of hosts.
    #[must_use]
    pub fn wants_names(&self) -> bool {
        self.ruling.wants_names()
    }

    /// The names of addresses.
    pub fn names(&mut self) -> &mut Names {
        &mut self.names
    }

    /// A process whose events were lost may still be there to be read.
    fn complete(&mut self, key: ProcessKey) {
        let identity = key.into();
        if self.processes.get(identity).is_none()
            && let Some(process) = self.proc.process(key.pid)
            && process.identity == identity
        {
            self.processes.found(process);
        }
    }

    fn judge(&mut self, what: What<'_>, context: &Context, raise: &mut dyn FnMut(Alert)) {
        let view = View {
            what,
            context,
            processes: &self.processes,
            accounts: &self.accounts,
            units: &self.units,
            names: &self.names,
        };
        let taken = |tap: &Tap| tap.take(&view, real_time(context.time));
        if self.tap.as_ref().is_some_and(|tap| !taken(tap)) {
            self.tap = None;
        }
        let mut asked = Asked {
            ruling: &self.ruling,
            scratch: &mut self.scratch,
            correlator: &mut self.correlator,
            matches: 0,
            alerts: 0,
        };
        let time = || self.steady.of_boot(context.time);
        let mut say = |rule: &quantumos_detect::Rule, why: &str| {
            let time = real_time(context.time);
            raise(Alert::new(rule, why, &view, &self.masker, time));
        };
        asked.about(&view, &time, &mut say);
        for record in Audited::of(&view) {
            asked.about(&record, &time, &mut say);
        }
        let Asked {
            matches, alerts, ..
        } = asked;
        self.matches += matches;
        self.alerts += alerts;
    }
}

/// Arguments, each ended by a zero byte, joined by spaces.
fn join(argv: &[u8], line: &mut Vec<u8>) {
    line.clear();
    line.extend_from_slice(argv.strip_suffix(b"\0").unwrap_or(argv));
    line.iter_mut()
        .filter(|byte| **byte == 0)
        .for_each(|byte| *byte = b' ');
}

#[cfg(test)]
mod tests;
