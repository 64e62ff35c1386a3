//! The fields of events, by the names that rules use: Sigma's (the taxonomy of Sysmon for Linux), the audit system's,
//! the journal's, and a few of our own where none of them has a name.

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A field of an event, by the name that rules use.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field { $($(#[$doc])* $name,)* }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Field] = &[$(Field::$name,)*];

            /// The name that rules use.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Field::$name => $text,)* }
            }
        }
    };
}

fields! {
    /// The executable's path.
    Image = "Image",
    /// Arguments joined by single spaces.
    CommandLine = "CommandLine",
    /// The working directory.
    CurrentDirectory = "CurrentDirectory",
    /// The user's name, or the number where it has none.
    User = "User",
    /// The login session's user id (the audit login uid).
    LogonId = "LogonId",
    /// The process's id.
    ProcessId = "ProcessId",
    /// The parent's executable.
    ParentImage = "ParentImage",
    /// The parent's arguments.
    ParentCommandLine = "ParentCommandLine",
    /// The parent's process id.
    ParentProcessId = "ParentProcessId",
    /// The parent's user.
    ParentUser = "ParentUser",
    /// The file of a file event; of a rename or link the new name; of a mount the mount point.
    TargetFilename = "TargetFilename",
    /// The old name of a rename, what a link points at, or what is mounted.
    SourceFilename = "SourceFilename",
    /// The peer's address.
    DestinationIp = "DestinationIp",
    /// The peer's port.
    DestinationPort = "DestinationPort",
    /// Whether the peer's address is IPv6.
    DestinationIsIpv6 = "DestinationIsIpv6",
    /// The names that the peer's address was found by.
    DestinationHostname = "DestinationHostname",
    /// Our address.
    SourceIp = "SourceIp",
    /// Our port.
    SourcePort = "SourcePort",
    /// tcp or udp.
    Protocol = "Protocol",
    /// Whether this host opened the connection.
    Initiated = "Initiated",
    /// The executable of the process that is traced, written to, or sent a signal.
    TargetImage = "TargetImage",
    /// That process's arguments.
    TargetCommandLine = "TargetCommandLine",
    /// That process's id.
    TargetProcessId = "TargetProcessId",
    /// That process's user.
    TargetUser = "TargetUser",
    /// The executable of the process that acts on another: the same as `Image`.
    SourceImage = "SourceImage",
    /// The id of the process that acts on another: the same as `ProcessId`.
    SourceProcessId = "SourceProcessId",
    /// How another process is accessed: `PTRACE_ATTACH`, `PTRACE_SEIZE`, `PTRACE_TRACEME`, `process_vm_writev`, …
    CallType = "CallType",
    /// The kernel module's file, where it was loaded from one.
    ImageLoaded = "ImageLoaded",
    /// Ours: the kernel's name of the task (at most 15 bytes).
    Comm = "Comm",
    /// Ours: the effective user id.
    EffectiveUid = "EffectiveUid",
    /// Ours: the real user id.
    Uid = "Uid",
    /// Ours: the systemd unit.
    Unit = "Unit",
    /// Ours: the controlling terminal, absent where there is none.
    Terminal = "Terminal",
    /// Ours: how the program was executed: `file`, `memfd`, `deleted`.
    ImageKind = "ImageKind",
    /// Ours: the executables of all ancestors, the parent first. A list: any element may match.
    AncestorImages = "AncestorImages",
    /// Ours: the login shell of the user's passwd entry.
    UserShell = "UserShell",
    /// Ours: the exit code of an ended process.
    ExitCode = "ExitCode",
    /// Ours: the signal that ended a process.
    ExitSignal = "ExitSignal",
    /// Ours: whether the call created the file.
    Created = "Created",
    /// Ours: what changed of a file: `mode`, `owner`, `length`, `times`, `attribute`.
    Change = "Change",
    /// Ours: the new mode, four octal digits (`4755`).
    Mode = "Mode",
    /// Ours: the mode before, four octal digits.
    OldMode = "OldMode",
    /// Ours: the new owner's user id.
    Owner = "Owner",
    /// Ours: the new group id.
    Group = "Group",
    /// Ours: `symbolic` or `hard`.
    LinkKind = "LinkKind",
    /// Ours: the descriptor that a socket took: 0, 1 or 2.
    Descriptor = "Descriptor",
    /// Ours: the address family of a new socket: `inet`, `inet6`, `packet`, …
    SocketFamily = "SocketFamily",
    /// Ours: the type of a new socket: `raw`, `dgram`, `packet`, …
    SocketType = "SocketType",
    /// Ours: the number of the signal that was sent.
    Signal = "Signal",
    /// Ours: the real user id before.
    OldUid = "OldUid",
    /// Ours: the real user id after.
    NewUid = "NewUid",
    /// Ours: the effective user id before.
    OldEffectiveUid = "OldEffectiveUid",
    /// Ours: the effective user id after.
    NewEffectiveUid = "NewEffectiveUid",
    /// Ours: the capabilities gained, by name (`cap_sys_admin`). A list.
    Capabilities = "Capabilities",
    /// Ours: the kernel module's name.
    ModuleName = "ModuleName",
    /// Ours: the type of a mounted file system.
    FileSystem = "FileSystem",
    /// Ours: the namespaces that are left or entered: `mnt`, `user`, `pid`, `net`, … A list.
    Namespaces = "Namespaces",

    /// audit: the record types of the event (`SYSCALL`, `EXECVE`, `PATH`, …). A list.
    RecordType = "type",
    /// audit: the system call's name.
    SystemCall = "SYSCALL",
    /// audit: the executable.
    AuditExecutable = "exe",
    /// audit: the task's name.
    AuditComm = "comm",
    /// audit: the path.
    AuditName = "name",
    /// audit: what happens to the path: `NORMAL`, `CREATE`, `DELETE`, `PARENT`.
    NameType = "nametype",
    /// audit: the key of the audit rule that made the record.
    AuditKey = "key",
    /// auditctl's permission: `r` where a file is only read, else `w`, `x` or `a`.
    Permission = "perm",
    /// audit: the working directory.
    AuditDirectory = "cwd",
    /// audit: the terminal.
    AuditTerminal = "tty",
    /// audit: the real user id.
    AuditUid = "uid",
    /// audit: the effective user id.
    AuditEuid = "euid",
    /// audit: the real group id.
    AuditGid = "gid",
    /// audit: the effective group id.
    AuditEgid = "egid",
    /// audit: the login user id.
    AuditLoginUid = "auid",
    /// audit: the session.
    AuditSession = "ses",
    /// audit: the process id.
    AuditPid = "pid",
    /// audit: the parent's process id.
    AuditParentPid = "ppid",
    /// audit: the arguments joined by spaces.
    ProcessTitle = "proctitle",
    /// audit: the systemd unit, without its suffix.
    AuditUnit = "unit",
    /// audit: the account that a user message is about.
    AuditAccount = "acct",
    /// audit: the operation of a user message.
    AuditOperation = "op",
    /// audit: `success` or `failed`, `yes` or `no`.
    AuditResult = "res",
    /// audit: the peer's host name.
    AuditHostname = "hostname",
    /// audit: the peer's address.
    AuditAddress = "addr",
    /// audit: the first argument: text in an EXECVE record, hexadecimal in a SYSCALL record.
    Argument0 = "a0",
    /// audit: an argument.
    Argument1 = "a1",
    /// audit: an argument.
    Argument2 = "a2",
    /// audit: an argument.
    Argument3 = "a3",
    /// audit: an argument.
    Argument4 = "a4",
    /// audit: an argument.
    Argument5 = "a5",
    /// audit: an argument.
    Argument6 = "a6",
    /// audit: an argument.
    Argument7 = "a7",
    /// audit: an argument.
    Argument8 = "a8",
    /// audit: an argument.
    Argument9 = "a9",

    /// journal: the text.
    Message = "MESSAGE",
    /// journal: the catalogue's id of the message.
    MessageId = "MESSAGE_ID",
    /// journal: what the program calls itself.
    Identifier = "SYSLOG_IDENTIFIER",
    /// journal: the syslog facility's number.
    Facility = "SYSLOG_FACILITY",
    /// journal: 0 (emergency) to 7 (debug).
    Priority = "PRIORITY",
    /// journal: how it came: `kernel`, `syslog`, `journal`, `stdout`, `audit`.
    Transport = "_TRANSPORT",
    /// journal: the unit that wrote it.
    SystemdUnit = "_SYSTEMD_UNIT",
    /// journal: the unit that it is about.
    AboutUnit = "UNIT",
    /// journal: the writer's name of the task.
    JournalComm = "_COMM",
    /// journal: the writer's executable.
    JournalExecutable = "_EXE",
    /// journal: the writer's arguments.
    JournalCommandLine = "_CMDLINE",
    /// journal: the writer's process id.
    JournalPid = "_PID",
    /// journal: the writer's user id.
    JournalUid = "_UID",
    /// journal: the host.
    JournalHostname = "_HOSTNAME",
}

impl Field {
    /// The field of a name as rules write it. Sigma's field names are case-sensitive.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Field> {
        Field::ALL
            .iter()
            .copied()
            .find(|field| field.name() == name)
    }

    /// The argument's number of `a0` to `a9`.
    #[must_use]
    pub fn argument(self) -> Option<usize> {
        self.is_argument()
            .then(|| self as usize - Field::Argument0 as usize)
    }

    /// Whether it is one of `a0` to `a9`.
    #[must_use]
    pub fn is_argument(self) -> bool {
        (Field::Argument0..=Field::Argument9).contains(&self)
    }

    /// Whether audit records carry it, arguments apart.
    pub(crate) fn is_audit(self) -> bool {
        (Field::RecordType..=Field::AuditAddress).contains(&self) || self == Field::Message
    }

    /// Whether it is a field of the journal.
    pub(crate) fn is_journal(self) -> bool {
        self >= Field::Message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_arguments_are_numbered() {
        let names: BTreeSet<_> = Field::ALL.iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), Field::ALL.len());
        for n in 0..10 {
            let field = Field::from_name(&format!("a{n}")).unwrap();
            assert_eq!(field.argument(), Some(n));
        }
        assert_eq!(Field::Message.argument(), None);
    }
}
