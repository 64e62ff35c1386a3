//! What is known of a key in public: its record, its identifier and the rules for its label.

use crate::Error;
use crate::grant::{self, Grant};
use crate::vault::Protection;
use quantumos_pqc::{Algorithm, Authenticator, Binding, PublicHalf, Secret};
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

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

/// Everything about a key but its secrets.
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
    /// What protects it at rest.
    pub protection: Protection,
    /// Microseconds of CLOCK_REALTIME.
    pub created_at: u64,
    /// When and why it was revoked.
    pub revoked: Option<Revocation>,
    /// Its versions, the oldest first; never empty, numbers rise by one from the first one's.
    pub versions: Vec<Version>,
    /// Who else may use it.
    pub grants: Grants,
}

/// The most versions that a key has.
pub const VERSIONS_MAX: usize = 256;

/// One version of a key's material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1.
    pub number: u32,
    /// Microseconds of CLOCK_REALTIME.
    pub created_at: u64,
    /// The public half; empty for algorithms that have none.
    pub public: PublicHalf,
}

/// Grants as they are stored, and the tag that authenticates them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// The list.
    pub list: Vec<Grant>,
    /// Its tag; empty while there never was a grant.
    pub tag: Vec<u8>,
}

impl Grants {
    const DOMAIN: &str = "quantumos grants v1";

    /// A list, tagged for a key.
    #[must_use]
    pub fn seal(list: Vec<Grant>, key: KeyId, by: &Authenticator) -> Self {
        let tag = by.tag(Self::DOMAIN, &[&key.0, &grant::to_bytes(&list)]);
        Self {
            list,
            tag: tag.to_vec(),
        }
    }

    /// The list, if it is what was sealed for this key.
    ///
    /// # Errors
    /// [`Error::Crypto`] when it was altered.
    pub fn open(&self, key: KeyId, by: &Authenticator) -> Result<&[Grant], Error> {
        let parts: [&[u8]; 2] = [&key.0, &grant::to_bytes(&self.list)];
        if (self.list.is_empty() && self.tag.is_empty())
            || by.verify(Self::DOMAIN, &parts, &self.tag)
        {
            Ok(&self.list)
        } else {
            Err(quantumos_pqc::Error::NotAuthentic("list of grants").into())
        }
    }
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
    /// What a version's wrapped seed is bound to: who owns the key is part of it, so that whoever can
    /// write to the store still can't give a key to another user.
    #[must_use]
    pub fn binding(&self, version: u32) -> Binding {
        Binding {
            id: self.id.0,
            algorithm: self.algorithm,
            version,
            policy: format!("owner={} protection={}", self.owner, self.protection.name())
                .into_bytes(),
        }
    }

    /// The number of the version that signs and encrypts.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.versions.last().map_or(0, |version| version.number)
    }

    /// A version by its number, the newest for `None`.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`].
    pub fn version_of(&self, number: Option<u32>) -> Result<&Version, Error> {
        let number = number.unwrap_or_else(|| self.version());
        self.versions
            .iter()
            .find(|version| version.number == number)
            .ok_or_else(|| Error::NoSuchVersion {
                id: self.id.to_string(),
                version: number,
            })
    }
}

/// Microseconds of CLOCK_REALTIME.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
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
