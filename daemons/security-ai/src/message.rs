//! A message of the journal as rules see it, read from one line of `journalctl --output=json`.
//!
//! Pure: bytes in, a message or none out. Fields that begin with an underscore were written by journald and can be
//! trusted; the others are what the program says of itself. Values are cut, so a message can't cost much.

use quantumos_detect::{Class, Event, Field, Record, Value};
use serde_json::{Map, Value as Json};

/// The longest value that is kept, in bytes.
const LONGEST: usize = 16 * 1024;

/// The fields that are asked for, besides the cursor and the time, which always come.
pub const FIELDS: &str = "MESSAGE,MESSAGE_ID,SYSLOG_IDENTIFIER,SYSLOG_FACILITY,PRIORITY,UNIT,_TRANSPORT,\
_SYSTEMD_UNIT,_COMM,_EXE,_CMDLINE,_PID,_UID,_HOSTNAME,_AUDIT_TYPE_NAME,_AUDIT_LOGINUID,_AUDIT_FIELD_UNIT,\
_AUDIT_FIELD_ACCT,_AUDIT_FIELD_OP,_AUDIT_FIELD_RES,_AUDIT_FIELD_HOSTNAME,_AUDIT_FIELD_ADDR,_AUDIT_FIELD_TERMINAL,\
_AUDIT_FIELD_KEY";

/// Audit records that our own probes make better ones of.
const OWN_RECORDS: [&str; 6] = ["SYSCALL", "EXECVE", "PATH", "CWD", "SOCKADDR", "PROCTITLE"];

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Where the journal goes on after it.
    pub cursor: String,
    /// When it was received, microseconds of the real-time clock.
    pub time: u64,
    values: Vec<(Field, Vec<u8>)>,
    /// The audit record that it is, where the audit system wrote it.
    pub record: Option<Record>,
}

impl Message {
    /// Reads one line. None where it is no message: not JSON, or without a cursor.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Message> {
        let entry: Map<String, Json> = serde_json::from_slice(line).ok()?;
        let cursor = entry.get("__CURSOR")?.as_str()?.to_string();
        let time = entry.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?;
        let mut values = Vec::new();
        for (name, value) in &entry {
            if let Some(field) = Field::from_name(name).filter(|field| Class::Log.carries(*field)) {
                for bytes in texts(value) {
                    values.push((field, bytes));
                }
            }
        }
        let mut message = Message {
            cursor,
            time,
            values,
            record: None,
        };
        if message.first(Field::Transport) == b"audit" {
            message.record = record(&entry, message.first(Field::Message));
        }
        Some(message)
    }

    /// The first value of a field; empty where there is none.
    #[must_use]
    pub fn first(&self, field: Field) -> &[u8] {
        let found = self.values.iter().find(|(name, _)| *name == field);
        found.map_or(b"", |(_, value)| value)
    }

    /// A number that journald wrote; 0 where there is none.
    #[must_use]
    pub fn number(&self, field: Field) -> u32 {
        let text = std::str::from_utf8(self.first(field)).unwrap_or_default();
        text.parse().unwrap_or(0)
    }
}

impl Event for Message {
    fn class(&self) -> Class {
        Class::Log
    }

    fn each(&self, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
        for (_, value) in self.values.iter().filter(|(name, _)| *name == field) {
            visit(Value::Bytes(value));
        }
    }
}

/// A field's values: text, bytes as a list of numbers, or a list of either where it was given more than once.
fn texts(value: &Json) -> Vec<Vec<u8>> {
    match value {
        Json::String(text) => vec![cut(text.as_bytes())],
        Json::Array(items) if items.first().is_some_and(Json::is_number) => {
            let bytes = items.iter().take(LONGEST);
            let bytes: Option<Vec<u8>> = bytes
                .map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()))
                .collect();
            bytes.into_iter().collect()
        }
        Json::Array(items) => items
            .iter()
            .take(16)
            .filter(|item| !matches!(item, Json::Array(inner) if inner.iter().any(Json::is_array)))
            .flat_map(|item| match item {
                // One level only: what is inside is a value.
                Json::Array(inner) if !inner.first().is_some_and(Json::is_number) => Vec::new(),
                other => texts(other),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn cut(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(LONGEST)].to_vec()
}

/// The audit record that a message of the audit system is.
fn record(entry: &Map<String, Json>, message: &[u8]) -> Option<Record> {
    let written = entry.get("_AUDIT_TYPE_NAME").and_then(Json::as_str);
    // Older journals name the type only in the text.
    let first = message.split(|byte| *byte == b' ').next();
    let kind = match written {
        Some(kind) => kind,
        None => std::str::from_utf8(first?).ok()?,
    };
    if OWN_RECORDS.contains(&kind) {
        return None;
    }
    let mut record = Record::new(Class::Audit)
        .with(Field::RecordType, kind)
        .with(Field::Message, message);
    for (name, value) in entry {
        let field = match name.as_str() {
            "_PID" => Some(Field::AuditPid),
            "_UID" => Some(Field::AuditUid),
            "_COMM" => Some(Field::AuditComm),
            "_EXE" => Some(Field::AuditExecutable),
            "_AUDIT_LOGINUID" => Some(Field::AuditLoginUid),
            other => other
                .strip_prefix("_AUDIT_FIELD_")
                .and_then(|name| Field::from_name(&name.to_ascii_lowercase()))
                .filter(|field| Class::Audit.carries(*field)),
        };
        if let Some(field) = field {
            record = texts(value)
                .into_iter()
                .fold(record, |record, text| record.with(field, text));
        }
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(event: &impl Event, field: Field) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        event.each(field, &mut |value| {
            if let Value::Bytes(bytes) = value {
                out.push(bytes.to_vec());
            }
        });
        out
    }

    #[test]
    fn reads_text_bytes_and_lists() {
        let line = br#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1700000000000000","__MONOTONIC_TIMESTAMP":"5",
            "MESSAGE":[104,105,255],"SYSLOG_IDENTIFIER":"sshd","_PID":"12","UNIT":["a.service","b.service"],
            "PRIORITY":"6","_TRANSPORT":"syslog","CODE_LINE":"1","_UID":null}"#;
        let message = Message::read(line).unwrap();
        assert_eq!(
            (message.cursor.as_str(), message.time),
            ("s=1;i=2", 1_700_000_000_000_000)
        );
        assert_eq!(message.first(Field::Message), b"hi\xff");
        assert_eq!(message.number(Field::JournalPid), 12);
        assert_eq!(message.number(Field::JournalUid), 0);
        assert_eq!(
            values(&message, Field::AboutUnit),
            [b"a.service".to_vec(), b"b.service".to_vec()]
        );
        assert_eq!(message.record, None);
    }

    #[test]
    fn audit_messages_are_records_but_not_those_we_make_ourselves() {
        let line = |kind: &str| {
            format!(
                r#"{{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","_TRANSPORT":"audit","MESSAGE":"{kind} pid=1 uid=0",
                "_PID":"1","_UID":"0","_AUDIT_TYPE_NAME":"{kind}","_AUDIT_FIELD_UNIT":"firewalld"}}"#
            )
        };
        let message = Message::read(line("SERVICE_STOP").as_bytes()).unwrap();
        let record = message.record.unwrap();
        assert_eq!(values(&record, Field::RecordType), [b"SERVICE_STOP"]);
        assert_eq!(values(&record, Field::AuditUnit), [b"firewalld"]);
        assert_eq!(values(&record, Field::AuditPid), [b"1"]);
        assert_eq!(
            Message::read(line("EXECVE").as_bytes()).unwrap().record,
            None
        );
        let unnamed = line("USER_TTY").replace("_AUDIT_TYPE_NAME", "OTHER");
        let record = Message::read(unnamed.as_bytes()).unwrap().record.unwrap();
        assert_eq!(values(&record, Field::RecordType), [b"USER_TTY"]);
    }

    #[test]
    fn long_values_are_cut_and_what_is_no_message_is_none() {
        let line = format!(
            r#"{{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":"{}"}}"#,
            "a".repeat(100_000)
        );
        let message = Message::read(line.as_bytes()).unwrap();
        assert_eq!(message.first(Field::Message).len(), LONGEST);
        for line in [
            &b""[..],
            b"[]",
            b"{}",
            b"{\"__CURSOR\":1}",
            b"{\"__CURSOR\":\"c\",\"__REALTIME_TIMESTAMP\":\"x\"}",
            b"\xff",
        ] {
            assert_eq!(Message::read(line), None, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) { let _ = Message::read(&line); }

        #[test]
        fn never_panics_on_json(value in "[\\[\\]0-9,\"a]{0,40}") {
            let line = format!(r#"{{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":{value}}}"#);
            let _ = Message::read(line.as_bytes());
        }
    }
}
