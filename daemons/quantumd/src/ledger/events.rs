//! What the key ledger says of what happens: events of the trail, and what the key store has that the ledger
//! doesn't. Values in, values out.

use crate::audit::{self, Action};
use crate::grant::Grant;
use crate::keyring::AtRest;
use crate::record::{KeyId, Record, now};
use quantumos_ledger::entry::{EntryType, Event};
use quantumos_ledger::hex;
use quantumos_ledger::history::{KeyLedger, KeyState};
use quantumos_ledger::json::Object;
use std::collections::BTreeMap;

/// What every entry of this daemon says of itself.
pub(super) fn metadata() -> Object {
    Object::default()
        .with("component", "KeyLedger")
        .with("version", "1")
        .with("pqc_scheme", "ML-DSA-87")
}

/// The SHA-256 of a public key in hexadecimal digits; empty for keys that have none.
pub(crate) fn public_hash(public: &[u8]) -> String {
    match public {
        [] => String::new(),
        public => hex(&quantumos_ledger::sha256(&[public])),
    }
}

/// The ledger's event for a line of the trail, if it is one that the ledger keeps.
pub(super) fn event(line: &audit::Event) -> Option<Event> {
    let (entry_type, data) = match line.action {
        Action::CredentialRead | Action::CredentialSet | Action::CredentialChange => {
            of_credential(line)
        }
        _ if line.refusal.is_some() => return None,
        _ => of_key(line)?,
    };
    Some(Event {
        timestamp: line.time,
        entry_type,
        data: data.with("by", line.who.to_string()),
        quantum_metadata: metadata(),
    })
}

fn of_key(line: &audit::Event) -> Option<(EntryType, Object)> {
    let mut data = Object::default().with("key_id", line.object.as_str());
    for (name, value) in &line.facts {
        data.set(name, value.as_str());
    }
    let with_version = |data: Object| data.with("version", line.version);
    Some(match line.action {
        Action::Create | Action::Restore => (EntryType::Registration, with_version(data)),
        Action::Rotate => (EntryType::Rotation, with_version(data)),
        Action::Grant => (EntryType::Capability, data.with("granted", true)),
        Action::Ungrant => (EntryType::Capability, data.with("granted", false)),
        Action::Backup => (
            EntryType::Export,
            with_version(data).with("detail", line.detail.as_str()),
        ),
        Action::Revoke => (
            EntryType::Revocation,
            data.with("reason", line.detail.as_str()),
        ),
        _ => return None,
    })
}

fn of_credential(line: &audit::Event) -> (EntryType, Object) {
    let mut data = Object::default().with("credential", line.object.as_str());
    let (entry_type, event) = match (line.action, &line.refusal) {
        (Action::CredentialRead, None) => (EntryType::CredentialAccess, "issued"),
        (Action::CredentialRead, Some(_)) => (EntryType::CredentialAccess, "denied"),
        (Action::CredentialSet, _) => (EntryType::CredentialChange, "set"),
        _ => (EntryType::CredentialChange, "changed"),
    };
    data.set("event", event);
    if line.version > 0 {
        data.set("version", line.version);
    }
    if !line.detail.is_empty() {
        data.set("detail", line.detail.as_str());
    }
    if let Some(why) = &line.refusal {
        data.set("reason", why.as_str());
    }
    (entry_type, data)
}

/// What the key store knows of a key and the ledger doesn't. Of a key with events that wait nothing is said:
/// those say it.
pub(super) fn missing(
    record: &Record,
    grants: Option<&[Grant]>,
    ledger: &KeyLedger,
    pending: &[Event],
) -> Vec<Event> {
    let id = record.id.to_string();
    let waits = |event: &Event| event.data.text("key_id") == Some(&id);
    if pending.iter().any(waits) {
        return Vec::new();
    }
    let known = ledger.key(&id);
    if known.is_some_and(|known| known.revoked.is_some()) {
        return Vec::new();
    }
    let event = |entry_type, data: Object| Event {
        timestamp: now(),
        entry_type,
        data: data.with("key_id", id.as_str()).with("recovered", true),
        quantum_metadata: metadata(),
    };
    let mut due = Vec::new();
    for version in &record.versions {
        let number = i64::from(version.number);
        if known.is_some_and(|known| known.version >= number) {
            continue;
        }
        let first = known.is_none() && due.is_empty();
        let data = Object::default()
            .with("version", number)
            .with("algorithm", record.algorithm.name())
            .with("public_key_sha256", public_hash(version.public.as_bytes()));
        due.push(match first {
            true => event(
                EntryType::Registration,
                data.with("owner", record.owner.to_string()),
            ),
            false => event(EntryType::Rotation, data),
        });
    }
    let granted = grants.map(|grants| changes(grants, known));
    for data in granted.into_iter().flatten() {
        due.push(event(EntryType::Capability, data));
    }
    if let Some(revoked) = &record.revoked {
        let data = Object::default().with("reason", revoked.reason.as_str());
        due.push(event(EntryType::Revocation, data));
    }
    due
}

/// What the ledger has of keys and the key store has not: the store was put back to an earlier state, since every
/// change is in the store before it is in the ledger.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ahead {
    /// Keys that were revoked, and are active in the store.
    pub(super) revoked: Vec<KeyId>,
    /// Keys and versions that are not in the store.
    pub(super) lost: Vec<String>,
}

impl Ahead {
    /// What is lost, in words. Keys may be used then and not changed: a second version 2 of a key could not be
    /// recorded.
    pub(super) fn words(&self) -> Option<String> {
        /// As many as are named.
        const NAMED: usize = 3;
        let named = self.lost.get(..NAMED).unwrap_or(&self.lost).join(", ");
        let more = match self.lost.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!self.lost.is_empty()).then(|| {
            format!(
                "the key store is older than the ledger and has no {named}{more}; put back the newer \
                 keys.sqlite, or begin a new ledger by moving this one away"
            )
        })
    }
}

/// Grants are left out: which of two lists is the later one can't be told.
pub(super) fn ahead(records: &[AtRest], ledger: &KeyLedger) -> Ahead {
    let there: BTreeMap<String, &Record> = records
        .iter()
        .map(|(record, _)| (record.id.to_string(), &**record))
        .collect();
    let mut ahead = Ahead::default();
    for (id, known) in ledger.keys() {
        let Some(record) = there.get(id) else {
            ahead.lost.push(format!("key {id}"));
            continue;
        };
        if known.version > i64::from(record.version()) {
            let version = known.version;
            ahead.lost.push(format!("version {version} of key {id}"));
        }
        if known.revoked.is_some() && record.revoked.is_none() {
            ahead.revoked.push(record.id);
        }
    }
    ahead
}

/// What has to be granted and taken so that the ledger has the grants of the store.
fn changes(grants: &[Grant], known: Option<&KeyState>) -> Vec<Object> {
    let words = |grant: &Grant| (grant.subject.shown(), grant.operations.names().join(","));
    let wanted: Vec<(String, String)> = grants.iter().map(words).collect();
    let there = |subject: &str| known.and_then(|known| known.capabilities.get(subject));
    let given = wanted
        .iter()
        .filter(|(subject, words)| there(subject) != Some(words))
        .map(|(subject, words)| {
            Object::default()
                .with("subject", subject.as_str())
                .with("operations", words.as_str())
                .with("granted", true)
        });
    let kept = |subject: &String| wanted.iter().any(|(wanted, _)| wanted == subject);
    let subjects = known
        .into_iter()
        .flat_map(|known| known.capabilities.keys());
    let taken = subjects.filter(|subject| !kept(subject)).map(|subject| {
        Object::default()
            .with("subject", subject.as_str())
            .with("granted", false)
    });
    given.chain(taken).collect()
}
