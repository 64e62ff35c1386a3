//! The events that probes report, in owned form. Every byte string is what the kernel saw: it may hold
//! newlines and invalid UTF-8. Times are nanoseconds of the boot clock (`CLOCK_BOOTTIME`).

use std::fmt;
use std::net::IpAddr;

use crate::action::ActionEvent;

/// A class of event. Each has its own ring buffer, counters and coverage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A process runs a new program.
    Exec,
    /// A process ended (its last thread did).
    Exit,
    /// A process was created. Threads are not reported.
    Fork,
    /// An IPv4 or IPv6 connection is being made.
    Connect,
    /// A watched file was opened.
    Open,
    /// A process changed its rights or reached into another.
    Privilege,
    /// A name or an attribute of a file changed.
    File,
    /// A socket waits for peers, sends datagrams to a new one, or sees raw packets.
    Socket,
    /// The kernel, mounts, namespaces or executable memory changed.
    Kernel,
}

impl Class {
    /// Every class, in the order of the kernel's counters.
    pub const ALL: [Self; 9] = [
        Self::Exec,
        Self::Exit,
        Self::Fork,
        Self::Connect,
        Self::Open,
        Self::Privilege,
        Self::File,
        Self::Socket,
        Self::Kernel,
    ];

    /// The name used on the bus and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Exit => "exit",
            Self::Fork => "fork",
            Self::Connect => "connect",
            Self::Open => "open",
            Self::Privilege => "privilege",
            Self::File => "file",
            Self::Socket => "socket",
            Self::Kernel => "kernel",
        }
    }

    pub(crate) const fn index(self) -> u32 {
        self as u32
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A process runs a new program. Boxed: it is much larger than the others.
    Exec(Box<ExecEvent>),
    /// A process ended.
    Exit(ExitEvent),
    /// A process was created.
    Fork(ForkEvent),
    /// A connection is being made.
    Connect(ConnectEvent),
    /// A watched file was opened.
    Open(OpenEvent),
    /// Anything else. Boxed: it is larger than most.
    Action(Box<ActionEvent>),
}

impl Event {
    /// Who did it and when.
    #[must_use]
    pub const fn context(&self) -> &Context {
        match self {
            Self::Exec(event) => &event.context,
            Self::Exit(event) => &event.context,
            Self::Fork(event) => &event.context,
            Self::Connect(event) => &event.context,
            Self::Open(event) => &event.context,
            Self::Action(event) => &event.context,
        }
    }

    /// Its class.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Exec(_) => Class::Exec,
            Self::Exit(_) => Class::Exit,
            Self::Fork(_) => Class::Fork,
            Self::Connect(_) => Class::Connect,
            Self::Open(_) => Class::Open,
            Self::Action(event) => event.action.class(),
        }
    }
}

/// A process, safe against the reuse of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProcessKey {
    /// The process (thread group), in the initial PID namespace.
    pub pid: u32,
    /// When it started, nanoseconds of the boot clock. Field 22 of `/proc/PID/stat` is this in clock
    /// ticks (rounded down), unless a time namespace shifts it.
    pub start_time: u64,
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// When, nanoseconds of the boot clock.
    pub time: u64,
    /// The process.
    pub process: ProcessKey,
    /// The thread.
    pub tid: u32,
    /// Its parent.
    pub parent: ProcessKey,
    /// Real user, in the initial user namespace.
    pub uid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective user.
    pub euid: u32,
    /// Effective group.
    pub egid: u32,
    /// The cgroup v2 directory's inode number; the root's on a host with cgroup v1 only.
    pub cgroup_id: u64,
    /// The thread's name, at most 15 bytes.
    pub comm: Vec<u8>,
}

/// A file system object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileId {
    /// Inode number.
    pub inode: u64,
    /// Device, major number.
    pub device_major: u32,
    /// Device, minor number.
    pub device_minor: u32,
    /// Type and permissions, as `st_mode`.
    pub mode: u32,
    /// Owner, in the initial user namespace.
    pub owner: u32,
}

/// One ancestor of a process, as it was when the event happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ancestor {
    /// Which process.
    pub process: ProcessKey,
    /// Its leader's name, at most 15 bytes.
    pub comm: Vec<u8>,
}

/// Inode numbers of a process's namespaces, as in `/proc/PID/ns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Namespaces {
    /// Mounts.
    pub mount: u32,
    /// Process numbers (the one its children get).
    pub pid: u32,
    /// Network.
    pub net: u32,
    /// Users.
    pub user: u32,
}

/// A process runs a new program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecEvent {
    /// Who and when; credentials are those after the exec.
    pub context: Context,
    /// The path as given to the call: may be relative, or `/dev/fd/N`.
    pub filename: Vec<u8>,
    /// The absolute path of the program that runs: the interpreter's for a script.
    pub executable: Vec<u8>,
    /// The working directory.
    pub directory: Vec<u8>,
    /// The controlling terminal's name (`pts/3`), empty without one.
    pub terminal: Vec<u8>,
    /// The arguments, each ended by a zero byte, cut at 4096 bytes: see [`Self::arguments`].
    pub argv: Vec<u8>,
    /// Bytes that the arguments had before they were cut.
    pub argv_bytes: u64,
    /// How many arguments there were.
    pub argc: u32,
    /// The arguments were longer than what is kept.
    pub argv_truncated: bool,
    /// The arguments could not be read (their memory was not present).
    pub argv_unreadable: bool,
    /// The filename is longer than what is kept.
    pub filename_truncated: bool,
    /// The executable's path lacks its leading components (more than 40 of them).
    pub executable_truncated: bool,
    /// The directory's path lacks its leading components.
    pub directory_truncated: bool,
    /// The program's file.
    pub file: FileId,
    /// The program's file has no name any more.
    pub deleted: bool,
    /// The program is in a memfd.
    pub memfd: bool,
    /// Effective capabilities, one bit each.
    pub cap_effective: u64,
    /// Permitted capabilities, one bit each.
    pub cap_permitted: u64,
    /// The audit login user; none when it was never set.
    pub login_uid: Option<u32>,
    /// The audit session; none when it was never set.
    pub session: Option<u32>,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// Up to eight ancestors, the parent first.
    pub ancestors: Vec<Ancestor>,
}

impl ExecEvent {
    /// The arguments that are kept, one by one. The last is cut if [`Self::argv_truncated`].
    pub fn arguments(&self) -> impl Iterator<Item = &[u8]> {
        let argv = self.argv.strip_suffix(b"\0").unwrap_or(&self.argv);
        let some = !self.argv.is_empty();
        some.then(|| argv.split(|byte| *byte == 0))
            .into_iter()
            .flatten()
    }

    /// The arguments joined by spaces, invalid UTF-8 replaced: what rules call the command line.
    #[must_use]
    pub fn command_line(&self) -> String {
        let argv = self.argv.strip_suffix(b"\0").unwrap_or(&self.argv);
        String::from_utf8_lossy(argv).replace('\0', " ")
    }
}

/// A process ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExitEvent {
    /// Who and when.
    pub context: Context,
    /// Exit code, 0 to 255; 0 when a signal ended it.
    pub code: u8,
    /// The signal that ended it.
    pub signal: Option<u8>,
    /// A core was dumped (or a helper was given one).
    pub core_dumped: bool,
}

/// A process was created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForkEvent {
    /// Who created it, and when.
    pub context: Context,
    /// The new process.
    pub child: ProcessKey,
    /// The new process's parent: not the caller with `CLONE_PARENT`.
    pub child_parent: u32,
    /// The new process has namespaces of its own.
    pub new_namespaces: bool,
}

/// A connection is being made; its outcome is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectEvent {
    /// Who and when.
    pub context: Context,
    /// The peer. An IPv4 address that an IPv6 socket maps is given as IPv4.
    pub address: IpAddr,
    /// The peer's port.
    pub port: u16,
    /// `IPPROTO_TCP`, `IPPROTO_UDP`, ...
    pub protocol: u16,
}

/// A watched file was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenEvent {
    /// Who and when.
    pub context: Context,
    /// The file's absolute path in its mount namespace, symbolic links resolved.
    pub path: Vec<u8>,
    /// The path lacks its leading components (more than 40 of them).
    pub path_truncated: bool,
    /// The file.
    pub file: FileId,
    /// The open file's `O_*` flags. A hook after the open (see the coverage) no longer has `O_CREAT`, `O_EXCL`,
    /// `O_NOCTTY` and `O_TRUNC`; whether the file is new is in [`Self::created`].
    pub flags: u32,
    /// Opened for reading.
    pub read: bool,
    /// Opened for writing.
    pub write: bool,
    /// The call created the file.
    pub created: bool,
}
