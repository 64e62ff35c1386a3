//! What can go wrong inside resource-ai. Mapped to bus errors in `interface` only.

/// An error of this daemon.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the kernel or of our own could not be used.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// An input that the engine refused.
    #[error("{0}")]
    Engine(#[from] quantumos_resource::Error),
    /// A model or its papers.
    #[error("model: {0}")]
    Model(String),
    /// systemd refused or could not be reached.
    #[error("systemd: {0}")]
    Systemd(String),
    /// The decisions on disk.
    #[error("decisions: {0}")]
    Decisions(String),
    /// The bus.
    #[error("{0}")]
    Bus(#[from] zbus::Error),
}
