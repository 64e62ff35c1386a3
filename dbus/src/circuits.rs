//! Quantum circuits, each a job in a process of its own.

use std::collections::HashMap;
use zbus::{Fd, OwnedObjectPath, Variant};

/// At [`crate::path::QUANTUM`].
#[zbus::proxy(
    interface = "org.quantumos.Circuits1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/quantum"
)]
pub trait Circuits1 {
    /// Runs a circuit; gives the job. Options are described in the interface's own file.
    fn submit(
        &self,
        circuit: &str,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// The same for a circuit that a file, a memfd or a pipe holds.
    fn submit_file(
        &self,
        circuit: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// Times each method up to that many qubits, as far as memory reaches; gives the job.
    fn benchmark(
        &self,
        max_qubits: u32,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// What holds a circuit to its memory: `unit` (a systemd unit of its own) or `process`.
    #[zbus(property(emits_changed_signal = "false"))]
    fn isolation(&self) -> zbus::Result<String>;
}
