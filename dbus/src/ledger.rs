//! quantumd: the ledger of what happened to keys, and of what other daemons have on record in it.

use std::collections::HashMap;

use zbus::OwnedFd;

/// At [`crate::path::LEDGER`].
#[zbus::proxy(
    interface = "org.quantumos.Ledger1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/quantum/ledger"
)]
pub trait Ledger1 {
    /// The last signed checkpoint, a C2SP note.
    fn checkpoint(&self) -> Result<String, crate::Error>;
    /// A range of entries, each after its length in two bytes, big-endian.
    fn entries(&self, first: u64, count: u64) -> Result<OwnedFd, crate::Error>;
    /// Proves an entry; the proof holds it.
    fn inclusion_proof(&self, index: u64) -> Result<String, crate::Error>;
    /// Proves that the ledger only added to its first `old` entries.
    fn consistency_proof(&self, old: u64) -> Result<String, crate::Error>;
    /// Records a commit and gives the finality seal.
    fn seal(&self) -> Result<String, crate::Error>;
    /// Records what the caller did: a word, an identifier of its making, when (microseconds of CLOCK_REALTIME), facts.
    /// Gives the entry's number; the same identifier again gives the same number, and no further entry.
    fn append(
        &self,
        event: &str,
        id: &str,
        time: u64,
        facts: &HashMap<String, String>,
    ) -> Result<u64, crate::Error>;
    /// Reads all files again; kind and text of each finding.
    fn verify(&self) -> Result<Vec<(String, String)>, crate::Error>;
    /// The log's name; empty until the root key was open once.
    #[zbus(property(emits_changed_signal = "false"))]
    fn origin(&self) -> zbus::Result<String>;
    /// Number of entries.
    #[zbus(property(emits_changed_signal = "false"))]
    fn size(&self) -> zbus::Result<u64>;
    /// Number of entries that the checkpoint speaks for.
    #[zbus(property(emits_changed_signal = "false"))]
    fn signed_size(&self) -> zbus::Result<u64>;
    /// Public keys, `NAME+ID+BASE64`.
    #[zbus(property(emits_changed_signal = "false"))]
    fn verifier_keys(&self) -> zbus::Result<Vec<String>>;
}
