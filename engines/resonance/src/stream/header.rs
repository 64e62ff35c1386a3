//! The header of a stream. Integers are big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `QRES` |
//! | 1 | format version, 1 |
//! | 1 | suite: 1 AES-256-GCM, 2 XChaCha20-Poly1305 |
//! | 1 | source of the key: 1 a stored key, 2 a passphrase, 3 a data key that a stored key carries |
//! | 2 | length of the whole header |
//! | 32 | salt |
//! | 1 + n, or 12 | length and reference of the stored key; or memory (KiB), passes, lanes of Argon2id |
//! | 2 + n | for a data key: length and bytes of the capsule that it is carried in |
//! | 32 | commitment to key, context and all before it |
//! | 8 | the first bytes of the SHA-256 of all before it, which tells damage from a wrong key |

use super::cipher::PREFIX;
use super::{Cost, StreamKey, Suite, WHAT};
use crate::Error;
use crate::derive::{argon2id, hkdf};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use zeroize::Zeroizing;

/// Longest reference to a stored key in bytes.
pub const REFERENCE_MAX: usize = 128;

/// Longest capsule of a data key in bytes: more than any key encapsulation has.
pub const CAPSULE_MAX: usize = 4096;

/// Longest context in bytes.
pub const CONTEXT_MAX: usize = 4096;

const MAGIC: &[u8; 4] = b"QRES";
const FORMAT: u8 = 1;
const DOMAIN: &[u8] = b"quantumos resonance stream v1";
/// What tells the length of the header.
const START: usize = 9;
const SALT: usize = 32;
const COMMITMENT: usize = 32;
const CHECK: usize = 8;
/// A stored key has at least this many bytes.
const KEY_MIN: usize = 16;

/// What a stream's key is derived from.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// A uniformly random key of at least 16 bytes.
    Key(&'a [u8]),
    /// Something that a person remembers.
    Passphrase(&'a [u8]),
}

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(..)",
            Self::Passphrase(_) => "Passphrase(..)",
        })
    }
}

/// What the header says of where the key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A stored key, which these bytes name to whoever keeps it (an id and a version, say).
    Key(Vec<u8>),
    /// A passphrase at this cost.
    Passphrase(Cost),
    /// A data key of this stream's own, which who keeps the stored key gets out of the capsule.
    Carried {
        /// Names the stored key.
        reference: Vec<u8>,
        /// A ciphertext of the data key, or one that encapsulates it.
        capsule: Vec<u8>,
    },
}

/// A header, parsed but not yet authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    suite: Suite,
    source: Source,
    salt: [u8; SALT],
    commitment: [u8; COMMITMENT],
}

impl Header {
    /// Makes the header of a new stream and the key that belongs to it.
    pub(super) fn create(
        suite: Suite,
        source: Source,
        salt: [u8; SALT],
        secret: Secret<'_>,
        context: &[u8],
    ) -> Result<(Self, StreamKey), Error> {
        if let Source::Key(reference) | Source::Carried { reference, .. } = &source {
            limit("key reference", reference.len(), REFERENCE_MAX)?;
        }
        if let Source::Carried { capsule, .. } = &source {
            limit("capsule", capsule.len(), CAPSULE_MAX)?;
        }
        let mut header = Self {
            suite,
            source,
            salt,
            commitment: [0; COMMITMENT],
        };
        let (commitment, key) = header.derive(secret, context, Cost::LIMIT)?;
        header.commitment = commitment;
        Ok((header, key))
    }

    /// The cipher.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Where the key comes from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// How many bytes the header takes, once enough of them are there to tell (`Ok(None)` until then).
    ///
    /// # Errors
    /// [`Error::Foreign`], [`Error::UnknownVersion`], [`Error::Malformed`] for a length that no header has.
    pub fn len(start: &[u8]) -> Result<Option<usize>, Error> {
        let seen = start.len().min(MAGIC.len());
        if start[..seen] != MAGIC[..seen] {
            return Err(Error::Foreign(WHAT));
        }
        if let Some(version) = start.get(4).filter(|v| **v != FORMAT) {
            return Err(Error::UnknownVersion {
                what: WHAT,
                version: *version,
            });
        }
        let Some(&[high, low]) = start.get(START - 2..START) else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        let fixed = START + SALT + COMMITMENT + CHECK;
        if !(fixed + 1..=fixed + 1 + REFERENCE_MAX + 2 + CAPSULE_MAX).contains(&len) {
            return Err(Error::Malformed {
                what: WHAT,
                why: "the header states a length that no header has",
            });
        }
        Ok(Some(len))
    }

    /// The binary form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.head();
        out.extend_from_slice(&self.commitment);
        let check = digest::digest(&digest::SHA256, &out);
        out.extend_from_slice(&check.as_ref()[..CHECK]);
        out
    }

    /// Parses a whole header strictly. What it says is true only after [`Header::open`].
    ///
    /// # Errors
    /// As [`Header::len`]; [`Error::Truncated`], [`Error::Damaged`], [`Error::UnknownNumber`],
    /// [`Error::Malformed`], [`Error::TooLong`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let cut = || Error::Truncated {
            what: WHAT,
            after: bytes.len() as u64,
        };
        let bad = |why| Error::Malformed { what: WHAT, why };
        let len = Self::len(bytes)?.ok_or_else(cut)?;
        if bytes.len() < len {
            return Err(cut());
        }
        if bytes.len() > len {
            return Err(bad("bytes follow the header"));
        }
        let (rest, check) = bytes.split_last_chunk::<CHECK>().ok_or_else(cut)?;
        if digest::digest(&digest::SHA256, rest).as_ref()[..CHECK] != *check {
            return Err(Error::Damaged(WHAT));
        }
        let (head, commitment) = rest.split_last_chunk::<COMMITMENT>().ok_or_else(cut)?;
        let suite = Suite::from_number(head[5])?;
        let (salt, source) = head[START..].split_first_chunk::<SALT>().ok_or_else(cut)?;
        let source = match head[6] {
            1 => {
                let (len, reference) = source.split_first().ok_or_else(cut)?;
                if usize::from(*len) != reference.len() || reference.len() > REFERENCE_MAX {
                    return Err(bad("the key reference has another length than stated"));
                }
                Source::Key(reference.to_vec())
            }
            2 => {
                let field = |at: usize| {
                    let field = source.get(at..at + 4).and_then(|b| b.try_into().ok());
                    field.map(u32::from_be_bytes)
                };
                let (Some(memory_kib), Some(passes), Some(lanes), 12) =
                    (field(0), field(4), field(8), source.len())
                else {
                    return Err(bad("the passphrase cost has another length than 12 bytes"));
                };
                Source::Passphrase(Cost {
                    memory_kib,
                    passes,
                    lanes,
                })
            }
            3 => {
                let (len, rest) = source.split_first().ok_or_else(cut)?;
                let (reference, rest) = rest
                    .split_at_checked(usize::from(*len))
                    .filter(|(reference, _)| reference.len() <= REFERENCE_MAX)
                    .ok_or(bad("the key reference has another length than stated"))?;
                let (len, capsule) = rest
                    .split_first_chunk::<2>()
                    .ok_or(bad("the capsule is missing"))?;
                if usize::from(u16::from_be_bytes(*len)) != capsule.len() {
                    return Err(bad("the capsule has another length than stated"));
                }
                Source::Carried {
                    reference: reference.to_vec(),
                    capsule: capsule.to_vec(),
                }
            }
            number => {
                return Err(Error::UnknownNumber {
                    what: "key source",
                    number,
                });
            }
        };
        Ok(Self {
            suite,
            source,
            salt: *salt,
            commitment: *commitment,
        })
    }

    /// Derives the stream's key and checks that it is the one committed to. `limit` bounds what
    /// Argon2id may cost ([`Cost::LIMIT`] for a file that anybody may have written).
    ///
    /// # Errors
    /// [`Error::WrongKey`], [`Error::OtherSource`], [`Error::TooCostly`], [`Error::TooLong`] for
    /// the context, [`Error::TooShort`] for a key, [`Error::Malformed`] for a cost without meaning.
    pub fn open(
        &self,
        secret: Secret<'_>,
        context: &[u8],
        limit: Cost,
    ) -> Result<StreamKey, Error> {
        let (commitment, key) = self.derive(secret, context, limit)?;
        verify_slices_are_equal(&commitment, &self.commitment).map_err(|_| {
            Error::WrongKey(match self.source {
                Source::Key(_) | Source::Carried { .. } => "key or context",
                Source::Passphrase(_) => "passphrase or context",
            })
        })?;
        Ok(key)
    }

    /// All that comes before the commitment.
    fn head(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let kind = match self.source {
            Source::Key(_) => 1,
            Source::Passphrase(_) => 2,
            Source::Carried { .. } => 3,
        };
        out.extend_from_slice(&[FORMAT, self.suite.number(), kind, 0, 0]);
        out.extend_from_slice(&self.salt);
        match &self.source {
            Source::Key(reference) => {
                // At most REFERENCE_MAX, checked where a reference enters.
                out.push(reference.len() as u8);
                out.extend_from_slice(reference);
            }
            Source::Carried { reference, capsule } => {
                // Likewise.
                out.push(reference.len() as u8);
                out.extend_from_slice(reference);
                out.extend_from_slice(&(capsule.len() as u16).to_be_bytes());
                out.extend_from_slice(capsule);
            }
            Source::Passphrase(cost) => {
                for field in [cost.memory_kib, cost.passes, cost.lanes] {
                    out.extend_from_slice(&field.to_be_bytes());
                }
            }
        }
        let len = (out.len() + COMMITMENT + CHECK) as u16;
        out[START - 2..START].copy_from_slice(&len.to_be_bytes());
        out
    }

    fn derive(
        &self,
        secret: Secret<'_>,
        context: &[u8],
        cost_limit: Cost,
    ) -> Result<([u8; COMMITMENT], StreamKey), Error> {
        limit("context", context.len(), CONTEXT_MAX)?;
        let stretched;
        let secret = match (secret, &self.source) {
            (Secret::Key(key), Source::Key(_) | Source::Carried { .. }) if key.len() < KEY_MIN => {
                return Err(Error::TooShort {
                    what: "key",
                    need: KEY_MIN as u64,
                    got: key.len() as u64,
                });
            }
            (Secret::Key(key), Source::Key(_) | Source::Carried { .. }) => key,
            (Secret::Passphrase(passphrase), Source::Passphrase(cost)) => {
                cost.check(cost_limit)?;
                stretched = argon2id(passphrase, &self.salt, *cost)?;
                stretched.as_slice()
            }
            (_, Source::Key(_) | Source::Carried { .. }) => {
                return Err(Error::OtherSource { found: "key" });
            }
            (_, Source::Passphrase(_)) => {
                return Err(Error::OtherSource {
                    found: "passphrase",
                });
            }
        };
        let mut okm = Zeroizing::new([0u8; COMMITMENT + 32 + PREFIX]);
        let info: [&[u8]; 3] = [DOMAIN, &self.head(), context];
        hkdf(&self.salt, secret, &info, okm.as_mut_slice())?;
        let mut commitment = [0u8; COMMITMENT];
        commitment.copy_from_slice(&okm[..COMMITMENT]);
        let mut key = Zeroizing::new([0u8; 32]);
        key.copy_from_slice(&okm[COMMITMENT..COMMITMENT + 32]);
        let mut prefix = [0u8; PREFIX];
        prefix.copy_from_slice(&okm[COMMITMENT + 32..]);
        Ok((commitment, StreamKey::new(self.suite, &key, prefix)?))
    }
}

fn limit(what: &'static str, got: usize, limit: usize) -> Result<(), Error> {
    if got > limit {
        return Err(Error::TooLong {
            what,
            limit: limit as u64,
            got: got as u64,
        });
    }
    Ok(())
}
