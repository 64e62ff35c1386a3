//! The keys: opened, listed, and (in the modules below) changed and used. Knows nothing of the bus.
//! Everything here blocks; callers run it on worker threads. Once the root key is open it stays so until
//! the daemon ends, also when the TPM vanishes: keys in use go on working, and the health says what's
//! wrong.

use crate::Error;
use crate::audit::Audit;
use crate::entropy::Entropy;
use crate::record::{KeyId, Record};
use crate::settings::Settings;
use crate::store::{Enrolment, Store};
use crate::vault::{self, Opened, Protection};
pub use backup::{Choices, Made, Restored};
pub use credentials::Value;
pub use life::AtRest;
use quantumos_pqc::SecretKey;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
pub use usage::{operations, verify};

/// What works and what doesn't, after a look at everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the store isn't open.
    pub store: Option<String>,
    /// Why the root key isn't open.
    pub root: Option<String>,
    /// Why the TPM doesn't answer though the root key is open.
    pub tpm: Option<String>,
    /// What is wrong with the ledger of what happens to keys.
    pub ledger: Option<String>,
    /// What protects the root key; `None` while it isn't open.
    pub protection: Option<Protection>,
    /// What the TPM asks for before it gives the root key: `pin`, `pcr`.
    pub conditions: Vec<&'static str>,
    /// Vendor and firmware of the TPM.
    pub vendor: String,
}

/// All keys of a host.
#[derive(Debug)]
pub struct Keyring {
    state: PathBuf,
    settings: RwLock<Settings>,
    store: Mutex<Option<Store>>,
    opened: RwLock<Option<Arc<Opened>>>,
    records: RwLock<BTreeMap<KeyId, Arc<Record>>>,
    cache: Mutex<HashMap<(KeyId, u32), Arc<SecretKey>>>,
    audit: Audit,
    vendor: Mutex<String>,
    resealing: Mutex<()>,
    entropy: Entropy,
}

/// What is behind these locks is replaced whole, so a poisoned lock hides nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

macro_rules! read {
    ($lock:expr) => {
        $lock.read().unwrap_or_else(PoisonError::into_inner)
    };
}

macro_rules! write {
    ($lock:expr) => {
        $lock.write().unwrap_or_else(PoisonError::into_inner)
    };
}

mod backup;
mod credentials;
mod life;
mod usage;

impl Keyring {
    /// A keyring over a state directory; nothing is opened yet.
    #[must_use]
    pub fn new(state: PathBuf, settings: Settings) -> Self {
        Self {
            state,
            settings: RwLock::new(settings),
            store: Mutex::default(),
            opened: RwLock::default(),
            records: RwLock::default(),
            cache: Mutex::default(),
            audit: Audit::default(),
            entropy: Entropy::default(),
            vendor: Mutex::default(),
            resealing: Mutex::default(),
        }
    }

    /// With a trail that more than the journal keeps.
    #[must_use]
    pub fn with_audit(mut self, audit: Audit) -> Self {
        self.audit = audit;
        self
    }

    /// The trail of uses and changes.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Where randomness for keys comes from.
    #[must_use]
    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }

    /// Takes new settings; the next [`Keyring::bring_up`] uses them.
    pub fn reconfigure(&self, settings: Settings) {
        *write!(self.settings) = settings;
    }

    /// Opens what isn't open yet, looks whether the TPM is there, and says how things stand.
    pub fn bring_up(&self) -> Health {
        self.look(None)
    }

    /// As [`Keyring::bring_up`], with a PIN for the TPM.
    ///
    /// # Errors
    /// Why the root key did not open.
    pub fn unlock(&self, pin: &[u8]) -> Result<(), Error> {
        let pin = pin_of(pin)?;
        let stored = self.open_store()?;
        self.open_root(&read!(self.settings).clone(), stored, Some(&pin))
            .map(drop)
    }

    fn look(&self, pin: Option<&vault::Pin>) -> Health {
        let settings = read!(self.settings).clone();
        let mut health = Health::default();
        let store_state = self.open_store();
        if let Err(error) = &store_state {
            health.store = Some(error.to_string());
        }
        let opened = read!(self.opened).clone();
        match (opened, store_state) {
            (Some(opened), _) => {
                health.protection = Some(opened.protection);
                health.conditions.clone_from(&opened.conditions);
                health.tpm = vault::check(&settings, &opened)
                    .err()
                    .map(|error| error.to_string());
            }
            (None, Ok(stored)) => match self.open_root(&settings, stored, pin) {
                Ok(opened) => {
                    health.protection = Some(opened.protection);
                    health.conditions.clone_from(&opened.conditions);
                }
                Err(error) => health.root = Some(error.to_string()),
            },
            // Without the store there's no telling whether a root key was enrolled.
            (None, Err(_)) => health.root = Some("the key store is not open".into()),
        }
        self.ask_tpm(&settings, &health);
        let mut vendor = lock(&self.vendor);
        if vendor.is_empty() && health.tpm.is_none() && health.root.is_none() {
            *vendor = vault::tpm_vendor(&settings);
        }
        health.vendor.clone_from(&vendor);
        health
    }

    /// Has the TPM add to the randomness, when it is there.
    fn ask_tpm(&self, settings: &Settings, health: &Health) {
        let opened = read!(self.opened).clone();
        let given = match (opened, &health.tpm) {
            (_, Some(why)) => Err(why.clone()),
            (Some(opened), None) => vault::random(settings, &opened).map_err(|e| e.to_string()),
            (None, None) => return,
        };
        self.entropy.from_tpm(given.as_ref().map_err(Clone::clone));
    }

    /// Gives what the store remembers of the root key.
    fn open_store(&self) -> Result<Option<Enrolment>, Error> {
        let mut slot = lock(&self.store);
        if slot.is_none() {
            let enrolled = vault::root_path(&self.state).exists();
            let store = Store::open(&self.state, enrolled)?;
            let records = store.records()?;
            *write!(self.records) = records
                .into_iter()
                .map(|record| (record.id, Arc::new(record)))
                .collect();
            *slot = Some(store);
        }
        match &*slot {
            Some(store) => store.enrolment(),
            None => Ok(None),
        }
    }

    fn open_root(
        &self,
        settings: &Settings,
        stored: Option<Enrolment>,
        pin: Option<&vault::Pin>,
    ) -> Result<Arc<Opened>, Error> {
        let opened = Arc::new(vault::open(&self.state, settings, stored, pin)?);
        if stored.is_none() {
            self.with_store(|store| store.enrol(&opened.enrolment()))?;
        }
        *write!(self.opened) = Some(opened.clone());
        Ok(opened)
    }

    fn with_store<T>(&self, work: impl FnOnce(&mut Store) -> Result<T, Error>) -> Result<T, Error> {
        match &mut *lock(&self.store) {
            Some(store) => work(store),
            None => Err(closed()),
        }
    }

    fn opened(&self) -> Result<Arc<Opened>, Error> {
        read!(self.opened)
            .clone()
            .ok_or_else(|| Error::Locked("see the daemon's problems".into()))
    }

    /// Whether the root key is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        read!(self.opened).is_some()
    }

    /// The version of the key encryption key, 0 while the root key is not open.
    #[must_use]
    pub fn kek_version(&self) -> u32 {
        read!(self.opened)
            .as_ref()
            .map_or(0, |opened| opened.kek.version())
    }

    /// All keys, revoked ones too.
    #[must_use]
    pub fn records(&self) -> Vec<Arc<Record>> {
        read!(self.records).values().cloned().collect()
    }

    /// One key.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`].
    pub fn record(&self, id: KeyId) -> Result<Arc<Record>, Error> {
        read!(self.records)
            .get(&id)
            .cloned()
            .ok_or_else(|| Error::NoSuchKey(id.to_string()))
    }

    fn active(&self, id: KeyId) -> Result<Arc<Record>, Error> {
        let record = self.record(id)?;
        match &record.revoked {
            None => Ok(record),
            Some(revocation) => Err(Error::Revoked {
                id: id.to_string(),
                reason: revocation.reason.clone(),
            }),
        }
    }

    /// Replaces a record; whoever holds the store's lock may.
    fn replace(&self, record: Record) -> Arc<Record> {
        let record = Arc::new(record);
        write!(self.records).insert(record.id, record.clone());
        record
    }
}

fn closed() -> Error {
    Error::Closed("see the daemon's problems".into())
}

/// The shortest and longest PIN in bytes.
const PIN_BYTES: std::ops::RangeInclusive<usize> = 4..=128;

fn pin_of(pin: &[u8]) -> Result<vault::Pin, Error> {
    if !PIN_BYTES.contains(&pin.len()) {
        return Err(Error::argument("PIN", "it has 4 to 128 bytes"));
    }
    Ok(quantumos_pqc::pin_value(pin)?)
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
