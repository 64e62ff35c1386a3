//! Credentials in the store: set, generated, granted to units, replaced by schedule, and read.

use super::Keyring;
use crate::Error;
use crate::audit::{Action, Event, Who};
use crate::credential::{Credential, UNITS_MAX, check_name, random_value};
use crate::grant;
use crate::record::now;
use zeroize::Zeroizing;

/// What a value is to be.
#[derive(Debug)]
pub enum Value {
    /// These bytes.
    Given(Zeroizing<Vec<u8>>),
    /// Random bytes, replaced every so many seconds (0 for never).
    Random {
        /// How many bytes.
        bytes: u32,
        /// Seconds.
        every: u32,
    },
}

impl Keyring {
    /// All credentials by name, without their values.
    ///
    /// # Errors
    /// [`Error::Closed`] and others.
    pub fn credentials(&self) -> Result<Vec<Credential>, Error> {
        self.with_store(|store| store.credentials())
    }

    /// Sets a credential, or its next version; its units stay.
    ///
    /// # Errors
    /// See [`Error`]; the old value stays then.
    pub fn set_credential(&self, name: &str, value: Value, who: &Who) -> Result<Credential, Error> {
        check_name(name)?;
        let (bytes, random, every) = match value {
            Value::Given(bytes) => (bytes, 0, 0),
            Value::Random { bytes, every } => (random_value(bytes)?, bytes, every),
        };
        self.with_store(|store| {
            let opened = self.opened()?;
            self.audit.ready(&opened.kek)?;
            let old = store.credential(name)?;
            if let Some((old, sealed)) = &old {
                // The units are taken over: they have to be those that were granted.
                old.open(&opened.kek, sealed)?;
            }
            let old = old.map(|(old, _)| old);
            let credential = Credential {
                name: name.into(),
                version: old.as_ref().map_or(1, |old| old.version.saturating_add(1)),
                changed_at: now(),
                random,
                every,
                units: old.map(|old| old.units).unwrap_or_default(),
            };
            let sealed = credential.seal(&opened.kek, &bytes)?;
            store.set_credential(&credential, &sealed)?;
            let how = if random > 0 { "generated" } else { "given" };
            let event = changed(Action::CredentialSet, &credential, who, how.into());
            self.audit.record(&event).map(|()| credential)
        })
    }

    /// Gives a generated credential a fresh value.
    ///
    /// # Errors
    /// See [`Error`]; the old value stays then.
    pub fn rotate_credential(&self, name: &str, who: &Who) -> Result<Credential, Error> {
        let credential = self.credential(name)?;
        if credential.random == 0 {
            let why = "its value was given, not generated; set another one";
            return Err(Error::argument("credential", why));
        }
        let value = Value::Random {
            bytes: credential.random,
            every: credential.every,
        };
        self.set_credential(name, value, who)
    }

    /// Gives every generated credential whose time is over a fresh value. Returns those.
    pub fn rotate_due(&self) -> Vec<Credential> {
        if !self.is_open() {
            return Vec::new();
        }
        let due = self.credentials().unwrap_or_default();
        let due = due
            .into_iter()
            .filter(|credential| credential.is_due(now()));
        due.filter_map(|credential| {
            self.rotate_credential(&credential.name, &Who::Daemon)
                .inspect_err(|error| {
                    tracing::error!(credential = credential.name, %error, "could not rotate");
                })
                .ok()
        })
        .collect()
    }

    fn credential(&self, name: &str) -> Result<Credential, Error> {
        let found = self.with_store(|store| store.credential(name))?;
        found
            .map(|(credential, _)| credential)
            .ok_or_else(|| Error::NoSuchCredential(name.into()))
    }

    /// Lets a unit read a credential, or no longer. Says whether that changed anything.
    ///
    /// # Errors
    /// See [`Error`]; everything stays as it is then.
    pub fn allow_unit(&self, name: &str, unit: &str, may: bool, who: &Who) -> Result<bool, Error> {
        let unit = grant::unit(unit)?;
        self.with_store(|store| {
            let opened = self.opened()?;
            self.audit.ready(&opened.kek)?;
            let (mut credential, sealed) = store
                .credential(name)?
                .ok_or_else(|| Error::NoSuchCredential(name.into()))?;
            let value = credential.open(&opened.kek, &sealed)?;
            let place = credential.units.binary_search(&unit);
            match (place, may) {
                (Err(place), true) if credential.units.len() < UNITS_MAX => {
                    credential.units.insert(place, unit.clone());
                }
                (Err(_), true) => {
                    return Err(Error::TooMany {
                        id: name.into(),
                        what: "units",
                        limit: UNITS_MAX,
                    });
                }
                (Ok(place), false) => {
                    credential.units.remove(place);
                }
                _ => return Ok(false),
            }
            let sealed = credential.seal(&opened.kek, &value)?;
            store.set_credential(&credential, &sealed)?;
            let detail = format!("{} unit {unit}", if may { "grant" } else { "ungrant" });
            let event = changed(Action::CredentialChange, &credential, who, detail);
            self.audit.record(&event).map(|()| true)
        })
    }

    /// Removes a credential and destroys its value.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn remove_credential(&self, name: &str, who: &Who) -> Result<(), Error> {
        let credential = self.credential(name)?;
        self.with_store(|store| match store.remove_credential(name)? {
            true => Ok(()),
            false => Err(Error::NoSuchCredential(name.into())),
        })?;
        let detail = "removed".into();
        self.audit
            .note(&changed(Action::CredentialChange, &credential, who, detail));
        Ok(())
    }

    /// The value of a credential, for a unit that may read it. Both answers go to the trail.
    ///
    /// # Errors
    /// See [`Error`], [`Error::NotGranted`] also when there is no such credential.
    pub fn read_credential(&self, name: &str, unit: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (read, version) = match self.open_credential(name, unit) {
            Ok((value, version)) => (Ok(value), version),
            Err(error) => (Err(error), 0),
        };
        let mut event = Event {
            time: now(),
            action: Action::CredentialRead,
            object: name.into(),
            version,
            who: Who::Unit(unit.into()),
            detail: String::new(),
            facts: Vec::new(),
            refusal: None,
        };
        event.refusal = read.as_ref().err().map(ToString::to_string);
        self.audit.note(&event);
        read
    }

    fn open_credential(&self, name: &str, unit: &str) -> Result<(Zeroizing<Vec<u8>>, u32), Error> {
        let refused = || Error::NotGranted {
            credential: name.into(),
            unit: unit.into(),
        };
        self.with_store(|store| {
            let opened = self.opened()?;
            let (credential, sealed) = store.credential(name)?.ok_or_else(refused)?;
            // First that the list of units is the one that was granted, then what it says.
            let value = credential.open(&opened.kek, &sealed)?;
            if credential.units.iter().any(|granted| granted == unit) {
                Ok((value, credential.version))
            } else {
                Err(refused())
            }
        })
    }
}

fn changed(action: Action, credential: &Credential, who: &Who, detail: String) -> Event {
    Event {
        time: now(),
        action,
        object: credential.name.clone(),
        version: credential.version,
        who: who.clone(),
        detail,
        facts: Vec::new(),
        refusal: None,
    }
}
