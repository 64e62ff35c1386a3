//! `org.quantumos.RootKey1` on the root object: what the TPM asks for before it gives the root key.

use super::failure::Answer;
use super::{MANAGE, Shared, UNLOCK, descriptor};
use crate::Error;
use quantumos_dbus::Error as BusError;
use std::sync::Arc;
use zbus::OwnedFd;
use zbus::message::Header;
use zeroize::Zeroizing;

pub(super) struct RootKey1(pub(super) Arc<Shared>);

/// A PIN without the line end that typing or `echo` leaves; none when it is empty.
fn pin(descriptor: OwnedFd) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let mut bytes = descriptor::read_secret(descriptor.into())?;
    while bytes
        .last()
        .is_some_and(|last| matches!(last, b'\n' | b'\r'))
    {
        bytes.pop();
    }
    Ok((!bytes.is_empty()).then_some(bytes))
}

impl RootKey1 {
    /// Runs TPM work on a thread of its own, and tells the bus how things stand afterwards.
    async fn run(&self, work: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Answer<()> {
        let done = self.0.readers.run(work).await;
        self.0.refresh().await;
        Ok(done?)
    }
}

#[zbus::interface(name = "org.quantumos.RootKey1", introspection_docs = false)]
impl RootKey1 {
    async fn unlock(
        &self,
        #[zbus(header)] header: Header<'_>,
        pin_descriptor: OwnedFd,
    ) -> Result<(), BusError> {
        self.0.context.authority.check(&header, UNLOCK).await?;
        let keyring = self.0.keyring.clone();
        self.run(move || {
            let given =
                pin(pin_descriptor)?.ok_or_else(|| Error::argument("PIN", "it is empty"))?;
            keyring.unlock(&given)
        })
        .await
    }

    async fn reseal(
        &self,
        #[zbus(header)] header: Header<'_>,
        pin_descriptor: OwnedFd,
        new_pin_descriptor: OwnedFd,
    ) -> Result<(), BusError> {
        self.0.context.authority.check(&header, UNLOCK).await?;
        let keyring = self.0.keyring.clone();
        self.run(move || {
            let (old, new) = (pin(pin_descriptor)?, pin(new_pin_descriptor)?);
            keyring.reseal(old.as_ref().map(|p| &p[..]), new.as_ref().map(|p| &p[..]))
        })
        .await
    }

    #[zbus(out_args("version"))]
    async fn rotate_kek(&self, #[zbus(header)] header: Header<'_>) -> Result<u32, BusError> {
        self.0.context.authority.check(&header, MANAGE).await?;
        self.0.ensure_open().await?;
        let keyring = self.0.keyring.clone();
        let version = self.0.workers.run(move || keyring.rotate_kek()).await?;
        self.0.tell_root().await?;
        Ok(version)
    }

    #[zbus(property)]
    fn kek_version(&self) -> u32 {
        self.0.keyring.kek_version()
    }

    #[zbus(property)]
    fn open(&self) -> bool {
        self.0.keyring.is_open()
    }

    #[zbus(property)]
    fn conditions(&self) -> Vec<String> {
        let health = self.0.health();
        health
            .conditions
            .iter()
            .map(|word| (*word).into())
            .collect()
    }
}
