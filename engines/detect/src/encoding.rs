//! Encodings that rules look through: base64 at any offset, UTF-16, and the dashes of Windows options.
//! All are pure functions of bytes.

use crate::pattern::{Part, Wildcard};

/// Text as UTF-16 without a mark, in the given byte order.
pub(crate) fn utf16(bytes: &[u8], order: fn(u16) -> [u8; 2]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| "UTF-16 of something that isn't text".to_string())?;
    Ok(text.encode_utf16().flat_map(order).collect())
}

/// The value with each of the dashes that Windows programs accept in front of an option.
pub(crate) fn dashes(pattern: &Wildcard) -> Vec<Wildcard> {
    let replaced = |with: &str| {
        let mut copy = pattern.clone();
        for part in copy.parts_mut() {
            if let Part::Literal(bytes) = part {
                let mut out = Vec::with_capacity(bytes.len());
                for (at, byte) in bytes.iter().enumerate() {
                    let word =
                        |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
                    let before = at.checked_sub(1).and_then(|at| bytes.get(at));
                    if matches!(byte, b'-' | b'/') && !word(before) && word(bytes.get(at + 1)) {
                        out.extend_from_slice(with.as_bytes());
                    } else {
                        out.push(*byte);
                    }
                }
                *bytes = out;
            }
        }
        copy
    };
    let mut out: Vec<Wildcard> = ["-", "/", "\u{2013}", "\u{2014}", "\u{2015}"]
        .map(replaced)
        .to_vec();
    out.push(pattern.clone());
    out.sort();
    out.dedup();
    out
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for at in 0..4 {
            let sextet = (bits >> (18 - 6 * at)) & 63;
            out.push(if at <= chunk.len() {
                ALPHABET[sextet as usize]
            } else {
                b'='
            });
        }
    }
    out
}

/// The part of the base64 text that doesn't depend on what stands before and after the bytes,
/// when `offset` bytes stand before them in their group of three.
pub(crate) fn base64_at(bytes: &[u8], offset: usize) -> Vec<u8> {
    let mut padded = vec![b' '; offset];
    padded.extend_from_slice(bytes);
    let encoded = base64(&padded);
    let start = [0, 2, 3][offset];
    let end = encoded.len() - [0, 3, 2][padded.len() % 3];
    encoded.get(start..end).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standard_one() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), expected.as_bytes());
        }
    }

    proptest::proptest! {
        #[test]
        fn base64_at_some_offset_is_found(before in "[a-z]{0,9}", needle in "[a-z]{4,9}", after in "[a-z]{0,9}") {
            let whole = String::from_utf8(base64(format!("{before}{needle}{after}").as_bytes())).unwrap();
            let found = (0..3).any(|o| whole.contains(std::str::from_utf8(&base64_at(needle.as_bytes(), o)).unwrap()));
            proptest::prop_assert!(found);
        }
    }
}
