//! The actuator: systemd's own interface. Weights are set with `runtime` on, so that
//! `systemctl show` tells the truth and a reboot undoes everything.

use std::time::Duration;

use quantumos_resource::controller::{NOT_SET, Weight};
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant, fdo};

use crate::Error;

/// Longest wait for systemd.
const PATIENCE: Duration = Duration::from_secs(15);
/// The property that is changed.
pub const PROPERTY: &str = "CPUWeight";

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// Talks to the system's manager.
#[derive(Debug, Clone)]
pub struct Systemd {
    connection: Connection,
}

/// Why a call failed, as far as it matters what to do next.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such unit (any more).
    NoSuchUnit,
    /// It said no, in words: nothing was changed.
    Refused(String),
    /// It gave no answer: the change may have been made, or may yet be.
    NoAnswer(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchUnit => Self::Systemd("no such unit".into()),
            Refusal::Refused(reason) | Refusal::NoAnswer(reason) => Self::Systemd(reason),
        }
    }
}

impl Systemd {
    /// On this bus.
    pub fn new(connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
        }
    }

    /// The weight of a unit as systemd knows it.
    ///
    /// # Errors
    /// When the unit is not there or systemd does not answer.
    pub async fn weight(&self, unit: &str) -> Result<Weight, Refusal> {
        let interface = match unit.rsplit('.').next() {
            Some("service") => "org.freedesktop.systemd1.Service",
            Some("scope") => "org.freedesktop.systemd1.Scope",
            Some("slice") => "org.freedesktop.systemd1.Slice",
            _ => return Ok(Weight::Unknown),
        };
        let path: OwnedObjectPath = self.call(PATH, MANAGER, "GetUnit", &(unit,)).await?;
        let body = (interface, PROPERTY);
        let value: OwnedVariant = self
            .call(
                path.as_str(),
                "org.freedesktop.DBus.Properties",
                "Get",
                &body,
            )
            .await?;
        match u64::try_from(value) {
            Ok(NOT_SET) => Ok(Weight::NotSet),
            Ok(weight) => Ok(Weight::Set(weight)),
            Err(_) => Err(Refusal::Refused(format!(
                "{PROPERTY} of {unit} is not a number"
            ))),
        }
    }

    /// Sets the weight of a unit until the next boot; `NOT_SET` takes it back.
    ///
    /// # Errors
    /// When systemd refuses or does not answer.
    pub async fn set_weight(&self, unit: &str, weight: u64) -> Result<(), Refusal> {
        let properties = vec![(PROPERTY, Variant::from(weight))];
        self.call(
            PATH,
            MANAGER,
            "SetUnitProperties",
            &(unit, true, properties),
        )
        .await
    }

    async fn call<B, R>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<R, Refusal>
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
                Refusal::NoAnswer(format!(
                    "{method}: no answer within {} s",
                    PATIENCE.as_secs()
                ))
            })?
            .map_err(|error| refusal(method, &error))?;
        reply
            .body()
            .deserialize()
            .map_err(|error| Refusal::Refused(format!("{method}: {error}")))
    }
}

fn refusal(method: &str, error: &zbus::Error) -> Refusal {
    match error {
        zbus::Error::MethodError(name, ..)
            if name.as_str() == "org.freedesktop.systemd1.NoSuchUnit" =>
        {
            Refusal::NoSuchUnit
        }
        zbus::Error::FDO(known) if no_answer(known) => {
            Refusal::NoAnswer(format!("{method}: {error}"))
        }
        zbus::Error::MethodError(..) | zbus::Error::FDO(_) => {
            Refusal::Refused(format!("{method}: {error}"))
        }
        other => Refusal::NoAnswer(format!("{method}: {other}")),
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
