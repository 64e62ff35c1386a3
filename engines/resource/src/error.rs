//! What can be wrong with the text, the numbers and the models this crate is given.
//! One enum for the whole crate; each variant names the thing and the place.

/// An input that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A file of the kernel does not have the form its documentation gives.
    #[error("{file} line {line}: {reason}")]
    KernelText {
        /// Which kind of file, for example `pressure`.
        file: &'static str,
        /// Line number, from 1.
        line: usize,
        /// What was expected.
        reason: String,
    },
    /// A pressure trigger that the kernel would refuse.
    #[error("pressure trigger: {0}")]
    Trigger(String),
    /// A recorded run that cannot be read back.
    #[error("recorded run, line {line}: {reason}")]
    Record {
        /// Line number, from 1.
        line: usize,
        /// What was expected.
        reason: String,
    },
    /// Training cannot be done with what was given.
    #[error("training: {0}")]
    Training(String),
    /// A model file that is not one of ours.
    #[error("model: {0}")]
    Model(String),
    /// A manifest that does not hold together or does not fit its model.
    #[error("manifest: {0}")]
    Manifest(String),
    /// A value of the policy that is out of its range.
    #[error("policy: {0}")]
    Policy(String),
}
