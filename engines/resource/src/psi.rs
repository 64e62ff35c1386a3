//! The kernel's pressure files (`/proc/pressure/*`, `*.pressure` of a cgroup).
//!
//! The parser is strict: it takes the form that Documentation/accounting/psi.rst
//! gives and nothing else, since a misread pressure would become a wrong decision.

use serde::{Deserialize, Serialize};

use crate::Error;

/// A file longer than this many bytes is not a pressure file.
pub const MAX_LEN: usize = 512;

/// One line of a pressure file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Share of the last 10 s stalled, in percent.
    pub avg10: f64,
    /// Share of the last 60 s stalled, in percent.
    pub avg60: f64,
    /// Share of the last 300 s stalled, in percent.
    pub avg300: f64,
    /// Stalled time since boot (or since the cgroup was made), in microseconds.
    pub total: u64,
}

/// A whole pressure file. `irq.pressure` has `full` only, older kernels no `full` for the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Pressure {
    /// At least one task was stalled.
    pub some: Option<Line>,
    /// All tasks that were not idle were stalled.
    pub full: Option<Line>,
}

impl Pressure {
    /// Reads the text of a pressure file.
    ///
    /// # Errors
    /// `Error::KernelText` with the line that has another form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = |line: usize, reason: String| Error::KernelText {
            file: "pressure",
            line,
            reason,
        };
        if text.len() > MAX_LEN {
            return Err(fail(
                1,
                format!("{} bytes, at most {MAX_LEN} expected", text.len()),
            ));
        }
        let mut out = Self::default();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let (kind, rest) = line
                .split_once(' ')
                .ok_or_else(|| fail(number, "no `some` or `full` with fields".into()))?;
            let slot = match kind {
                "some" => &mut out.some,
                "full" => &mut out.full,
                _ => {
                    return Err(fail(
                        number,
                        format!("`{}` instead of some or full", clip(kind)),
                    ));
                }
            };
            if slot.is_some() {
                return Err(fail(number, format!("a second `{kind}` line")));
            }
            *slot = Some(parse_fields(rest).map_err(|reason| fail(number, reason))?);
        }
        if out.some.is_none() && out.full.is_none() {
            return Err(fail(1, "empty".into()));
        }
        Ok(out)
    }
}

fn parse_fields(rest: &str) -> Result<Line, String> {
    let mut words = rest.split(' ');
    let mut field = |name: &str| -> Result<&str, String> {
        words
            .next()
            .and_then(|word| word.strip_prefix(name))
            .and_then(|word| word.strip_prefix('='))
            .ok_or_else(|| format!("no {name}= in its place"))
    };
    let avg10 = percent(field("avg10")?)?;
    let avg60 = percent(field("avg60")?)?;
    let avg300 = percent(field("avg300")?)?;
    let total = digits(field("total")?)?;
    match words.next() {
        None => Ok(Line {
            avg10,
            avg60,
            avg300,
            total,
        }),
        Some(more) => Err(format!("`{}` after total", clip(more))),
    }
}

/// The kernel prints `%lu.%02lu`, at most 100.
fn percent(text: &str) -> Result<f64, String> {
    let bad = || format!("`{}` is not a percentage with two decimals", clip(text));
    let (whole, hundredths) = text.split_once('.').ok_or_else(bad)?;
    if hundredths.len() != 2 || whole.len() > 3 {
        return Err(bad());
    }
    let value = digits(whole)? * 100 + digits(hundredths)?;
    if value > 10_000 {
        return Err(format!("`{}` is more than 100 %", clip(text)));
    }
    Ok(value as f64 / 100.0)
}

fn digits(text: &str) -> Result<u64, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{}` is not a whole number", clip(text)));
    }
    text.parse()
        .map_err(|_| format!("`{}` does not fit 64 bits", clip(text)))
}

fn clip(text: &str) -> String {
    text.chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect()
}
