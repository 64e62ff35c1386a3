//! Entries of the key ledger: what happened to a key, and when, each chained to the one before.
//! The bytes follow from the events alone: canonical JSON, time given by the caller, so that a
//! replay gives the same ones.

use crate::json::{INTEGER_MAX, Object, Value};
use crate::{Error, Hash, from_hex, hex, sha256};

/// What an entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryType {
    /// A key came to be.
    Registration,
    /// A key got new material.
    Rotation,
    /// Somebody may, or no longer may, do something with a key.
    Capability,
    /// A key signs no more.
    Revocation,
    /// A key left the store, wrapped for somebody else.
    Export,
    /// A secret for units was set, replaced, granted, taken back or removed.
    CredentialChange,
    /// A secret was given to a unit, or denied it.
    CredentialAccess,
    /// Something that another daemon did and has on record here, such as a response to an alert.
    AgentEvent,
    /// The ledger was sealed at this point.
    Commit,
}

impl EntryType {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Registration,
        Self::Rotation,
        Self::Capability,
        Self::Revocation,
        Self::Export,
        Self::CredentialChange,
        Self::CredentialAccess,
        Self::AgentEvent,
        Self::Commit,
    ];

    /// The name in an entry.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Registration => "key_registration",
            Self::Rotation => "key_rotation",
            Self::Capability => "capability_assignment",
            Self::Revocation => "revocation",
            Self::Export => "key_export",
            Self::CredentialChange => "credential_change",
            Self::CredentialAccess => "credential_access",
            Self::AgentEvent => "agent_event",
            Self::Commit => "atomic_commit",
        }
    }

    /// The type of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Microseconds since 1970, by the caller's clock, at most 2^53 - 1.
    pub timestamp: u64,
    /// What happened.
    pub entry_type: EntryType,
    /// The facts. A commit has `entries` and `root`, what is of credentials has a `credential` and an
    /// `event`, what an agent did has its `agent`, an `event` and an `event_id`, all others a `key_id`.
    pub data: Object,
    /// Further facts about how keys are made, per event.
    pub quantum_metadata: Object,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the log, in decimal digits.
    pub entry_id: String,
    /// What it records.
    pub event: Event,
    /// The entry before; zeros for the first one.
    pub previous_hash: Hash,
    /// SHA-256 of the canonical JSON of all other fields.
    pub entry_hash: Hash,
    /// Content identifier (CIDv1, JSON, SHA-256) of `data`.
    pub pqc_cid: String,
}

/// CIDv1 of bytes, in lower-case base 32: version, content type as a varint, SHA-256.
fn cid(codec: &[u8], bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let binary = [&[1], codec, &[0x12, 32], &sha256(&[bytes])].concat();
    let mut out = String::from("b");
    let (mut bits, mut left) = (0u32, 0);
    for byte in binary {
        bits = bits << 8 | u32::from(byte);
        left += 8;
        while left >= 5 {
            left -= 5;
            out.push(char::from(DIGITS[(bits >> left) as usize & 31]));
        }
    }
    if left > 0 {
        out.push(char::from(DIGITS[(bits << (5 - left)) as usize & 31]));
    }
    out
}

/// The multicodec number of JSON, 0x0200.
const JSON: [u8; 2] = [0x80, 0x04];

impl Entry {
    /// The entry that records `event` as number `index`, after the entry with hash `previous`.
    ///
    /// # Errors
    /// [`Error::Limit`] for numbers and depth.
    pub fn new(index: u64, previous: &Hash, event: Event) -> Result<Self, Error> {
        let pqc_cid = cid(&JSON, event.data.canonical()?.as_bytes());
        let mut entry = Self {
            entry_id: index.to_string(),
            event,
            previous_hash: *previous,
            entry_hash: [0; 32],
            pqc_cid,
        };
        entry.entry_hash = sha256(&[entry.object(false)?.canonical()?.as_bytes()]);
        Ok(entry)
    }

    fn object(&self, with_hash: bool) -> Result<Object, Error> {
        let Event {
            timestamp,
            entry_type,
            data,
            quantum_metadata,
        } = &self.event;
        let timestamp = i64::try_from(*timestamp).unwrap_or(i64::MAX);
        if timestamp > INTEGER_MAX {
            return Err(Error::Limit {
                what: "timestamp in microseconds",
                limit: INTEGER_MAX.unsigned_abs(),
                got: self.event.timestamp,
            });
        }
        let mut object = Object::default()
            .with("entry_id", self.entry_id.as_str())
            .with("timestamp", timestamp)
            .with("entry_type", entry_type.name())
            .with("data", data.clone())
            .with("previous_hash", hex(&self.previous_hash))
            .with("pqc_cid", self.pqc_cid.as_str())
            .with("quantum_metadata", quantum_metadata.clone());
        if with_hash {
            object.set("entry_hash", hex(&self.entry_hash));
        }
        Ok(object)
    }

    /// The bytes in the log: canonical JSON.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(self.object(true)?.canonical()?.into_bytes())
    }

    /// Parses an entry and checks what it says of itself; whether it follows the one before is
    /// [`KeyLedger`](crate::history::KeyLedger)'s affair.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bad = |why: String| Error::malformed("key ledger entry", why);
        let mut object = Object::parse_canonical(bytes)?;
        let mut text = |name: &str| match object.remove(name) {
            Some(Value::Text(text)) => Ok(text),
            Some(_) => Err(bad(format!("{name} is no string"))),
            None => Err(bad(format!("{name} is not there"))),
        };
        let entry_id = text("entry_id")?;
        let entry_type = text("entry_type")?;
        let entry_type = EntryType::from_name(&entry_type)
            .ok_or_else(|| bad(format!("entry_type {entry_type:?} is not known")))?;
        let mut hash = |name: &str| {
            let wrong = || bad(format!("{name} is not 64 hexadecimal digits"));
            from_hex(&text(name)?).ok_or_else(wrong)
        };
        let previous_hash = hash("previous_hash")?;
        let entry_hash = hash("entry_hash")?;
        let pqc_cid = text("pqc_cid")?;
        let timestamp = match object.remove("timestamp") {
            Some(Value::Integer(number)) => u64::try_from(number).ok(),
            _ => None,
        };
        let timestamp = timestamp.ok_or_else(|| bad("timestamp is no time".into()))?;
        let mut part = |name: &str| match object.remove(name) {
            Some(Value::Object(part)) => Ok(part),
            _ => Err(bad(format!("{name} is no object"))),
        };
        let (data, quantum_metadata) = (part("data")?, part("quantum_metadata")?);
        if let Some((name, _)) = object.iter().next() {
            return Err(bad(format!("{name:?} has no place here")));
        }
        let index = crate::checkpoint::decimal(&entry_id)
            .ok_or_else(|| bad("entry_id is no number".into()))?;
        let event = Event {
            timestamp,
            entry_type,
            data,
            quantum_metadata,
        };
        let entry = Self::new(index, &previous_hash, event)?;
        if entry.pqc_cid != pqc_cid {
            return Err(bad("pqc_cid is not that of data".into()));
        }
        if entry.entry_hash != entry_hash {
            return Err(bad("entry_hash is not that of the entry".into()));
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            timestamp: 1_763_726_400_000_000,
            entry_type: EntryType::Registration,
            data: Object::default()
                .with("key_id", "00ff")
                .with("version", 1i64),
            quantum_metadata: Object::default().with("pqc_scheme", "ML-DSA-87"),
        }
    }

    /// The identifier of nothing as raw bytes is published with the CID specification's tools.
    #[test]
    fn content_identifiers() {
        assert_eq!(
            cid(&[0x55], b""),
            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
        );
        assert!(cid(&JSON, b"{}").starts_with("bagaaiera"));
    }

    #[test]
    fn bytes_are_fixed_for_good() {
        let entry = Entry::new(0, &[0; 32], event()).unwrap();
        let bytes = entry.to_bytes().unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            concat!(
                r#"{"data":{"key_id":"00ff","version":1},"#,
                r#""entry_hash":"HASH","#,
                r#""entry_id":"0","entry_type":"key_registration","#,
                r#""pqc_cid":"CID","#,
                r#""previous_hash":"0000000000000000000000000000000000000000000000000000000000000000","#,
                r#""quantum_metadata":{"pqc_scheme":"ML-DSA-87"},"timestamp":1763726400000000}"#
            )
            .replace("HASH", &hex(&entry.entry_hash))
            .replace("CID", &entry.pqc_cid)
        );
        // As Python's json, hashlib and base64 have it.
        assert_eq!(
            hex(&entry.entry_hash),
            "4f4e1784c20c854b1877aef8de1a3238ac4181eabb873184161c345a250fed71"
        );
        assert_eq!(
            entry.pqc_cid,
            "bagaaierar4psptjt56gyuvv2xjf5omkcaggcwxhsmp4wwajfnj52zkcr5xpq"
        );
        assert_eq!(Entry::parse(&bytes).unwrap(), entry);
    }

    #[test]
    fn the_hash_covers_every_field() {
        let entry = Entry::new(0, &[0; 32], event()).unwrap();
        let text = String::from_utf8(entry.to_bytes().unwrap()).unwrap();
        for (from, to, words) in [
            ("00ff", "00fe", "pqc_cid"),
            ("\"version\":1", "\"version\":2", "pqc_cid"),
            ("\"0\"", "\"1\"", "entry_hash"),
            ("\"0\"", "\"01\"", "entry_id"),
            ("key_registration", "key_rotation", "entry_hash"),
            ("key_registration", "key_theft", "entry_type"),
            ("bagaa", "bagab", "pqc_cid"),
            (":\"0000", ":\"1000", "entry_hash"),
            (":\"0000", ":\"g000", "previous_hash"),
            ("ML-DSA-87", "ML-DSA-65", "entry_hash"),
            ("1763726400000000", "1763726400000001", "entry_hash"),
            ("1763726400000000", "-1", "timestamp"),
            (
                "\"timestamp\":1763726400000000",
                "\"timestamp\":\"1\"",
                "timestamp",
            ),
            ("{\"data\"", "{\"a\":1,\"data\"", "\"a\" has no place"),
            ("{\"data\":", "{\"date\":", "data"),
            ("{\"data\"", "{ \"data\"", "byte 1"),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, text);
            let error = Entry::parse(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{bad}: {error}");
        }
        let late = Event {
            timestamp: 1 << 53,
            ..event()
        };
        assert!(Entry::new(0, &[0; 32], late).is_err());
    }
}
