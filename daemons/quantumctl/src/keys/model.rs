//! A key as the commands see it, and how a key is named on the command line.

use quantumos_dbus::Dictionary;
use serde::{Deserialize, Serialize};

use crate::{error::Error, text::value};

/// What the bus tells of a key. Times are microseconds of the real-time clock, 0 for never.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all(deserialize = "PascalCase"))]
pub struct Key {
    /// Identifier.
    pub id: String,
    /// Algorithm by its standard's name.
    pub algorithm: String,
    /// What the owner calls it.
    pub label: String,
    /// User id of the owner.
    pub owner: u32,
    /// Version of the key material.
    pub version: u32,
    /// Number and time of each version.
    #[serde(default)]
    pub versions: Vec<(u32, u64)>,
    /// Who else may use it: kind, subject and operations.
    #[serde(default)]
    pub grants: Vec<(String, String, Vec<String>)>,
    /// `active` or `revoked`.
    pub state: String,
    /// `tpm` or `software`.
    pub protection: String,
    /// When it was made.
    pub created_at: u64,
    /// When it was revoked.
    pub revoked_at: u64,
    /// Why it was revoked.
    pub revocation_reason: String,
    /// Object path.
    #[serde(skip_deserializing)]
    pub path: String,
}

impl Key {
    /// From the properties of the object at `path`.
    pub fn new(path: &str, properties: &Dictionary) -> Result<Self, Error> {
        let mut key: Self = value::record(path, properties)?;
        key.path = path.to_owned();
        Ok(key)
    }
}

/// The one key that `name` means: an id, the only one whose id begins so, or the only one with
/// this label.
pub fn select<'a>(keys: &'a [Key], name: &str) -> Result<&'a Key, Error> {
    if let Some(key) = keys.iter().find(|key| key.id == name) {
        return Ok(key);
    }
    let labelled: Vec<&Key> = keys.iter().filter(|key| key.label == name).collect();
    let begun: Vec<&Key> = keys
        .iter()
        .filter(|key| !name.is_empty() && key.id.starts_with(name))
        .collect();
    match (labelled.as_slice(), begun.as_slice()) {
        ([key], _) | ([], [key]) => Ok(key),
        ([], []) => Err(Error::NotFound(format!(
            "no key has the id or label {name:?}; see: quantumctl keys list"
        ))),
        (many, others) => {
            let many = if many.is_empty() { others } else { many };
            let ids: Vec<&str> = many.iter().map(|key| key.id.as_str()).collect();
            Err(Error::Usage(format!(
                "{name:?} means {} keys, name one by its id: {}",
                ids.len(),
                ids.join(", ")
            )))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key for tests.
    pub fn key(id: &str, label: &str) -> Key {
        Key {
            id: id.into(),
            algorithm: "ML-DSA-87".into(),
            label: label.into(),
            owner: 0,
            version: 1,
            versions: Vec::new(),
            grants: Vec::new(),
            state: "active".into(),
            protection: "tpm".into(),
            created_at: 1_763_726_400_000_000,
            revoked_at: 0,
            revocation_reason: String::new(),
            path: format!("/org/quantumos/keys/{id}"),
        }
    }

    #[test]
    fn names_select_one_key() {
        let keys = [key("a1b2", "x"), key("a1c3", "x"), key("d4", "a1b2")];
        for (name, found) in [
            ("a1b2", Ok("a1b2")),
            ("a1b", Ok("a1b2")),
            ("d", Ok("d4")),
            (
                "a1",
                Err("\"a1\" means 2 keys, name one by its id: a1b2, a1c3"),
            ),
            (
                "x",
                Err("\"x\" means 2 keys, name one by its id: a1b2, a1c3"),
            ),
            (
                "z",
                Err("no key has the id or label \"z\"; see: quantumctl keys list"),
            ),
            (
                "",
                Err("no key has the id or label \"\"; see: quantumctl keys list"),
            ),
        ] {
            let selected = select(&keys, name).map(|key| key.id.as_str());
            assert_eq!(
                selected.map_err(|error| error.to_string()),
                found.map_err(str::to_owned)
            );
        }
    }
}
