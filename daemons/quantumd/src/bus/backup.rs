//! `org.quantumos.Backup1` beside the collection of keys: keys sealed to another host's key and taken
//! in from one. For administrators: what leaves is no longer under this host's TPM.

use super::failure::Answer;
use super::{BACKUP, Shared, descriptor, options};
use crate::Error;
use crate::audit::{Action, Who};
use crate::grant::Operation;
use crate::keyring::Choices;
use crate::record::KeyId;
use quantumos_dbus::{Dictionary, Error as BusError, path};
use quantumos_pqc::{Algorithm, PublicHalf, backup};
use std::sync::Arc;
use zbus::message::Header;
use zbus::{ObjectPath, OwnedFd, OwnedObjectPath};

pub(super) struct Backup1(pub(super) Arc<Shared>);

/// The key that an object path names.
fn key_of(object: &ObjectPath<'_>) -> Result<KeyId, Error> {
    let text = object.as_str();
    let id = text
        .strip_prefix(path::KEYS)
        .and_then(|id| id.strip_prefix('/'));
    id.unwrap_or(text).parse()
}

impl Backup1 {
    /// Lets an administrator pass who may also use `key` for `operation`.
    async fn begin(
        &self,
        header: &Header<'_>,
        kind: Action,
        key: KeyId,
        operation: Operation,
    ) -> Answer<Who> {
        let caller = self.0.context.authority.caller(header).await?;
        let record = self.0.keyring.record(key)?;
        let who = Who::User(caller.uid);
        self.0.ask(header, &record, kind, BACKUP, who).await?;
        let who = self.0.authorise_use(header, &record, operation).await?;
        self.0.ensure_open().await?;
        Ok(who)
    }
}

#[zbus::interface(name = "org.quantumos.Backup1", introspection_docs = false)]
impl Backup1 {
    #[zbus(out_args("backup", "id", "count"))]
    async fn backup(
        &self,
        #[zbus(header)] header: Header<'_>,
        keys: Vec<ObjectPath<'_>>,
        recipient: &[u8],
        signer: ObjectPath<'_>,
        options: Dictionary,
    ) -> Result<(OwnedFd, String, u32), BusError> {
        options::none(&options)?;
        let signer = key_of(&signer)?;
        let keys: Vec<KeyId> = keys.iter().map(key_of).collect::<Result<_, _>>()?;
        let who = self
            .begin(&header, Action::Backup, signer, Operation::Sign)
            .await?;
        let recipient =
            PublicHalf::from_bytes(backup::RECIPIENT, recipient).map_err(Error::Crypto)?;
        let keyring = self.0.keyring.clone();
        let work = move || {
            let made = keyring.backup(&keys, &recipient, signer, &who)?;
            let count = u32::try_from(made.count).unwrap_or(u32::MAX);
            Ok((
                descriptor::secret(&made.bytes)?.into(),
                made.id.to_string(),
                count,
            ))
        };
        Ok(self.0.workers.run(work).await?)
    }

    #[zbus(out_args("id", "restored", "skipped"))]
    async fn restore(
        &self,
        #[zbus(header)] header: Header<'_>,
        backup: OwnedFd,
        recipient: ObjectPath<'_>,
        signer_algorithm: &str,
        signer: &[u8],
        options: Dictionary,
    ) -> Result<(String, Vec<OwnedObjectPath>, Vec<OwnedObjectPath>), BusError> {
        let choices = choices(&options)?;
        let recipient = key_of(&recipient)?;
        let who = self
            .begin(&header, Action::Restore, recipient, Operation::Decapsulate)
            .await?;
        let algorithm: Algorithm = signer_algorithm.parse().map_err(Error::Crypto)?;
        let signer = PublicHalf::from_bytes(algorithm, signer).map_err(Error::Crypto)?;
        let keyring = self.0.keyring.clone();
        let work = move || {
            let bytes = descriptor::read_value(backup.into(), backup::SIZE_MAX)?.to_vec();
            keyring.restore(bytes, recipient, &signer, choices, &who)
        };
        let done = self.0.readers.run(work).await?;
        for record in &done.records {
            self.0.publish(record).await?;
        }
        let restored = done.records.iter().map(|record| object_path(record.id));
        let skipped = done.skipped.iter().map(|id| object_path(*id));
        Ok((
            done.id.to_string(),
            restored.collect::<Result<_, _>>()?,
            skipped.collect::<Result<_, _>>()?,
        ))
    }
}

fn object_path(id: KeyId) -> Answer<OwnedObjectPath> {
    OwnedObjectPath::try_from(super::key_path(id))
        .map_err(|error| BusError::Internal(error.to_string()))
}

/// `owner` (u), `grants` (b), `skip-existing` (b).
fn choices(options: &Dictionary) -> Answer<Choices> {
    options::only(options, &["owner", "grants", "skip-existing"])?;
    Ok(Choices {
        owner: options::number_in(options, "owner")?,
        grants: options::flag_in(options, "grants")?,
        skip_existing: options::flag_in(options, "skip-existing")?,
    })
}
