//! What a rule is matched against: events of a class, with fields that hold bytes, numbers, flags or addresses.
//! Field names are Sigma's (the taxonomy of Sysmon for Linux); those of our own are listed after them.
//! Values are bytes, not text, since names and arguments come from hostile programs.

use std::net::IpAddr;

/// What kind of thing happened: Sigma's category, and the way to our classes on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// A program was executed.
    ProcessCreation,
    /// A process ended.
    ProcessTermination,
    /// A file was created or opened for writing.
    FileEvent,
    /// A file was opened for reading.
    FileAccess,
    /// A connection was made or attempted.
    NetworkConnection,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 5] = [
        Class::ProcessCreation,
        Class::ProcessTermination,
        Class::FileEvent,
        Class::FileAccess,
        Class::NetworkConnection,
    ];

    /// Sigma's name of the category.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::ProcessCreation => "process_creation",
            Class::ProcessTermination => "process_termination",
            Class::FileEvent => "file_event",
            Class::FileAccess => "file_access",
            Class::NetworkConnection => "network_connection",
        }
    }

    /// The class of one of Sigma's categories.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Whether events of this class can carry a field.
    #[must_use]
    pub fn carries(self, field: Field) -> bool {
        match field {
            Field::TargetFilename => matches!(self, Class::FileEvent | Class::FileAccess),
            Field::DestinationIp
            | Field::DestinationPort
            | Field::DestinationIsIpv6
            | Field::SourceIp
            | Field::SourcePort
            | Field::Protocol
            | Field::Initiated => self == Class::NetworkConnection,
            Field::ExitCode | Field::ExitSignal => self == Class::ProcessTermination,
            _ => true,
        }
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A field of an event, by Sigma's name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field { $($(#[$doc])* $name,)* }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Field] = &[$(Field::$name,)*];

            /// The name that rules use.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Field::$name => stringify!($name),)* }
            }
        }
    };
}

fields! {
    /// The executable's path.
    Image,
    /// Arguments joined by single spaces.
    CommandLine,
    /// The working directory.
    CurrentDirectory,
    /// The user's name, or the number where it has none.
    User,
    /// The login session's user id (the audit login uid).
    LogonId,
    /// The process's id.
    ProcessId,
    /// The parent's executable.
    ParentImage,
    /// The parent's arguments.
    ParentCommandLine,
    /// The parent's process id.
    ParentProcessId,
    /// The parent's user.
    ParentUser,
    /// The file of a file event.
    TargetFilename,
    /// The peer's address.
    DestinationIp,
    /// The peer's port.
    DestinationPort,
    /// Whether the peer's address is IPv6.
    DestinationIsIpv6,
    /// Our address.
    SourceIp,
    /// Our port.
    SourcePort,
    /// tcp or udp.
    Protocol,
    /// Whether this host opened the connection.
    Initiated,
    /// Ours: the kernel's name of the task (at most 15 bytes).
    Comm,
    /// Ours: the effective user id.
    EffectiveUid,
    /// Ours: the real user id.
    Uid,
    /// Ours: the systemd unit.
    Unit,
    /// Ours: the controlling terminal, absent where there is none.
    Terminal,
    /// Ours: how the program was executed: `file`, `memfd`, `deleted`.
    ImageKind,
    /// Ours: the executables of all ancestors, the parent first. A list: any element may match.
    AncestorImages,
    /// Ours: the login shell of the user's passwd entry.
    UserShell,
    /// Ours: the exit code of an ended process.
    ExitCode,
    /// Ours: the signal that ended a process.
    ExitSignal,
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
}

/// One value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Text as the kernel has it: any bytes.
    Bytes(&'a [u8]),
    /// A number.
    Number(i64),
    /// A flag: `true` or `false` to a rule.
    Flag(bool),
    /// An address.
    Address(IpAddr),
}

/// Something that rules can be matched against.
pub trait Event {
    /// What kind of event it is.
    fn class(&self) -> Class;
    /// Calls `visit` with each value of a field: not at all where the event has none, more than once for lists.
    fn each(&self, field: Field, visit: &mut dyn FnMut(Value<'_>));
}

/// The bytes that a rule sees of a value, written into `room` where it isn't text already.
pub(crate) fn bytes_of<'a>(value: Value<'a>, room: &'a mut Room) -> &'a [u8] {
    match value {
        Value::Bytes(bytes) => bytes,
        Value::Flag(true) => b"true",
        Value::Flag(false) => b"false",
        Value::Number(number) => room.write(format_args!("{number}")),
        Value::Address(address) => room.write(format_args!("{address}")),
    }
}

/// Room for a number or an address as text: the longest IPv6 address takes 45 bytes.
pub(crate) struct Room {
    bytes: [u8; 64],
    used: usize,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; 64],
            used: 0,
        }
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) -> &[u8] {
        self.used = 0;
        // Both writers stay far below the room's size.
        let _ = std::fmt::Write::write_fmt(self, arguments);
        &self.bytes[..self.used]
    }
}

impl std::fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self
            .bytes
            .get_mut(self.used..self.used + text.len())
            .ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used += text.len();
        Ok(())
    }
}

/// An event that owns its values: for tests, captures and rule cases.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    class: Class,
    values: Vec<(Field, Owned)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Owned {
    Bytes(Vec<u8>),
    Number(i64),
    Flag(bool),
    Address(IpAddr),
}

impl Record {
    /// An event without fields.
    #[must_use]
    pub fn new(class: Class) -> Self {
        Self {
            class,
            values: Vec::new(),
        }
    }

    /// Adds a text value. Adding a field twice makes a list of it.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<Vec<u8>>) -> Self {
        self.values.push((field, Owned::Bytes(value.into())));
        self
    }

    /// Adds a value of any kind.
    #[must_use]
    pub fn with_value(mut self, field: Field, value: Value<'_>) -> Self {
        let owned = match value {
            Value::Bytes(bytes) => Owned::Bytes(bytes.to_vec()),
            Value::Number(number) => Owned::Number(number),
            Value::Flag(flag) => Owned::Flag(flag),
            Value::Address(address) => Owned::Address(address),
        };
        self.values.push((field, owned));
        self
    }
}

impl Event for Record {
    fn class(&self) -> Class {
        self.class
    }

    fn each(&self, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
        for (_, value) in self.values.iter().filter(|(f, _)| *f == field) {
            visit(match value {
                Owned::Bytes(bytes) => Value::Bytes(bytes),
                Owned::Number(number) => Value::Number(*number),
                Owned::Flag(flag) => Value::Flag(*flag),
                Owned::Address(address) => Value::Address(*address),
            });
        }
    }
}
