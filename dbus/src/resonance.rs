//! The resonance suite over descriptors.

use std::collections::HashMap;

use zbus::{Fd, OwnedObjectPath, Variant};

/// At [`crate::path::QUANTUM`].
#[zbus::proxy(
    interface = "org.quantumos.Resonance1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/quantum"
)]
pub trait Resonance1 {
    /// Seals from one descriptor to another under a `key` or `passphrase`; gives the job.
    fn encrypt(
        &self,
        input: Fd<'_>,
        output: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
    /// Opens from one descriptor to another; gives the job.
    fn decrypt(
        &self,
        input: Fd<'_>,
        output: Fd<'_>,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath, crate::Error>;
}
