//! Containers in files, and the register of their histories.

use std::collections::HashMap;

use zbus::{Fd, OwnedObjectPath, Variant};

/// Id, author, time (microseconds of CLOCK_REALTIME), parent's id (empty for none), estimated bits of the
/// waveform, whether that is weak, bytes of the sealed data.
pub type Container = (String, String, u64, String, u32, bool, u64);

/// At [`crate::path::CONTAINERS`].
#[zbus::proxy(
    interface = "org.quantumos.Containers1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/containers"
)]
pub trait Containers1 {
    /// Seals data under a waveform, signs it with a `key` and registers it; gives the job.
    fn create(
        &self,
        data: Fd<'_>,
        waveform: Fd<'_>,
        output: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// Opens a container with its waveform; gives the job.
    fn open(
        &self,
        container: Fd<'_>,
        waveform: Fd<'_>,
        output: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// Verifies signature, data and history of a container, and a `waveform` too if it is given; gives
    /// the job.
    fn verify(
        &self,
        container: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// Registers a container whose signature verifies, and gives its id.
    fn register(&self, container: Fd<'_>) -> Result<String, crate::Error>;
    /// Forgets a registered container.
    fn remove(&self, id: &str) -> Result<(), crate::Error>;
    /// Verifies the history of a registered container: ids from it to its first ancestor.
    fn chain(&self, id: &str) -> Result<Vec<String>, crate::Error>;
    /// The containers that the caller's user has registered.
    fn list(&self) -> Result<Vec<Container>, crate::Error>;
}
