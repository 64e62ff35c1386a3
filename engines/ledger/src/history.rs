//! The key ledger as a whole: which keys there are and what happened to them, after the entries so
//! far. The same rules hold for what is recorded and for what is replayed, so a history that contradicts itself
//! is neither written nor accepted.

use crate::entry::{Entry, EntryType, Event};
use crate::json::{Object, Value};
use crate::{Error, Hash, hex};
use std::collections::{BTreeMap, VecDeque};

/// Bytes of a key's identifier, at most.
const ID_MAX: usize = 128;
/// Bytes of a subject, a list of operations, a credential's name, at most.
const TEXT_MAX: usize = 512;
/// Events of each agent that are known by their identifier: one that is told again is told apart from a new one.
/// Who tells events one after another can't tell an earlier one again than the last that it had no answer for.
const RECENT: usize = 64;

/// What the ledger says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Number of the entry that registered it.
    pub registered: u64,
    /// The version of its material.
    pub version: i64,
    /// Number of its last entry.
    pub last: u64,
    /// Number of the entry that revoked it.
    pub revoked: Option<u64>,
    /// Who may do what with it, besides its owner: operations by subject.
    pub capabilities: BTreeMap<String, String>,
}

/// The state after some entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyLedger {
    next: u64,
    previous: Hash,
    keys: BTreeMap<String, KeyState>,
    /// Of each agent the identifiers of its last events, and the entries that have them.
    agents: BTreeMap<String, VecDeque<(String, u64)>>,
}

/// What an event changes.
enum Change {
    Nothing,
    Key(String, KeyState),
    Agent(String, String),
}

fn refused(why: impl Into<String>) -> Error {
    Error::malformed("key event", why)
}

impl KeyLedger {
    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.next
    }

    /// Hash of the last entry; zeros before the first one.
    #[must_use]
    pub fn last_hash(&self) -> &Hash {
        &self.previous
    }

    /// The keys by identifier.
    #[must_use]
    pub fn keys(&self) -> &BTreeMap<String, KeyState> {
        &self.keys
    }

    /// What the ledger says of a key.
    #[must_use]
    pub fn key(&self, id: &str) -> Option<&KeyState> {
        self.keys.get(id)
    }

    /// The entry with an agent's event, if it is one of its last.
    #[must_use]
    pub fn agent_event(&self, agent: &str, id: &str) -> Option<u64> {
        let recent = self.agents.get(agent)?;
        let found = recent.iter().rev().find(|(known, _)| known == id);
        found.map(|(_, index)| *index)
    }

    /// Makes the entry for an event and takes it in.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the event contradicts the history, [`Error::Limit`]; nothing is
    /// taken in then.
    pub fn record(&mut self, event: Event) -> Result<Entry, Error> {
        let change = self.change(&event)?;
        let entry = Entry::new(self.next, &self.previous, event)?;
        self.take(&entry, change);
        Ok(entry)
    }

    /// The entry that [`KeyLedger::record`] would make, with the same errors; nothing is taken in.
    ///
    /// # Errors
    /// As [`KeyLedger::record`].
    pub fn draft(&self, event: Event) -> Result<Entry, Error> {
        self.change(&event)?;
        Entry::new(self.next, &self.previous, event)
    }

    /// Takes in an entry from its bytes, which have to be those that [`KeyLedger::record`] makes.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming what is wrong; nothing is taken in then.
    pub fn replay(&mut self, bytes: &[u8]) -> Result<Entry, Error> {
        let bad = |why: String| Error::malformed("key ledger entry", why);
        let entry = Entry::parse(bytes)?;
        if entry.entry_id != self.next.to_string() {
            let (got, due) = (&entry.entry_id, self.next);
            return Err(bad(format!("entry_id is {got} where {due} is due")));
        }
        if entry.previous_hash != self.previous {
            let due = hex(&self.previous);
            let why = format!("previous_hash is not {due}, the hash of the entry before");
            return Err(bad(why));
        }
        // The bytes are canonical and every field was made again from the event: recording it would
        // give them too.
        let change = self.change(&entry.event)?;
        self.take(&entry, change);
        Ok(entry)
    }

    fn take(&mut self, entry: &Entry, change: Change) {
        match change {
            Change::Nothing => {}
            Change::Key(id, state) => {
                self.keys.insert(id, state);
            }
            Change::Agent(agent, id) => {
                let recent = self.agents.entry(agent).or_default();
                recent.push_back((id, self.next));
                if recent.len() > RECENT {
                    recent.pop_front();
                }
            }
        }
        self.next += 1;
        self.previous = entry.entry_hash;
    }

    /// What an event changes: the state of the key that it is about, or what is known of an agent.
    fn change(&self, event: &Event) -> Result<Change, Error> {
        let number = |name: &str| {
            event
                .data
                .integer(name)
                .filter(|number| *number >= 1)
                .ok_or_else(|| refused(format!("data.{name} is no number from 1 on")))
        };
        if event.entry_type == EntryType::Commit {
            return self.check_commit(&event.data).map(|()| Change::Nothing);
        }
        if matches!(
            event.entry_type,
            EntryType::CredentialChange | EntryType::CredentialAccess
        ) {
            required(&event.data, "credential")?;
            return required(&event.data, "event").map(|_| Change::Nothing);
        }
        if event.entry_type == EntryType::AgentEvent {
            return self.agent_change(&event.data);
        }
        let id = event.data.text("key_id").unwrap_or_default();
        if !(1..=ID_MAX).contains(&id.len()) {
            return Err(refused("data.key_id is not a text of 1 to 128 bytes"));
        }
        let known = self.keys.get(id);
        let active = || match known {
            None => Err(refused(format!("key {id} was never registered"))),
            Some(KeyState {
                revoked: Some(at), ..
            }) => Err(refused(format!("key {id} was revoked by entry {at}"))),
            Some(state) => Ok(KeyState {
                last: self.next,
                ..state.clone()
            }),
        };
        let state = match event.entry_type {
            EntryType::Registration => match known {
                Some(state) => {
                    let at = state.registered;
                    return Err(refused(format!("key {id} was registered by entry {at}")));
                }
                None => KeyState {
                    registered: self.next,
                    version: number("version")?,
                    last: self.next,
                    revoked: None,
                    capabilities: BTreeMap::new(),
                },
            },
            EntryType::Rotation => {
                let (state, version) = (active()?, number("version")?);
                if version <= state.version {
                    let have = state.version;
                    let why = format!("key {id} has version {have}, {version} is not later");
                    return Err(refused(why));
                }
                KeyState { version, ..state }
            }
            EntryType::Capability => {
                let mut state = active()?;
                assign(&mut state.capabilities, &event.data)?;
                state
            }
            EntryType::Export => active()?,
            EntryType::Revocation => KeyState {
                revoked: Some(self.next),
                ..active()?
            },
            EntryType::CredentialChange
            | EntryType::CredentialAccess
            | EntryType::AgentEvent
            | EntryType::Commit => {
                return Ok(Change::Nothing);
            }
        };
        Ok(Change::Key(id.into(), state))
    }

    /// An agent's event has a name, and an identifier that none of its last events had.
    fn agent_change(&self, data: &Object) -> Result<Change, Error> {
        let agent = required(data, "agent")?;
        required(data, "event")?;
        let id = required(data, "event_id")?;
        match self.agent_event(agent, id) {
            Some(at) => Err(refused(format!("event {id} of {agent} is entry {at}"))),
            None => Ok(Change::Agent(agent.into(), id.into())),
        }
    }

    /// A commit says how many entries are before it, and the root of their tree.
    fn check_commit(&self, data: &Object) -> Result<(), Error> {
        let entries = data.integer("entries").and_then(|n| u64::try_from(n).ok());
        if entries != Some(self.next) {
            let why = format!("data.entries of a commit is not {}", self.next);
            return Err(refused(why));
        }
        match data.text("root").and_then(crate::from_hex) {
            Some(_) => Ok(()),
            None => Err(refused("data.root of a commit is no hash")),
        }
    }
}

/// A text of the facts that has to be there.
fn required<'a>(data: &'a Object, name: &str) -> Result<&'a str, Error> {
    match data.text(name) {
        Some(text) if (1..=TEXT_MAX).contains(&text.len()) => Ok(text),
        _ => Err(refused(format!(
            "data.{name} is not a text of 1 to {TEXT_MAX} bytes"
        ))),
    }
}

/// Gives a subject operations, or takes them all.
fn assign(capabilities: &mut BTreeMap<String, String>, data: &Object) -> Result<(), Error> {
    let subject = required(data, "subject")?;
    match data.get("granted") {
        Some(Value::Bool(true)) => {
            let operations = required(data, "operations")?;
            capabilities.insert(subject.into(), operations.into());
        }
        Some(Value::Bool(false)) => {
            capabilities.remove(subject);
        }
        _ => return Err(refused("data.granted is neither true nor false")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(entry_type: EntryType, id: &str, version: i64) -> Event {
        Event {
            timestamp: 7,
            entry_type,
            data: Object::default()
                .with("key_id", id)
                .with("version", version)
                .with("subject", format!("user {version}"))
                .with("operations", "sign")
                .with("granted", version % 2 == 1)
                .with("credential", id)
                .with("agent", id)
                .with("event_id", format!("{id}{version}"))
                .with("event", "issued"),
            quantum_metadata: Object::default(),
        }
    }

    fn commit(entries: i64) -> Event {
        let data = Object::default()
            .with("entries", entries)
            .with("root", "ab".repeat(32));
        Event {
            data,
            ..event(EntryType::Commit, "", 1)
        }
    }

    #[test]
    fn a_life_is_recorded_and_contradictions_are_refused() {
        use EntryType::{Capability, CredentialAccess, Export, Registration, Revocation, Rotation};
        let without = |name: &str, mut event: Event| {
            event.data.remove(name);
            event
        };
        let mut ledger = KeyLedger::default();
        let steps: [(Event, Result<(), &str>); 25] = [
            (event(Rotation, "a", 2), Err("never registered")),
            (event(Registration, "a", 0), Err("version")),
            (event(Registration, "", 1), Err("key_id")),
            (event(Registration, &"x".repeat(129), 1), Err("key_id")),
            (event(Registration, "a", 1), Ok(())),
            (event(Registration, "a", 1), Err("registered by entry 0")),
            (event(Rotation, "a", 1), Err("not later")),
            (event(Rotation, "a", 3), Ok(())),
            (event(Capability, "a", 1), Ok(())),
            (event(Capability, "b", 1), Err("never registered")),
            (
                without("subject", event(Capability, "a", 1)),
                Err("subject"),
            ),
            (
                without("operations", event(Capability, "a", 1)),
                Err("operations"),
            ),
            (
                without("granted", event(Capability, "a", 1)),
                Err("granted"),
            ),
            (
                without("credential", event(CredentialAccess, "a", 1)),
                Err("credential"),
            ),
            (
                without("event", event(CredentialAccess, "a", 1)),
                Err("event"),
            ),
            (event(CredentialAccess, "a", 1), Ok(())),
            // Taken, and what was never there too.
            (event(Capability, "a", 3), Ok(())),
            (
                Event {
                    data: event(Capability, "a", 3).data.with("granted", false),
                    ..event(Capability, "a", 3)
                },
                Ok(()),
            ),
            (commit(2), Err("data.entries")),
            (event(Export, "b", 1), Err("never registered")),
            (event(Export, "a", 1), Ok(())),
            (commit(7), Ok(())),
            (event(Revocation, "a", 1), Ok(())),
            (event(Revocation, "a", 1), Err("revoked by entry 8")),
            (event(Rotation, "a", 9), Err("revoked by entry 8")),
        ];
        for (event, wanted) in steps {
            let before = ledger.clone();
            match (ledger.record(event), wanted) {
                (Ok(_), Ok(())) => assert_eq!(ledger.size(), before.size() + 1),
                (Err(error), Err(words)) => {
                    assert!(error.to_string().contains(words), "{error}");
                    assert_eq!(ledger, before);
                }
                (got, wanted) => panic!("{got:?} instead of {wanted:?}"),
            }
        }
        assert_eq!(
            ledger.key("a"),
            Some(&KeyState {
                registered: 0,
                version: 3,
                last: 8,
                revoked: Some(8),
                capabilities: BTreeMap::from([("user 1".into(), "sign".into())]),
            })
        );
    }

    #[test]
    fn an_event_of_an_agent_is_taken_once() {
        let mut ledger = KeyLedger::default();
        let told = |agent: &str, id: i64| event(EntryType::AgentEvent, agent, id);
        for (event, wanted) in [
            (told("a", 1), Ok(0)),
            (told("a", 1), Err("event a1 of a is entry 0")),
            (told("b", 1), Ok(1)),
            (told("", 1), Err("data.agent")),
            (told("a", 2), Ok(2)),
            (told("a", 1), Err("is entry 0")),
        ] {
            let got = ledger.record(event).map(|entry| entry.entry_id);
            match wanted {
                Ok(index) => assert_eq!(got.unwrap(), index.to_string()),
                Err(words) => assert!(got.unwrap_err().to_string().contains(words), "{words}"),
            }
        }
        for id in 3..3 + RECENT as i64 {
            ledger.record(told("a", id)).unwrap();
        }
        assert_eq!(ledger.agent_event("a", "a1"), None);
        assert_eq!(ledger.agent_event("a", "a3"), Some(3));
        assert_eq!(ledger.agent_event("b", "b1"), Some(1));
        assert_eq!(ledger.agent_event("c", "c1"), None);
    }

    #[test]
    fn entries_in_another_order_are_refused() {
        let mut ledger = KeyLedger::default();
        let mut record = |id| {
            let entry = ledger
                .record(event(EntryType::Registration, id, 1))
                .unwrap();
            entry.to_bytes().unwrap()
        };
        let (a, b) = (record("a"), record("b"));
        let mut other = KeyLedger::default();
        assert!(
            other
                .replay(&b)
                .unwrap_err()
                .to_string()
                .contains("entry_id is 1")
        );
        other.replay(&a).unwrap();
        assert!(other.replay(&a).is_err());
        let mut elsewhere = KeyLedger::default();
        elsewhere
            .record(event(EntryType::Registration, "c", 1))
            .unwrap();
        let error = elsewhere.replay(&b).unwrap_err().to_string();
        assert!(error.contains("previous_hash"), "{error}");
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let id = prop::sample::select(vec!["a", "b", "c"]);
        let kind = prop::sample::select(EntryType::ALL.to_vec());
        (kind, id, 0i64..6, any::<u32>()).prop_map(|(kind, id, version, time)| Event {
            timestamp: time.into(),
            ..event(kind, id, version)
        })
    }

    proptest! {
        /// What any events leave behind replays to the same bytes and the same state.
        #[test]
        fn replay_gives_identical_bytes(events in prop::collection::vec(any_event(), 0..40)) {
            let mut ledger = KeyLedger::default();
            let entries: Vec<Vec<u8>> = events
                .into_iter()
                .filter_map(|event| ledger.record(event).ok())
                .map(|entry| entry.to_bytes().unwrap())
                .collect();
            let mut again = KeyLedger::default();
            for bytes in &entries {
                prop_assert_eq!(&again.replay(bytes).unwrap().to_bytes().unwrap(), bytes);
            }
            prop_assert_eq!(again, ledger);
        }
    }
}
