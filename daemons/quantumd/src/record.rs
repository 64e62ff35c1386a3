//! What is known of a key in public: its record, its identifier and the rules for its label.

use crate::Error;
use crate::vault::Protection;
use quantumos_pqc::{Algorithm, Binding, PublicKey, Secret};
use std::fmt;
use std::str::FromStr;

/// Longest label in bytes.
pub const LABEL_MAX: usize = 128;
/// Longest reason for a revocation in bytes.
pub const REASON_MAX: usize = 512;

/// Sixteen random bytes, 32 hexadecimal digits in paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

impl KeyId {
    /// A fresh one.
    ///
    /// # Errors
    /// When the random generator fails.
    pub fn random() -> Result<Self, Error> {
        Ok(Self(*Secret::<16>::random()?.expose()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for KeyId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; 16];
        let digits = text.as_bytes();
        let good = digits.len() == 32
            && digits
                .iter()
                .all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f'))
            && (0..16).all(|at| {
                u8::from_str_radix(&text[at * 2..at * 2 + 2], 16)
                    .map(|byte| bytes[at] = byte)
                    .is_ok()
            });
        if good {
            Ok(Self(bytes))
        } else {
            Err(Error::NoSuchKey(text.chars().take(40).collect()))
        }
    }
}

/// Everything about a key but its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Identity.
    pub id: KeyId,
    /// Algorithm.
    pub algorithm: Algorithm,
    /// What the owner calls it.
    pub label: String,
    /// User id of the owner.
    pub owner: u32,
    /// Version of the key material, from 1.
    pub version: u32,
    /// What protects it at rest.
    pub protection: Protection,
    /// Microseconds of CLOCK_REALTIME.
    pub created_at: u64,
    /// When and why it was revoked.
    pub revoked: Option<Revocation>,
    /// The public key.
    pub public: PublicKey,
}

/// When (microseconds of CLOCK_REALTIME) and why a key was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: u64,
    /// Why.
    pub reason: String,
}

impl Record {
    /// What the wrapped seed is bound to: who owns the key is part of it, so that whoever can write
    /// to the store still can't give a key to another user.
    #[must_use]
    pub fn binding(&self) -> Binding {
        Binding {
            id: self.id.0,
            algorithm: self.algorithm,
            version: self.version,
            policy: format!("owner={} protection={}", self.owner, self.protection.name())
                .into_bytes(),
        }
    }
}

/// Refuses text that is too long or would deceive who reads it on a terminal: control characters
/// and those that turn the direction of writing.
///
/// # Errors
/// [`Error::Argument`] naming `what`.
pub fn check_text(what: &str, text: &str, limit: usize) -> Result<(), Error> {
    if text.len() > limit {
        return Err(Error::argument(
            what,
            format!("{} bytes long, at most {limit} are allowed", text.len()),
        ));
    }
    let deceives = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    match text.chars().find(|&c| deceives(c)) {
        Some(c) => Err(Error::argument(
            what,
            format!("character U+{:04X} is not allowed", u32::from(c)),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels() {
        for good in ["", "release signing", "Schlüssel für Köln", "鍵"] {
            check_text("label", good, LABEL_MAX).unwrap();
        }
        for (bad, word) in [
            ("a\nb", "U+000A"),
            ("a\u{7f}", "U+007F"),
            ("a\u{202e}b", "U+202E"),
            (&"x".repeat(129), "129 bytes"),
        ] {
            let error = check_text("label", bad, LABEL_MAX).unwrap_err().to_string();
            assert!(error.contains("label") && error.contains(word), "{error}");
        }
    }

    proptest! {
        #[test]
        fn ids_round_trip(bytes: [u8; 16]) {
            let text = KeyId(bytes).to_string();
            prop_assert_eq!(text.parse::<KeyId>().unwrap(), KeyId(bytes));
        }

        #[test]
        fn other_text_is_no_id(text in ".{0,40}") {
            if let Ok(id) = text.parse::<KeyId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
