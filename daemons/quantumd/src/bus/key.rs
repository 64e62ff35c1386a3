//! `org.quantumos.Key1`: one key.

use super::failure::Answer;
use super::keys::inline;
use super::{REVOKE, Shared, USE, descriptor, options};
use crate::keyring;
use crate::record::{KeyId, Record};
use quantumos_dbus::{Dictionary, Error as BusError};
use std::sync::Arc;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{OwnedFd, fdo};

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
}

#[zbus::interface(name = "org.quantumos.Key1", introspection_docs = false)]
impl Key1 {
    #[zbus(out_args("public_key"))]
    fn public_key(&self) -> Result<Vec<u8>, BusError> {
        Ok(self.record()?.public.as_bytes().to_vec())
    }

    #[zbus(out_args("signature"))]
    async fn sign(
        &self,
        #[zbus(header)] header: Header<'_>,
        message: &[u8],
        options: Dictionary,
    ) -> Result<Vec<u8>, BusError> {
        self.shared
            .authorise(&header, &*self.record()?, USE)
            .await?;
        let context = options::context(&options)?;
        let message = inline(message)?;
        self.shared.ensure_open().await?;
        let (keyring, id) = (self.shared.keyring.clone(), self.id);
        let work = move || keyring.sign(id, &message, &context);
        let signature = self.shared.workers.run(work).await?;
        Ok(signature.as_bytes().to_vec())
    }

    #[zbus(out_args("signature"))]
    async fn sign_descriptor(
        &self,
        #[zbus(header)] header: Header<'_>,
        message: OwnedFd,
        options: Dictionary,
    ) -> Result<Vec<u8>, BusError> {
        self.shared
            .authorise(&header, &*self.record()?, USE)
            .await?;
        let context = options::context(&options)?;
        self.shared.ensure_open().await?;
        let (keyring, id) = (self.shared.keyring.clone(), self.id);
        let work = move || {
            let message = descriptor::read(message.into())?;
            keyring.sign(id, &message, &context)
        };
        let signature = self.shared.readers.run(work).await?;
        Ok(signature.as_bytes().to_vec())
    }

    #[zbus(out_args("valid"))]
    async fn verify(
        &self,
        message: &[u8],
        signature: &[u8],
        options: Dictionary,
    ) -> Result<bool, BusError> {
        let record = self.record()?;
        let context = options::context(&options)?;
        let (message, signature) = (inline(message)?, inline(signature)?);
        let work = move || {
            keyring::verify(
                record.algorithm,
                &record.public,
                &message,
                &signature,
                &context,
            )
        };
        Ok(self.shared.workers.run(work).await?)
    }

    #[zbus(out_args("valid"))]
    async fn verify_descriptor(
        &self,
        message: OwnedFd,
        signature: &[u8],
        options: Dictionary,
    ) -> Result<bool, BusError> {
        let record = self.record()?;
        let context = options::context(&options)?;
        let signature = inline(signature)?;
        let work = move || {
            let message = descriptor::read_file(message.into())?;
            keyring::verify(
                record.algorithm,
                &record.public,
                &message,
                &signature,
                &context,
            )
        };
        Ok(self.shared.verifiers.run(work).await?)
    }

    async fn revoke(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        reason: String,
    ) -> Result<(), BusError> {
        self.shared
            .authorise(&header, &*self.record()?, REVOKE)
            .await?;
        let (keyring, id) = (self.shared.keyring.clone(), self.id);
        let work = move || keyring.revoke(id, &reason);
        self.shared.workers.run(work).await?;
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

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> fdo::Result<u32> {
        self.property(|record| record.version)
    }

    #[zbus(property)]
    fn state(&self) -> fdo::Result<String> {
        self.property(|record| match record.revoked {
            Some(_) => "revoked".into(),
            None => "active".into(),
        })
    }

    #[zbus(property(emits_changed_signal = "const"))]
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
