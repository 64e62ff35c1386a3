//! The registry of algorithms: what each is for, which standard says so, which library does it, and
//! the version of the way in which it is used here. Numbers and names are never given out again.

use crate::Error;
use std::str::FromStr;

/// What an algorithm is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Signs; anybody with the public key verifies.
    Signature,
    /// Encapsulates a secret to a public key.
    Kem,
    /// Encrypts and authenticates data under a secret key.
    Aead,
    /// Authenticates a message under a secret key.
    Mac,
    /// Derives keys from keys.
    Derivation,
    /// Derives keys from passwords.
    Password,
    /// Digests data.
    Digest,
}

impl Kind {
    /// The word on the bus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Kem => "kem",
            Self::Aead => "aead",
            Self::Mac => "mac",
            Self::Derivation => "derivation",
            Self::Password => "password",
            Self::Digest => "digest",
        }
    }
}

/// A line of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Version of how it is used here; a change that makes old results unreadable raises it.
    pub version: u32,
    /// What it is for.
    pub kind: Kind,
    /// The standard, or for a hybrid how its parts are joined.
    pub standard: &'static str,
    /// Whose code does it; `A, B checks` where two do.
    pub library: &'static str,
}

const fn entry(
    name: &'static str,
    kind: Kind,
    standard: &'static str,
    library: &'static str,
) -> Entry {
    Entry {
        name,
        version: 1,
        kind,
        standard,
        library,
    }
}

/// Every algorithm that this release uses for somebody: first those that keys have.
pub const REGISTRY: [Entry; 12] = [
    entry(
        "ML-DSA-87",
        Kind::Signature,
        "FIPS 204, pure, hedged",
        "AWS-LC, fips204 and libcrux check",
    ),
    entry(
        "Ed25519+ML-DSA-87",
        Kind::Signature,
        "RFC 8032 and FIPS 204 over one domain-separated message, both must verify",
        "AWS-LC, fips204 and libcrux check",
    ),
    entry("ML-KEM-1024", Kind::Kem, "FIPS 203", "AWS-LC"),
    entry(
        "X25519+ML-KEM-1024",
        Kind::Kem,
        "RFC 7748 and FIPS 203 joined by HKDF-SHA-512 over both secrets, ciphertexts and keys",
        "AWS-LC",
    ),
    entry(
        "AES-256-GCM",
        Kind::Aead,
        "NIST SP 800-38D, in 64 KiB chunks (STREAM)",
        "AWS-LC",
    ),
    entry(
        "XChaCha20-Poly1305",
        Kind::Aead,
        "draft-irtf-cfrg-xchacha, in 64 KiB chunks (STREAM)",
        "chacha20poly1305",
    ),
    entry("HMAC-SHA-512", Kind::Mac, "FIPS 198-1", "AWS-LC"),
    entry("HKDF-SHA-512", Kind::Derivation, "RFC 5869", "AWS-LC"),
    entry("HKDF-SHA-256", Kind::Derivation, "RFC 5869", "AWS-LC"),
    entry("Argon2id", Kind::Password, "RFC 9106", "argon2"),
    entry("SHA-256", Kind::Digest, "FIPS 180-4", "AWS-LC"),
    entry("SHA-512", Kind::Digest, "FIPS 180-4", "AWS-LC"),
];

/// The algorithms that keys have. A key of any of them is made from a 32-byte seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// FIPS 204, parameter set 87.
    MlDsa87,
    /// Both signatures over one message.
    Ed25519MlDsa87,
    /// FIPS 203, parameter set 1024.
    MlKem1024,
    /// Both encapsulations, one secret.
    X25519MlKem1024,
    /// Encrypts streams.
    Aes256Gcm,
    /// Encrypts streams, where there is no AES instruction.
    XChaCha20Poly1305,
    /// Authenticates messages.
    HmacSha512,
}

impl Algorithm {
    /// All of them, in the order of [`REGISTRY`].
    pub const ALL: [Self; 7] = [
        Self::MlDsa87,
        Self::Ed25519MlDsa87,
        Self::MlKem1024,
        Self::X25519MlKem1024,
        Self::Aes256Gcm,
        Self::XChaCha20Poly1305,
        Self::HmacSha512,
    ];

    /// Its line in the registry.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        &REGISTRY[self as usize]
    }

    /// The name on the bus and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// What it is for.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.entry().kind
    }

    /// The number in stored keys.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16 + 1
    }

    /// The reverse of [`Algorithm::number`].
    ///
    /// # Errors
    /// [`Error::UnknownAlgorithm`].
    pub fn from_number(number: u16) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|a| a.number() == number)
            .ok_or_else(|| Error::UnknownAlgorithm(format!("number {number}")))
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|a| a.name() == name)
            .ok_or_else(|| {
                let shown: String = name.chars().take(32).collect();
                Error::UnknownAlgorithm(format!("{shown:?}"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written on disks: a change here makes stored keys unreadable.
    #[test]
    fn names_and_numbers_are_for_ever() {
        let all: Vec<_> = Algorithm::ALL
            .iter()
            .map(|a| (a.number(), a.name(), a.kind().name()))
            .collect();
        assert_eq!(
            all,
            [
                (1, "ML-DSA-87", "signature"),
                (2, "Ed25519+ML-DSA-87", "signature"),
                (3, "ML-KEM-1024", "kem"),
                (4, "X25519+ML-KEM-1024", "kem"),
                (5, "AES-256-GCM", "aead"),
                (6, "XChaCha20-Poly1305", "aead"),
                (7, "HMAC-SHA-512", "mac"),
            ]
        );
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_number(algorithm.number()), Ok(algorithm));
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
        for bad in ["", "ml-dsa-87", "ML-DSA-44", "ML-DSA-87 ", "Argon2id"] {
            assert!(bad.parse::<Algorithm>().is_err(), "{bad}");
        }
        assert!(Algorithm::from_number(0).is_err() && Algorithm::from_number(8).is_err());
    }
}
