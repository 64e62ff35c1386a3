//! What stands behind an instruction's name: qubits, Paulis, earlier measurements.

use super::text::Place;
use crate::Error;
use crate::frames::Basis;

/// A target. Columns count from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    pub column: u32,
    pub what: What,
}

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
    /// A qubit, or `!` and a qubit.
    Qubit(u32, bool),
    /// A Pauli on a qubit, with or without `!`.
    Pauli(Basis, u32, bool),
    /// `rec[-1]` is 1.
    Record(u32),
    /// `*`: what is beside it belongs together.
    Times,
}

/// Reads targets, from that column on.
pub fn read(text: &str, place: Place) -> Result<Vec<Target>, Error> {
    let mut targets = Vec::new();
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        let column = place.column + (text.chars().count() - trimmed.chars().count()) as u32;
        let at = Place { column, ..place };
        let Some(first) = trimmed.chars().next() else {
            return Ok(targets);
        };
        let (what, after) = if first == '*' {
            (What::Times, &trimmed[1..])
        } else {
            let end = trimmed
                .find(|c: char| c.is_whitespace() || c == '*')
                .unwrap_or(trimmed.len());
            (one(&trimmed[..end], at)?, &trimmed[end..])
        };
        targets.push(Target { column, what });
        rest = after;
    }
}

fn one(word: &str, at: Place) -> Result<What, Error> {
    let (plain, turned) = word
        .strip_prefix('!')
        .map_or((word, false), |rest| (rest, true));
    let number = |digits: &str| -> Result<u32, Error> {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(at.error(format!(
                "{word:?} is no target: a qubit, a Pauli such as X5, or rec[-1] expected"
            )));
        }
        digits
            .parse()
            .map_err(|_| at.error(format!("{digits} is out of range")))
    };
    if let Some(inner) = plain.strip_prefix("rec[") {
        let back = inner
            .strip_suffix(']')
            .and_then(|i| i.strip_prefix('-'))
            .ok_or_else(|| at.error(format!("{word:?}: rec[-1] is the last measurement")))?;
        let back = number(back)?;
        if back == 0 || turned {
            return Err(at.error(format!("{word:?}: rec[-1] is the last measurement")));
        }
        return Ok(What::Record(back));
    }
    if plain.starts_with("sweep[") {
        return Err(at.error("sweep bits are not supported: write the circuit for each setting"));
    }
    let basis = match plain.chars().next() {
        Some('X' | 'x') => Some(Basis::X),
        Some('Y' | 'y') => Some(Basis::Y),
        Some('Z' | 'z') => Some(Basis::Z),
        _ => None,
    };
    Ok(match basis {
        Some(basis) => What::Pauli(basis, number(&plain[1..])?, turned),
        None => What::Qubit(number(plain)?, turned),
    })
}

/// Targets that `*` joins, as groups.
pub fn groups(targets: &[Target], place: Place) -> Result<Vec<Vec<Target>>, Error> {
    let mut groups: Vec<Vec<Target>> = Vec::new();
    let mut joined = false;
    for target in targets {
        let lonely = || {
            let at = Place {
                column: target.column,
                ..place
            };
            at.error("* stands between two targets")
        };
        match (target.what, groups.last_mut()) {
            (What::Times, last) => {
                if joined || last.is_none() {
                    return Err(lonely());
                }
                joined = true;
            }
            (_, Some(last)) if joined => {
                last.push(*target);
                joined = false;
            }
            _ => groups.push(vec![*target]),
        }
    }
    if joined {
        return Err(place.error("a target is missing behind *"));
    }
    Ok(groups)
}
