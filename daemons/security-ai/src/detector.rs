//! From an event to its alerts: the processes are brought up to date, the rules are asked, and what they say is
//! put into words. Runs on one thread; waits for nothing but the look-ups that a rule or an alert needs.

use crate::accounts::Accounts;
use crate::alert::Alert;
use crate::judge::Asked;
use crate::mask::Masker;
use crate::message::Message;
use crate::observed::{View, What};
use crate::proc::Proc;
use crate::process::Processes;
use crate::settings::Rules;
use crate::units::Units;
use nix::time::{ClockId, clock_gettime};
use quantumos_detect::{Audited, Class, Evidence, Field, Record, RuleSet, Scratch};
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
        let silent = set.rules.iter().map(silent).collect();
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
        rules.into_iter().any(|rule| !self.is_silent(rule))
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
    proc: Proc,
    masker: Masker,
    ruling: Arc<Ruling>,
    scratch: Scratch,
    line: Vec<u8>,
    events: [u64; 5],
    messages: u64,
    matches: u64,
    alerts: u64,
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
            proc,
            masker: Masker::new()?,
            scratch: ruling.set.matcher.scratch(),
            ruling,
            line: Vec::new(),
            events: [0; 5],
            messages: 0,
            matches: 0,
            alerts: 0,
        })
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
        }
    }

    /// Takes a message of the journal, and hands over the alerts that it causes.
    pub fn take_message(&mut self, message: &Message, raise: &mut dyn FnMut(Alert)) {
        self.messages += 1;
        let mut asked = Asked {
            ruling: &self.ruling,
            scratch: &mut self.scratch,
            matches: 0,
            alerts: 0,
        };
        asked.about_message(message, &self.accounts, &self.masker, raise);
        self.matches += asked.matches;
        self.alerts += asked.alerts;
    }

    /// Whether the rules in force need the journal.
    #[must_use]
    pub fn wants_messages(&self) -> bool {
        self.ruling.wants_messages()
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
        };
        let mut asked = Asked {
            ruling: &self.ruling,
            scratch: &mut self.scratch,
            matches: 0,
            alerts: 0,
        };
        let mut say = |rule: &quantumos_detect::Rule, evidence: &[Evidence]| {
            let time = real_time(context.time);
            raise(Alert::new(rule, evidence, &view, &self.masker, time));
        };
        asked.about(&view, &mut say);
        for record in Audited::of(&view) {
            asked.about(&record, &mut say);
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

/// Microseconds of the real-time clock for nanoseconds of the boot clock.
fn real_time(boot: u64) -> u64 {
    let micros = |clock| {
        let time = clock_gettime(clock).ok();
        time.map_or(0, |time| {
            (time.tv_sec() as u64).saturating_mul(1_000_000) + time.tv_nsec() as u64 / 1000
        })
    };
    let age = micros(ClockId::CLOCK_BOOTTIME).saturating_sub(boot / 1000);
    micros(ClockId::CLOCK_REALTIME).saturating_sub(age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantumos_detect::Source;
    use quantumos_ebpf::{ExecEvent, ForkEvent, OpenEvent};

    const RULES: &str = r"
title: Shell below a server
id: shell
logsource: {category: process_creation}
detection:
  s: {AncestorImages|endswith: /nginx, Image|endswith: /sh, CommandLine|contains: secret}
  condition: s
level: high
---
title: Low
id: low
logsource: {category: process_creation}
detection: {s: {Image|endswith: /low}, condition: s}
level: low
---
title: Off
id: off
logsource: {category: process_creation}
detection: {s: {Image|endswith: /off}, condition: s}
---
title: Shadow
id: shadow
logsource: {category: file_access}
detection: {s: {TargetFilename: /etc/shadow}, f: {Image: /usr/bin/su}, condition: s and not f}
";

    fn key(pid: u32) -> ProcessKey {
        ProcessKey { pid, start_time: 1 }
    }

    fn exec(pid: u32, path: &str, argv: &[u8]) -> Event {
        Event::Exec(Box::new(ExecEvent {
            context: Context {
                process: key(pid),
                uid: 0,
                ..Context::default()
            },
            filename: path.as_bytes().to_vec(),
            executable: path.as_bytes().to_vec(),
            argv: argv.to_vec(),
            ..ExecEvent::default()
        }))
    }

    fn detector(folder: &std::path::Path) -> Detector {
        let settings = Rules {
            minimum_level: "medium".into(),
            disabled: vec!["off".into()],
        };
        let ruling = Ruling::new(
            RuleSet::compile([Source {
                name: "r.yml",
                text: RULES,
            }]),
            &settings,
        );
        Detector::new(Arc::new(ruling), Proc::new(folder), 1000).unwrap()
    }

    fn alerts(detector: &mut Detector, events: &[Event]) -> Vec<Alert> {
        let mut out = Vec::new();
        for event in events {
            detector.take(event, &mut |alert| out.push(alert));
        }
        out
    }

    #[test]
    fn an_alert_has_its_surroundings_and_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let mut detector = detector(folder.path());
        let fork = Event::Fork(ForkEvent {
            context: Context {
                process: key(10),
                comm: b"nginx".to_vec(),
                ..Context::default()
            },
            child: key(11),
            child_parent: 10,
        });
        let argv = b"sh\0-c\0curl --password=hunter2 secret\n\xff\0";
        let raised = alerts(
            &mut detector,
            &[
                exec(10, "/usr/sbin/nginx", b"nginx\0"),
                fork,
                exec(11, "/usr/bin/sh", argv),
            ],
        );
        assert_eq!(raised.len(), 1, "{raised:?}");
        let alert = &raised[0];
        assert_eq!(
            (alert.rule.as_str(), alert.pid, alert.user.as_str()),
            ("shell", 11, "root")
        );
        assert_eq!(
            alert.command_line,
            "sh -c curl --password=*** secret\\u{a}\\xff"
        );
        assert_eq!(
            alert.ancestors,
            [(10, String::new(), "/usr/sbin/nginx".to_string())]
        );
        assert!(
            alert
                .explanation
                .contains("AncestorImages ends with \"/nginx\""),
            "{}",
            alert.explanation
        );
        assert_eq!(alert.fields["ParentImage"], "/usr/sbin/nginx");
    }

    #[test]
    fn levels_and_ids_can_be_silenced() {
        let folder = tempfile::tempdir().unwrap();
        let mut detector = detector(folder.path());
        assert!(
            alerts(
                &mut detector,
                &[exec(1, "/bin/low", b""), exec(2, "/bin/off", b"")]
            )
            .is_empty()
        );
        assert_eq!(detector.statistics()["rules.matches"], 2);
        assert_eq!(detector.statistics()["events.exec"], 2);
    }

    #[test]
    fn opens_are_judged_by_their_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut detector = detector(folder.path());
        let open = |pid: u32, read: bool| {
            Event::Open(OpenEvent {
                context: Context {
                    process: key(pid),
                    ..Context::default()
                },
                path: b"/etc/shadow".to_vec(),
                read,
                write: !read,
                ..OpenEvent::default()
            })
        };
        let events = [
            exec(1, "/usr/bin/su", b"su\0"),
            open(1, true),
            exec(2, "/usr/bin/cat", b"cat\0"),
            open(2, true),
            open(2, false),
        ];
        let raised = alerts(&mut detector, &events);
        assert_eq!(raised.len(), 1, "{raised:?}");
        assert_eq!(
            (
                raised[0].executable.as_str(),
                raised[0].fields["TargetFilename"].as_str()
            ),
            ("/usr/bin/cat", "/etc/shadow")
        );
    }

    #[test]
    fn rules_for_auditd_see_kernel_events() {
        let folder = tempfile::tempdir().unwrap();
        let rules = "title: World-writable\nid: mode\nlogsource: {product: linux, service: auditd}\ndetection:\n  s: {type: EXECVE, a0: chmod, a1: 777}\n  condition: s\n---\ntitle: Preload\nid: preload\nlogsource: {product: linux, service: auditd}\ndetection:\n  s: {type: PATH, name: /etc/ld.so.preload}\n  condition: s\n";
        let set = RuleSet::compile([Source {
            name: "r.yml",
            text: rules,
        }]);
        let ruling = Ruling::new(set, &Rules::default());
        let mut detector = Detector::new(Arc::new(ruling), Proc::new(folder.path()), 100).unwrap();
        let open = |read: bool| {
            Event::Open(OpenEvent {
                path: b"/etc/ld.so.preload".to_vec(),
                read,
                write: !read,
                ..OpenEvent::default()
            })
        };
        let events = [
            exec(1, "/usr/bin/chmod", b"chmod\x00777\0/x\0"),
            exec(1, "/usr/bin/chmod", b"chmod\x00755\0/777\0"),
            open(true),
            open(false),
        ];
        let raised = alerts(&mut detector, &events);
        let rules: Vec<_> = raised.iter().map(|alert| alert.rule.as_str()).collect();
        assert_eq!(rules, ["mode", "preload"], "{raised:?}");
        assert!(raised[0].explanation.contains("a1 is \"777\""));
    }

    #[test]
    fn hostile_events_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut detector = detector(folder.path());
        let mut argv = b"x\0".repeat(5000);
        argv.extend_from_slice(b"secret");
        let parent = exec(5, "/x/nginx", b"nginx");
        let fork = Event::Fork(ForkEvent {
            context: Context {
                process: key(5),
                ..Context::default()
            },
            child: key(6),
            child_parent: 5,
        });
        let raised = alerts(&mut detector, &[parent, fork, exec(6, "/x/sh", &argv)]);
        assert!(
            raised[0].command_line.len() < 2100,
            "{}",
            raised[0].command_line.len()
        );
    }
}
