//! quantumd: secrets for systemd units.

use std::collections::HashMap;

use zbus::{Fd, Variant};

/// Name, version, time of the value (microseconds of CLOCK_REALTIME), random bytes behind it (0 for a
/// given one), seconds between values (0 for never), units that may read it.
pub type Credential = (String, u32, u64, u32, u32, Vec<String>);

/// At [`crate::path::CREDENTIALS`].
#[zbus::proxy(
    interface = "org.quantumos.Credentials1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/credentials"
)]
pub trait Credentials1 {
    /// Sets a value of at most 256 KiB; gives its version.
    fn set(&self, name: &str, value: Fd<'_>) -> Result<u32, crate::Error>;
    /// Sets a random value, base64 of so many bytes; with option `every` (seconds) again and again.
    fn generate(
        &self,
        name: &str,
        bytes: u32,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<u32, crate::Error>;
    /// Replaces a generated value; gives its version.
    fn rotate(&self, name: &str) -> Result<u32, crate::Error>;
    /// Lets a unit read a credential.
    fn grant(&self, name: &str, unit: &str) -> Result<(), crate::Error>;
    /// Takes that back.
    fn ungrant(&self, name: &str, unit: &str) -> Result<(), crate::Error>;
    /// Removes a credential.
    fn remove(&self, name: &str) -> Result<(), crate::Error>;
    /// All credentials, without their values.
    fn list(&self) -> Result<Vec<Credential>, crate::Error>;
    /// A credential got another value.
    #[zbus(signal)]
    fn changed(&self, name: &str, version: u32) -> zbus::Result<()>;
}
