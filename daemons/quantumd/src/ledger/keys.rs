//! The key ledger of this host: every change of a key is in it before who asked has the answer. It
//! follows the trail of [`crate::audit`]; what could not be recorded is kept and recorded later.

use super::files::Directory;
use super::group::Group;
use super::signers::Signers;
use super::store::Store;
use crate::Error;
use crate::audit::{self, Action, Sink};
use crate::record::{Record, now};
use quantumos_ledger::entry::{EntryType, Event};
use quantumos_ledger::hex;
use quantumos_ledger::history::KeyLedger;
use quantumos_ledger::json::Object;
use quantumos_ledger::note::Note;
use quantumos_ledger::proof::{Consistency, Inclusion};
use quantumos_ledger::seal::{self, Seal};
use quantumos_ledger::verify::{self, Report};
use quantumos_pqc::Kek;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Events that one commit takes.
const BATCH: usize = 256;

#[derive(Debug)]
struct Inner {
    directory: Directory,
    store: Option<Store>,
    ledger: KeyLedger,
    signers: Option<Signers>,
    /// What could not be recorded yet, in order.
    pending: Vec<Event>,
    problem: Option<String>,
    closed: bool,
}

/// The key ledger.
#[derive(Debug, Clone)]
pub struct KeyLog {
    inner: Arc<Mutex<Inner>>,
    group: Arc<Group<Event, ()>>,
}

fn closed() -> Error {
    Error::LedgerClosed("the root key was never open, see the daemon's problems".into())
}

fn metadata() -> Object {
    Object::default()
        .with("component", "KeyLedger")
        .with("version", "1")
        .with("pqc_scheme", "ML-DSA-87")
}

impl Inner {
    /// Opens the log if it is there and isn't open, and tells what was found.
    fn open(&mut self) -> Result<(), Error> {
        let working = self
            .store
            .as_ref()
            .is_some_and(|store| store.failed().is_none());
        if working || self.closed || !Store::exists(&self.directory)? {
            return Ok(());
        }
        // Lets go of the lock of one that failed.
        self.store = None;
        let mut ledger = KeyLedger::default();
        let (store, found) = Store::open(self.directory.clone(), |entry| {
            ledger.replay(entry.bytes).map(drop)
        })?;
        if let Some((offset, why)) = &found.cut {
            tracing::warn!(
                offset,
                why,
                records = store.size(),
                "an interrupted write was cut off the key ledger"
            );
        }
        for name in &found.repaired {
            tracing::warn!(
                name,
                "a tile of the key ledger was altered; it is written anew, the old one set aside"
            );
        }
        self.ledger = ledger;
        self.store = Some(store);
        Ok(())
    }

    /// Appends what is pending, then signs.
    fn commit(&mut self) -> Result<(), Error> {
        self.open()?;
        let signers = self.signers.as_ref();
        let store = self.store.as_mut().ok_or_else(closed)?;
        let mut ledger = self.ledger.clone();
        let mut entries = Vec::new();
        for event in &self.pending {
            match ledger.record(event.clone()) {
                Ok(entry) => entries.push(entry.to_bytes()?),
                // Found by reconciling and told by the trail: once is enough.
                Err(error) => tracing::debug!(%error, "not recorded"),
            }
        }
        if !entries.is_empty() {
            store.append(&entries)?;
        }
        self.ledger = ledger;
        self.pending.clear();
        if let Some(signers) = signers {
            store.sign(&signers.all())?;
        }
        Ok(())
    }

    fn settle(&mut self) {
        self.problem = match self.commit() {
            Ok(()) => None,
            Err(error) => {
                let count = self.pending.len();
                tracing::error!(%error, count, "the key ledger takes nothing; what happens is kept for later");
                Some(error.to_string())
            }
        };
    }
}

impl KeyLog {
    /// The ledger below a state directory; nothing is opened yet.
    ///
    /// # Errors
    /// [`Error::Worker`].
    pub fn new(state: &Path) -> Result<Self, Error> {
        let inner = Arc::new(Mutex::new(Inner {
            directory: Directory::new(state.join("ledger")),
            store: None,
            ledger: KeyLedger::default(),
            signers: None,
            pending: Vec::new(),
            problem: None,
            closed: false,
        }));
        let committed = inner.clone();
        let group = Group::start(BATCH, move |events: Vec<Event>| {
            let count = events.len();
            let mut inner = guard(&committed);
            inner.pending.extend(events);
            inner.settle();
            vec![(); count]
        })?;
        Ok(Self {
            inner,
            group: Arc::new(group),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        guard(&self.inner)
    }

    /// Takes the key that opens the signers, makes the log if there is none, and records what the key
    /// store has and the ledger doesn't: keys from before there was a ledger, changes that a crash kept
    /// from being recorded. Gives what is wrong.
    pub fn follow(&self, kek: Option<&Kek>, records: &[Arc<Record>]) -> Option<String> {
        let mut inner = self.lock();
        if let Err(error) = follow(&mut inner, kek, records) {
            inner.problem = Some(error.to_string());
        }
        inner.problem.clone()
    }

    /// Records what waits and lets go of the files, for good.
    pub fn close(&self) {
        let mut inner = self.lock();
        if !inner.pending.is_empty() {
            inner.settle();
        }
        inner.store = None;
        inner.closed = true;
    }

    /// Wraps the signers for a new key encryption key, before the key store is.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn rewrap(&self, old: &Kek, new: &Kek) -> Result<(), Error> {
        Signers::rewrap(&self.lock().directory, old, new)
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Inner, &mut Store) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut inner = self.lock();
        let mut store = inner.store.take().ok_or_else(closed)?;
        let done = work(&mut inner, &mut store);
        inner.store = Some(store);
        done
    }

    /// Name, size and signed size of the log; empty and 0 while there is none.
    #[must_use]
    pub fn head(&self) -> (String, u64, u64) {
        let inner = self.lock();
        inner.store.as_ref().map_or_else(Default::default, |store| {
            let signed = store.checkpoint().map_or(0, |(signed, _)| signed.size);
            (store.origin().into(), store.size(), signed)
        })
    }

    /// The public keys, as text.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let inner = self.lock();
        let keys = inner.store.as_ref().map(Store::keys).unwrap_or_default();
        keys.iter().map(ToString::to_string).collect()
    }

    /// The signed checkpoint.
    ///
    /// # Errors
    /// [`Error::LedgerClosed`] while there is none.
    pub fn checkpoint(&self) -> Result<Note, Error> {
        self.with(|_, store| match store.checkpoint() {
            Some((_, note)) => Ok(note.clone()),
            None => Err(closed()),
        })
    }

    /// Entries `first..first + count`, each after its length in two bytes, of at most `limit` bytes in all.
    ///
    /// # Errors
    /// [`Error::Ledger`] for a range that isn't there, [`Error::TooLarge`].
    pub fn entries(&self, first: u64, count: u64, limit: usize) -> Result<Vec<u8>, Error> {
        self.with(|_, store| {
            let mut out = Vec::new();
            store.read(first, count, |entry| {
                quantumos_ledger::bundle::push(&mut out, entry.bytes)?;
                Ok(out.len() <= limit)
            })?;
            match out.len() <= limit {
                true => Ok(out),
                false => Err(Error::TooLarge {
                    what: "range of entries",
                    limit,
                    got: out.len(),
                }),
            }
        })
    }

    /// Proves an entry; it is the proof's extra data.
    ///
    /// # Errors
    /// [`Error::Ledger`].
    pub fn inclusion(&self, index: u64) -> Result<Inclusion, Error> {
        self.with(|_, store| {
            let (signed, note) = store.checkpoint().ok_or_else(closed)?;
            let path = store.inclusion(index, signed.size)?;
            let mut extra = None;
            store.read(index, 1, |entry| {
                extra = Some(entry.bytes.to_vec());
                Ok(false)
            })?;
            Ok(Inclusion {
                extra,
                index,
                path,
                note: note.clone(),
            })
        })
    }

    /// Proves that the ledger only added to its first `old` entries.
    ///
    /// # Errors
    /// [`Error::Ledger`].
    pub fn consistency(&self, old: u64) -> Result<Consistency, Error> {
        self.with(|_, store| {
            let (signed, note) = store.checkpoint().ok_or_else(closed)?;
            Ok(Consistency {
                old,
                old_root: store.root(old)?,
                path: store.consistency(old, signed.size)?,
                note: note.clone(),
            })
        })
    }

    /// Records a commit, signs, and puts the finality seal beside the log. Gives the seal's bytes.
    ///
    /// # Errors
    /// [`Error::Locked`] while the signers aren't open; there is no new seal on any error.
    pub fn seal(&self) -> Result<Vec<u8>, Error> {
        let mut inner = self.lock();
        inner.settle();
        if let Some(problem) = &inner.problem {
            return Err(Error::LedgerClosed(problem.clone()));
        }
        let store = inner.store.as_ref().ok_or_else(closed)?;
        let size = store.size();
        let data = Object::default()
            .with("entries", i64::try_from(size).unwrap_or(i64::MAX))
            .with("root", hex(&store.root(size)?));
        if inner.signers.is_none() {
            return Err(Error::Locked("the ledger can't be signed".into()));
        }
        let timestamp = now();
        inner.pending.push(Event {
            timestamp,
            entry_type: EntryType::Commit,
            data,
            quantum_metadata: metadata(),
        });
        inner.commit()?;
        let (Some(store), Some(signers)) = (&inner.store, &inner.signers) else {
            return Err(closed());
        };
        let (_, note) = store.checkpoint().ok_or_else(closed)?;
        let content = seal::Content {
            timestamp,
            note,
            last_hash: *inner.ledger.last_hash(),
            quantum_metadata: metadata(),
        };
        let bytes = Seal::sign(content, &signers.all())?.to_bytes()?;
        store.publish(seal::NAME, &bytes)?;
        Ok(bytes)
    }

    /// Verifies the files, as they are on the disk, with the keys of this ledger.
    ///
    /// # Errors
    /// [`Error::Ledger`] when they can't be read.
    pub fn verify(&self) -> Result<Report, Error> {
        self.with(|inner, store| Ok(verify::verify(&inner.directory, store.keys())?))
    }
}

fn guard(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn follow(inner: &mut Inner, kek: Option<&Kek>, records: &[Arc<Record>]) -> Result<(), Error> {
    inner.open()?;
    if let Some(kek) = kek {
        if inner.signers.is_none() {
            let signers = Signers::open(&inner.directory, kek)?;
            if inner.store.is_none() {
                let store = Store::create(inner.directory.clone(), signers.origin())?;
                tracing::info!(origin = store.origin(), "key ledger begun");
                inner.store = Some(store);
            }
            inner.signers = Some(signers);
        }
        for record in records {
            let due = missing(record, &inner.ledger, &inner.pending);
            inner.pending.extend(due);
        }
    }
    let unsigned = inner.store.as_ref().is_some_and(|store| {
        store
            .checkpoint()
            .is_none_or(|(signed, _)| signed.size < store.size())
    });
    let failed = inner.problem.is_some();
    if failed || !inner.pending.is_empty() || (unsigned && inner.signers.is_some()) {
        inner.settle();
    }
    Ok(())
}

/// What the key store knows of a key and the ledger doesn't.
fn missing(record: &Record, ledger: &KeyLedger, pending: &[Event]) -> Vec<Event> {
    let id = record.id.to_string();
    if pending
        .iter()
        .any(|event| event.data.text("key_id") == Some(&id))
    {
        return Vec::new();
    }
    let known = ledger.key(&id);
    let event = |entry_type, data: Object| Event {
        timestamp: now(),
        entry_type,
        data: data.with("key_id", id.as_str()).with("recovered", true),
        quantum_metadata: metadata(),
    };
    let mut due = Vec::new();
    for version in &record.versions {
        let number = i64::from(version.number);
        if known.is_some_and(|known| known.version >= number || known.revoked.is_some()) {
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
    if let Some(revoked) = &record.revoked
        && known.is_none_or(|known| known.revoked.is_none())
    {
        let data = Object::default().with("reason", revoked.reason.as_str());
        due.push(event(EntryType::Revocation, data));
    }
    due
}

/// The SHA-256 of a public key in hexadecimal digits; empty for keys that have none.
pub(crate) fn public_hash(public: &[u8]) -> String {
    match public {
        [] => String::new(),
        public => hex(&quantumos_ledger::sha256(&[public])),
    }
}

/// The ledger's event for a line of the trail, if it is one that the ledger keeps.
fn event(line: &audit::Event) -> Option<Event> {
    let (entry_type, granted) = match line.action {
        _ if line.refusal.is_some() => return None,
        Action::Create | Action::Restore => (EntryType::Registration, None),
        Action::Rotate => (EntryType::Rotation, None),
        Action::Grant => (EntryType::Capability, Some(true)),
        Action::Ungrant => (EntryType::Capability, Some(false)),
        Action::Revoke => (EntryType::Revocation, None),
        _ => return None,
    };
    let mut data = Object::default()
        .with("key_id", line.object.as_str())
        .with("by", line.who.to_string());
    match granted {
        Some(granted) => {
            data.set("capability", line.detail.as_str());
            data.set("granted", granted);
        }
        None if entry_type == EntryType::Revocation => data.set("reason", line.detail.as_str()),
        None => {
            data.set("version", line.version);
            for (name, value) in &line.facts {
                data.set(name, value.as_str());
            }
        }
    }
    Some(Event {
        timestamp: line.time,
        entry_type,
        data,
        quantum_metadata: metadata(),
    })
}

/// Waits until the event is on the disk: who asked has the answer only then.
impl Sink for KeyLog {
    fn record(&self, line: &audit::Event) {
        let Some(event) = event(line) else { return };
        let submitted = self.group.submit(event.clone()).ok();
        let done = submitted.is_some_and(|answer| answer.blocking_recv().is_ok());
        if !done {
            self.lock().pending.push(event);
        }
    }

    fn rewrap(&self, old: &Kek, new: &Kek) -> Result<(), Error> {
        Self::rewrap(self, old, new)
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
