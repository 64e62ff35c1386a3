//! `org.quantumos.Key1`: one key.

use super::access::outcome;
use super::failure::Answer;
use super::keys::inline;
use super::transfer::unwatched;
use super::{MANAGE, REVOKE, Shared, descriptor, options, stream};
use crate::Error;
use crate::audit::{Action, Who};
use crate::grant::{Operation, Operations, Subject};
use crate::keyring::{self, Keyring};
use crate::record::{KeyId, Record};
use quantumos_dbus::{Bytes, Dictionary, Error as BusError};
use quantumos_pqc::Kind;
use std::sync::Arc;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{OwnedFd, fdo};

/// Bytes of a message that hashing hardly shows in the time of a signature.
const SHORT: usize = 4096;

pub(super) struct Key1 {
    pub(super) shared: Arc<Shared>,
    pub(super) id: KeyId,
}

impl Key1 {
    fn record(&self) -> Answer<Arc<Record>> {
        Ok(self.shared.keyring.record(self.id)?)
    }

    /// For properties, whose errors are the bus's own.
    fn property<T>(&self, read: impl FnOnce(&Record) -> T) -> fdo::Result<T> {
        self.shared
            .keyring
            .record(self.id)
            .map(|record| read(&record))
            .map_err(|error| fdo::Error::Failed(error.to_string()))
    }

    /// Lets the caller use the key, and opens what has to be open.
    async fn begin(&self, header: &Header<'_>, operation: Operation) -> Answer<(Arc<Record>, Who)> {
        let record = self.record()?;
        let who = self
            .shared
            .authorise_use(header, &record, operation)
            .await?;
        self.shared.ensure_open().await?;
        Ok((record, who))
    }

    /// Uses the key on a worker thread and writes that it was used. Work that waits for descriptors
    /// has workers of its own.
    async fn apply<T: Send + 'static>(
        &self,
        (record, who): (Arc<Record>, Who),
        operation: Operation,
        version: Option<u32>,
        waits: bool,
        work: impl FnOnce(&Keyring, KeyId) -> Result<T, Error> + Send + 'static,
    ) -> Answer<T> {
        let (keyring, id) = (self.shared.keyring.clone(), self.id);
        let workers = match waits {
            true => &self.shared.readers,
            false => &self.shared.workers,
        };
        let done = workers.run(move || work(&keyring, id)).await;
        let version = version.unwrap_or_else(|| record.version());
        self.shared
            .used(&record, operation, version, who, outcome(&done));
        Ok(done?)
    }

    /// Runs a change on a worker thread.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Keyring, KeyId) -> Result<T, Error> + Send + 'static,
    ) -> Answer<T> {
        let (keyring, id) = (self.shared.keyring.clone(), self.id);
        Ok(self.shared.workers.run(move || work(&keyring, id)).await?)
    }
}

#[zbus::interface(name = "org.quantumos.Key1", introspection_docs = false)]
impl Key1 {
    #[zbus(out_args("public_key"))]
    fn public_key(&self) -> Result<Vec<u8>, BusError> {
        let record = self.record()?;
        Ok(record.version_of(None)?.public.as_bytes().to_vec())
    }

    #[zbus(out_args("public_key"))]
    fn public_key_of(&self, version: u32) -> Result<Vec<u8>, BusError> {
        let record = self.record()?;
        let version = record.version_of(Some(version))?;
        Ok(version.public.as_bytes().to_vec())
    }

    #[zbus(out_args("signature"))]
    async fn sign(
        &self,
        #[zbus(header)] header: Header<'_>,
        message: &[u8],
        options: Dictionary,
    ) -> Result<Bytes, BusError> {
        let (record, who) = self.begin(&header, Operation::Sign).await?;
        let context = options::context(&options)?;
        if message.len() <= SHORT {
            let keyring = &self.shared.keyring;
            let work = || keyring.sign_if_loaded(self.id, message, &context);
            if let Some(done) = self.shared.workers.run_at_once(work) {
                let (operation, version) = (Operation::Sign, record.version());
                self.shared
                    .used(&record, operation, version, who, outcome(&done));
                return Ok(done?.into());
            }
        }
        let message = inline(message)?;
        let work = move |keyring: &Keyring, id| keyring.sign(id, &message, &context);
        self.apply((record, who), Operation::Sign, None, false, work)
            .await
            .map(Bytes::from)
    }

    #[zbus(out_args("signature"))]
    async fn sign_descriptor(
        &self,
        #[zbus(header)] header: Header<'_>,
        message: OwnedFd,
        options: Dictionary,
    ) -> Result<Bytes, BusError> {
        let caller = self.begin(&header, Operation::Sign).await?;
        let context = options::context(&options)?;
        self.apply(caller, Operation::Sign, None, true, move |keyring, id| {
            let message = descriptor::read(message.into())?;
            keyring.sign(id, &message, &context)
        })
        .await
        .map(Bytes::from)
    }

    #[zbus(out_args("valid"))]
    async fn verify(
        &self,
        #[zbus(header)] header: Header<'_>,
        message: &[u8],
        signature: &[u8],
        options: Dictionary,
    ) -> Result<bool, BusError> {
        let record = self.record()?;
        let (context, version) = options::context_and_version(&options)?;
        let (message, signature) = (inline(message)?, inline(signature)?);
        if record.algorithm.kind() == Kind::Mac {
            // Needs the secret, so it is a use.
            let caller = self.begin(&header, Operation::Verify).await?;
            let work = move |keyring: &Keyring, id| {
                keyring.verify_mac(id, version, &message, &signature, &context)
            };
            return self
                .apply(caller, Operation::Verify, version, false, work)
                .await;
        }
        let work = move || keyring::verify(&record, version, &message, &signature, &context);
        Ok(self.shared.workers.run(work).await?)
    }

    #[zbus(out_args("valid"))]
    async fn verify_descriptor(
        &self,
        #[zbus(header)] header: Header<'_>,
        message: OwnedFd,
        signature: &[u8],
        options: Dictionary,
    ) -> Result<bool, BusError> {
        let record = self.record()?;
        let (context, version) = options::context_and_version(&options)?;
        let signature = inline(signature)?;
        if record.algorithm.kind() == Kind::Mac {
            let caller = self.begin(&header, Operation::Verify).await?;
            let work = move |keyring: &Keyring, id| {
                let message = descriptor::read(message.into())?;
                keyring.verify_mac(id, version, &message, &signature, &context)
            };
            return self
                .apply(caller, Operation::Verify, version, true, work)
                .await;
        }
        let work = move || {
            let message = descriptor::read_file(message.into())?;
            keyring::verify(&record, version, &message, &signature, &context)
        };
        Ok(self.shared.verifiers.run(work).await?)
    }

    #[zbus(out_args("ciphertext", "secret", "version"))]
    async fn encapsulate(&self, options: Dictionary) -> Result<(Vec<u8>, OwnedFd, u32), BusError> {
        let record = self.record()?;
        let version = options::version(&options)?;
        let work = move || {
            let version = record.version_of(version)?;
            let (ciphertext, secret) = version.public.encapsulate()?;
            let secret = descriptor::secret(secret.expose())?;
            Ok((ciphertext, secret.into(), version.number))
        };
        Ok(self.shared.workers.run(work).await?)
    }

    #[zbus(out_args("secret"))]
    async fn decapsulate(
        &self,
        #[zbus(header)] header: Header<'_>,
        ciphertext: &[u8],
        options: Dictionary,
    ) -> Result<OwnedFd, BusError> {
        let caller = self.begin(&header, Operation::Decapsulate).await?;
        let version = options::version(&options)?;
        let ciphertext = inline(ciphertext)?;
        let work = move |keyring: &Keyring, id| {
            let secret = keyring.decapsulate(id, version, &ciphertext)?;
            Ok(descriptor::secret(secret.expose())?.into())
        };
        self.apply(caller, Operation::Decapsulate, version, false, work)
            .await
    }

    #[zbus(out_args("written"))]
    async fn encrypt(
        &self,
        #[zbus(header)] header: Header<'_>,
        input: OwnedFd,
        output: OwnedFd,
        options: Dictionary,
    ) -> Result<u64, BusError> {
        let caller = self.begin(&header, Operation::Encrypt).await?;
        let context = options::context(&options)?;
        self.apply(
            caller,
            Operation::Encrypt,
            None,
            true,
            move |keyring, id| {
                let lock = stream::Lock::Key(keyring, id);
                let (input, output) = (input.into(), output.into());
                Ok(stream::seal(&lock, input, output, &context, None, &unwatched)?.written)
            },
        )
        .await
    }

    #[zbus(out_args("written"))]
    async fn decrypt(
        &self,
        #[zbus(header)] header: Header<'_>,
        input: OwnedFd,
        output: OwnedFd,
        options: Dictionary,
    ) -> Result<u64, BusError> {
        let caller = self.begin(&header, Operation::Decrypt).await?;
        let context = options::context(&options)?;
        self.apply(
            caller,
            Operation::Decrypt,
            None,
            true,
            move |keyring, id| {
                let lock = stream::Lock::Key(keyring, id);
                let (input, output) = (input.into(), output.into());
                Ok(stream::open(&lock, input, output, &context, false, &unwatched)?.written)
            },
        )
        .await
    }

    #[zbus(out_args("version"))]
    async fn rotate(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<u32, BusError> {
        let (_, who) = self.begin(&header, Operation::Rotate).await?;
        let record = self
            .change(move |keyring, id| keyring.rotate(id, &who))
            .await?;
        self.version_changed(&emitter).await?;
        self.versions_changed(&emitter).await?;
        Ok(record.version())
    }

    async fn grant(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        kind: &str,
        subject: &str,
        operations: Vec<String>,
    ) -> Result<(), BusError> {
        let record = self.record()?;
        let who = self
            .shared
            .authorise_change(&header, &record, Action::Grant, MANAGE)
            .await?;
        let subject = Subject::of(kind, subject)?;
        let allowed = keyring::operations(record.algorithm);
        let wanted = Operations::of(&operations)?;
        let senseless = Operation::ALL
            .into_iter()
            .find(|operation| wanted.contains(*operation) && !allowed.contains(operation));
        if let Some(operation) = senseless {
            let why = format!(
                "{} keys can not {}",
                record.algorithm.name(),
                operation.name()
            );
            return Err(Error::argument("operations", why).into());
        }
        self.shared.ensure_open().await?;
        self.change(move |keyring, id| keyring.grant(id, subject, wanted, &who))
            .await?;
        self.grants_changed(&emitter).await?;
        Ok(())
    }

    async fn ungrant(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        kind: &str,
        subject: &str,
    ) -> Result<(), BusError> {
        let record = self.record()?;
        let who = self
            .shared
            .authorise_change(&header, &record, Action::Ungrant, MANAGE)
            .await?;
        let subject = Subject::of(kind, subject)?;
        self.shared.ensure_open().await?;
        self.change(move |keyring, id| keyring.ungrant(id, &subject, &who))
            .await?;
        self.grants_changed(&emitter).await?;
        Ok(())
    }

    async fn revoke(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        reason: String,
    ) -> Result<(), BusError> {
        let record = self.record()?;
        let who = self
            .shared
            .authorise_change(&header, &record, Action::Revoke, REVOKE)
            .await?;
        self.change(move |keyring, id| keyring.revoke(id, &reason, &who))
            .await?;
        self.state_changed(&emitter).await?;
        self.revoked_at_changed(&emitter).await?;
        self.revocation_reason_changed(&emitter).await?;
        Ok(())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> String {
        self.id.to_string()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn algorithm(&self) -> fdo::Result<String> {
        self.property(|record| record.algorithm.name().into())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn label(&self) -> fdo::Result<String> {
        self.property(|record| record.label.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn owner(&self) -> fdo::Result<u32> {
        self.property(|record| record.owner)
    }

    #[zbus(property)]
    fn version(&self) -> fdo::Result<u32> {
        self.property(Record::version)
    }

    #[zbus(property)]
    fn versions(&self) -> fdo::Result<Vec<(u32, u64)>> {
        self.property(|record| {
            let versions = record.versions.iter();
            versions.map(|v| (v.number, v.created_at)).collect()
        })
    }

    #[zbus(property)]
    fn grants(&self) -> fdo::Result<Vec<(String, String, Vec<String>)>> {
        self.property(|record| {
            let shown = |grant: &crate::grant::Grant| {
                let operations = grant.operations.names().into_iter().map(Into::into);
                let kind = grant.subject.kind().to_owned();
                (kind, grant.subject.to_string(), operations.collect())
            };
            record.grants.list.iter().map(shown).collect()
        })
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn operations(&self) -> fdo::Result<Vec<String>> {
        self.property(|record| {
            let operations = keyring::operations(record.algorithm).iter();
            operations
                .map(|operation| operation.name().into())
                .collect()
        })
    }

    #[zbus(property)]
    fn state(&self) -> fdo::Result<String> {
        self.property(|record| match record.revoked {
            Some(_) => "revoked".into(),
            None => "active".into(),
        })
    }

    #[zbus(property)]
    fn protection(&self) -> fdo::Result<String> {
        self.property(|record| record.protection.name().into())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn created_at(&self) -> fdo::Result<u64> {
        self.property(|record| record.created_at)
    }

    #[zbus(property)]
    fn revoked_at(&self) -> fdo::Result<u64> {
        self.property(|record| record.revoked.as_ref().map_or(0, |revoked| revoked.at))
    }

    #[zbus(property)]
    fn revocation_reason(&self) -> fdo::Result<String> {
        self.property(|record| {
            let revoked = record.revoked.as_ref();
            revoked.map_or_else(String::new, |revoked| revoked.reason.clone())
        })
    }
}
