//! What can go wrong in this crate. Nothing here carries a secret, so every variant may be shown
//! and logged; what failed to authenticate is never described further than that.

/// Everything that this crate refuses or fails at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value has the wrong length in bytes.
    #[error("{what} is {got} bytes long, expected {want}")]
    Length {
        /// Which value.
        what: &'static str,
        /// The length it must have.
        want: usize,
        /// The length it has.
        got: usize,
    },
    /// A value is longer than its limit in bytes.
    #[error("{what} is {got} bytes long, at most {limit} are allowed")]
    TooLong {
        /// Which value.
        what: &'static str,
        /// The most it may have.
        limit: usize,
        /// The length it has.
        got: usize,
    },
    /// A binary structure does not parse.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// Which structure.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The format version of a structure is not known to this release.
    #[error("{what} has format version {version}, this release knows version 1 only")]
    UnknownVersion {
        /// Which structure.
        what: &'static str,
        /// The version found.
        version: u8,
    },
    /// An algorithm number or name that this release does not implement.
    #[error("unknown algorithm {0}")]
    UnknownAlgorithm(String),
    /// An operation that an algorithm isn't for.
    #[error("{algorithm} can not {operation}")]
    WrongKind {
        /// The algorithm's name.
        algorithm: &'static str,
        /// What was asked of it.
        operation: &'static str,
    },
    /// A wrapped value was made under another version of the key encryption key.
    #[error("wrapped under key version {found}, this is key version {have}")]
    KekVersion {
        /// The version in the wrapped value.
        found: u32,
        /// The version of the key at hand.
        have: u32,
    },
    /// Authenticated decryption failed: another key, other associated data, or altered bytes.
    #[error("{0} does not authenticate: altered, or sealed under another key or identity")]
    NotAuthentic(&'static str),
    /// A file ends before its end.
    #[error("the {what} is cut off: it has {got} of {want} bytes")]
    Truncated {
        /// Which file.
        what: &'static str,
        /// The bytes that it should have (at least).
        want: usize,
        /// The bytes that there are.
        got: usize,
    },
    /// A file is not as it was written.
    #[error("the {what} was altered: its {how} does not match")]
    Altered {
        /// Which file.
        what: &'static str,
        /// What shows it: the check sum, or the signature.
        how: &'static str,
    },
    /// A backup is signed by another key than the one that is trusted.
    #[error("the backup is signed by key {found}, not by {expected}")]
    OtherSigner {
        /// Fingerprint of the key that signed, shortened.
        found: String,
        /// Fingerprint of the key that was to have signed, shortened.
        expected: String,
    },
    /// A backup is sealed to another key than the one at hand.
    #[error("the backup is sealed to key {found}, not to {have}")]
    OtherRecipient {
        /// Fingerprint of the key that it is sealed to, shortened.
        found: String,
        /// Fingerprint of the key at hand, shortened.
        have: String,
    },
    /// The two implementations disagree: the result is withheld.
    #[error("self-check failed: {0}")]
    SelfCheck(&'static str),
    /// The library refused an operation that cannot fail on valid input.
    #[error("cryptographic library failure in {0}")]
    Library(&'static str),
}
