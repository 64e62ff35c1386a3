//! What rules are compiled for: what this host reports, and what its administrator filled into placeholders.
//! The default is what this version's probes and the journal report on a host where every probe works.

use crate::class::Class;
use crate::field::Field;
use std::collections::BTreeMap;

/// Classes that this version reports. Add one here together with what delivers it.
const CLASSES: &[Class] = &[
    Class::ProcessCreation,
    Class::ProcessTermination,
    Class::FileEvent,
    Class::FileAccess,
    Class::FileDelete,
    Class::FileRename,
    Class::FileChange,
    Class::FileLink,
    Class::NetworkConnection,
    Class::NetworkListen,
    Class::SocketCreation,
    Class::SocketRedirection,
    Class::ProcessAccess,
    Class::ProcessSignal,
    Class::CredentialChange,
    Class::DriverLoad,
    Class::SystemCall,
    Class::Audit,
    Class::Log,
];

/// Fields of those classes that nothing fills in yet.
const ABSENT: &[Field] = &[Field::ImageLoaded, Field::OldMode];

/// System calls that audit records (`SYSCALL`) are made of.
const SYSTEM_CALLS: &[&str] = &[
    "execve",
    "execveat",
    "open",
    "openat",
    "openat2",
    "creat",
    "connect",
    "exit_group",
    "accept4",
    "bind",
    "bpf",
    "capset",
    "dup2",
    "fchmodat",
    "fchownat",
    "init_module",
    "kill",
    "linkat",
    "memfd_create",
    "mkdir",
    "mknod",
    "mount",
    "mprotect",
    "personality",
    "pivot_root",
    "ptrace",
    "rename",
    "setgid",
    "setns",
    "setuid",
    "socket",
    "symlinkat",
    "sysinfo",
    "syslog",
    "truncate",
    "umount2",
    "unlinkat",
    "unshare",
    "userfaultfd",
];

/// What rules are compiled for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Values of `%name%` where a rule says `expand`.
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// Classes that are reported.
    pub classes: Vec<Class>,
    /// Fields that are not filled in although their class has them.
    pub absent: Vec<Field>,
    /// System calls that are reported, by name.
    pub system_calls: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            placeholders: BTreeMap::new(),
            classes: CLASSES.to_vec(),
            absent: ABSENT.to_vec(),
            system_calls: SYSTEM_CALLS.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Options {
    /// Everything that a rule can be about, whether it is reported here or not.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            classes: Class::ALL.to_vec(),
            absent: Vec::new(),
            ..Self::default()
        }
    }

    /// Whether events of the class are reported and can carry the field.
    #[must_use]
    pub fn carries(&self, class: Class, field: Field) -> bool {
        self.classes.contains(&class) && class.carries(field) && !self.absent.contains(&field)
    }
}
