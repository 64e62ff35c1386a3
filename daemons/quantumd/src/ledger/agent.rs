//! What another daemon has on record here: its name, as the bus knows it, what it did and when. Bounded, since
//! it comes from outside.

use super::events::metadata;
use super::keys::KeyLog;
use crate::Error;
use quantumos_ledger::entry::{EntryType, Event};
use quantumos_ledger::json::Object;
use std::collections::HashMap;

/// Facts of one event.
const FACTS: usize = 32;
/// Bytes of a name.
const NAME: usize = 64;
/// Bytes of a fact.
const FACT: usize = 1024;
/// Bytes of all facts: an entry has at most 64 KiB, and a byte is up to six in JSON.
const ALL: usize = 8 << 10;
/// Microseconds, a bit more than 285 years.
const LATEST: u64 = (1 << 53) - 1;

/// Something that an agent did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentEvent {
    /// The account that it runs as.
    pub agent: String,
    /// What, in a word.
    pub event: String,
    /// Its identifier, of the agent's making: one that is told twice is recorded once.
    pub id: String,
    /// When, by the agent's clock, in microseconds since 1970.
    pub time: u64,
    /// Facts by name.
    pub facts: HashMap<String, String>,
}

impl AgentEvent {
    /// Checks what came over the bus.
    ///
    /// # Errors
    /// [`Error::Argument`] naming what is too long, too much or no word.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |what: &str, why: String| Err(Error::argument(what, why));
        for (what, text) in [("event", &self.event), ("id", &self.id)] {
            if !is_word(text) {
                return wrong(what, format!("not 1 to {NAME} of a-z, 0-9, -, _ and ."));
            }
        }
        if self.time > LATEST {
            return wrong("time", format!("{} is later than {LATEST}", self.time));
        }
        if self.facts.len() > FACTS {
            let got = self.facts.len();
            return wrong("facts", format!("{got}, at most {FACTS} are taken"));
        }
        let mut all = 0;
        for (name, fact) in &self.facts {
            if !is_word(name) || ["agent", "event", "event_id"].contains(&name.as_str()) {
                return wrong("facts", format!("{name:?} is no name for one"));
            }
            if fact.len() > FACT {
                let got = fact.len();
                let why = format!("{name} has {got} bytes of at most {FACT}");
                return wrong("facts", why);
            }
            all += fact.len();
        }
        match all {
            0..=ALL => Ok(()),
            all => wrong("facts", format!("{all} bytes, at most {ALL} are taken")),
        }
    }

    /// The ledger's event.
    pub(super) fn event(self) -> Event {
        let data = Object::default()
            .with("agent", self.agent)
            .with("event", self.event)
            .with("event_id", self.id);
        let data = self
            .facts
            .iter()
            .fold(data, |data, (name, fact)| data.with(name, fact.as_str()));
        Event {
            timestamp: self.time,
            entry_type: EntryType::AgentEvent,
            data,
            quantum_metadata: metadata(),
        }
    }
}

impl KeyLog {
    /// Records what an agent did, and waits until it is on the disk. Gives the entry's number; one that is told again
    /// is there once.
    ///
    /// # Errors
    /// [`Error::Ledger`] for what no entry can be, [`Error::LedgerClosed`] when the ledger takes nothing now: the
    /// agent has to tell it again.
    pub fn agent(&self, told: AgentEvent) -> Result<u64, Error> {
        let (agent, id) = (told.agent.clone(), told.id.clone());
        let event = told.event();
        {
            let inner = self.lock();
            if let Some(index) = inner.ledger.agent_event(&agent, &id) {
                return Ok(index);
            }
            // What contradicts the history is said now, not only logged by the thread that commits.
            inner.ledger.draft(event.clone())?.to_bytes()?;
        }
        let answered = self.group.submit(event)?;
        let problem = answered.blocking_recv().map_err(|_| Error::Worker)?;
        let mut inner = self.lock();
        if let Some(index) = inner.ledger.agent_event(&agent, &id) {
            return Ok(index);
        }
        // The agent keeps it: here it would wait twice.
        inner.pending.retain(|event| {
            event.data.text("agent") != Some(&agent) || event.data.text("event_id") != Some(&id)
        });
        Err(Error::LedgerClosed(problem.unwrap_or_default()))
    }
}

fn is_word(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    (1..=NAME).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> AgentEvent {
        AgentEvent {
            agent: "security-ai".into(),
            event: "applied".into(),
            id: "18f-1".into(),
            time: 7,
            facts: HashMap::from([("unit".into(), "a.service".into())]),
        }
    }

    #[test]
    fn what_is_no_event_is_named() {
        told().check().unwrap();
        let with = |name: &str, fact: String| AgentEvent {
            facts: HashMap::from([(name.into(), fact)]),
            ..told()
        };
        let many = (0..33).map(|n| (format!("f{n}"), String::new()));
        let large = (0..9).map(|n| (format!("f{n}"), "x".repeat(FACT)));
        #[rustfmt::skip]
        let cases = [
            (AgentEvent { event: String::new(), ..told() }, "event"),
            (AgentEvent { event: "Applied".into(), ..told() }, "event"),
            (AgentEvent { id: "x".repeat(65), ..told() }, "id"),
            (AgentEvent { time: u64::MAX, ..told() }, "time"),
            (AgentEvent { facts: many.collect(), ..told() }, "33"),
            (AgentEvent { facts: large.collect(), ..told() }, "9216 bytes"),
            (with("agent", "root".into()), "agent"),
            (with("no name", String::new()), "no name"),
            (with("unit", "x".repeat(1025)), "1025 bytes"),
        ];
        for (event, words) in cases {
            let error = event.check().unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn the_largest_fits_into_an_entry() {
        let facts = (0..8).map(|n| (format!("f{n}"), "\u{1}".repeat(FACT)));
        let event = AgentEvent {
            facts: facts.collect(),
            ..told()
        };
        event.check().unwrap();
        let mut ledger = quantumos_ledger::history::KeyLedger::default();
        let bytes = ledger.record(event.event()).unwrap().to_bytes().unwrap();
        assert!(bytes.len() <= usize::from(u16::MAX), "{}", bytes.len());
    }
}
