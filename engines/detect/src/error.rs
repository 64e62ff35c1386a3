//! Why a rule doesn't load, and where in its file.
//! Lines and columns count from 1, as editors do.

/// A rule that cannot be loaded: the place in its file and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct RuleError {
    /// Line in the file, from 1.
    pub line: u32,
    /// Column in the line, in characters, from 1.
    pub column: u32,
    /// What is wrong, in words for the rule's author.
    pub reason: String,
}

impl RuleError {
    pub(crate) fn new(at: Place, reason: impl Into<String>) -> Self {
        Self {
            line: at.line,
            column: at.column,
            reason: reason.into(),
        }
    }
}

/// A place in a rule file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}
