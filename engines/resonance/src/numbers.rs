//! Lists of numbers as people and programs write them: a JSON array, or numbers between blanks,
//! line ends, commas and semicolons.

use crate::Error;

/// The most bytes of such a list that callers should read.
pub const TEXT_MAX: usize = 64 << 20;

/// The numbers in `text`. NaN and infinities are numbers here (not in a JSON array, which has none),
/// and refused by whoever can't use them.
///
/// # Errors
/// [`Error::Malformed`], [`Error::NotANumber`].
pub fn parse(text: &[u8]) -> Result<Vec<f64>, Error> {
    let bad = |why| Error::Malformed {
        what: "list of numbers",
        why,
    };
    let text = std::str::from_utf8(text).map_err(|_| bad("not text"))?;
    let Some(array) = text.trim().strip_prefix('[') else {
        let words = text.split([',', ';', ' ', '\t', '\r', '\n']);
        let words = words.filter(|word| !word.is_empty()).enumerate();
        return words.map(|(at, word)| number(at, word)).collect();
    };
    let array = array
        .strip_suffix(']')
        .ok_or(bad("the array does not end"))?;
    if array.trim().is_empty() {
        return Ok(Vec::new());
    }
    let values = array.split(',').enumerate();
    values
        .map(|(at, value)| {
            let value = value.trim_matches([' ', '\t', '\r', '\n']);
            if !is_json(value) {
                return Err(not(at, value));
            }
            let number = number(at, value)?;
            if number.is_finite() {
                Ok(number)
            } else {
                Err(not(at, value))
            }
        })
        .collect()
}

fn number(at: usize, word: &str) -> Result<f64, Error> {
    word.parse().map_err(|_| not(at, word))
}

fn not(index: usize, word: &str) -> Error {
    let shown = word.chars().take(32).flat_map(char::escape_debug).collect();
    Error::NotANumber {
        index: index as u64,
        shown,
    }
}

/// Whether a word is a number as RFC 8259 writes them.
fn is_json(word: &str) -> bool {
    fn digits(text: &str) -> (usize, &str) {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        (text.len() - rest.len(), rest)
    }
    let word = word.strip_prefix('-').unwrap_or(word);
    let (whole, mut rest) = digits(word);
    if whole == 0 || whole > 1 && word.starts_with('0') {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        let (count, more) = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = more;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let (count, more) = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
        return count > 0 && more.is_empty();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_are_read() {
        for text in [
            "[0.1, -2e3, 4]",
            "0.1 -2e3\n4\n",
            "0.1,-2e3;4",
            " [0.1,-2E+3\n,\t4 ]\n",
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), [0.1, -2e3, 4.0], "{text}");
        }
        assert!(parse(b"").unwrap().is_empty() && parse(b"[ ]").unwrap().is_empty());
        assert!(parse(b"nan").unwrap()[0].is_nan());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            (&b"0.1 x\x1b2"[..], "value 1, x\\u{1b}2, is not a number"),
            (b"\xff", "not text"),
            (b"[1, \"a\"]", "value 1, \\\"a\\\", is not"),
            (b"[1, 2", "does not end"),
            (b"[1,,2]", "value 1, , is not"),
            (b"[1,]", "value 1"),
            (b"[NaN]", "value 0, NaN, is not"),
            (b"[1e999]", "value 0, 1e999, is not"),
            (b"[01]", "value 0"),
            (b"[.5]", "value 0"),
            (b"[1.]", "value 0"),
            (b"[+1]", "value 0"),
            (b"[1 2]", "value 0"),
            (b"[[1]]", "value 0"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_json_writes_is_read_back(values in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::ZERO, 0..20)) {
            let text = serde_json::to_string(&values).unwrap();
            prop_assert_eq!(parse(text.as_bytes()).unwrap(), values);
        }

        #[test]
        fn any_text_is_a_list_or_refused_as_json_does(text in "[\\[\\]0-9eE+., -]{0,12}") {
            if text.trim_start().starts_with('[') {
                let theirs = serde_json::from_str::<Vec<f64>>(&text);
                let ours = parse(text.as_bytes());
                prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
            } else {
                // Anything but a panic will do.
                let _ = parse(text.as_bytes());
            }
        }
    }
}
