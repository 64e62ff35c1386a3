//! Text from outside, made safe to keep and to show.

use crate::limits;

/// At most [`limits::TEXT`] bytes of `text`, cut at a character, without control characters
/// and without blanks at the ends.
#[must_use]
pub fn clip(text: &str) -> String {
    clip_to(text, limits::TEXT)
}

/// At most `limit` bytes of `text`, cut at a character, without control characters and
/// without blanks at the ends.
#[must_use]
pub fn clip_to(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let blank = |c: char| c.is_whitespace() || c.is_control();
    for c in text.trim_start_matches(blank).chars() {
        let c = if c.is_control() { ' ' } else { c };
        if out.len() + c.len_utf8() > limit {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

/// A decimal number that is the whole of `text` but for blanks, as sysfs attributes are.
#[must_use]
pub fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

/// What a kernel or bus text said that could not be understood, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: line {line}: {problem}")]
pub struct ParseError {
    /// The text's name, such as `meminfo`.
    pub what: &'static str,
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl ParseError {
    pub(crate) fn new(what: &'static str, line: usize, problem: impl Into<String>) -> Self {
        Self {
            what,
            line,
            problem: clip(&problem.into()),
        }
    }
}

/// How many numbers a kernel's list such as `0-3,8` holds; `None` for what is no list.
#[must_use]
pub fn list_length(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    let mut length = 0_u64;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (number(first)?, number(last)?);
        length = length.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists() {
        for (text, want) in [
            ("0-3\n", Some(4)),
            ("0", Some(1)),
            ("0-1,4,6-7", Some(5)),
            ("", Some(0)),
            ("3-1", None),
            ("a", None),
            ("0-18446744073709551615", None),
        ] {
            assert_eq!(list_length(text), want, "{text:?}");
        }
    }

    #[test]
    fn control_characters_do_not_pass() {
        assert_eq!(clip(" a\u{1b}[2Jb\0c\n"), "a [2Jb c");
    }

    proptest! {
        #[test]
        fn clipped_is_short_and_printable(text in any::<String>(), limit in 0_usize..64) {
            let clipped = clip_to(&text, limit);
            prop_assert!(clipped.len() <= limit);
            prop_assert!(!clipped.chars().any(char::is_control));
        }

        #[test]
        fn lists_never_panic(text in "[0-9,-]{0,40}") {
            let _ = list_length(&text);
        }
    }
}
