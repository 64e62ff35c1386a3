//! The errors that services of QuantumOS answer with, `org.quantumos.Error.…` on the wire.

/// An error as it travels over the bus: the name says which kind, the text what was wrong
/// and where.
#[derive(Debug, Clone, PartialEq, zbus::DBusError)]
#[zbus(prefix = "org.quantumos.Error")]
pub enum Error {
    /// Any other error of the bus itself.
    #[zbus(error)]
    ZBus(zbus::Error),
    /// An argument, an option or its type is not acceptable.
    InvalidArgument(String),
    /// The object that was named does not exist.
    NotFound(String),
    /// The caller may not do this.
    NotAuthorized(String),
    /// This host or this build lacks what the call needs.
    NotSupported(String),
    /// A stated bound on size, count or rate was passed.
    LimitExceeded(String),
    /// The resource behind the call (TPM, kernel, disk) can't be reached now.
    Unavailable(String),
    /// The key was revoked; it verifies, but signs no more.
    KeyRevoked(String),
    /// Another operation has to end first.
    Busy(String),
    /// The job was cancelled.
    Cancelled(String),
    /// Reading or writing state failed; the old state stands.
    Io(String),
    /// A defect of the service; its journal has the details.
    Internal(String),
}

impl Error {
    /// What was wrong, without the name of the error; for an error of the bus itself, what that one says.
    #[must_use]
    pub fn text(&self) -> String {
        use zbus::DBusError;
        match self {
            Self::ZBus(error) => error.to_string(),
            other => other.description().unwrap_or_default().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_bus_says_what_the_bus_said() {
        let gone = zbus::fdo::Error::ServiceUnknown("nobody has this name".into());
        let error = Error::ZBus(zbus::Error::FDO(Box::new(gone)));
        assert!(error.text().contains("nobody has this name"), "{error}");
        assert_eq!(Error::Busy("later".into()).text(), "later");
    }
}
