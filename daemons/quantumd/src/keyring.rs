//! The keys: created, listed, used and revoked. Knows nothing of the bus. Everything here blocks;
//! callers run it on worker threads. Once the root key is open it stays so until the daemon ends,
//! also when the TPM vanishes: keys in use go on working, and the health says what's wrong.

use crate::Error;
use crate::record::{KeyId, LABEL_MAX, REASON_MAX, Record, Revocation, check_text};
use crate::settings::Settings;
use crate::store::Store;
use crate::vault::{self, Opened, Protection};
use quantumos_pqc::{Algorithm, PublicKey, Secret, Signature, SigningKey, WrappedSeed};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// Expanded keys kept in memory; each is about 25 KiB.
const CACHED_KEYS: usize = 32;

/// What works and what doesn't, after a look at everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the store isn't open.
    pub store: Option<String>,
    /// Why the root key isn't open.
    pub root: Option<String>,
    /// Why the TPM doesn't answer though the root key is open.
    pub tpm: Option<String>,
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
    cache: Mutex<HashMap<KeyId, Arc<SigningKey>>>,
    vendor: Mutex<String>,
    resealing: Mutex<()>,
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
            vendor: Mutex::default(),
            resealing: Mutex::default(),
        }
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

    /// Makes a new root key, sealed under what configuration asks for now and `new_pin`, and wraps all
    /// seeds anew, so that nothing that the old root key opens is left. `pin` is the one in force.
    ///
    /// # Errors
    /// See [`Error`]; the old root key stays in force then.
    pub fn reseal(&self, pin: Option<&[u8]>, new_pin: Option<&[u8]>) -> Result<(), Error> {
        let settings = read!(self.settings).clone();
        let (pin, new_pin) = (
            pin.map(pin_of).transpose()?,
            new_pin.map(pin_of).transpose()?,
        );
        if new_pin.is_some() != settings.protection.pin {
            let why = "protection.pin says whether there is one";
            return Err(Error::argument("new PIN", why));
        }
        let _one_at_a_time = lock(&self.resealing);
        let stored = self.open_store()?;
        // Proves the PIN, also when the root key is open already.
        let old = vault::open(&self.state, &settings, stored, pin.as_ref())?;
        let new = vault::renew(&self.state, &settings, &old, new_pin.as_ref())?;
        let mut slot = lock(&self.store);
        let store = slot.as_mut().ok_or_else(closed)?;
        let records = store.rewrap(&new.fingerprint, |mut record, wrapped| {
            let wrapped = WrappedSeed::from_bytes(wrapped)?;
            let seed = old.kek.unwrap(&wrapped, &record.binding())?;
            record.protection = new.protection;
            let wrapped = new.kek.wrap(record.binding(), &seed)?.to_bytes();
            Ok((record, wrapped))
        })?;
        // From here on the new root key counts, whatever happens.
        let settled = vault::settle(&self.state, new.fingerprint);
        tracing::info!(conditions = ?new.conditions, "root key renewed");
        *write!(self.opened) = Some(Arc::new(new));
        write!(self.records).extend(records.into_iter().map(|r| (r.id, Arc::new(r))));
        settled
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
        let mut vendor = lock(&self.vendor);
        if vendor.is_empty() && health.tpm.is_none() && health.root.is_none() {
            *vendor = vault::tpm_vendor(&settings);
        }
        health.vendor.clone_from(&vendor);
        health
    }

    /// Gives the fingerprint that the store remembers.
    fn open_store(&self) -> Result<Option<[u8; 16]>, Error> {
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
            Some(store) => store.fingerprint(),
            None => Ok(None),
        }
    }

    fn open_root(
        &self,
        settings: &Settings,
        stored: Option<[u8; 16]>,
        pin: Option<&vault::Pin>,
    ) -> Result<Arc<Opened>, Error> {
        let opened = Arc::new(vault::open(&self.state, settings, stored, pin)?);
        if stored.is_none() {
            self.with_store(|store| store.enrol(&opened.fingerprint))?;
        }
        *write!(self.opened) = Some(opened.clone());
        Ok(opened)
    }

    fn with_store<T>(&self, work: impl FnOnce(&Store) -> Result<T, Error>) -> Result<T, Error> {
        match &*lock(&self.store) {
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

    /// Makes a key for `owner`.
    ///
    /// # Errors
    /// See [`Error`]; no key is made then.
    pub fn create(
        &self,
        owner: u32,
        algorithm: Algorithm,
        label: &str,
    ) -> Result<Arc<Record>, Error> {
        check_text("label", label, LABEL_MAX)?;
        let opened = self.opened()?;
        let seed = Secret::random()?;
        let key = SigningKey::from_seed(&seed)?;
        let mut record = Record {
            id: KeyId::random()?,
            algorithm,
            label: label.into(),
            owner,
            version: 1,
            protection: opened.protection,
            created_at: now(),
            revoked: None,
            public: key.public_key().clone(),
        };
        let limit = read!(self.settings).keys.per_owner;
        // The store's lock is held while counting and wrapping, so that two calls can't both take the
        // last place, and no root key is renewed in between.
        self.with_store(|store| {
            let opened = self.opened()?;
            record.protection = opened.protection;
            let wrapped = opened.kek.wrap(record.binding(), &seed)?.to_bytes();
            let active = |r: &&Arc<Record>| r.owner == owner && r.revoked.is_none();
            let count = read!(self.records).values().filter(active).count();
            if count >= limit as usize {
                return Err(Error::TooManyKeys { owner, limit });
            }
            store.insert(&record, &wrapped)?;
            let record = Arc::new(record);
            write!(self.records).insert(record.id, record.clone());
            tracing::info!(key = %record.id, owner, algorithm = algorithm.name(), "key created");
            Ok(record)
        })
    }

    /// Signs `message` under `context` with an active key.
    ///
    /// # Errors
    /// [`Error::Revoked`], [`Error::Locked`] and others.
    pub fn sign(&self, id: KeyId, message: &[u8], context: &[u8]) -> Result<Signature, Error> {
        let record = self.active(id)?;
        let cached = lock(&self.cache).get(&id).cloned();
        let key = match cached {
            Some(key) => key,
            None => self.load(&record)?,
        };
        Ok(key.sign(message, context)?)
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

    /// Unwraps a seed, expands it and compares the result with the public key on record.
    fn load(&self, record: &Record) -> Result<Arc<SigningKey>, Error> {
        let seed = self.with_store(|store| {
            // Under the lock, so that record, seed and root key belong together.
            let (opened, record) = (self.opened()?, self.active(record.id)?);
            let wrapped = WrappedSeed::from_bytes(&store.wrapped(record.id)?)?;
            Ok(opened.kek.unwrap(&wrapped, &record.binding())?)
        })?;
        let key = Arc::new(SigningKey::from_seed(&seed)?);
        if *key.public_key() != record.public {
            return Err(Error::Crypto(quantumos_pqc::Error::NotAuthentic(
                "public key",
            )));
        }
        let mut cache = lock(&self.cache);
        // A revocation takes the key out of the cache under this lock: don't put it back in.
        self.active(record.id)?;
        if cache.len() >= CACHED_KEYS {
            cache.clear();
        }
        cache.insert(record.id, key.clone());
        Ok(key)
    }

    /// Ends a key's use for signing. Its public key and record stay; its wrapped seed is destroyed.
    ///
    /// # Errors
    /// [`Error::Revoked`] when it is already; the key stays active on any other error.
    pub fn revoke(&self, id: KeyId, reason: &str) -> Result<Arc<Record>, Error> {
        check_text("reason", reason, REASON_MAX)?;
        self.with_store(|store| {
            let mut record = (*self.active(id)?).clone();
            let revocation = Revocation {
                at: now(),
                reason: reason.into(),
            };
            store.revoke(id, &revocation)?;
            record.revoked = Some(revocation);
            let record = Arc::new(record);
            write!(self.records).insert(id, record.clone());
            lock(&self.cache).remove(&id);
            tracing::info!(key = %id, reason, "key revoked");
            Ok(record)
        })
    }
}

/// Verifies a signature by a public key that need not be in the store. A signature of a wrong
/// length is not valid; a public key of a wrong length is an error.
///
/// # Errors
/// [`Error::Crypto`].
pub fn verify(
    algorithm: Algorithm,
    public: &PublicKey,
    message: &[u8],
    signature: &[u8],
    context: &[u8],
) -> Result<bool, Error> {
    match algorithm {
        Algorithm::MlDsa87 => match Signature::from_bytes(signature) {
            Ok(signature) => Ok(public.verify(message, &signature, context)?),
            Err(_) => Ok(false),
        },
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

/// Microseconds of CLOCK_REALTIME.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
