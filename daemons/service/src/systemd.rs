//! systemd's own interface, as far as daemons that limit and stop units need it. Properties are set with
//! `runtime` on, so that `systemctl show` tells the truth and a reboot undoes everything.

use std::time::Duration;

use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant, fdo};

/// Longest wait for systemd.
const PATIENCE: Duration = Duration::from_secs(15);

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Talks to the system's manager.
#[derive(Debug, Clone)]
pub struct Systemd {
    connection: Connection,
}

/// Why a call failed, as far as it matters what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemdError {
    /// There is no such unit (any more).
    #[error("no such unit")]
    NoSuchUnit,
    /// It said no, in words: nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// It gave no answer: the change may have been made, or may yet be.
    #[error("{0}")]
    NoAnswer(String),
}

impl Systemd {
    /// On this bus.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
        }
    }

    /// The object of a unit that is loaded.
    ///
    /// # Errors
    /// When there is none or systemd does not answer.
    pub async fn unit(&self, unit: &str) -> Result<OwnedObjectPath, SystemdError> {
        self.manager("GetUnit", &(unit,)).await
    }

    /// A property of an object of systemd's.
    ///
    /// # Errors
    /// When it isn't there or systemd does not answer.
    pub async fn property(
        &self,
        object: &OwnedObjectPath,
        interface: &str,
        name: &str,
    ) -> Result<OwnedVariant, SystemdError> {
        self.call(object.as_str(), PROPERTIES, "Get", &(interface, name))
            .await
    }

    /// Sets properties of a unit until the next boot.
    ///
    /// # Errors
    /// When systemd refuses or does not answer.
    pub async fn set_properties(
        &self,
        unit: &str,
        properties: Vec<(&str, Variant<'_>)>,
    ) -> Result<(), SystemdError> {
        self.manager("SetUnitProperties", &(unit, true, properties))
            .await
    }

    /// Calls a method of the manager.
    ///
    /// # Errors
    /// When systemd refuses or does not answer.
    pub async fn manager<B, R>(&self, method: &str, body: &B) -> Result<R, SystemdError>
    where
        B: serde::Serialize + zbus::Type,
        R: serde::de::DeserializeOwned + zbus::Type,
    {
        self.call(PATH, MANAGER, method, body).await
    }

    async fn call<B, R>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<R, SystemdError>
    where
        B: serde::Serialize + zbus::Type,
        R: serde::de::DeserializeOwned + zbus::Type,
    {
        let call = self
            .connection
            .call_method(Some(NAME), path, Some(interface), method, body);
        let reply = tokio::time::timeout(PATIENCE, call)
            .await
            .map_err(|_| {
                SystemdError::NoAnswer(format!(
                    "{method}: no answer within {} s",
                    PATIENCE.as_secs()
                ))
            })?
            .map_err(|error| refusal(method, &error))?;
        reply
            .body()
            .deserialize()
            .map_err(|error| SystemdError::Refused(format!("{method}: {error}")))
    }
}

/// The interface that has the resource properties of a unit, by its kind.
#[must_use]
pub fn unit_interface(unit: &str) -> Option<&'static str> {
    match unit.rsplit('.').next() {
        Some("service") => Some("org.freedesktop.systemd1.Service"),
        Some("scope") => Some("org.freedesktop.systemd1.Scope"),
        Some("slice") => Some("org.freedesktop.systemd1.Slice"),
        _ => None,
    }
}

fn refusal(method: &str, error: &zbus::Error) -> SystemdError {
    match error {
        zbus::Error::MethodError(name, ..)
            if name.as_str() == "org.freedesktop.systemd1.NoSuchUnit" =>
        {
            SystemdError::NoSuchUnit
        }
        zbus::Error::FDO(known) if no_answer(known) => {
            SystemdError::NoAnswer(format!("{method}: {error}"))
        }
        zbus::Error::MethodError(..) | zbus::Error::FDO(_) => {
            SystemdError::Refused(format!("{method}: {error}"))
        }
        other => SystemdError::NoAnswer(format!("{method}: {other}")),
    }
}

/// The bus itself speaks for a service that did not.
fn no_answer(error: &fdo::Error) -> bool {
    matches!(
        error,
        fdo::Error::NoReply(_)
            | fdo::Error::Timeout(_)
            | fdo::Error::TimedOut(_)
            | fdo::Error::Disconnected(_)
    )
}
