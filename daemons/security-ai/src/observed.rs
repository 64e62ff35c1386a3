//! An event as rules see it: Sigma's fields, taken from the event itself and from what is known of its process.
//! What costs a look-up (user, unit) is looked up only when a rule asks.

use crate::accounts::Accounts;
use crate::names::Names;
use crate::process::{Identity, Process, Processes};
use crate::units::Units;
use quantumos_detect::{Class, Event as Observed, Field, Value};
use quantumos_ebpf::{ActionEvent, ConnectEvent, Context, ExecEvent, ExitEvent, OpenEvent};
use std::net::IpAddr;

/// What happened.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// A program was executed, with its arguments joined by spaces.
    Executed(&'a ExecEvent, &'a [u8]),
    /// The process ended.
    Ended(&'a ExitEvent),
    /// A connection is being made.
    Connecting(&'a ConnectEvent),
    /// A file was opened for reading.
    Read(&'a OpenEvent),
    /// A file was opened for writing or created.
    Written(&'a OpenEvent),
    /// Anything else.
    Done(&'a ActionEvent),
}

/// An event with its surroundings.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What happened.
    pub what: What<'a>,
    /// Who did it, and when.
    pub context: &'a Context,
    /// All processes.
    pub processes: &'a Processes,
    /// All users.
    pub accounts: &'a Accounts,
    /// All units.
    pub units: &'a Units,
    /// Names of addresses.
    pub names: &'a Names,
}

impl<'a> View<'a> {
    /// The process's identity.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.context.process.into()
    }

    /// What is known of the process.
    #[must_use]
    pub fn process(&self) -> Option<&'a Process> {
        self.processes.get(self.identity())
    }

    /// What is known of its parent.
    #[must_use]
    pub fn parent(&self) -> Option<&'a Process> {
        let known = self
            .process()
            .and_then(|process| self.processes.get(process.parent));
        known.or_else(|| self.processes.get(self.context.parent.into()))
    }

    /// The executable.
    #[must_use]
    pub fn executable(&self) -> &'a [u8] {
        match self.what {
            What::Executed(event, _) => &event.executable,
            _ => self.process().map_or(b"", |process| &process.executable),
        }
    }

    /// Arguments joined by spaces.
    #[must_use]
    pub fn command_line(&self) -> &'a [u8] {
        match self.what {
            What::Executed(_, line) => line,
            _ => self.process().map_or(b"", |process| &process.command_line),
        }
    }
}

impl Observed for View<'_> {
    fn class(&self) -> Class {
        match self.what {
            What::Executed(..) => Class::ProcessCreation,
            What::Ended(_) => Class::ProcessTermination,
            What::Connecting(_) => Class::NetworkConnection,
            What::Read(_) => Class::FileAccess,
            What::Written(_) => Class::FileEvent,
            What::Done(event) => crate::done::class(event),
        }
    }

    fn each(&self, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
        match field {
            Field::Image => {
                text(self.executable(), visit);
                invoked(self.process(), visit);
            }
            Field::CommandLine => text(self.command_line(), visit),
            Field::ProcessId => visit(Value::Number(self.context.process.pid.into())),
            Field::Uid => visit(Value::Number(self.context.uid.into())),
            Field::EffectiveUid => visit(Value::Number(self.context.euid.into())),
            Field::Comm => text(&self.context.comm, visit),
            Field::User => text(self.accounts.get(self.context.uid).name.as_bytes(), visit),
            Field::UserShell => text(&self.accounts.get(self.context.uid).shell, visit),
            Field::Unit => {
                let unit = self.units.of(self.identity(), self.context.cgroup_id);
                text(unit.as_deref().unwrap_or("").as_bytes(), visit);
            }
            Field::ParentImage
            | Field::ParentCommandLine
            | Field::ParentProcessId
            | Field::ParentUser => {
                if let Some(parent) = self.parent() {
                    self.of_parent(parent, field, visit);
                }
            }
            Field::AncestorImages => {
                for ancestor in self.processes.ancestors(self.identity()) {
                    text(&ancestor.executable, visit);
                    invoked(Some(ancestor), visit);
                }
            }
            _ => self.of_event(field, visit),
        }
    }
}

impl View<'_> {
    fn of_parent(&self, parent: &Process, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
        match field {
            Field::ParentImage => {
                text(&parent.executable, visit);
                invoked(Some(parent), visit);
            }
            Field::ParentCommandLine => text(&parent.command_line, visit),
            Field::ParentProcessId => visit(Value::Number(parent.identity.pid.into())),
            _ => text(self.accounts.get(parent.uid).name.as_bytes(), visit),
        }
    }

    fn of_event(&self, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
        match (self.what, field) {
            (What::Done(event), field) => crate::done::each(self, event, field, visit),
            (What::Executed(event, _), Field::CurrentDirectory) => text(&event.directory, visit),
            (What::Executed(event, _), field) if field.is_argument() => {
                let argument = field.argument().and_then(|n| event.arguments().nth(n));
                if let Some(argument) = argument {
                    visit(Value::Bytes(argument));
                }
            }
            (What::Executed(event, _), Field::Terminal) => text(&event.terminal, visit),
            // Sysmon's number for "nobody logged in" is 0, and the public rules rely on it.
            (What::Executed(event, _), Field::LogonId) => {
                visit(Value::Number(event.login_uid.unwrap_or(0).into()))
            }
            (What::Executed(event, _), Field::ImageKind) => visit(Value::Bytes(match event {
                event if event.memfd => b"memfd",
                event if event.deleted => b"deleted",
                _ => b"file",
            })),
            (What::Read(event) | What::Written(event), Field::TargetFilename) => {
                text(&event.path, visit)
            }
            (What::Written(event), Field::Created) => visit(Value::Flag(event.created)),
            (What::Connecting(event), Field::DestinationIp) => {
                visit(Value::Address(event.address.to_canonical()))
            }
            (What::Connecting(event), Field::DestinationHostname) => {
                hostname(self, event.address, visit);
            }
            (What::Connecting(event), Field::DestinationPort) => {
                visit(Value::Number(event.port.into()))
            }
            (What::Connecting(event), Field::DestinationIsIpv6) => {
                visit(Value::Flag(event.address.to_canonical().is_ipv6()));
            }
            (What::Connecting(event), Field::Protocol) => match event.protocol {
                6 => visit(Value::Bytes(b"tcp")),
                17 => visit(Value::Bytes(b"udp")),
                other => visit(Value::Number(other.into())),
            },
            (What::Connecting(_), Field::Initiated) => visit(Value::Flag(true)),
            (What::Ended(event), Field::ExitCode) => visit(Value::Number(event.code.into())),
            (What::Ended(event), Field::ExitSignal) => {
                if let Some(signal) = event.signal {
                    visit(Value::Number(signal.into()));
                }
            }
            _ => {}
        }
    }
}

/// The name that an address is known by when the event happens.
pub(crate) fn hostname(view: &View<'_>, address: IpAddr, visit: &mut dyn FnMut(Value<'_>)) {
    if let Some(name) = view.names.get(address, view.context.time) {
        visit(Value::Bytes(name.as_bytes()));
    }
}

pub(crate) fn text(bytes: &[u8], visit: &mut dyn FnMut(Value<'_>)) {
    if !bytes.is_empty() {
        visit(Value::Bytes(bytes));
    }
}

/// A program run as `/bin/sh` is `/usr/bin/dash` to the kernel; rules may mean either.
fn invoked(process: Option<&Process>, visit: &mut dyn FnMut(Value<'_>)) {
    if let Some(path) = process.and_then(|process| process.invoked.as_deref()) {
        visit(Value::Bytes(path));
    }
}
