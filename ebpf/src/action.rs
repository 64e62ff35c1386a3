//! What a process did beside running programs, connecting and opening files: one record for all of it, with what
//! each action fills in.

use std::fmt;
use std::net::IpAddr;

use crate::event::{Class, Context, FileId, ProcessKey};
use crate::layout;

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $number:ident, $name:literal;)*) => {
        /// What was done. Names are those of the system call that does it, as the audit system has them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $($(#[$doc])* $variant,)* }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The system call's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub(crate) const fn number(self) -> u32 {
                match self { $(Self::$variant => layout::$number,)* }
            }
        }
    };
}

actions! {
    /// User ids changed. Arguments: new real, new effective, old real, old effective id; the old ones are `u64::MAX`
    /// where the hook comes after the change.
    SetUid = ACTION_SETUID, "setuid";
    /// Group ids changed. Arguments as for [`Action::SetUid`].
    SetGid = ACTION_SETGID, "setgid";
    /// Capabilities changed. Arguments: new effective, new permitted, old effective, old permitted set.
    CapSet = ACTION_CAPSET, "capset";
    /// A process attaches to another, or asks for as much (its memory, its descriptors). Target: the other.
    Ptrace = ACTION_PTRACE, "ptrace";
    /// A process asks its parent to trace it, which keeps others from doing so. Target: the parent.
    TraceMe = ACTION_TRACEME, "ptrace_traceme";
    /// A signal was sent to another process. Arguments: the signal, its `si_code`. Target: the receiver.
    Kill = ACTION_KILL, "kill";
    /// A name of a file was removed.
    Unlink = ACTION_UNLINK, "unlink";
    /// A directory was removed.
    RmDir = ACTION_RMDIR, "rmdir";
    /// A directory was made. Argument: its mode.
    MkDir = ACTION_MKDIR, "mkdir";
    /// A device, pipe or socket was made. Arguments: mode with type, device.
    MkNod = ACTION_MKNOD, "mknod";
    /// A file got another name. Path: the old, other: the new one.
    Rename = ACTION_RENAME, "rename";
    /// A file got a second name. Path: the old, other: the new one.
    Link = ACTION_LINK, "link";
    /// A symbolic link was made. Path: the link, other: what it stands for, as written.
    Symlink = ACTION_SYMLINK, "symlink";
    /// A mode changed. Argument: the new one.
    Chmod = ACTION_CHMOD, "chmod";
    /// An owner changed. Arguments: user, group; `u32::MAX` leaves it.
    Chown = ACTION_CHOWN, "chown";
    /// A watched file was cut.
    Truncate = ACTION_TRUNCATE, "truncate";
    /// A socket got an address, in `peer`.
    Bind = ACTION_BIND, "bind";
    /// A socket waits for connections at the address in `peer`. Argument: the backlog.
    Listen = ACTION_LISTEN, "listen";
    /// A connection was taken, from `peer`. Argument: our port.
    Accept = ACTION_ACCEPT, "accept";
    /// A datagram goes to a `peer` that this process has not sent to before.
    Send = ACTION_SEND, "sendto";
    /// A socket for raw packets was made. Arguments: family, type, protocol.
    RawSocket = ACTION_RAW_SOCKET, "socket";
    /// An internet socket, connected to `peer`, became standard stream 0, 1 or 2: the argument.
    Dup = ACTION_DUP, "dup2";
    /// A kernel module was loaded. Path: its name, where the hook has it.
    Module = ACTION_MODULE, "init_module";
    /// An eBPF object was loaded, attached, detached or taken hold of. Arguments: the command of `bpf()`, the first
    /// number of its attributes (a program's type, an object's id). Label: a loaded program's name.
    Bpf = ACTION_BPF, "bpf";
    /// Something was mounted. Path: where, other: what. Argument: flags. Label: the type.
    Mount = ACTION_MOUNT, "mount";
    /// Something was unmounted. Argument: flags.
    Umount = ACTION_UMOUNT, "umount2";
    /// A process leaves namespaces for new ones. Argument: `CLONE_NEW*`.
    Unshare = ACTION_UNSHARE, "unshare";
    /// A process enters namespaces. Arguments: the descriptor, `CLONE_NEW*` or 0.
    SetNs = ACTION_SETNS, "setns";
    /// The root was exchanged. Path: the new root, other: where the old one goes.
    PivotRoot = ACTION_PIVOT_ROOT, "pivot_root";
    /// A descriptor for handling page faults was made. Argument: flags.
    UserFaultFd = ACTION_USERFAULTFD, "userfaultfd";
    /// A file in memory was made. Path: its name. Argument: flags.
    MemFd = ACTION_MEMFD, "memfd_create";
    /// Memory became executable. Path: the file that it is of, if any. Argument: the protection.
    Mprotect = ACTION_MPROTECT, "mprotect";
    /// The kernel's log was cleared or silenced. Argument: `SYSLOG_ACTION_*`.
    Syslog = ACTION_SYSLOG, "syslog";
    /// A process asked for the host's memory, load and uptime.
    SysInfo = ACTION_SYSINFO, "sysinfo";
    /// A process changed how it is executed. Argument: the persona; 0x40000 takes address randomisation away.
    Personality = ACTION_PERSONALITY, "personality";
    /// An execution was refused by [`crate::Denial`]. Path: the program, script or interpreter. Nothing has to be
    /// asked for to see it.
    Denied = ACTION_DENIED, "execve";
}

impl Action {
    /// The class whose ring and counters it uses.
    #[must_use]
    pub const fn class(self) -> Class {
        let number = self.number();
        if number < layout::ACTION_UNLINK {
            Class::Privilege
        } else if number < layout::ACTION_BIND {
            Class::File
        } else if number < layout::ACTION_MODULE {
            Class::Socket
        } else {
            Class::Kernel
        }
    }

    /// The actions of a class that probes look for.
    pub fn of(class: Class) -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(move |action| action.class() == class && *action != Self::Denied)
    }

    pub(crate) fn from_number(number: u32) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|action| action.number() == number)
    }

    /// The bit that has it reported whatever the path; none for what has no watched path.
    pub(crate) fn everywhere(self) -> u32 {
        match self.class() {
            Class::File => 1 << (self.number() - layout::ACTION_UNLINK),
            _ => 0,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Another process that something was done to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// Which. Where only the caller's number is known (a tracepoint after the call), the start is 0.
    pub process: ProcessKey,
    /// Its leader's name, at most 15 bytes.
    pub comm: Vec<u8>,
}

/// An address of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The address. An IPv4 address that an IPv6 socket maps is given as IPv4.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// `IPPROTO_TCP`, `IPPROTO_UDP`, ...
    pub protocol: u16,
}

/// Something was done: see [`Action`] for what is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionEvent {
    /// Who and when.
    pub context: Context,
    /// What.
    pub action: Action,
    /// Its numbers.
    pub arguments: [u64; 4],
    /// A path or a name.
    pub path: Vec<u8>,
    /// The path lacks its leading components (more than 40 of them).
    pub path_truncated: bool,
    /// A second path or a text.
    pub other: Vec<u8>,
    /// The second path lacks its leading components.
    pub other_truncated: bool,
    /// A short name, at most 15 bytes.
    pub label: Vec<u8>,
    /// The file, where the hook has it.
    pub file: Option<FileId>,
    /// Another process.
    pub target: Option<Target>,
    /// A socket's address.
    pub peer: Option<Peer>,
    /// The strings are the caller's, read after the call: another thread could have changed them. `.` and `..` are
    /// taken out of them without a look at the file system.
    pub callers_strings: bool,
}

impl ActionEvent {
    /// One of which nothing else is known.
    #[must_use]
    pub fn bare(context: Context, action: Action, arguments: [u64; 4]) -> Self {
        Self {
            context,
            action,
            arguments,
            path: Vec::new(),
            path_truncated: false,
            other: Vec::new(),
            other_truncated: false,
            label: Vec::new(),
            file: None,
            target: None,
            peer: None,
            callers_strings: false,
        }
    }
}

/// An absolute path without `.`, `..` and empty components; other text as it is.
pub(crate) fn normalized(path: Vec<u8>) -> Vec<u8> {
    if path.first() != Some(&b'/') {
        return path;
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for part in &parts {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_numbers_are_unique() {
        let numbers: std::collections::BTreeSet<_> =
            Action::ALL.iter().map(|action| action.number()).collect();
        let names: std::collections::BTreeSet<_> =
            Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(
            (numbers.len(), names.len()),
            (Action::ALL.len(), Action::ALL.len())
        );
        for action in Action::ALL {
            assert_eq!(Action::from_number(action.number()), Some(*action));
        }
        assert_eq!(Action::from_number(0), None);
    }

    #[test]
    fn detours_are_taken_out() {
        for (from, to) in [
            ("/a/./b//c", "/a/b/c"),
            ("/a/../b", "/b"),
            ("/../..", "/"),
            ("/a/b/..", "/a"),
            ("relative/../x", "relative/../x"),
            ("", ""),
        ] {
            assert_eq!(normalized(from.into()), to.as_bytes(), "{from}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_path_stays(path in "(/[a-c.]{1,3}){0,6}") {
            let once = normalized(path.into_bytes());
            prop_assert_eq!(normalized(once.clone()), once);
        }
    }
}
