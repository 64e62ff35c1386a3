//! Lists of numbers as people and programs write them: a JSON array, or numbers between blanks,
//! line ends, commas and semicolons.

use crate::error::Error;

/// The most bytes of such a list.
pub const TEXT_MAX: u64 = 64 << 20;

/// The numbers in `text`; `name` is for messages. NaN and infinities are numbers here, and
/// refused by whoever can't use them.
pub fn parse(name: &str, text: &[u8]) -> Result<Vec<f64>, Error> {
    let bad = |why: String| Error::Usage(format!("{name}: {why}"));
    let text = std::str::from_utf8(text).map_err(|_| bad("not text".into()))?;
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| bad(error.to_string()));
    }
    text.split([',', ';', ' ', '\t', '\r', '\n'])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let shown: String = word.chars().take(32).flat_map(char::escape_debug).collect();
            word.parse()
                .map_err(|_| bad(format!("{shown} is not a number")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for text in ["[0.1, -2e3, 4]", "0.1 -2e3\n4\n", "0.1,-2e3;4"] {
            assert_eq!(parse("w", text.as_bytes()).unwrap(), [0.1, -2e3, 4.0]);
        }
        assert!(parse("w", b"").unwrap().is_empty());
        assert!(parse("w", b"nan").unwrap()[0].is_nan());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            (&b"0.1 x\x1b2"[..], "w: x\\u{1b}2 is not a number"),
            (b"\xff", "w: not text"),
            (b"[1, \"a\"]", "w: invalid type"),
        ] {
            let error = parse("w", text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
