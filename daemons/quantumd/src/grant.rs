//! Who may do what with a key that is another's: users, groups and systemd units, by operation. The
//! list is kept in the clear and authenticated as a whole under the root key.

use crate::Error;
use std::fmt;

/// The most grants of one key.
pub const GRANTS_MAX: usize = 64;
/// Longest name of a unit in bytes, as in systemd.
const UNIT_MAX: usize = 255;

/// An operation that can be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Sign, or authenticate by a MAC.
    Sign,
    /// Verify a MAC; signatures anybody verifies.
    Verify,
    /// Open an encapsulated secret.
    Decapsulate,
    /// Encrypt data.
    Encrypt,
    /// Decrypt data.
    Decrypt,
    /// Give the key a new version.
    Rotate,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Sign,
        Self::Verify,
        Self::Decapsulate,
        Self::Encrypt,
        Self::Decrypt,
        Self::Rotate,
    ];

    /// The word on the bus and in the audit trail.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Verify => "verify",
            Self::Decapsulate => "decapsulate",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Rotate => "rotate",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Operations, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operations(u16);

impl Operations {
    /// Reads names.
    ///
    /// # Errors
    /// [`Error::Argument`].
    pub fn of<S: AsRef<str>>(names: &[S]) -> Result<Self, Error> {
        let mut bits = 0;
        for name in names {
            let found = Operation::ALL.iter().find(|o| o.name() == name.as_ref());
            let found = found.ok_or_else(|| {
                let shown: String = name.as_ref().chars().take(32).collect();
                Error::argument("operations", format!("{shown:?} is none"))
            })?;
            bits |= found.bit();
        }
        if bits == 0 {
            return Err(Error::argument("operations", "none is named"));
        }
        Ok(Self(bits))
    }

    /// Their names.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let all = Operation::ALL.iter().filter(|o| self.contains(**o));
        all.map(|operation| operation.name()).collect()
    }

    /// Whether one is among them.
    #[must_use]
    pub fn contains(self, operation: Operation) -> bool {
        self.0 & operation.bit() != 0
    }
}

/// Who is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A user id.
    User(u32),
    /// A group id, also a supplementary one.
    Group(u32),
    /// A systemd system unit, by its full name.
    Unit(String),
}

impl Subject {
    /// Reads a kind (`user`, `group`, `unit`) and a name: a number for the first two.
    ///
    /// # Errors
    /// [`Error::Argument`].
    pub fn of(kind: &str, name: &str) -> Result<Self, Error> {
        let number = || {
            name.parse()
                .map_err(|_| Error::argument("subject", "a user or group is given by its number"))
        };
        match kind {
            "user" => Ok(Self::User(number()?)),
            "group" => Ok(Self::Group(number()?)),
            "unit" => unit(name).map(Self::Unit),
            _ => Err(Error::argument("kind", "user, group or unit is expected")),
        }
    }

    /// Kind and name.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {self}", self.kind())
    }

    /// The word for its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Group(_) => "group",
            Self::Unit(_) => "unit",
        }
    }
}

/// The name of a unit: `NAME.TYPE` of the characters that systemd allows.
///
/// # Errors
/// [`Error::Argument`].
pub fn unit(name: &str) -> Result<String, Error> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b":-_.\\@".contains(&c);
    let typed = [".service", ".socket", ".mount", ".swap", ".scope"];
    let good = name.len() <= UNIT_MAX
        && name.bytes().all(allowed)
        && typed
            .iter()
            .any(|kind| name.strip_suffix(kind).is_some_and(|stem| !stem.is_empty()));
    if good {
        Ok(name.into())
    } else {
        Err(Error::argument(
            "unit",
            "a full name is expected, such as web.service",
        ))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) | Self::Group(id) => write!(f, "{id}"),
            Self::Unit(name) => f.write_str(name),
        }
    }
}

/// What somebody may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub subject: Subject,
    /// What.
    pub operations: Operations,
}

/// The binary form of a list: for each a byte for the kind, operations, length and name.
#[must_use]
pub fn to_bytes(grants: &[Grant]) -> Vec<u8> {
    let mut out = Vec::new();
    for grant in grants {
        let (kind, name) = match &grant.subject {
            Subject::User(id) => (1, id.to_be_bytes().to_vec()),
            Subject::Group(id) => (2, id.to_be_bytes().to_vec()),
            Subject::Unit(name) => (3, name.clone().into_bytes()),
        };
        out.push(kind);
        out.extend_from_slice(&grant.operations.0.to_be_bytes());
        // At most UNIT_MAX.
        out.push(name.len() as u8);
        out.extend_from_slice(&name);
    }
    out
}

/// Parses the binary form.
///
/// # Errors
/// What is wrong, in words.
pub fn from_bytes(mut bytes: &[u8]) -> Result<Vec<Grant>, &'static str> {
    let known: u16 = Operation::ALL.iter().map(|o| o.bit()).sum();
    let mut grants = Vec::new();
    while !bytes.is_empty() {
        let ([kind, high, low, len], rest) =
            bytes.split_first_chunk().ok_or("grants: truncated")?;
        let (name, rest) = rest
            .split_at_checked(usize::from(*len))
            .ok_or("grants: truncated")?;
        bytes = rest;
        let number = || {
            name.try_into()
                .map(u32::from_be_bytes)
                .map_err(|_| "grants: no number")
        };
        let subject = match kind {
            1 => Subject::User(number()?),
            2 => Subject::Group(number()?),
            3 => {
                let text = std::str::from_utf8(name).map_err(|_| "grants: no unit")?;
                Subject::Unit(unit(text).map_err(|_| "grants: no unit")?)
            }
            _ => return Err("grants: unknown kind of subject"),
        };
        let operations = Operations(u16::from_be_bytes([*high, *low]));
        if operations.0 == 0 || operations.0 & !known != 0 {
            return Err("grants: unknown operations");
        }
        grants.push(Grant {
            subject,
            operations,
        });
        if grants.len() > GRANTS_MAX {
            return Err("grants: too many");
        }
    }
    Ok(grants)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grant(kind: &str, name: &str, operations: &[&str]) -> Grant {
        Grant {
            subject: Subject::of(kind, name).unwrap(),
            operations: Operations::of(operations).unwrap(),
        }
    }

    #[test]
    fn lists_round_trip() {
        let list = [
            grant("user", "1000", &["sign"]),
            grant("group", "0", &["sign", "rotate"]),
            grant("unit", "web@1.service", &["decrypt", "encrypt", "verify"]),
        ];
        let bytes = to_bytes(&list);
        assert_eq!(from_bytes(&bytes).unwrap(), list);
        for len in 1..bytes.len() {
            // A cut between two grants is a shorter list: the tag over the whole tells.
            if let Ok(cut) = from_bytes(&bytes[..len]) {
                assert!(cut.len() < list.len());
            }
        }
        assert_eq!(list[2].operations.names(), ["verify", "encrypt", "decrypt"]);
    }

    #[test]
    fn bad_words_are_named() {
        for (kind, name) in [
            ("users", "1"),
            ("user", "root"),
            ("user", "-1"),
            ("user", "4294967296"),
            ("unit", "web"),
            ("unit", ".service"),
            ("unit", "a/b.service"),
            ("unit", "a b.service"),
        ] {
            assert!(Subject::of(kind, name).is_err(), "{kind} {name}");
        }
        assert!(
            Operations::of(&["sign", "fly"])
                .unwrap_err()
                .to_string()
                .contains("fly")
        );
        assert!(Operations::of::<&str>(&[]).is_err());
    }

    proptest! {
        #[test]
        fn what_parses_encodes_to_itself(bytes in proptest::collection::vec(0u8..9, 0..60)) {
            if let Ok(list) = from_bytes(&bytes) {
                prop_assert_eq!(to_bytes(&list), bytes);
            }
        }
    }
}
