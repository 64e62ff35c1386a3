//! `org.quantumos.Keys1`: the collection, beside ObjectManager.

use super::failure::Answer;
use super::{CREATE, Shared, descriptor, key_path, options};
use crate::Error;
use quantumos_dbus::{Dictionary, Error as BusError};
use quantumos_pqc::{Algorithm, PublicHalf};
use std::sync::Arc;
use zbus::message::Header;
use zbus::{OwnedFd, OwnedObjectPath};

/// The most bytes of a message inside a call; larger ones go by descriptor.
pub(super) const INLINE_LIMIT: usize = 1 << 20;

/// Takes the message of a call if it isn't too large.
pub(super) fn inline(message: &[u8]) -> Answer<Vec<u8>> {
    if message.len() > INLINE_LIMIT {
        let too_large = Error::TooLarge {
            what: "message",
            limit: INLINE_LIMIT,
            got: message.len(),
        };
        return Err(too_large.into());
    }
    Ok(message.to_vec())
}

pub(super) struct Keys1(pub(super) Arc<Shared>);

#[zbus::interface(name = "org.quantumos.Keys1", introspection_docs = false)]
impl Keys1 {
    #[zbus(out_args("key"))]
    async fn create(
        &self,
        #[zbus(header)] header: Header<'_>,
        algorithm: &str,
        label: String,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        let caller = self.0.context.authority.check(&header, CREATE).await?;
        options::none(&options)?;
        let algorithm: Algorithm = algorithm.parse().map_err(Error::Crypto)?;
        self.0.ensure_open().await?;
        let keyring = self.0.keyring.clone();
        let work = move || keyring.create(caller.uid, algorithm, &label);
        let record = self.0.workers.run(work).await?;
        self.0.publish(&record).await?;
        OwnedObjectPath::try_from(key_path(record.id))
            .map_err(|error| BusError::Internal(error.to_string()))
    }

    #[zbus(out_args("valid"))]
    async fn verify(
        &self,
        algorithm: &str,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
        options: Dictionary,
    ) -> Result<bool, BusError> {
        let algorithm: Algorithm = algorithm.parse().map_err(Error::Crypto)?;
        let context = options::context(&options)?;
        let public = PublicHalf::from_bytes(algorithm, public_key).map_err(Error::Crypto)?;
        let (message, signature) = (inline(message)?, inline(signature)?);
        let work = move || Ok(public.verify(&message, &signature, &context)?);
        Ok(self.0.workers.run(work).await?)
    }

    #[zbus(out_args("valid"))]
    async fn verify_descriptor(
        &self,
        algorithm: &str,
        public_key: &[u8],
        message: OwnedFd,
        signature: &[u8],
        options: Dictionary,
    ) -> Result<bool, BusError> {
        let algorithm: Algorithm = algorithm.parse().map_err(Error::Crypto)?;
        let context = options::context(&options)?;
        let public = PublicHalf::from_bytes(algorithm, public_key).map_err(Error::Crypto)?;
        let signature = inline(signature)?;
        let work = move || {
            let message = descriptor::read_file(message.into())?;
            Ok(public.verify(&message, &signature, &context)?)
        };
        Ok(self.0.verifiers.run(work).await?)
    }

    #[zbus(property)]
    fn protection(&self) -> &'static str {
        self.0.protection()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn algorithms(&self) -> Vec<String> {
        let names = Algorithm::ALL
            .iter()
            .map(|algorithm| algorithm.name().into());
        names.collect()
    }
}
