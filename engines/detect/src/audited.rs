//! Any event as the audit system would have recorded it, so that rules written for auditd see ours.
//!
//! The records of one event (`SYSCALL`, `EXECVE`, `PATH`, …) are one event here, with all their types and fields;
//! only where an event is about two paths there are two, since what a rule says of a path is about that path.

use crate::class::Class;
use crate::event::{Event, Value};
use crate::field::Field;
use crate::shape::Shape;

/// What the audit system writes of a process without a login.
const UNSET: i64 = 4_294_967_295;

/// The record types that messages stand for.
pub(crate) const RECORDS: [&[u8]; 7] = [
    b"SERVICE_STOP",
    b"SERVICE_START",
    b"ADD_USER",
    b"DEL_USER",
    b"ADD_GROUP",
    b"DEL_GROUP",
    b"USER_CHAUTHTOK",
];

/// Messages by which the service manager says what it did, and their places in [`RECORDS`].
const MANAGER: [(&[u8], u8); 2] = [
    (b"9d1aaa27d60140bd96365438aad20286", 0),
    (b"39f53479d3a045ac8e11786248231fbf", 1),
];

/// Messages of the programs that manage accounts: who writes them, how they start, their places in [`RECORDS`].
const ACCOUNTS: [(&[u8], &[u8], u8); 5] = [
    (b"useradd", b"new user:", 2),
    (b"userdel", b"delete user", 3),
    (b"groupadd", b"new group:", 4),
    (b"groupdel", b"group ", 5),
    (b"passwd", b"password changed for", 6),
];

/// An event as audit records.
#[derive(Debug)]
pub struct Audited<'e, E> {
    pub(crate) event: &'e E,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// With the path of this field, where the event has one.
    Call(Field),
    /// A message that stands for a record, by its place in [`RECORDS`].
    Message(u8),
}

impl<'e, E: Event> Audited<'e, E> {
    /// The audit events of an event: none, one, or one for each of its two paths.
    pub fn of(event: &'e E) -> impl Iterator<Item = Audited<'e, E>> {
        let kinds = match event.class() {
            Class::ProcessTermination | Class::Audit => [None, None],
            Class::Log => [message(event).map(Kind::Message), None],
            Class::FileRename => {
                [Field::TargetFilename, Field::SourceFilename].map(|field| Some(Kind::Call(field)))
            }
            _ => [Some(Kind::Call(Field::TargetFilename)), None],
        };
        kinds
            .into_iter()
            .flatten()
            .map(move |kind| Audited { event, kind })
    }

    fn call(&self, visit: &mut dyn FnMut(Value<'_>)) {
        let names: &[&[u8]] = match self.event.class() {
            Class::ProcessCreation => &[b"execve"],
            Class::FileEvent | Class::FileAccess => &[b"openat"],
            Class::FileDelete => &[b"unlinkat"],
            Class::FileRename => &[b"rename"],
            Class::FileLink => match self.is(Field::LinkKind, b"hard") {
                true => &[b"linkat"],
                false => &[b"symlinkat"],
            },
            Class::FileChange if self.is(Field::Change, b"owner") => &[b"fchownat"],
            Class::FileChange if self.is(Field::Change, b"length") => &[b"truncate"],
            Class::FileChange if self.is(Field::Change, b"times") => &[b"utimensat"],
            Class::FileChange if self.is(Field::Change, b"attribute") => &[b"setxattr"],
            Class::FileChange => &[b"fchmodat"],
            Class::NetworkConnection if self.is(Field::Initiated, b"false") => &[b"accept4"],
            Class::NetworkConnection => &[b"connect"],
            Class::NetworkListen => &[b"bind"],
            Class::SocketCreation => &[b"socket"],
            Class::SocketRedirection => &[b"dup2"],
            Class::ProcessAccess if self.is(Field::CallType, b"process_vm_writev") => {
                &[b"process_vm_writev"]
            }
            Class::ProcessAccess => &[b"ptrace"],
            Class::ProcessSignal => &[b"kill"],
            _ => return self.event.each(Field::SystemCall, visit),
        };
        names.iter().for_each(|name| visit(Value::Bytes(name)));
    }

    fn is(&self, field: Field, text: &[u8]) -> bool {
        let mut is = false;
        self.event.each(field, &mut |value| {
            is |= match value {
                Value::Bytes(bytes) => bytes == text,
                Value::Flag(flag) => text == if flag { &b"true"[..] } else { b"false" },
                _ => false,
            }
        });
        is
    }

    fn types(&self, visit: &mut dyn FnMut(Value<'_>)) {
        let types: &[&[u8]] = match (self.kind, self.event.class()) {
            (Kind::Message(place), _) => &RECORDS[usize::from(place)..][..1],
            (_, Class::ProcessCreation) => &[b"SYSCALL", b"EXECVE", b"PATH", b"CWD", b"PROCTITLE"],
            (_, Class::NetworkConnection | Class::NetworkListen) => {
                &[b"SYSCALL", b"SOCKADDR", b"PROCTITLE"]
            }
            (_, Class::DriverLoad) => &[b"SYSCALL", b"KERN_MODULE", b"PROCTITLE"],
            (_, Class::ProcessAccess | Class::ProcessSignal) => {
                &[b"SYSCALL", b"OBJ_PID", b"PROCTITLE"]
            }
            _ if self.has_path() => &[b"SYSCALL", b"PATH", b"CWD", b"PROCTITLE"],
            _ => &[b"SYSCALL", b"PROCTITLE"],
        };
        types.iter().for_each(|name| visit(Value::Bytes(name)));
    }

    fn has_path(&self) -> bool {
        self.event.class().carries(Field::TargetFilename)
    }

    fn path(&self, visit: &mut dyn FnMut(Value<'_>)) {
        match self.kind {
            Kind::Call(_) if self.event.class() == Class::ProcessCreation => {
                self.event.each(Field::Image, visit);
            }
            Kind::Call(field) => self.event.each(field, visit),
            Kind::Message(_) => {}
        }
    }

    fn name_type(&self) -> &'static [u8] {
        match (self.event.class(), self.kind) {
            (Class::FileDelete, _) | (_, Kind::Call(Field::SourceFilename)) => b"DELETE",
            (Class::FileRename | Class::FileLink, _) => b"CREATE",
            (Class::FileEvent, _) if self.is(Field::Created, b"true") => b"CREATE",
            _ => b"NORMAL",
        }
    }

    fn permission(&self) -> &'static [u8] {
        match self.event.class() {
            Class::ProcessCreation => b"x",
            Class::FileAccess => b"r",
            Class::FileChange => b"a",
            _ => b"w",
        }
    }

    /// The account that a message names: `name=alice,` or the last word.
    fn account(&self, visit: &mut dyn FnMut(Value<'_>)) {
        self.event.each(Field::Message, &mut |value| {
            if let Value::Bytes(text) = value {
                let mut words = text.split(|b| b" ,'\"".contains(b));
                let named = words.clone().find_map(|word| word.strip_prefix(b"name="));
                if let Some(name) = named.or_else(|| words.rfind(|word| !word.is_empty())) {
                    visit(Value::Bytes(name));
                }
            }
        });
    }
}

impl<E: Event> Event for Audited<'_, E> {
    fn class(&self) -> Class {
        Class::Audit
    }

    fn shape(&self) -> Option<Shape> {
        Some(Shape::of(self.event.class(), self.kind))
    }

    fn each(&self, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
        let event = self.event;
        if let Kind::Message(_) = self.kind {
            return match field {
                Field::RecordType => self.types(visit),
                Field::AuditUnit => event.each(Field::AboutUnit, &mut |value| {
                    if let Value::Bytes(unit) = value {
                        visit(Value::Bytes(unit.strip_suffix(b".service").unwrap_or(unit)));
                    }
                }),
                Field::AuditAccount => self.account(visit),
                Field::AuditPid => event.each(Field::JournalPid, visit),
                Field::AuditUid => event.each(Field::JournalUid, visit),
                Field::AuditComm => event.each(Field::JournalComm, visit),
                Field::AuditExecutable => event.each(Field::JournalExecutable, visit),
                Field::Message => event.each(Field::Message, visit),
                _ => {}
            };
        }
        match field {
            Field::RecordType => self.types(visit),
            Field::SystemCall => self.call(visit),
            Field::AuditExecutable => event.each(Field::Image, visit),
            Field::AuditComm => event.each(Field::Comm, visit),
            Field::AuditName => self.path(visit),
            Field::NameType => visit(Value::Bytes(self.name_type())),
            Field::Permission => visit(Value::Bytes(self.permission())),
            Field::AuditDirectory => event.each(Field::CurrentDirectory, visit),
            Field::AuditTerminal => event.each(Field::Terminal, visit),
            Field::AuditUid => event.each(Field::Uid, visit),
            Field::AuditEuid => event.each(Field::EffectiveUid, visit),
            Field::AuditLoginUid => event.each(Field::LogonId, &mut |value| match value {
                Value::Number(0) => visit(Value::Number(UNSET)),
                other => visit(other),
            }),
            Field::AuditPid => event.each(Field::ProcessId, visit),
            Field::AuditParentPid => event.each(Field::ParentProcessId, visit),
            Field::ProcessTitle => event.each(Field::CommandLine, visit),
            Field::AuditAddress => event.each(Field::DestinationIp, visit),
            Field::AuditGid
            | Field::AuditEgid
            | Field::AuditSession
            | Field::AuditKey
            | Field::AuditUnit
            | Field::AuditAccount
            | Field::AuditOperation
            | Field::AuditResult
            | Field::AuditHostname
            | Field::Message => {}
            other => event.each(other, visit),
        }
    }
}

/// The record that a message stands for, by its place in [`RECORDS`].
fn message(event: &impl Event) -> Option<u8> {
    let mut of = None;
    event.each(Field::MessageId, &mut |value| {
        of = of.or_else(|| named(&MANAGER, value));
    });
    if of.is_some() {
        // Anybody can log with any id; only the service manager is process 1.
        let mut manager = false;
        event.each(Field::JournalPid, &mut |value| {
            manager |= matches!(value, Value::Number(1) | Value::Bytes(b"1"));
        });
        return of.filter(|_| manager);
    }
    for (writer, start, record) in ACCOUNTS {
        let (mut writes, mut starts) = (false, false);
        event.each(Field::Identifier, &mut |value| {
            writes |= value == Value::Bytes(writer);
        });
        if writes {
            event.each(Field::Message, &mut |value| {
                starts |= matches!(value, Value::Bytes(text) if text.starts_with(start));
            });
            return starts.then_some(record);
        }
    }
    None
}

fn named(table: &[(&[u8], u8)], value: Value<'_>) -> Option<u8> {
    let Value::Bytes(id) = value else { return None };
    let found = table.iter().find(|(known, _)| *known == id);
    found.map(|(_, record)| *record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Record;

    fn values(event: &impl Event, field: Field) -> Vec<String> {
        let mut out = Vec::new();
        event.each(field, &mut |value| {
            let mut room = crate::event::Room::new();
            let bytes = crate::event::bytes_of(value, &mut room);
            out.push(String::from_utf8_lossy(bytes).into_owned());
        });
        out
    }

    #[test]
    fn events_become_records() {
        let exec = Record::new(Class::ProcessCreation)
            .with(Field::Image, "/usr/bin/chmod")
            .with(Field::Argument0, "chmod")
            .with(Field::Argument1, "777")
            .with_value(Field::LogonId, Value::Number(0));
        let made: Vec<_> = Audited::of(&exec).collect();
        assert_eq!(made.len(), 1);
        assert!(values(&made[0], Field::RecordType).contains(&"EXECVE".to_string()));
        assert_eq!(values(&made[0], Field::SystemCall), ["execve"]);
        assert_eq!(values(&made[0], Field::AuditExecutable), ["/usr/bin/chmod"]);
        assert_eq!(values(&made[0], Field::Argument1), ["777"]);
        assert_eq!(values(&made[0], Field::AuditLoginUid), ["4294967295"]);

        let rename = Record::new(Class::FileRename)
            .with(Field::SourceFilename, "/tmp/a")
            .with(Field::TargetFilename, "/etc/b");
        let made: Vec<_> = Audited::of(&rename)
            .map(|record| {
                (
                    values(&record, Field::AuditName),
                    values(&record, Field::NameType),
                )
            })
            .collect();
        let both = |name: &str, kind: &str| (vec![name.to_string()], vec![kind.to_string()]);
        assert_eq!(made, [both("/etc/b", "CREATE"), both("/tmp/a", "DELETE")]);

        let call = Record::new(Class::SystemCall)
            .with(Field::SystemCall, "personality")
            .with_value(Field::Argument0, Value::Hexadecimal(0x40000));
        let made: Vec<_> = Audited::of(&call).collect();
        assert_eq!(values(&made[0], Field::SystemCall), ["personality"]);
        assert_eq!(values(&made[0], Field::Argument0), ["40000"]);
        assert_eq!(
            Audited::of(&Record::new(Class::ProcessTermination)).count(),
            0
        );
    }

    #[test]
    fn messages_become_records_of_whom_they_are() {
        let stopped = |pid: i64| {
            Record::new(Class::Log)
                .with(Field::MessageId, "9d1aaa27d60140bd96365438aad20286")
                .with(Field::AboutUnit, "firewalld.service")
                .with_value(Field::JournalPid, Value::Number(pid))
        };
        let event = stopped(1);
        let made: Vec<_> = Audited::of(&event).collect();
        assert_eq!(values(&made[0], Field::RecordType), ["SERVICE_STOP"]);
        assert_eq!(values(&made[0], Field::AuditUnit), ["firewalld"]);
        assert_eq!(Audited::of(&stopped(4711)).count(), 0);

        let added = Record::new(Class::Log)
            .with(Field::Identifier, "useradd")
            .with(Field::Message, "new user: name=mallory, UID=0, GID=0");
        let made: Vec<_> = Audited::of(&added).collect();
        assert_eq!(values(&made[0], Field::RecordType), ["ADD_USER"]);
        assert_eq!(values(&made[0], Field::AuditAccount), ["mallory"]);
        let other = Record::new(Class::Log).with(Field::Message, "new user: name=x");
        assert_eq!(Audited::of(&other).count(), 0);
    }
}
