//! An alert: what a rule saw, with the process, its ancestors, its user and its unit.
//! Every text in it is printable, bounded and has its secrets masked before it gets here.

use crate::accounts::Accounts;
use crate::mask::{Masker, printable};
use crate::message::Message;
use crate::observed::{View, What};
use quantumos_detect::{Class, Event as _, Field, Rule, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest text of one field, in bytes.
const LIMIT: usize = 2048;
/// The longest explanation, in bytes.
const EXPLANATION_LIMIT: usize = 1024;

/// One alert. Equal alerts are one, with a count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The rule's id.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// The rule's level.
    pub level: String,
    /// The rule's tags.
    pub tags: Vec<String>,
    /// Newest occurrence, microseconds of the real-time clock.
    pub time: u64,
    /// Class of event.
    pub class: String,
    /// Process id.
    pub pid: u32,
    /// When the process started, in clock ticks since boot; 0 while unknown.
    #[serde(default)]
    pub start: u64,
    /// Real user id.
    pub uid: u32,
    /// User name.
    pub user: String,
    /// systemd unit, or empty.
    pub unit: String,
    /// Path of the executable.
    pub executable: String,
    /// Arguments joined by spaces, secrets masked.
    pub command_line: String,
    /// Pid, name and executable of each ancestor, nearest first.
    pub ancestors: Vec<(u32, String, String)>,
    /// The event's other fields by Sigma name.
    pub fields: BTreeMap<String, String>,
    /// The tests that held.
    pub explanation: String,
}

/// The fields that an alert carries besides those with a member of their own.
const CARRIED: &[Field] = &[
    Field::TargetFilename,
    Field::DestinationIp,
    Field::DestinationHostname,
    Field::DestinationPort,
    Field::Protocol,
    Field::CurrentDirectory,
    Field::ParentImage,
    Field::ParentCommandLine,
    Field::Comm,
    Field::EffectiveUid,
    Field::LogonId,
    Field::Terminal,
    Field::ImageKind,
    Field::ExitCode,
    Field::ExitSignal,
    Field::SystemCall,
    Field::SourceFilename,
    Field::LinkKind,
    Field::Change,
    Field::Mode,
    Field::Owner,
    Field::Group,
    Field::FileSystem,
    Field::Namespaces,
    Field::ModuleName,
    Field::SourceIp,
    Field::SourcePort,
    Field::Initiated,
    Field::Descriptor,
    Field::SocketFamily,
    Field::SocketType,
    Field::TargetProcessId,
    Field::TargetImage,
    Field::TargetCommandLine,
    Field::TargetUser,
    Field::CallType,
    Field::Signal,
    Field::OldUid,
    Field::NewUid,
    Field::OldEffectiveUid,
    Field::NewEffectiveUid,
    Field::Capabilities,
];

/// The fields that an alert about a message carries.
const CARRIED_OF_MESSAGES: [Field; 6] = [
    Field::Message,
    Field::Identifier,
    Field::JournalComm,
    Field::Priority,
    Field::Transport,
    Field::AboutUnit,
];

fn carried(
    event: &impl quantumos_detect::Event,
    carried: &[Field],
    shown: &dyn Fn(&[u8]) -> String,
) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    for field in carried {
        let mut values = Vec::new();
        event.each(*field, &mut |value| {
            values.push(match value {
                Value::Bytes(bytes) => shown(bytes),
                Value::Number(number) => number.to_string(),
                Value::Flag(flag) => flag.to_string(),
                Value::Address(address) => address.to_string(),
                Value::Hexadecimal(number) => format!("{number:x}"),
            });
        });
        if !values.is_empty() {
            fields.insert(field.name().to_string(), values.join(", "));
        }
    }
    fields
}

impl Alert {
    /// An alert of `rule` about what is in view, for the reason `why`. `time` in microseconds of the real-time clock.
    #[must_use]
    pub fn new(rule: &Rule, why: &str, view: &View<'_>, masker: &Masker, time: u64) -> Self {
        let shown = |bytes: &[u8]| printable(&masker.mask(bytes), LIMIT);
        Self {
            rule: rule.id.clone(),
            title: rule.title.clone(),
            level: rule.level.name().into(),
            tags: rule.tags.clone(),
            time,
            class: view.class().name().into(),
            pid: view.context.process.pid,
            start: view.identity().start,
            uid: view.context.uid,
            user: view.accounts.get(view.context.uid).name.clone(),
            unit: unit(view),
            executable: shown(view.executable()),
            command_line: printable(&command_line(view, masker), LIMIT),
            ancestors: ancestors(view, &shown),
            fields: carried(view, CARRIED, &shown),
            explanation: explanation(why, masker),
        }
    }

    /// An alert of `rule` about a message of the journal: who wrote it is what journald says.
    #[must_use]
    pub fn of_message(
        rule: &Rule,
        why: &str,
        message: &Message,
        accounts: &Accounts,
        masker: &Masker,
    ) -> Self {
        let shown = |bytes: &[u8]| printable(&masker.mask(bytes), LIMIT);
        let uid = message.number(Field::JournalUid);
        Self {
            rule: rule.id.clone(),
            title: rule.title.clone(),
            level: rule.level.name().into(),
            tags: rule.tags.clone(),
            time: message.time,
            class: Class::Log.name().into(),
            pid: message.number(Field::JournalPid),
            start: 0,
            uid,
            user: accounts.get(uid).name.clone(),
            unit: shown(message.first(Field::SystemdUnit)),
            executable: shown(message.first(Field::JournalExecutable)),
            command_line: shown(message.first(Field::JournalCommandLine)),
            ancestors: Vec::new(),
            fields: carried(message, &CARRIED_OF_MESSAGES, &shown),
            explanation: explanation(why, masker),
        }
    }

    /// An alert that this daemon's own probes or maps are not as it left them. `time` in microseconds of the real-time
    /// clock.
    #[must_use]
    pub fn of_tampering(what: &str, accounts: &Accounts, time: u64) -> Self {
        Self {
            rule: "0f6f2c55-6d0f-4f0c-9f0e-6a3f5f6f7c21".into(),
            title: "Probes Tampered With".into(),
            level: "critical".into(),
            ..Self::of_this_daemon(what, accounts, time)
        }
    }

    /// An alert that the daemon before this one ended without being stopped, as process `pid` where it is known.
    #[must_use]
    pub fn of_end(pid: u32, accounts: &Accounts, time: u64) -> Self {
        let process = match pid {
            0 => String::new(),
            pid => format!(" as process {pid}"),
        };
        let what = format!(
            "the daemon that ran before{process} was not stopped: it was killed or crashed; nothing was seen \
             from then until now"
        );
        Self {
            rule: "5c0e3f0a-9d5e-4b51-8f3c-1f9d0b7c6e42".into(),
            title: "Detection Ended Without Being Stopped".into(),
            level: "high".into(),
            ..Self::of_this_daemon(&what, accounts, time)
        }
    }

    fn of_this_daemon(what: &str, accounts: &Accounts, time: u64) -> Self {
        let uid = nix::unistd::getuid().as_raw();
        let executable = std::env::current_exe().unwrap_or_default();
        Self {
            rule: String::new(),
            title: String::new(),
            level: String::new(),
            tags: vec!["attack.defense-evasion".into(), "attack.t1562.001".into()],
            time,
            class: "tampering".into(),
            pid: std::process::id(),
            start: 0,
            uid,
            user: accounts.get(uid).name.clone(),
            unit: format!("{}.service", quantumos_dbus::SERVICES[2].unit),
            executable: printable(executable.as_os_str().as_encoded_bytes(), LIMIT),
            command_line: String::new(),
            ancestors: Vec::new(),
            fields: BTreeMap::new(),
            explanation: printable(what.as_bytes(), EXPLANATION_LIMIT),
        }
    }

    /// What makes two alerts equal: the rule, who, with which program, on what.
    #[must_use]
    pub fn key(&self) -> String {
        let field = |name: &str| self.fields.get(name).map_or("", String::as_str);
        let message: String;
        let target = match self.class.as_str() {
            "process_creation" => &self.command_line,
            "log" => {
                // Process ids, ports and times make no other message of it.
                message = field("MESSAGE").replace(|c: char| c.is_ascii_digit(), "");
                &message
            }
            "tampering" => &self.explanation,
            _ => field("TargetFilename"),
        };
        let parts = [
            &self.rule,
            &self.unit,
            &self.executable,
            target,
            field("DestinationIp"),
            field("DestinationPort"),
        ];
        format!("{}\0{}", self.uid, parts.join("\0"))
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        if self.class == "tampering" {
            return format!("{}: {}", self.title, self.explanation);
        }
        let what = ["TargetFilename", "DestinationIp", "MESSAGE"]
            .iter()
            .find_map(|name| self.fields.get(*name));
        let what = what.map(|what| format!(" ({what})")).unwrap_or_default();
        let program = if self.command_line.is_empty() {
            &self.executable
        } else {
            &self.command_line
        };
        format!(
            "{}: {}[{}] of {}{what}: {program}",
            self.title, self.executable, self.pid, self.user
        )
    }
}

/// What a correlation counted by can be a command line.
fn explanation(why: &str, masker: &Masker) -> String {
    printable(&masker.mask(why.as_bytes()), EXPLANATION_LIMIT)
}

/// Where it is known which arguments there were, a secret of several words is masked to its end.
fn command_line(view: &View<'_>, masker: &Masker) -> Vec<u8> {
    match view.what {
        What::Executed(event, _) => masker.mask_arguments(&event.argv),
        _ => masker.mask(view.command_line()),
    }
}

/// The unit of the process, or, where it has gone already, of its nearest ancestor that has not.
fn unit(view: &View<'_>) -> String {
    let own = view.units.of(view.identity(), view.context.cgroup_id);
    let of_ancestor = || {
        let mut ancestors = view.processes.ancestors(view.identity());
        ancestors.find_map(|ancestor| view.units.of(ancestor.identity, 0))
    };
    own.or_else(of_ancestor)
        .map(|unit| printable(unit.as_bytes(), 256))
        .unwrap_or_default()
}

fn ancestors(view: &View<'_>, shown: &dyn Fn(&[u8]) -> String) -> Vec<(u32, String, String)> {
    let known: Vec<_> = view
        .processes
        .ancestors(view.identity())
        .map(|process| {
            (
                process.identity.pid,
                shown(&process.comm),
                shown(&process.executable),
            )
        })
        .collect();
    match view.what {
        // The kernel's own list goes on where ours ends.
        What::Executed(event, _) if event.ancestors.len() > known.len() => {
            let more = event.ancestors.iter().skip(known.len());
            let more =
                more.map(|ancestor| (ancestor.process.pid, shown(&ancestor.comm), String::new()));
            known.iter().cloned().chain(more).collect()
        }
        _ => known,
    }
}
