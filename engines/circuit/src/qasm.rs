//! OpenQASM 2 and 3: text to circuits. One lexer and one parser read both languages (what differs
//! hangs on the version); lowering unrolls what is known before the run and leaves the rest to the
//! circuit's own classical control. Includes of the standard libraries are built in.

mod ast;
mod lexer;
mod lower;
mod parser;

use crate::{Circuit, Error};

/// The longest text that is read, in bytes.
pub const TEXT_MAX: usize = 64 << 20;

/// Reads OpenQASM of either version; text without a version line counts as version 3.
///
/// # Errors
/// [`Error::Syntax`] with line and column; [`Error::Limit`] for what is too large.
pub fn parse(text: &str) -> Result<Circuit, Error> {
    if text.len() > TEXT_MAX {
        return Err(Error::Limit {
            what: "bytes of text",
            got: text.len() as u128,
            limit: TEXT_MAX as u128,
        });
    }
    lower::circuit(&parser::program(lexer::tokens(text)?)?)
}
