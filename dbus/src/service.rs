//! `org.quantumos.Service1`: what every daemon tells about itself.

/// On the root object of every daemon.
#[zbus::proxy(interface = "org.quantumos.Service1", assume_defaults = false)]
pub trait Service1 {
    /// Everything that the daemon tells about itself, as a JSON object.
    fn describe(&self) -> Result<String, crate::Error>;
    /// Version of the package.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> zbus::Result<String>;
    /// `ready`, or `degraded` when `Problems` isn't empty.
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;
    /// What keeps the daemon from doing all of its job, one sentence each.
    #[zbus(property)]
    fn problems(&self) -> zbus::Result<Vec<String>>;
    /// Why the newest configuration was refused (file, line, cause); empty when it's in force.
    #[zbus(property)]
    fn configuration_error(&self) -> zbus::Result<String>;
}
