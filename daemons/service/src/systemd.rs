//! systemd's own interface, as far as daemons that limit and stop units need it. Properties are set with
//! `runtime` on, so that `systemctl show` tells the truth and a reboot undoes everything.

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use zbus::{Connection, Message, MessageStream, OwnedObjectPath, OwnedVariant, Variant, fdo};

/// Longest wait for systemd.
const PATIENCE: Duration = Duration::from_secs(15);

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// What it calls a second subscription, which is as good as the first.
const TWICE: &str = "org.freedesktop.systemd1.AlreadySubscribed";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// The interface that units of all kinds have.
pub const UNIT: &str = "org.freedesktop.systemd1.Unit";
/// What tells that a unit has changed or gone.
const CHANGES: [&str; 2] = [
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='UnitRemoved'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',arg0='org.freedesktop.systemd1.Unit'",
];

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

    /// The object of a unit, which is loaded if it is not: what was set on a unit with a file stays when it is unloaded.
    ///
    /// # Errors
    /// When there is no such unit, or systemd does not answer.
    pub async fn load(&self, unit: &str) -> Result<OwnedObjectPath, SystemdError> {
        let object = self.manager("LoadUnit", &(unit,)).await?;
        let state = self.property(&object, UNIT, "LoadState").await?;
        match String::try_from(state).as_deref() {
            Ok("not-found") => Err(SystemdError::NoSuchUnit),
            _ => Ok(object),
        }
    }

    /// The object paths of units (see [`unit_path`]) as they change or go, from now on. All units are in it, those too
    /// that are there still: when systemd reloads its units it says of each that it goes. It has to be read all the
    /// time, or it holds up what else comes over the connection.
    ///
    /// # Errors
    /// When the bus or systemd refuses.
    pub async fn changes(
        &self,
    ) -> Result<impl Stream<Item = String> + Send + Unpin + use<>, SystemdError> {
        let mut streams = Vec::new();
        for rule in CHANGES {
            let listening = MessageStream::for_match_rule(rule, &self.connection, None).await;
            streams.push(listening.map_err(|error| refusal("AddMatch", &error))?);
        }
        // To nobody systemd sends nothing.
        match self.manager("Subscribe", &()).await {
            Err(SystemdError::Refused(reason)) if reason.contains(TWICE) => {}
            other => other?,
        }
        let messages = stream::select_all(streams);
        let unit_of = |message: zbus::Result<Message>| changed(&message.ok()?);
        Ok(messages.filter_map(move |message| std::future::ready(unit_of(message))))
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

/// The object path of a unit.
#[must_use]
pub fn unit_path(unit: &str) -> String {
    let mut path = format!("{PATH}/unit/");
    for (index, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && index > 0) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

/// The unit that a signal is about.
fn changed(message: &Message) -> Option<String> {
    let header = message.header();
    let path = header.path()?.as_str();
    if header.member()?.as_str() != "UnitRemoved" {
        return Some(path.to_owned());
    }
    let (_, unit): (String, OwnedObjectPath) = message.body().deserialize().ok()?;
    Some(unit.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_as_systemd_does() {
        for (unit, path) in [
            ("web.service", "web_2eservice"),
            ("-.slice", "_2d_2eslice"),
            ("modprobe@drm.service", "modprobe_40drm_2eservice"),
            ("1a2.scope", "_31a2_2escope"),
        ] {
            assert_eq!(unit_path(unit), format!("{PATH}/unit/{path}"));
        }
    }

    #[test]
    fn a_change_is_of_the_object_and_a_removal_of_the_one_it_names() {
        let web = OwnedObjectPath::try_from(unit_path("web.service")).unwrap();
        let signal = |path, member| Message::signal(path, "org.example.Any", member);
        let removed = signal(PATH, "UnitRemoved");
        let removed = removed.build(&("web.service", &web)).unwrap();
        assert_eq!(changed(&removed).as_deref(), Some(web.as_str()));
        let other = signal(web.as_str(), "PropertiesChanged");
        let other = other.build(&()).unwrap();
        assert_eq!(changed(&other).as_deref(), Some(web.as_str()));
        let odd = signal(PATH, "UnitRemoved").build(&(7_u32,)).unwrap();
        assert_eq!(changed(&odd), None);
    }
}
