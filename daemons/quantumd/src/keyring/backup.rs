//! Keys that leave for another host's key, and keys that come from one. Seeds go from one wrapping to
//! the other inside this process; what is restored is wrapped anew and bound to this host's root key.

use super::Keyring;
use crate::Error;
use crate::audit::{Action, Event, Who};
use crate::grant::{self, Grant};
use crate::record::{Grants, KeyId, LABEL_MAX, Record, VERSIONS_MAX, Version, check_text, now};
use crate::vault::{Opened, Protection};
use quantumos_pqc::backup::{self, Backup, Item, ItemVersion, shown};
use quantumos_pqc::{PublicHalf, SecretKey, WrappedSeed};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Which one.
    pub id: KeyId,
    /// How many keys are in it.
    pub count: usize,
    /// The file.
    pub bytes: Vec<u8>,
}

/// What came out of a backup.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Which backup.
    pub id: KeyId,
    /// The keys that are new here.
    pub records: Vec<Arc<Record>>,
    /// The keys that were here already and stayed as they are.
    pub skipped: Vec<KeyId>,
}

/// How to take keys in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choices {
    /// Who is to own them, for those that have other user ids here.
    pub owner: Option<u32>,
    /// Whether grants come along.
    pub grants: bool,
    /// Whether keys that are here already are left out; else they are a reason to restore nothing.
    pub skip_existing: bool,
}

impl Keyring {
    /// Seals active keys (all of them for none) to another host's key, signed by a key of this host.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn backup(
        &self,
        keys: &[KeyId],
        recipient: &PublicHalf,
        signer: KeyId,
        who: &Who,
    ) -> Result<Made, Error> {
        let (signing, _) = self.key(signer, None)?;
        let wanted: BTreeSet<KeyId> = match keys {
            [] => {
                let active = self.records().into_iter().filter(|r| r.revoked.is_none());
                active.map(|record| record.id).collect()
            }
            some => some.iter().copied().collect(),
        };
        // Under the lock, so that records, seeds and root key belong together.
        let items = self.with_store(|store| {
            let opened = self.opened()?;
            self.audit.ready(&opened.kek)?;
            let item = |id: &KeyId| {
                let record = self.active(*id)?;
                let seed = |version: &Version| {
                    let wrapped = WrappedSeed::from_bytes(&store.wrapped(*id, version.number)?)?;
                    let binding = record.binding(version.number);
                    Ok(ItemVersion {
                        number: version.number,
                        created_at: version.created_at,
                        seed: opened.kek.unwrap(&wrapped, &binding)?,
                    })
                };
                Ok(Item {
                    id: id.0,
                    algorithm: record.algorithm,
                    owner: record.owner,
                    created_at: record.created_at,
                    label: record.label.clone(),
                    grants: grant::to_bytes(record.grants.open(*id, &opened.authenticator)?),
                    versions: record
                        .versions
                        .iter()
                        .map(seed)
                        .collect::<Result<_, Error>>()?,
                })
            };
            wanted
                .iter()
                .map(item)
                .collect::<Result<Vec<Item>, Error>>()
        })?;
        let id = KeyId::random()?;
        let bytes = backup::seal(&items, recipient, &signing, id.0, now())?;
        let to = shown(&recipient.fingerprint());
        for item in &items {
            let detail = format!("in backup {id} for key {to}, signed by key {signer}");
            let version = item.versions.last().map_or(0, |version| version.number);
            let event = Event::of_key(Action::Backup, KeyId(item.id), version, who.clone(), detail);
            // What is not on record does not leave.
            self.audit.record(&event)?;
        }
        Ok(Made {
            id,
            count: items.len(),
            bytes,
        })
    }

    /// Takes keys in that `signer` sealed to a key of this host: all that it is to take, or none.
    ///
    /// # Errors
    /// See [`Error`]: [`Error::Crypto`] says what is wrong with the file, [`Error::Replayed`] that it
    /// was restored before, [`Error::KeyExists`] which of its keys is here.
    pub fn restore(
        &self,
        bytes: Vec<u8>,
        recipient: KeyId,
        signer: &PublicHalf,
        choices: Choices,
        who: &Who,
    ) -> Result<Restored, Error> {
        let backup = Backup::parse(bytes)?;
        backup.verify(signer)?;
        let record = self.active(recipient)?;
        let for_it = |v: &&Version| v.public.fingerprint() == backup.recipient;
        let version = record.versions.iter().find(for_it).map(|v| v.number);
        let items = backup.open(&self.key(recipient, version)?.0, signer)?;
        let id = KeyId(backup.id);
        let protection = self.opened()?.protection;
        let new = items
            .iter()
            .map(|item| incoming(item, choices, protection))
            .collect::<Result<Vec<_>, Error>>()?;
        let limit = read!(self.settings).keys.per_owner;
        self.with_store(|store| {
            if let Some(at) = store.restored(id)? {
                return Err(Error::Replayed {
                    id: id.to_string(),
                    at,
                });
            }
            let opened = self.opened()?;
            self.audit.ready(&opened.kek)?;
            let mut skipped = Vec::new();
            let mut rows = Vec::new();
            let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
            for (item, (record, grants)) in items.iter().zip(new) {
                if self.record(record.id).is_ok() {
                    if !choices.skip_existing {
                        return Err(Error::KeyExists(record.id.to_string()));
                    }
                    skipped.push(record.id);
                    continue;
                }
                let owner = record.owner;
                let count = counts.entry(owner).or_insert_with(|| self.active_of(owner));
                *count += 1;
                if *count > limit {
                    return Err(Error::TooManyKeys { owner, limit });
                }
                rows.push(wrapped(item, record, grants, &opened)?);
            }
            store.restore(id, now(), &rows)?;
            let from = shown(&backup.signer);
            let mut records = Vec::new();
            let mut recorded = Ok(());
            // All of them are here now, whether the trail takes each or not.
            for (record, _) in rows {
                let owner = record.owner;
                let detail = format!("from backup {id}, signed by key {from}, for uid {owner}");
                let version = record.version();
                let event = Event::of_key(Action::Restore, record.id, version, who.clone(), detail)
                    .with("owner", owner.to_string())
                    .with_material(&record);
                records.push(self.replace(record));
                recorded = recorded.and(self.audit.record(&event));
            }
            recorded?;
            Ok(Restored {
                id,
                records,
                skipped,
            })
        })
    }

    /// How many active keys a user has.
    pub(super) fn active_of(&self, owner: u32) -> u32 {
        let active = |r: &&Arc<Record>| r.owner == owner && r.revoked.is_none();
        let count = read!(self.records).values().filter(active).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// The record that an item becomes, checked as if a caller had asked for it, and its grants.
fn incoming(
    item: &Item,
    choices: Choices,
    protection: Protection,
) -> Result<(Record, Vec<Grant>), Error> {
    let id = KeyId(item.id);
    let bad = |why: &str| Error::argument("backup", format!("key {id}: {why}"));
    check_text("label", &item.label, LABEL_MAX)?;
    let first = item.versions.first().map_or(0, |version| version.number);
    let gapless = item
        .versions
        .iter()
        .zip(first..)
        .all(|(v, n)| v.number == n);
    if item.versions.len() > VERSIONS_MAX || !gapless {
        return Err(bad("its versions are too many or not complete"));
    }
    let grants = match choices.grants {
        true => grant::from_bytes(&item.grants).map_err(bad)?,
        false => Vec::new(),
    };
    let version = |version: &ItemVersion| {
        Ok(Version {
            number: version.number,
            created_at: version.created_at,
            public: SecretKey::from_seed(item.algorithm, &version.seed)?.public()?,
        })
    };
    let record = Record {
        id,
        algorithm: item.algorithm,
        label: item.label.clone(),
        owner: choices.owner.unwrap_or(item.owner),
        protection,
        created_at: item.created_at,
        revoked: None,
        versions: item
            .versions
            .iter()
            .map(version)
            .collect::<Result<_, Error>>()?,
        grants: Grants::default(),
    };
    Ok((record, grants))
}

/// A record, and the wrapped seeds of its versions.
type Row = (Record, Vec<Option<Vec<u8>>>);

/// The row of a record: bound to this host's root key.
fn wrapped(
    item: &Item,
    mut record: Record,
    grants: Vec<Grant>,
    opened: &Opened,
) -> Result<Row, Error> {
    record.protection = opened.protection;
    if !grants.is_empty() {
        record.grants = Grants::seal(grants, record.id, &opened.authenticator);
    }
    let wrap = |version: &ItemVersion| {
        let binding = record.binding(version.number);
        Ok(Some(opened.kek.wrap(binding, &version.seed)?.to_bytes()))
    };
    let wrapped = item
        .versions
        .iter()
        .map(wrap)
        .collect::<Result<_, Error>>()?;
    Ok((record, wrapped))
}
