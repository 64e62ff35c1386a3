//! What happens to keys: made, given new versions, granted, revoked, wrapped anew. Each change is one
//! transaction of the store, made under its lock; the record in memory follows it.

use super::{Keyring, closed, lock, pin_of};
use crate::Error;
use crate::audit::{Action, Event, Who};
use crate::credential::Credential;
use crate::grant::{GRANTS_MAX, Grant, Operations, Subject};
use crate::record::{
    Grants, KeyId, LABEL_MAX, REASON_MAX, Record, Revocation, VERSIONS_MAX, Version, check_text,
    now,
};
use crate::store::Store;
use crate::vault::{self, Opened};
use quantumos_pqc::{Algorithm, Kek, Secret, SecretKey, WrappedSeed};
use std::sync::{Arc, PoisonError};

/// A key and its grants, if they are authentic.
pub type AtRest = (Arc<Record>, Option<Vec<Grant>>);

impl Keyring {
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
        self.opened()?;
        let seed = self.seed()?;
        let public = SecretKey::from_seed(algorithm, &seed)?.public()?;
        let id = KeyId::random()?;
        let limit = read!(self.settings).keys.per_owner;
        // The store's lock is held while counting and wrapping, so that two calls can't both take the
        // last place, and no root key is renewed in between.
        self.with_store(|store| {
            let opened = self.opened()?;
            self.audit.ready(&opened.kek)?;
            let created_at = now();
            let record = Record {
                id,
                algorithm,
                label: label.into(),
                owner,
                protection: opened.protection,
                created_at,
                revoked: None,
                versions: vec![Version {
                    number: 1,
                    created_at,
                    public,
                }],
                grants: Grants::default(),
            };
            let wrapped = opened.kek.wrap(record.binding(1), &seed)?.to_bytes();
            if self.active_of(owner) >= limit {
                return Err(Error::TooManyKeys { owner, limit });
            }
            store.insert(&record, &[Some(wrapped)])?;
            let detail = format!("{} for uid {owner}", algorithm.name());
            let event = Event::of_key(Action::Create, id, 1, Who::User(owner), detail)
                .with("owner", owner.to_string());
            let event = event.with_material(&record);
            let record = self.replace(record);
            self.audit.record(&event).map(|()| record)
        })
    }

    /// Fresh bytes for a key.
    fn seed(&self) -> Result<Secret<32>, Error> {
        self.entropy.draw()
    }

    /// Gives a key a new version: from now on that one signs and encrypts; the older ones verify and
    /// decrypt.
    ///
    /// # Errors
    /// See [`Error`]; the key stays as it is then.
    pub fn rotate(&self, id: KeyId, who: &Who) -> Result<Arc<Record>, Error> {
        let algorithm = self.active(id)?.algorithm;
        self.opened()?;
        let seed = self.seed()?;
        let public = SecretKey::from_seed(algorithm, &seed)?.public()?;
        self.change(id, |store, opened, record| {
            if record.versions.len() >= VERSIONS_MAX {
                return Err(too_many(id, "versions", VERSIONS_MAX));
            }
            let version = Version {
                number: record.version().saturating_add(1),
                created_at: now(),
                public,
            };
            let binding = record.binding(version.number);
            let wrapped = opened.kek.wrap(binding, &seed)?.to_bytes();
            store.add_version(id, &version, &wrapped)?;
            let event = Event::of_key(
                Action::Rotate,
                id,
                version.number,
                who.clone(),
                String::new(),
            );
            record.versions.push(version);
            Ok(event.with_material(record))
        })
    }

    /// Lets somebody use a key for these operations, and no others any more.
    ///
    /// # Errors
    /// See [`Error`]; the grants stay as they are then.
    pub fn grant(
        &self,
        id: KeyId,
        subject: Subject,
        operations: Operations,
        who: &Who,
    ) -> Result<Arc<Record>, Error> {
        let words = operations.names().join(",");
        let whom = subject.shown();
        let detail = format!("{whom}: {words}");
        self.change_grants(id, |list| {
            list.retain(|grant| grant.subject != subject);
            if list.len() >= GRANTS_MAX {
                return Err(too_many(id, "grants", GRANTS_MAX));
            }
            list.push(Grant {
                subject,
                operations,
            });
            Ok(Event::of_key(Action::Grant, id, 0, who.clone(), detail)
                .with("subject", whom)
                .with("operations", words))
        })
    }

    /// Takes back what somebody was granted.
    ///
    /// # Errors
    /// See [`Error`], [`Error::Argument`] when there was no grant.
    pub fn ungrant(&self, id: KeyId, subject: &Subject, who: &Who) -> Result<Arc<Record>, Error> {
        self.change_grants(id, |list| {
            let before = list.len();
            list.retain(|grant| grant.subject != *subject);
            if list.len() == before {
                let why = format!("{} has no grant", subject.shown());
                return Err(Error::argument("subject", why));
            }
            let whom = subject.shown();
            Ok(
                Event::of_key(Action::Ungrant, id, 0, who.clone(), whom.clone())
                    .with("subject", whom),
            )
        })
    }

    fn change_grants(
        &self,
        id: KeyId,
        work: impl FnOnce(&mut Vec<Grant>) -> Result<Event, Error>,
    ) -> Result<Arc<Record>, Error> {
        self.change(id, |store, opened, record| {
            let mut list = record.grants.open(id, &opened.authenticator)?.to_vec();
            let event = work(&mut list)?;
            let grants = Grants::seal(list, id, &opened.authenticator);
            store.set_grants(id, &grants)?;
            record.grants = grants;
            Ok(event)
        })
    }

    /// Changes an active key under the store's lock; `work` writes to the store what it changes.
    fn change(
        &self,
        id: KeyId,
        work: impl FnOnce(&mut Store, &Opened, &mut Record) -> Result<Event, Error>,
    ) -> Result<Arc<Record>, Error> {
        self.with_store(|store| {
            let opened = self.opened()?;
            self.audit.ready(&opened.kek)?;
            let mut record = (*self.active(id)?).clone();
            let event = work(store, &opened, &mut record)?;
            let record = self.replace(record);
            self.audit.record(&event).map(|()| record)
        })
    }

    /// Runs `work` with the key encryption key, and all keys with their grants, while nothing changes
    /// any of them; with nothing while the root key or the store isn't open. Grants that don't
    /// authenticate are `None`.
    pub fn at_rest<T>(&self, work: impl FnOnce(Option<(&Kek, &[AtRest])>) -> T) -> T {
        let slot = lock(&self.store);
        let opened = slot.as_ref().and_then(|_| self.opened().ok());
        let Some(opened) = opened else {
            return work(None);
        };
        let records = self.records().into_iter().map(|record| {
            let grants = record.grants.open(record.id, &opened.authenticator);
            let grants = grants.ok().map(<[Grant]>::to_vec);
            (record, grants)
        });
        work(Some((&opened.kek, &records.collect::<Vec<_>>())))
    }

    /// Ends a key's use, for good. Its public halves and record stay, so that what it signed still
    /// verifies; its wrapped seeds are destroyed.
    ///
    /// # Errors
    /// [`Error::Revoked`] when it is already; the key stays active on any other error.
    pub fn revoke(&self, id: KeyId, reason: &str, who: &Who) -> Result<Arc<Record>, Error> {
        check_text("reason", reason, REASON_MAX)?;
        self.with_store(|store| {
            let mut record = (*self.active(id)?).clone();
            let revocation = Revocation {
                at: now(),
                reason: reason.into(),
            };
            store.revoke(id, &revocation)?;
            record.revoked = Some(revocation);
            let version = record.version();
            let record = self.replace(record);
            lock(&self.cache).retain(|(key, _), _| *key != id);
            let event = Event::of_key(Action::Revoke, id, version, who.clone(), reason.into());
            self.audit.note(&event);
            Ok(record)
        })
    }

    /// Wraps all seeds under the next key encryption key, and gives its version.
    ///
    /// # Errors
    /// See [`Error`]; the old one stays in force then.
    pub fn rotate_kek(&self) -> Result<u32, Error> {
        self.with_store(|store| {
            let old = self.opened()?;
            let new = old.with_next_kek()?;
            let version = new.kek.version();
            self.rewrap(store, &old, new)?;
            tracing::info!(version, "key encryption key rotated");
            Ok(version)
        })
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
        let (fingerprint, conditions) = (new.fingerprint, new.conditions.clone());
        let mut slot = lock(&self.store);
        let store = slot.as_mut().ok_or_else(closed)?;
        self.rewrap(store, &old, new)?;
        tracing::info!(?conditions, "root key renewed");
        // The new root key counts already, whatever happens here.
        vault::settle(&self.state, fingerprint)
    }

    fn rewrap(&self, store: &mut Store, old: &Opened, new: Opened) -> Result<(), Error> {
        self.audit.rewrap(&old.kek, &new.kek)?;
        let reseal = |credential: &Credential, sealed: &[u8]| {
            credential.seal(&new.kek, &credential.open(&old.kek, sealed)?)
        };
        let records = store.rewrap(&new.enrolment(), reseal, |mut record, wrapped| {
            let bindings = record.versions.iter().map(|v| record.binding(v.number));
            let open = |(binding, wrapped): (_, &Vec<u8>)| {
                Ok(old
                    .kek
                    .unwrap(&WrappedSeed::from_bytes(wrapped)?, &binding)?)
            };
            let seeds: Vec<Secret<32>> = bindings
                .zip(&wrapped)
                .map(open)
                .collect::<Result<_, Error>>()?;
            let list = match record.grants.open(record.id, &old.authenticator) {
                Ok(list) => list.to_vec(),
                // They count for nothing any more, and what isn't authentic is not made so.
                Err(_) if record.revoked.is_some() => Vec::new(),
                Err(error) => return Err(error),
            };
            if record.revoked.is_none() {
                record.protection = new.protection;
            }
            record.grants = Grants::seal(list, record.id, &new.authenticator);
            let wrap = |(version, seed): (&Version, _)| {
                let binding = record.binding(version.number);
                Ok(new.kek.wrap(binding, seed)?.to_bytes())
            };
            let wrapped = record.versions.iter().zip(&seeds).map(wrap);
            let wrapped = wrapped.collect::<Result<_, Error>>()?;
            Ok((record, wrapped))
        })?;
        write!(self.opened).replace(Arc::new(new));
        for record in records {
            self.replace(record);
        }
        Ok(())
    }
}

fn too_many(id: KeyId, what: &'static str, limit: usize) -> Error {
    Error::TooMany {
        id: id.to_string(),
        what,
        limit,
    }
}
