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
