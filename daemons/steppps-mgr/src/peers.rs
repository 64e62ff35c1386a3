//! Other services on the bus: who is there, what they signal, and calls to them. A signal
//! counts only when it comes from the owner of the name that it speaks for; calls go to that
//! owner, wait a bounded time, and start no service that is not there.

pub(crate) mod login;
pub(crate) mod signals;
pub(crate) mod systemd;
pub(crate) mod vocabulary;

use std::{collections::BTreeMap, time::Duration};

use quantumos_dbus::{Dictionary, SERVICES, bus_name};
use serde::{Serialize, de::DeserializeOwned};
use zbus::{Connection, DynamicType, Type, fdo::DBusProxy, names::BusName};

use crate::Error;

/// systemd's manager.
pub(crate) const SYSTEMD: &str = "org.freedesktop.systemd1";
/// logind.
pub(crate) const LOGIN: &str = "org.freedesktop.login1";

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is on the bus.
#[derive(Debug)]
pub(crate) struct Peers {
    connection: Connection,
    owners: BTreeMap<&'static str, String>,
}

impl Peers {
    /// Finds out who is there now; signals tell of changes.
    pub async fn find(connection: &Connection) -> Result<Self, Error> {
        let bus = DBusProxy::new(connection).await?;
        let mut owners = BTreeMap::new();
        for name in watched() {
            let bus_name = BusName::try_from(name)?;
            if let Ok(owner) = bus.get_name_owner(bus_name).await {
                owners.insert(name, owner.to_string());
            }
        }
        Ok(Self {
            connection: connection.clone(),
            owners,
        })
    }

    /// Notes a new owner of `name`, or none. Gives false for names that are not watched.
    pub fn set_owner(&mut self, name: &str, owner: &str) -> bool {
        let Some(name) = watched().find(|watched| *watched == name) else {
            return false;
        };
        if owner.is_empty() {
            self.owners.remove(name);
        } else {
            self.owners.insert(name, owner.to_owned());
        }
        true
    }

    /// Whether somebody owns `name`.
    pub fn has(&self, name: &str) -> bool {
        self.owners.contains_key(name)
    }

    /// For which watched name a sender speaks.
    pub fn speaks_for(&self, sender: &str) -> Option<&'static str> {
        self.owners
            .iter()
            .find(|(_, owner)| *owner == sender)
            .map(|(name, _)| *name)
    }

    /// Calls a method of the owner of `name`.
    pub async fn call<B, R>(
        &self,
        name: &str,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<R, Error>
    where
        B: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        let Some(owner) = self.owners.get(name) else {
            return Err(
                zbus::Error::from(zbus::fdo::Error::NameHasNoOwner(name.to_owned())).into(),
            );
        };
        let call =
            self.connection
                .call_method(Some(owner.as_str()), path, Some(interface), method, body);
        let reply = tokio::time::timeout(PATIENCE, call)
            .await
            .map_err(|_| Error::Timeout(format!("{name} ({method})")))??;
        Ok(reply.body().deserialize()?)
    }

    /// All properties of an interface.
    pub async fn properties(
        &self,
        name: &str,
        path: &str,
        interface: &str,
    ) -> Result<Properties, Error> {
        let values = self
            .call(
                name,
                path,
                "org.freedesktop.DBus.Properties",
                "GetAll",
                &(interface,),
            )
            .await?;
        Ok(Properties(values))
    }

    /// Whether the clock is synchronised, by timedated, which is started for it: it knows what
    /// the sandbox keeps from this daemon.
    pub async fn clock_is_synchronised(&self) -> Result<bool, Error> {
        let call = self.connection.call_method(
            Some("org.freedesktop.timedate1"),
            "/org/freedesktop/timedate1",
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &("org.freedesktop.timedate1", "NTPSynchronized"),
        );
        let reply = tokio::time::timeout(PATIENCE, call)
            .await
            .map_err(|_| Error::Timeout("org.freedesktop.timedate1".to_owned()))??;
        let value: zbus::OwnedVariant = reply.body().deserialize()?;
        Ok(bool::try_from(&*value)?)
    }
}

/// The names that are watched.
fn watched() -> impl Iterator<Item = &'static str> {
    [SYSTEMD, LOGIN]
        .into_iter()
        .chain(SERVICES.iter().map(|service| service.bus_name))
}

/// The services that give events besides systemd.
pub(crate) const EVENT_SERVICES: [&str; 2] = [bus_name::SECURITY, bus_name::RESOURCE];

/// Properties of an object, which may be missing or of another type than they should be.
#[derive(Debug, Default)]
pub(crate) struct Properties(pub Dictionary);

impl Properties {
    /// A text, empty when missing.
    pub fn text(&self, key: &str) -> String {
        self.0
            .get(key)
            .and_then(|value| <&str>::try_from(&**value).ok())
            .unwrap_or_default()
            .to_owned()
    }

    /// Whether a flag is set.
    pub fn flag(&self, key: &str) -> bool {
        self.0
            .get(key)
            .and_then(|value| bool::try_from(&**value).ok())
            .unwrap_or_default()
    }

    /// A number, 0 when missing.
    pub fn number(&self, key: &str) -> u64 {
        let Some(value) = self.0.get(key) else {
            return 0;
        };
        u64::try_from(&**value)
            .or_else(|_| u32::try_from(&**value).map(u64::from))
            .unwrap_or_default()
    }
}
