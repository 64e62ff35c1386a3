//! Jobs: work that takes longer than a call, and what came of it.

use zbus::{OwnedFd, OwnedObjectPath};

/// At [`crate::path::JOBS`].
#[zbus::proxy(
    interface = "org.quantumos.Jobs1",
    default_service = "org.quantumos.Quantum1",
    default_path = "/org/quantumos/jobs"
)]
pub trait Jobs1 {
    /// The jobs of the caller's user, the oldest first; those of everybody for root.
    fn list(&self) -> Result<Vec<OwnedObjectPath>, crate::Error>;
}

/// At [`crate::path::JOBS`]`/ID`, for the user who started it.
#[zbus::proxy(
    interface = "org.quantumos.Job1",
    default_service = "org.quantumos.Quantum1",
    assume_defaults = false
)]
pub trait Job1 {
    /// Asks the job to end; it has ended when `state` says so.
    fn cancel(&self) -> Result<(), crate::Error>;
    /// Answers once the job has ended, with its state.
    fn wait(&self) -> Result<String, crate::Error>;
    /// What came of it, in a sealed memfd, and its media type; or the error that the job ended with.
    fn result(&self) -> Result<(OwnedFd, String), crate::Error>;
    /// Ends and forgets the job.
    fn remove(&self) -> Result<(), crate::Error>;
    /// What it does, as the method that started it says.
    #[zbus(property(emits_changed_signal = "const"))]
    fn kind(&self) -> zbus::Result<String>;
    /// User id of who started it.
    #[zbus(property(emits_changed_signal = "const"))]
    fn owner(&self) -> zbus::Result<u32>;
    /// Microseconds of CLOCK_REALTIME.
    #[zbus(property(emits_changed_signal = "const"))]
    fn created_at(&self) -> zbus::Result<u64>;
    /// `waiting`, `running`, `done`, `failed` or `cancelled`.
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;
    /// From 0 to 1; 0 as long as nobody can tell.
    #[zbus(property)]
    fn progress(&self) -> zbus::Result<f64>;
    /// Microseconds of CLOCK_REALTIME; 0 before the end.
    #[zbus(property)]
    fn ended_at(&self) -> zbus::Result<u64>;
    /// Name and message of the error that it failed with; both empty otherwise.
    #[zbus(property)]
    fn error(&self) -> zbus::Result<(String, String)>;
}
