//! The key ledger of this host: every change of a key is in it before who asked has the answer. It
//! follows the trail of [`crate::audit`]; what could not be recorded is kept and recorded later.

use super::events::{ahead, event, metadata, missing};
use super::files::{Directory, Seen};
use super::group::Group;
use super::signers::Signers;
use super::store::Store;
use crate::Error;
use crate::audit::{self, Sink, Who};
use crate::keyring::{AtRest, Keyring};
use crate::record::{KeyId, now};
use quantumos_ledger::entry::{EntryType, Event};
use quantumos_ledger::history::KeyLedger;
use quantumos_ledger::json::Object;
use quantumos_ledger::note::Note;
use quantumos_ledger::proof::{Consistency, Inclusion};
use quantumos_ledger::seal::{self, Seal};
use quantumos_ledger::verify::{self, Report};
use quantumos_ledger::{Error as LedgerError, hex};
use quantumos_pqc::Kek;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Events that one commit takes.
const BATCH: usize = 256;

#[derive(Debug)]
pub(super) struct Inner {
    directory: Directory,
    store: Option<Store>,
    pub(super) ledger: KeyLedger,
    signers: Option<Signers>,
    /// What could not be recorded yet, in order.
    pub(super) pending: Vec<Event>,
    problem: Option<String>,
    closed: bool,
    /// Whether the ledger has what the key store has.
    reconciled: bool,
    /// What the ledger has and the key store hasn't.
    lost: Option<String>,
    /// The files that were found damaged, as they were then.
    damaged: Option<Vec<Seen>>,
}

/// The key ledger.
#[derive(Debug, Clone)]
pub struct KeyLog {
    inner: Arc<Mutex<Inner>>,
    pub(super) group: Arc<Group<Event, Option<String>>>,
}

fn closed() -> Error {
    Error::LedgerClosed("the root key was never open, see the daemon's problems".into())
}

impl Inner {
    /// Opens the log if it is there and isn't open, and tells what was found. Files that were found
    /// damaged are read again when they are others.
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
        let seen = Some(self.directory.seen());
        if let (true, Some(problem)) = (self.damaged == seen, &self.problem) {
            return Err(Error::LedgerClosed(problem.clone()));
        }
        let mut ledger = KeyLedger::default();
        let opened = Store::open(self.directory.clone(), |entry| {
            ledger.replay(entry.bytes).map(drop)
        });
        let storage = |error: &LedgerError| matches!(error, LedgerError::Storage { .. });
        let damage = matches!(&opened, Err(Error::Ledger(error)) if !storage(error));
        self.damaged = seen.filter(|_| damage);
        let (store, found) = opened?;
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
        let done = self.commit();
        self.fare(done);
    }

    fn fare(&mut self, done: Result<(), Error>) {
        self.problem = match (done, self.problem.take()) {
            (Ok(()), _) => None,
            // Told already, and found again.
            (Err(Error::LedgerClosed(_)), Some(problem)) => Some(problem),
            (Err(error), _) => {
                let count = self.pending.len();
                tracing::error!(%error, count, "the key ledger takes nothing; what happens is kept for later");
                Some(error.to_string())
            }
        };
    }

    /// Why keys can't be changed.
    fn trouble(&self) -> Option<String> {
        self.problem.clone().or_else(|| self.lost.clone())
    }

    /// Opens the signers, and begins the log where there is none.
    fn begin(&mut self, kek: &Kek) -> Result<(), Error> {
        self.open()?;
        if self.signers.is_none() && !self.closed {
            let signers = Signers::open(&self.directory, kek)?;
            if self.store.is_none() {
                let store = Store::create(self.directory.clone(), signers.origin())?;
                tracing::info!(origin = store.origin(), "key ledger begun");
                self.store = Some(store);
            }
            self.signers = Some(signers);
        }
        Ok(())
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
            reconciled: false,
            lost: None,
            damaged: None,
        }));
        let committed = inner.clone();
        let group = Group::start(BATCH, move |events: Vec<Event>| {
            let count = events.len();
            let mut inner = guard(&committed);
            inner.pending.extend(events);
            inner.settle();
            vec![inner.problem.clone(); count]
        })?;
        Ok(Self {
            inner,
            group: Arc::new(group),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        guard(&self.inner)
    }

    /// Brings ledger and key store together, see [`KeyLog::follow`]: keys whose end is on record have none again.
    /// Gives what is wrong.
    pub fn agree(&self, keyring: &Keyring) -> Option<String> {
        let (revoked, problem) = keyring.at_rest(|keys| self.follow(keys));
        for id in revoked {
            let reason = "revoked before, as the ledger says";
            match keyring.revoke(id, reason, &Who::Daemon) {
                Ok(_) => {
                    tracing::warn!(%id, "a key was active again in the key store; it is revoked once more")
                }
                Err(error) => return Some(format!("key {id} was revoked and is not: {error}")),
            }
        }
        problem
    }

    /// Takes what the key store has: the key that opens the signers, and all keys. Makes the log if there is
    /// none, and records what the key store has and the ledger doesn't: keys from before there was a
    /// ledger, changes that a crash kept from being recorded. Gives the keys that are active and were revoked, and
    /// what is wrong.
    pub fn follow(&self, keys: Option<(&Kek, &[AtRest])>) -> (Vec<KeyId>, Option<String>) {
        let mut inner = self.lock();
        match follow(&mut inner, keys) {
            Ok(revoked) => (revoked, inner.trouble()),
            Err(error) => {
                inner.fare(Err(error));
                (Vec::new(), inner.trouble())
            }
        }
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

fn follow(inner: &mut Inner, keys: Option<(&Kek, &[AtRest])>) -> Result<Vec<KeyId>, Error> {
    let failed = inner.problem.is_some();
    let mut revoked = Vec::new();
    inner.open()?;
    if let Some((kek, keys)) = keys {
        inner.begin(kek)?;
        if !inner.reconciled || failed {
            let ahead = ahead(keys, &inner.ledger);
            inner.lost = ahead.words();
            revoked = ahead.revoked;
            for (record, grants) in keys {
                let due = missing(record, grants.as_deref(), &inner.ledger, &inner.pending);
                inner.pending.extend(due);
            }
            inner.reconciled = true;
        }
    }
    let unsigned = inner.store.as_ref().is_some_and(|store| {
        store
            .checkpoint()
            .is_none_or(|(signed, _)| signed.size < store.size())
    });
    if failed || !inner.pending.is_empty() || (unsigned && inner.signers.is_some()) {
        inner.settle();
    }
    Ok(revoked)
}

/// Waits until the event is on the disk: who asked has the answer only then.
impl Sink for KeyLog {
    fn record(&self, line: &audit::Event) -> Result<(), Error> {
        let Some(event) = event(line) else {
            return Ok(());
        };
        let submitted = self.group.submit(event.clone()).ok();
        match submitted.and_then(|answer| answer.blocking_recv().ok()) {
            Some(None) => Ok(()),
            Some(Some(problem)) => Err(Error::LedgerClosed(problem)),
            None => {
                self.lock().pending.push(event);
                Err(Error::Worker)
            }
        }
    }

    fn ready(&self, kek: &Kek) -> Result<(), Error> {
        let mut inner = self.lock();
        // The disk may have room again. Damage doesn't go away by itself: that is looked for in `follow`.
        if inner.problem.is_some() && inner.damaged.is_none() {
            inner.settle();
        }
        match inner.trouble() {
            Some(trouble) => Err(Error::LedgerClosed(trouble)),
            None => inner.begin(kek),
        }
    }

    fn rewrap(&self, old: &Kek, new: &Kek) -> Result<(), Error> {
        Self::rewrap(self, old, new)
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
