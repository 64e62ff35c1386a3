//! What kind of thing happened, and which fields events of each kind can carry.
//! Classes are Sigma's categories where it has one; the others are named after what the kernel calls them.

use crate::field::Field;

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What kind of thing happened: Sigma's category, and the way to our classes on the bus.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Class { $($(#[$doc])* $name,)* }

        impl Class {
            /// Every class.
            pub const ALL: &'static [Class] = &[$(Class::$name,)*];

            /// Sigma's name of the category, or ours.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Class::$name => $text,)* }
            }
        }
    };
}

classes! {
    /// A program was executed.
    ProcessCreation = "process_creation",
    /// A process ended.
    ProcessTermination = "process_termination",
    /// A file was created or opened for writing.
    FileEvent = "file_event",
    /// A file was opened for reading.
    FileAccess = "file_access",
    /// A file or folder was removed.
    FileDelete = "file_delete",
    /// A file got another name.
    FileRename = "file_rename",
    /// A file's mode, owner, length, times or extended attributes changed.
    FileChange = "file_change",
    /// A symbolic or hard link was made.
    FileLink = "file_link",
    /// A connection was made or attempted, or (not `Initiated`) accepted.
    NetworkConnection = "network_connection",
    /// A socket was bound to a port or listens.
    NetworkListen = "network_listen",
    /// A raw or packet socket was made.
    SocketCreation = "socket_creation",
    /// A socket was put in the place of descriptor 0, 1 or 2.
    SocketRedirection = "socket_redirection",
    /// A process was traced, or its memory written.
    ProcessAccess = "process_access",
    /// A signal was sent to another process.
    ProcessSignal = "process_signal",
    /// A process changed its user, group or capabilities.
    CredentialChange = "credential_change",
    /// A kernel module was loaded.
    DriverLoad = "driver_load",
    /// A system call that has no class of its own: mount, unshare, setns, memfd_create, userfaultfd, bpf, …
    SystemCall = "system_call",
    /// Any of those as the audit system writes them: record types and their fields.
    Audit = "auditd",
    /// A message in the journal.
    Log = "log",
}

/// Fields of the event's process, which every class but messages carries.
const OF_PROCESS: [Field; 18] = [
    Field::Image,
    Field::CommandLine,
    Field::CurrentDirectory,
    Field::User,
    Field::LogonId,
    Field::ProcessId,
    Field::ParentImage,
    Field::ParentCommandLine,
    Field::ParentProcessId,
    Field::ParentUser,
    Field::Comm,
    Field::EffectiveUid,
    Field::Uid,
    Field::Unit,
    Field::Terminal,
    Field::ImageKind,
    Field::AncestorImages,
    Field::UserShell,
];

impl Class {
    /// The class of one of Sigma's categories.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Class> {
        let classes = Class::ALL.iter().copied();
        // Messages and audit records are asked for by `service`, not by category.
        classes
            .filter(|class| !matches!(class, Class::Audit | Class::Log))
            .find(|class| class.name() == name)
    }

    /// The class of a name in a capture: as [`Class::from_name`], with `auditd` and `log`.
    #[must_use]
    pub fn from_capture(name: &str) -> Option<Class> {
        Class::ALL
            .iter()
            .copied()
            .find(|class| class.name() == name)
    }

    /// Whether events of this class can carry a field.
    #[must_use]
    pub fn carries(self, field: Field) -> bool {
        use Field as F;
        if self != Class::Log && OF_PROCESS.contains(&field) {
            return true;
        }
        match self {
            Class::ProcessCreation => field.is_argument(),
            Class::ProcessTermination => matches!(field, F::ExitCode | F::ExitSignal),
            Class::FileEvent => matches!(field, F::TargetFilename | F::Created),
            Class::FileAccess | Class::FileDelete => field == F::TargetFilename,
            Class::FileRename => matches!(field, F::TargetFilename | F::SourceFilename),
            Class::FileLink => {
                matches!(field, F::TargetFilename | F::SourceFilename | F::LinkKind)
            }
            Class::FileChange => matches!(
                field,
                F::TargetFilename | F::Change | F::Mode | F::OldMode | F::Owner | F::Group
            ),
            Class::NetworkConnection | Class::SocketRedirection => {
                matches!(
                    field,
                    F::DestinationIp
                        | F::DestinationPort
                        | F::DestinationIsIpv6
                        | F::DestinationHostname
                        | F::SourceIp
                        | F::SourcePort
                        | F::Protocol
                        | F::Initiated
                ) || self == Class::SocketRedirection && field == F::Descriptor
            }
            Class::NetworkListen => {
                matches!(field, F::SourceIp | F::SourcePort | F::Protocol)
            }
            Class::SocketCreation => {
                matches!(field, F::SocketFamily | F::SocketType | F::Protocol)
            }
            Class::ProcessAccess | Class::ProcessSignal => {
                matches!(
                    field,
                    F::TargetImage
                        | F::TargetCommandLine
                        | F::TargetProcessId
                        | F::TargetUser
                        | F::SourceImage
                        | F::SourceProcessId
                ) || match self {
                    Class::ProcessAccess => field == F::CallType,
                    _ => field == F::Signal,
                }
            }
            Class::CredentialChange => matches!(
                field,
                F::OldUid
                    | F::NewUid
                    | F::OldEffectiveUid
                    | F::NewEffectiveUid
                    | F::Capabilities
                    | F::SystemCall
            ),
            Class::DriverLoad => matches!(field, F::ImageLoaded | F::ModuleName | F::SystemCall),
            Class::SystemCall => {
                matches!(
                    field,
                    F::SystemCall
                        | F::TargetFilename
                        | F::SourceFilename
                        | F::FileSystem
                        | F::Namespaces
                ) || field.is_argument()
            }
            Class::Audit => field.is_audit() || field.is_argument(),
            Class::Log => field.is_journal(),
        }
    }

    /// The fields that keywords are looked for in.
    pub(crate) fn texts(self) -> &'static [Field] {
        match self {
            Class::Log => &[Field::Message],
            Class::Audit => &[Field::ProcessTitle, Field::AuditName, Field::Message],
            Class::SystemCall | Class::FileRename | Class::FileLink => &[
                Field::Image,
                Field::CommandLine,
                Field::TargetFilename,
                Field::SourceFilename,
            ],
            Class::FileEvent | Class::FileAccess | Class::FileDelete | Class::FileChange => &[
                Field::Image,
                Field::CommandLine,
                Field::CurrentDirectory,
                Field::User,
                Field::ParentImage,
                Field::ParentCommandLine,
                Field::TargetFilename,
            ],
            _ => &[
                Field::Image,
                Field::CommandLine,
                Field::CurrentDirectory,
                Field::User,
                Field::ParentImage,
                Field::ParentCommandLine,
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_belongs_somewhere_and_keywords_are_looked_for_where_they_can_be() {
        for field in Field::ALL {
            assert!(
                Class::ALL.iter().any(|class| class.carries(*field)),
                "no class carries {}",
                field.name()
            );
        }
        for class in Class::ALL {
            assert_eq!(Class::from_capture(class.name()), Some(*class));
            for field in class.texts() {
                assert!(class.carries(*field), "{class:?} {field:?}");
            }
        }
    }
}
