//! What can go wrong, in words for the person at the terminal, with an exit code for scripts.
//! D-Bus error names are mapped here and nowhere else.

use std::{io, path::Path};

use serde_json::json;

use crate::text::escape::escape;

/// The prefix of the services' own error names.
const PREFIX: &str = "org.quantumos.Error.";

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus itself cannot be reached.
    #[error("cannot reach the bus: {0}")]
    Bus(String),
    /// Nothing owns the service's name and nothing could start it.
    #[error("{unit} is not running (nobody owns {name}); start it with: systemctl start {unit}")]
    NotRunning {
        /// The unit, without suffix.
        unit: String,
        /// The bus name.
        name: String,
    },
    /// Some of the daemons are not running; `status` has shown which.
    #[error("not running: {0}")]
    SomeNotRunning(String),
    /// A service answered with an error.
    #[error("{}", sentence(.name, .message))]
    Service {
        /// The error's D-Bus name.
        name: String,
        /// What the service says.
        message: String,
    },
    /// The service's answer is not what the contract says.
    #[error("unexpected answer: {0}")]
    Answer(String),
    /// An argument makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Nothing has this name or id.
    #[error("{0}")]
    NotFound(String),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file as the caller named it.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The signature does not verify.
    #[error("the signature does NOT verify")]
    BadSignature,
    /// The Wave HMAC is another one.
    #[error("the value is NOT the Wave HMAC of this message")]
    BadHmac,
    /// What was sealed does not open, or can't be sealed.
    #[error(transparent)]
    Resonance(#[from] quantumos_resonance::Error),
    /// Frames of light are not what an encoder makes.
    #[error(transparent)]
    Wavelength(#[from] quantumos_wavelength::Error),
    /// A container's history does not hold.
    #[error(transparent)]
    Chain(quantumos_resonance::container::Broken),
    /// A capture or its manifest is not what it should be.
    #[error("{place}: {reason}")]
    Capture {
        /// The file, and the line where there is one.
        place: String,
        /// Why.
        reason: String,
    },
    /// So many rules do not load; the output says which.
    #[error("{0} rules do not load")]
    RulesFailed(u32),
    /// What was compared differs in so many places; the output says where.
    #[error("{0} different")]
    Different(usize),
    /// A ledger, seal, proof or checkpoint does not verify; what is wrong was printed.
    #[error("{0} does NOT verify")]
    Unverified(String),
    /// A backup of keys is not what it should be.
    #[error("{path}: {source}")]
    Backup {
        /// The file as the caller named it.
        path: String,
        /// Why.
        source: quantumos_pqc::Error,
    },
    /// A ledger cannot be read or does not have what was asked for.
    #[error(transparent)]
    Ledger(#[from] quantumos_ledger::Error),
    /// No method can run the circuit on this machine.
    #[error("{0}")]
    CannotRun(String),
    /// The terminal cannot be used.
    #[error("terminal: {0}")]
    Terminal(io::Error),
    /// Standard output cannot be written.
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl Error {
    /// A file, as the caller named it, that cannot be read or written.
    pub fn file(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::File {
            path: path.as_ref().display().to_string(),
            source,
        }
    }

    /// The exit code, see `quantumctl --help`.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Bus(_) | Self::NotRunning { .. } | Self::SomeNotRunning(_) => 3,
            Self::NotFound(_) => 5,
            Self::BadSignature | Self::BadHmac | Self::Unverified(_) => 7,
            Self::Chain(broken) => crate::container::code(broken),
            Self::Backup { .. } => 7,
            Self::Resonance(error) => sealed_code(error),
            Self::Wavelength(error) => frames_code(error),
            Self::Ledger(error) => ledger_code(error),
            Self::CannotRun(_) => 6,
            Self::Service { name, .. } => service_code(name),
            Self::Answer(_)
            | Self::File { .. }
            | Self::RulesFailed(_)
            | Self::Different(_)
            | Self::Capture { .. }
            | Self::Terminal(_)
            | Self::Output(_) => 1,
        }
    }

    /// Whether the service says that the object does not exist.
    pub fn is_unknown_object(&self) -> bool {
        matches!(self, Self::Service { name, .. } if matches!(
            name.as_str(),
            "org.freedesktop.DBus.Error.UnknownObject"
                | "org.freedesktop.DBus.Error.UnknownInterface"
                | "org.freedesktop.DBus.Error.UnknownMethod"
                | "org.quantumos.Error.NotFound"
        ))
    }

    /// What goes to standard error with `--json`.
    pub fn json(&self) -> serde_json::Value {
        let name = match self {
            Self::Service { name, .. } => name.clone(),
            Self::Bus(_) => "bus".to_owned(),
            Self::NotRunning { .. } | Self::SomeNotRunning(_) => "not-running".to_owned(),
            Self::Answer(_) => "answer".to_owned(),
            Self::Usage(_) => "usage".to_owned(),
            Self::NotFound(_) => "not-found".to_owned(),
            Self::File { .. } => "file".to_owned(),
            Self::CannotRun(_) => "cannot-run".to_owned(),
            Self::BadSignature => "bad-signature".to_owned(),
            Self::BadHmac => "bad-hmac".to_owned(),
            Self::Chain(_) => "chain".to_owned(),
            Self::Backup { source, .. } => kebab(source),
            Self::Resonance(error) => kebab(error),
            Self::Wavelength(error) => kebab(error),
            Self::Unverified(_) => "unverified".to_owned(),
            Self::Ledger(_) => "ledger".to_owned(),
            Self::RulesFailed(_) => "rules-failed".to_owned(),
            Self::Different(_) => "different".to_owned(),
            Self::Capture { .. } => "capture".to_owned(),
            Self::Terminal(_) | Self::Output(_) => "output".to_owned(),
        };
        json!({"error": {"name": name, "message": self.to_string(), "code": self.code()}})
    }
}

/// Exit code for what is wrong with a ledger.
fn ledger_code(error: &quantumos_ledger::Error) -> u8 {
    use quantumos_ledger::Error as Ledger;
    match error {
        Ledger::OutOfRange { .. } => 5,
        Ledger::Storage { .. } | Ledger::Limit { .. } => 1,
        _ => 7,
    }
}

/// Exit code for what the resonance suite refuses.
fn sealed_code(error: &quantumos_resonance::Error) -> u8 {
    use quantumos_resonance::Error as E;
    match error {
        E::TooShort { .. }
        | E::TooLong { .. }
        | E::NotFinite { .. }
        | E::NotANumber { .. }
        | E::Length { .. }
        | E::OtherSource { .. }
        | E::Weak { .. } => 2,
        E::Library(_) | E::TooCostly { .. } | E::Signer(_) | E::Throttled { .. } => 1,
        _ => 7,
    }
}

/// Exit code for what the wavelength suite refuses.
fn frames_code(error: &quantumos_wavelength::Error) -> u8 {
    use quantumos_wavelength::Error as E;
    match error {
        E::TooLong { .. } | E::Length { .. } | E::UnknownMethod(_) => 2,
        E::Library(_) => 1,
        _ => 7,
    }
}

/// The name of an error's variant as JSON has it: `WrongKey` is `wrong-key`.
fn kebab(error: &impl std::fmt::Debug) -> String {
    let mut name = String::new();
    for c in format!("{error:?}")
        .chars()
        .take_while(char::is_ascii_alphanumeric)
    {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// Exit code for a D-Bus error name.
fn service_code(name: &str) -> u8 {
    match name.strip_prefix(PREFIX) {
        Some("InvalidArgument") => 2,
        Some("NotAuthorized") => 4,
        Some("NotFound") => 5,
        Some("NotSupported" | "Unavailable") => 6,
        Some(_) => 1,
        None => match name {
            "org.freedesktop.DBus.Error.ServiceUnknown"
            | "org.freedesktop.DBus.Error.NameHasNoOwner"
            | "org.freedesktop.DBus.Error.NoReply"
            | "org.freedesktop.DBus.Error.Disconnected"
            | "org.freedesktop.DBus.Error.TimedOut"
            | "org.freedesktop.DBus.Error.Timeout" => 3,
            n if n.starts_with("org.freedesktop.DBus.Error.Spawn") => 3,
            n if n.starts_with("org.freedesktop.systemd1.") => 3,
            "org.freedesktop.DBus.Error.AccessDenied"
            | "org.freedesktop.DBus.Error.AuthFailed"
            | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => 4,
            "org.freedesktop.DBus.Error.InvalidArgs"
            | "org.freedesktop.DBus.Error.InvalidSignature" => 2,
            "org.freedesktop.DBus.Error.UnknownObject"
            | "org.freedesktop.DBus.Error.UnknownMethod"
            | "org.freedesktop.DBus.Error.UnknownInterface"
            | "org.freedesktop.DBus.Error.UnknownProperty" => 6,
            _ => 1,
        },
    }
}

/// A sentence for a D-Bus error name and its message.
fn sentence(name: &str, message: &str) -> String {
    let message = escape(message);
    let lead = match name.strip_prefix(PREFIX) {
        Some("InvalidArgument") => "refused",
        Some("NotAuthorized") => "not authorised",
        Some("NotFound") => "not found",
        Some("NotSupported") => "not supported",
        Some("LimitExceeded") => "limit exceeded",
        Some("Unavailable") => "not available",
        Some("KeyRevoked") => "the key is revoked",
        Some("Busy") => "busy, try again",
        Some("Cancelled") => "cancelled",
        Some("Io") => "input or output failed in the service",
        Some("Internal") => "the service failed; its journal says more",
        _ => match name {
            "org.freedesktop.DBus.Error.AccessDenied" => "the bus policy does not allow this",
            "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => {
                "not authorised without asking (--no-ask-password was given)"
            }
            "org.freedesktop.DBus.Error.NoReply" | "org.freedesktop.DBus.Error.Disconnected" => {
                "the service went away before it answered"
            }
            "org.freedesktop.DBus.Error.UnknownMethod"
            | "org.freedesktop.DBus.Error.UnknownInterface"
            | "org.freedesktop.DBus.Error.UnknownProperty" => {
                "the service does not offer this (is it of another version?)"
            }
            _ => return format!("{message} ({})", escape(name)),
        },
    };
    if message.is_empty() {
        lead.to_owned()
    } else if let Some(who) = refused_by_bus(name, &message) {
        format!("{lead}: {who}")
    } else {
        format!("{lead}: {message}")
    }
}

/// Who may do what the bus refuses, where its message says what that was: the message is for the bus's author.
fn refused_by_bus(name: &str, message: &str) -> Option<String> {
    if name != "org.freedesktop.DBus.Error.AccessDenied" {
        return None;
    }
    let value = |key: &str| {
        let (_, rest) = message.split_once(&format!(" {key}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let (interface, member) = (value("interface")?, value("member")?);
    let who = match value("destination")? {
        quantumos_dbus::bus_name::SECURITY => "root and members of the group adm",
        _ => "root",
    };
    Some(format!("only {who} may call {member} of {interface}"))
}

/// From any failed call, whatever layer reported it.
impl From<zbus::Error> for Error {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, message, _) => Self::Service {
                name: name.to_string(),
                message: message.unwrap_or_default(),
            },
            zbus::Error::FDO(error) => (*error).into(),
            zbus::Error::InputOutput(error) => Self::Bus(error.to_string()),
            zbus::Error::Address(error) => Self::Bus(error),
            error @ (zbus::Error::Handshake(_) | zbus::Error::Connection(..)) => {
                Self::Bus(error.to_string())
            }
            other => Self::Answer(other.to_string()),
        }
    }
}

impl From<zbus::fdo::Error> for Error {
    fn from(error: zbus::fdo::Error) -> Self {
        use zbus::DBusError;
        match error {
            zbus::fdo::Error::ZBus(error) => error.into(),
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

    fn service(name: &str, message: &str) -> Error {
        Error::Service {
            name: name.into(),
            message: message.into(),
        }
    }

    #[test]
    fn names_become_words_and_codes() {
        for (name, message, words, code) in [
            (
                "org.quantumos.Error.InvalidArgument",
                "label: 300 bytes, at most 255",
                "refused: label: 300 bytes, at most 255",
                2,
            ),
            ("org.quantumos.Error.NotAuthorized", "", "not authorised", 4),
            ("org.quantumos.Error.NotFound", "k1", "not found: k1", 5),
            (
                "org.quantumos.Error.Unavailable",
                "the TPM is gone",
                "not available: the TPM is gone",
                6,
            ),
            (
                "org.quantumos.Error.KeyRevoked",
                "",
                "the key is revoked",
                1,
            ),
            (
                "org.freedesktop.DBus.Error.AccessDenied",
                "Rejected send",
                "the bus policy does not allow this: Rejected send",
                4,
            ),
            (
                "org.freedesktop.DBus.Error.AccessDenied",
                "Rejected send message, 1 matched rules; type=\"method_call\", sender=\":1.135\" (uid=1000) \
                 interface=\"org.quantumos.Alerts1\" member=\"Clear\" error name=\"(unset)\" \
                 destination=\"org.quantumos.Security1\" (uid=988)",
                "the bus policy does not allow this: only root and members of the group adm may call Clear of \
                 org.quantumos.Alerts1",
                4,
            ),
            ("com.example.Odd", "w\x1bt", "w\\x1bt (com.example.Odd)", 1),
            (
                "org.freedesktop.DBus.Error.NoReply",
                "",
                "the service went away before it answered",
                3,
            ),
        ] {
            let error = service(name, message);
            assert_eq!((error.to_string().as_str(), error.code()), (words, code));
        }
    }

    #[test]
    fn json_carries_name_message_and_code() {
        assert_eq!(
            service("org.quantumos.Error.NotFound", "k1").json(),
            json!({"error": {
                "name": "org.quantumos.Error.NotFound",
                "message": "not found: k1",
                "code": 5
            }})
        );
    }
}
