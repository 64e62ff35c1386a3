//! What can go wrong in this crate: text that is no circuit, circuits that make no sense, and
//! circuits that no method can hold. Nothing here is about a bus or a file.

/// Everything that this crate refuses or fails at.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A text does not parse. Line and column count from 1, columns in characters.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// The line.
        line: u32,
        /// The column.
        column: u32,
        /// What was found and what was expected.
        message: String,
    },
    /// An operation of a circuit is wrong: arity, an index out of range, an angle that is no number.
    #[error("{0}")]
    Circuit(String),
    /// Something is larger than this crate takes on.
    #[error("{what}: {got} is more than the limit of {limit}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// How much was asked for.
        got: u128,
        /// The most there may be.
        limit: u128,
    },
    /// A method would need more memory than the caller allows. Nothing has been allocated.
    #[error("{method} needs {needed} bytes, {available} are available; {advice}")]
    Memory {
        /// The method.
        method: &'static str,
        /// Bytes needed (saturated at the type's end).
        needed: u128,
        /// Bytes that the caller allowed.
        available: u64,
        /// What could be done instead.
        advice: String,
    },
    /// A method cannot do what the circuit or the request asks for.
    #[error("{method} cannot {what}")]
    Unsupported {
        /// The method.
        method: &'static str,
        /// What it cannot do.
        what: String,
    },
    /// The caller asked the run to stop.
    #[error("cancelled")]
    Cancelled,
    /// Numbers left the range of floating point: a result would mean nothing.
    #[error("numbers out of range in {0}")]
    Numeric(&'static str),
}

impl Error {
    /// An error where there is more than there may be.
    pub(crate) fn above(what: &'static str, got: u64, limit: u64) -> Result<(), Self> {
        if got <= limit {
            return Ok(());
        }
        Err(Self::Limit {
            what,
            got: got.into(),
            limit: limit.into(),
        })
    }

    /// An error at a place of a text.
    pub(crate) fn at(line: u32, column: u32, message: impl Into<String>) -> Self {
        Self::Syntax {
            line,
            column,
            message: message.into(),
        }
    }
}
