//! `org.quantumos.Credentials1`: secrets for systemd units, for administrators only.

use super::failure::Answer;
use super::{CREDENTIALS, Shared, descriptor, options};
use crate::Error;
use crate::audit::Who;
use crate::credential::VALUE_MAX;
use crate::keyring::{Keyring, Value};
use quantumos_dbus::{Dictionary, Error as BusError};
use std::sync::Arc;
use zbus::OwnedFd;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

pub(super) struct Credentials1(pub(super) Arc<Shared>);

/// Name, version, time of the value, random bytes, seconds between values, units.
type Line = (String, u32, u64, u32, u32, Vec<String>);

impl Credentials1 {
    /// Lets an administrator pass, and opens what has to be open.
    async fn begin(&self, header: &Header<'_>) -> Answer<Who> {
        let caller = self.0.context.authority.check(header, CREDENTIALS).await?;
        self.0.ensure_open().await?;
        Ok(Who::User(caller.uid))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Keyring) -> Result<T, Error> + Send + 'static,
    ) -> Answer<T> {
        let keyring = self.0.keyring.clone();
        Ok(self.0.readers.run(move || work(&keyring)).await?)
    }
}

#[zbus::interface(name = "org.quantumos.Credentials1", introspection_docs = false)]
impl Credentials1 {
    #[zbus(out_args("version"))]
    async fn set(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        name: String,
        value: OwnedFd,
    ) -> Result<u32, BusError> {
        let who = self.begin(&header).await?;
        let set = self
            .run(move |keyring| {
                let value = descriptor::read_value(value.into(), VALUE_MAX)?;
                keyring.set_credential(&name, Value::Given(value), &who)
            })
            .await?;
        Self::changed(&emitter, &set.name, set.version).await?;
        Ok(set.version)
    }

    #[zbus(out_args("version"))]
    async fn generate(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        name: String,
        bytes: u32,
        options: Dictionary,
    ) -> Result<u32, BusError> {
        let who = self.begin(&header).await?;
        let every = options::every(&options)?;
        let value = Value::Random { bytes, every };
        let set = self
            .run(move |keyring| keyring.set_credential(&name, value, &who))
            .await?;
        Self::changed(&emitter, &set.name, set.version).await?;
        Ok(set.version)
    }

    #[zbus(out_args("version"))]
    async fn rotate(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        name: String,
    ) -> Result<u32, BusError> {
        let who = self.begin(&header).await?;
        let set = self
            .run(move |keyring| keyring.rotate_credential(&name, &who))
            .await?;
        Self::changed(&emitter, &set.name, set.version).await?;
        Ok(set.version)
    }

    async fn grant(
        &self,
        #[zbus(header)] header: Header<'_>,
        name: String,
        unit: String,
    ) -> Result<(), BusError> {
        let who = self.begin(&header).await?;
        let work = move |keyring: &Keyring| keyring.allow_unit(&name, &unit, true, &who);
        self.run(work).await.map(drop)
    }

    async fn ungrant(
        &self,
        #[zbus(header)] header: Header<'_>,
        name: String,
        unit: String,
    ) -> Result<(), BusError> {
        let who = self.begin(&header).await?;
        let work = move |keyring: &Keyring| {
            if keyring.allow_unit(&name, &unit, false, &who)? {
                Ok(())
            } else {
                Err(Error::argument(
                    "unit",
                    format!("{unit} has no grant for {name}"),
                ))
            }
        };
        self.run(work).await
    }

    async fn remove(
        &self,
        #[zbus(header)] header: Header<'_>,
        name: String,
    ) -> Result<(), BusError> {
        let who = self.begin(&header).await?;
        self.run(move |keyring| keyring.remove_credential(&name, &who))
            .await
    }

    #[zbus(out_args("credentials"))]
    async fn list(&self, #[zbus(header)] header: Header<'_>) -> Result<Vec<Line>, BusError> {
        self.begin(&header).await?;
        let all = self.run(Keyring::credentials).await?;
        let line = |c: crate::credential::Credential| {
            (c.name, c.version, c.changed_at, c.random, c.every, c.units)
        };
        Ok(all.into_iter().map(line).collect())
    }

    /// A credential got another value: units that hold the old one may want a restart.
    #[zbus(signal)]
    pub(super) async fn changed(
        emitter: &SignalEmitter<'_>,
        name: &str,
        version: u32,
    ) -> zbus::Result<()>;
}
