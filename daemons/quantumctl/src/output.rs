//! Where results go: text for people or JSON for programs, on standard output.
//! A reader that goes away (a closed pipe) ends the command quietly, as for other tools.

use std::io::{self, IsTerminal, Write};

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::{
    error::Error,
    text::{fit::Columns, style::Style},
};

/// A terminal narrower than this is written to as if it were as wide.
const NARROWEST: u16 = 40;

/// How this run prints.
#[derive(Clone, Debug)]
pub struct Output {
    /// JSON instead of text.
    pub json: bool,
    /// Colour or not.
    pub style: Style,
    /// The reader's time zone.
    pub zone: TimeZone,
}

impl Output {
    /// For standard output of this process.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            style: if json {
                Style::PLAIN
            } else {
                Style::of_stdout()
            },
            zone: TimeZone::system(),
        }
    }

    /// Columns of the terminal that standard output is, asked anew each time: windows change. None where it is no
    /// terminal, or for JSON: then nothing is to be cut or broken into lines.
    pub fn columns(&self) -> Columns {
        if self.json || !io::stdout().is_terminal() {
            return None;
        }
        match ratatui::crossterm::terminal::size() {
            // A serial console knows no size.
            Ok((0, _)) | Err(_) => None,
            Ok((columns, _)) => Some(usize::from(columns.max(NARROWEST))),
        }
    }

    /// Prints one document: indented JSON, or the text that `render` makes.
    pub fn document<T: Serialize>(
        &self,
        value: &T,
        render: impl FnOnce(&T) -> String,
    ) -> Result<(), Error> {
        if self.json {
            let mut text = serde_json::to_string_pretty(value)
                .map_err(|error| Error::Answer(error.to_string()))?;
            text.push('\n');
            write(text.as_bytes())
        } else {
            write(render(value).as_bytes())
        }
    }

    /// Prints one of many: a line of JSON, or the text that `render` makes.
    pub fn item<T: Serialize>(
        &self,
        value: &T,
        render: impl FnOnce(&T) -> String,
    ) -> Result<(), Error> {
        if self.json {
            let mut text =
                serde_json::to_string(value).map_err(|error| Error::Answer(error.to_string()))?;
            text.push('\n');
            write(text.as_bytes())
        } else {
            write(render(value).as_bytes())
        }
    }
}

/// Writes all of `bytes` to standard output and flushes.
pub fn write(bytes: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(Error::Output)
}

/// Whether the failure is only that nobody reads any more.
pub fn reader_gone(error: &Error) -> bool {
    matches!(error, Error::Output(source) if source.kind() == io::ErrorKind::BrokenPipe)
}
