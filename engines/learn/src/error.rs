//! What can be wrong with what this crate is given.

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A window that breaks its bounds.
    #[error("window: {0}")]
    Window(String),
    /// A model file that the writer could not have written.
    #[error("model: {0}")]
    Model(String),
    /// A profile that the writer could not have written.
    #[error("profile: {0}")]
    Profile(String),
    /// A manifest that does not fit.
    #[error("manifest: {0}")]
    Manifest(String),
    /// Training is not possible with this.
    #[error("training: {0}")]
    Training(String),
}
