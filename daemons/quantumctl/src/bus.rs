//! The connection, and the few ways in which commands use it.
//! Nothing here starts a service by looking at it: `owner` asks the bus first. Calls that may
//! need authorisation go through `authorised`, which lets polkit ask unless told not to.

use std::time::Duration;

use quantumos_dbus::{Dictionary, SERVICES, Service};
use serde::{Serialize, de::DeserializeOwned};
use zbus::{
    Connection, DynamicType, ObjectPath, Proxy,
    fdo::{DBusProxy, ManagedObjects, ObjectManagerProxy, PropertiesProxy},
    names::{BusName, InterfaceName, OwnedUniqueName},
    proxy::MethodFlags,
};

use crate::{error::Error, text::value};

/// Longest wait for an answer; a person may have to type a password meanwhile.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A connection to the bus.
#[derive(Clone, Debug)]
pub struct Bus {
    connection: Connection,
    interactive: bool,
}

impl Bus {
    /// Connects to `address`, or to the system bus (DBUS_SYSTEM_BUS_ADDRESS honoured).
    pub async fn connect(address: Option<&str>, interactive: bool) -> Result<Self, Error> {
        let builder = match address {
            Some(address) => zbus::connection::Builder::address(address),
            None => zbus::connection::Builder::system(),
        };
        let connection = builder
            .method_timeout(TIMEOUT)
            .build()
            .await
            .map_err(|error| Error::Bus(error.to_string()))?;
        Ok(Self {
            connection,
            interactive,
        })
    }

    /// The connection itself.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Who owns `name` now, if anybody.
    pub async fn owner(&self, name: &str) -> Result<Option<OwnedUniqueName>, Error> {
        let name = BusName::try_from(name)?;
        let bus = DBusProxy::new(&self.connection).await?;
        match bus.get_name_owner(name).await {
            Ok(owner) => Ok(Some(owner)),
            Err(zbus::fdo::Error::NameHasNoOwner(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All properties of an interface of an object, as a typed record.
    pub async fn record<T: DeserializeOwned>(
        &self,
        service: &str,
        path: &str,
        interface: &str,
    ) -> Result<T, Error> {
        value::record(path, &self.properties(service, path, interface).await?)
    }

    /// All properties of an interface of an object.
    pub async fn properties(
        &self,
        service: &str,
        path: &str,
        interface: &str,
    ) -> Result<Dictionary, Error> {
        let proxy = PropertiesProxy::builder(&self.connection)
            .destination(service.to_owned())
            .path(path.to_owned())
            .build()
            .await?;
        let interface = InterfaceName::try_from(interface)?;
        proxy
            .get_all(interface)
            .await
            .map_err(|error| explain(service, error))
    }

    /// The objects of a collection that have `interface`: their paths and properties.
    pub async fn objects(
        &self,
        service: &str,
        path: &str,
        interface: &str,
    ) -> Result<Vec<(String, Dictionary)>, Error> {
        let proxy = ObjectManagerProxy::builder(&self.connection)
            .destination(service.to_owned())
            .path(path.to_owned())
            .build()
            .await?;
        let objects: ManagedObjects = proxy
            .get_managed_objects()
            .await
            .map_err(|error| explain(service, error))?;
        let mut found: Vec<(String, Dictionary)> = objects
            .into_iter()
            .filter_map(|(path, mut interfaces)| {
                let key = interfaces
                    .keys()
                    .find(|name| name.as_str() == interface)
                    .cloned()?;
                Some((path.to_string(), interfaces.remove(&key)?))
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Calls a method that may need authorisation.
    pub async fn authorised<B, R>(
        &self,
        proxy: &Proxy<'_>,
        method: &str,
        body: &B,
    ) -> Result<R, Error>
    where
        B: Serialize + DynamicType,
        R: for<'d> zbus::wire::DynamicDeserialize<'d>,
    {
        let flags = if self.interactive {
            MethodFlags::ALLOW_INTERACTIVE_AUTH
        } else {
            MethodFlags::empty()
        };
        let reply = proxy
            .call_with_flags(method, flags, body)
            .await
            .map_err(|error| explain(proxy.destination(), error))?;
        reply.ok_or_else(|| Error::Answer(format!("{method}: no reply")))
    }

    /// A proxy for calls through [`Self::authorised`]; caches nothing.
    pub async fn proxy(
        &self,
        service: &str,
        path: &str,
        interface: &str,
    ) -> Result<Proxy<'static>, Error> {
        let path = ObjectPath::try_from(path.to_owned())?;
        Ok(zbus::proxy::Builder::new(&self.connection)
            .destination(service.to_owned())
            .path(path)
            .interface(interface.to_owned())
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await?)
    }
}

/// The object that `id` names below `parent`, if `id` can name one.
pub fn child(parent: &str, id: &str) -> Option<String> {
    let fits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    fits.then(|| format!("{parent}/{id}"))
}

/// The daemon behind a bus name.
pub fn service(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.bus_name == name)
}

/// A failed call to `name`: when nobody is there, the error says which unit that would be.
pub fn explain(name: &str, error: impl Into<Error>) -> Error {
    match error.into() {
        Error::Service { name: kind, .. }
            if matches!(
                kind.as_str(),
                "org.freedesktop.DBus.Error.ServiceUnknown"
                    | "org.freedesktop.DBus.Error.NameHasNoOwner"
            ) || kind.starts_with("org.freedesktop.DBus.Error.Spawn")
                || kind.starts_with("org.freedesktop.systemd1.") =>
        {
            Error::NotRunning {
                unit: service(name)
                    .map_or(name, |service| service.unit)
                    .to_owned(),
                name: name.to_owned(),
            }
        }
        other => other,
    }
}

/// Errors of the typed proxies.
impl From<quantumos_dbus::Error> for Error {
    fn from(error: quantumos_dbus::Error) -> Self {
        use zbus::DBusError;
        match error {
            quantumos_dbus::Error::ZBus(error) => error.into(),
            other => Self::Service {
                name: other.name().to_string(),
                message: other.description().unwrap_or_default().to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_there_names_the_unit() {
        let error: Error = zbus::fdo::Error::ServiceUnknown("no".into()).into();
        assert_eq!(
            explain("org.quantumos.Security1", error).to_string(),
            "security-ai is not running (nobody owns org.quantumos.Security1); \
             start it with: systemctl start security-ai"
        );
    }

    #[test]
    fn only_ids_become_paths() {
        assert_eq!(child("/a", "b_1"), Some("/a/b_1".to_owned()));
        for id in ["", "../x", "a/b", "a b", "ä"] {
            assert_eq!(child("/a", id), None, "{id:?}");
        }
    }

    #[test]
    fn typed_errors_keep_name_and_text() {
        let error: Error =
            quantumos_dbus::Error::LimitExceeded("2 MiB, at most 1 MiB".into()).into();
        assert_eq!(error.to_string(), "limit exceeded: 2 MiB, at most 1 MiB");
        assert_eq!(error.code(), 1);
    }
}
