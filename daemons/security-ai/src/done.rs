//! What the probes call an action, as rules see it: the class that it belongs to and its fields. Each action is one
//! event; the audit system's view of it is made from this one.

use crate::observed::{View, hostname, text};
use crate::process::{Identity, Process};
use quantumos_detect::{Class, Field, Value};
use quantumos_ebpf::{Action, ActionEvent};

/// Names of capabilities, by bit.
const CAPABILITIES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// Namespaces by their `CLONE_NEW*` flag.
const NAMESPACES: [(u64, &str); 8] = [
    (0x0000_0080, "time"),
    (0x0002_0000, "mnt"),
    (0x0200_0000, "cgroup"),
    (0x0400_0000, "uts"),
    (0x0800_0000, "ipc"),
    (0x1000_0000, "user"),
    (0x2000_0000, "pid"),
    (0x4000_0000, "net"),
];

/// What the probes say where they can't know.
const UNKNOWN: u64 = u64::MAX;

/// The class of an action.
#[must_use]
pub fn class(event: &ActionEvent) -> Class {
    match event.action {
        Action::SetUid | Action::SetGid | Action::CapSet => Class::CredentialChange,
        Action::Ptrace | Action::TraceMe => Class::ProcessAccess,
        Action::Kill => Class::ProcessSignal,
        Action::Unlink | Action::RmDir => Class::FileDelete,
        Action::Rename => Class::FileRename,
        Action::Link | Action::Symlink => Class::FileLink,
        Action::Chmod | Action::Chown | Action::Truncate => Class::FileChange,
        Action::Bind | Action::Listen => Class::NetworkListen,
        Action::Accept | Action::Send => Class::NetworkConnection,
        Action::RawSocket => Class::SocketCreation,
        Action::Dup => Class::SocketRedirection,
        Action::Module => Class::DriverLoad,
        _ => Class::SystemCall,
    }
}

/// Calls `visit` with each value of a field.
pub fn each(view: &View<'_>, event: &ActionEvent, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
    let class = class(event);
    if !class.carries(field) {
        return;
    }
    if let Some(argument) = field.argument() {
        if let Some(value) = system_call_argument(event, argument) {
            visit(Value::Hexadecimal(value));
        }
        return;
    }
    match field {
        Field::SystemCall => visit(Value::Bytes(event.action.name().as_bytes())),
        Field::TargetFilename => text(names(event).0, visit),
        Field::SourceFilename => text(names(event).1, visit),
        Field::LinkKind => visit(Value::Bytes(match event.action {
            Action::Link => b"hard",
            _ => b"symbolic",
        })),
        Field::FileSystem => text(&event.label, visit),
        Field::ModuleName => text(&event.path, visit),
        Field::Namespaces => {
            for (_, name) in NAMESPACES.iter().filter(|(bit, _)| flags(event) & bit != 0) {
                visit(Value::Bytes(name.as_bytes()));
            }
        }
        Field::Change | Field::Mode | Field::Owner | Field::Group => change(event, field, visit),
        Field::SourceIp
        | Field::SourcePort
        | Field::DestinationIp
        | Field::DestinationPort
        | Field::DestinationIsIpv6
        | Field::DestinationHostname
        | Field::Protocol
        | Field::Initiated
        | Field::SocketFamily
        | Field::SocketType
        | Field::Descriptor => socket(view, event, field, visit),
        Field::TargetImage
        | Field::TargetCommandLine
        | Field::TargetProcessId
        | Field::TargetUser => target(view, event, field, visit),
        Field::SourceImage => text(view.executable(), visit),
        Field::SourceProcessId => visit(Value::Number(event.context.process.pid.into())),
        Field::CallType => visit(Value::Bytes(match event.action {
            Action::TraceMe => b"PTRACE_TRACEME",
            // The call's own request, where the hook has it.
            _ if event.callers_strings && event.arguments[0] == 0x4206 => b"PTRACE_SEIZE",
            _ => b"PTRACE_ATTACH",
        })),
        Field::Signal => number(event.arguments[0], visit),
        Field::NewUid
        | Field::NewEffectiveUid
        | Field::OldUid
        | Field::OldEffectiveUid
        | Field::Capabilities => credentials(event, field, visit),
        _ => {}
    }
}

fn number(value: u64, visit: &mut dyn FnMut(Value<'_>)) {
    if let Ok(value) = i64::try_from(value) {
        visit(Value::Number(value));
    }
}

/// The file that it is about, and the one that it came from.
fn names(event: &ActionEvent) -> (&[u8], &[u8]) {
    match event.action {
        Action::Rename | Action::Link => (&event.other, &event.path),
        Action::MemFd => (b"", b""),
        _ => (&event.path, &event.other),
    }
}

fn flags(event: &ActionEvent) -> u64 {
    match event.action {
        Action::Unshare => event.arguments[0],
        Action::SetNs => event.arguments[1],
        _ => 0,
    }
}

fn change(event: &ActionEvent, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
    match (event.action, field) {
        (Action::Chmod, Field::Change) => visit(Value::Bytes(b"mode")),
        (Action::Chown, Field::Change) => visit(Value::Bytes(b"owner")),
        (_, Field::Change) => visit(Value::Bytes(b"length")),
        (Action::Chmod, Field::Mode) => {
            let mode = format!("{:04o}", event.arguments[0] & 0o7777);
            visit(Value::Bytes(mode.as_bytes()));
        }
        (Action::Chown, Field::Owner | Field::Group) => {
            let id = event.arguments[usize::from(field == Field::Group)];
            // -1 leaves it as it is.
            if id & 0xffff_ffff != 0xffff_ffff {
                number(id & 0xffff_ffff, visit);
            }
        }
        _ => {}
    }
}

fn socket(view: &View<'_>, event: &ActionEvent, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
    let listens = matches!(event.action, Action::Bind | Action::Listen);
    let [first, second, third, _] = event.arguments;
    if event.action == Action::RawSocket {
        let named = |names: &[(u64, &'static str)], value| {
            names
                .iter()
                .find(|(known, _)| *known == value)
                .map(|(_, name)| *name)
        };
        let name = match field {
            Field::SocketFamily => named(&[(2, "inet"), (10, "inet6"), (17, "packet")], first),
            Field::SocketType => named(
                &[(1, "stream"), (2, "dgram"), (3, "raw"), (10, "packet")],
                second,
            ),
            Field::Protocol => return number(third, visit),
            _ => return,
        };
        if let Some(name) = name {
            visit(Value::Bytes(name.as_bytes()));
        }
        return;
    }
    let Some(peer) = event.peer else { return };
    match field {
        Field::SourceIp if listens => visit(Value::Address(peer.address)),
        Field::SourcePort if listens => visit(Value::Number(peer.port.into())),
        Field::SourcePort if event.action == Action::Accept => number(first, visit),
        Field::DestinationIp if !listens => visit(Value::Address(peer.address)),
        Field::DestinationHostname if !listens => hostname(view, peer.address, visit),
        Field::DestinationPort if !listens => visit(Value::Number(peer.port.into())),
        Field::DestinationIsIpv6 if !listens => visit(Value::Flag(peer.address.is_ipv6())),
        Field::Protocol => match peer.protocol {
            6 => visit(Value::Bytes(b"tcp")),
            17 => visit(Value::Bytes(b"udp")),
            other => visit(Value::Number(other.into())),
        },
        Field::Initiated => visit(Value::Flag(event.action == Action::Send)),
        Field::Descriptor => number(first, visit),
        _ => {}
    }
}

fn target(view: &View<'_>, event: &ActionEvent, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
    let Some(target) = &event.target else { return };
    if field == Field::TargetProcessId {
        return visit(Value::Number(target.process.pid.into()));
    }
    // Without a start the number is all there is, and it was right a moment ago.
    let process: Option<&Process> = match Identity::from(target.process) {
        Identity { start: 0, pid } => view.processes.numbered(pid),
        identity => view.processes.get(identity),
    };
    let Some(process) = process else { return };
    match field {
        Field::TargetImage => text(&process.executable, visit),
        Field::TargetCommandLine => text(&process.command_line, visit),
        _ => text(view.accounts.get(process.uid).name.as_bytes(), visit),
    }
}

fn credentials(event: &ActionEvent, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
    let [first, second, third, fourth] = event.arguments;
    if event.action == Action::CapSet {
        if field == Field::Capabilities && third != UNKNOWN {
            let gained = (first & !third) | (second & !fourth);
            for (bit, name) in CAPABILITIES.iter().enumerate() {
                if gained & (1 << bit) != 0 {
                    visit(Value::Bytes(name.as_bytes()));
                }
            }
        }
        return;
    }
    if event.action != Action::SetUid {
        return;
    }
    match field {
        Field::NewUid => number(first, visit),
        Field::NewEffectiveUid => number(second, visit),
        Field::OldUid => number(third, visit),
        Field::OldEffectiveUid => number(fourth, visit),
        _ => {}
    }
}

/// An argument of the system call at the place where the call has it.
fn system_call_argument(event: &ActionEvent, place: usize) -> Option<u64> {
    let ours = match (event.action, place) {
        (Action::Mprotect, 2) | (Action::Mount, 3) => 0,
        (Action::Umount | Action::MemFd | Action::MkDir | Action::MkNod, 1) => 0,
        (Action::MkNod, 2) | (Action::SetNs, 1) => 1,
        (
            Action::Unshare
            | Action::SetNs
            | Action::UserFaultFd
            | Action::Bpf
            | Action::Syslog
            | Action::Personality,
            0,
        ) => 0,
        _ => return None,
    };
    event.arguments.get(ours).copied()
}

#[cfg(test)]
mod tests;
