//! The front of a container: its sealed header and the signature. Integers are big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 + 1 | `QSCT`, format version 1 |
//! | 4 | length of the header, from `QSCT` to the end of the metadata |
//! | 1 | 1 when a weak waveform was insisted on, else 0 |
//! | 2 | estimated entropy of the waveform in bits |
//! | 32 + 12 | salt; memory (KiB), passes, lanes of Argon2id |
//! | 32 | commitment to the waveform |
//! | 1 + 32 | 1 and the parent's id, or zeros |
//! | 8 | time in microseconds since 1970 |
//! | 8 + 32 | length and SHA3-256 of the sealed data |
//! | 2 + n | the author's public key |
//! | 2 + n | the author's name |
//! | 2, then 2 + n and 4 + n each | metadata: names and values, sorted by name |
//!
//! After it the signature, 2 + n bytes, and then the sealed data.

use super::{Verifier, WHAT};
use crate::Error;
use crate::stream::Cost;
use aws_lc_rs::digest::{SHA3_256, digest};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Most bytes of all metadata together.
pub const METADATA_MAX: usize = 64 * 1024;
/// Most bytes of a name.
pub const NAME_MAX: usize = 255;
/// Most bytes of a public key or signature.
const BLOB_MAX: usize = 16 * 1024;
/// Most bytes of a front.
pub const FRONT_MAX: usize = FIXED + 3 * BLOB_MAX + METADATA_MAX * 4;

const MAGIC: &[u8; 4] = b"QSCT";
const FORMAT: u8 = 1;
const ID_DOMAIN: &[u8] = b"quantumos container id v1";
/// Bytes up to the public key.
const FIXED: usize = 4 + 1 + 4 + 1 + 2 + 32 + 12 + 32 + 33 + 8 + 8 + 32;
/// Where the length of the header stands.
const LEN_AT: usize = 5;

/// The id of a container: the hash of its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 32]);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Id {
    type Err = Error;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = Error::Malformed {
            what: "container id",
            why: "has to have 64 hexadecimal digits",
        };
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad);
        }
        let mut id = [0u8; 32];
        for (byte, at) in id.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad.clone())?;
        }
        Ok(Self(id))
    }
}

/// What a container says of itself, in the open and signed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// The container that this one is derived from.
    pub parent: Option<Id>,
    /// Microseconds since 1970, as the caller's clock says.
    pub time: u64,
    /// The author's name, at most [`NAME_MAX`] bytes.
    pub author: String,
    /// Anything else, at most [`METADATA_MAX`] bytes.
    pub metadata: BTreeMap<String, String>,
}

impl Details {
    pub(super) fn check(&self) -> Result<(), Error> {
        limit("author's name", self.author.len(), NAME_MAX)?;
        let mut total = 0;
        for (name, value) in &self.metadata {
            limit("name in the metadata", name.len(), NAME_MAX)?;
            total += name.len() + value.len();
        }
        limit("metadata", total, METADATA_MAX)?;
        limit(
            "list of metadata",
            self.metadata.len(),
            usize::from(u16::MAX),
        )
    }
}

pub(super) fn limit(what: &'static str, got: usize, limit: usize) -> Result<(), Error> {
    if got > limit {
        return Err(Error::TooLong {
            what,
            limit: limit as u64,
            got: got as u64,
        });
    }
    Ok(())
}

/// The header's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) weak: bool,
    pub(super) entropy: u16,
    pub(super) salt: [u8; 32],
    pub(super) cost: Cost,
    pub(super) coherence: [u8; 32],
    pub(super) body_len: u64,
    pub(super) body_digest: [u8; 32],
    pub(super) public_key: Vec<u8>,
    pub(super) details: Details,
}

impl Fields {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + self.public_key.len() + 64);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[FORMAT, 0, 0, 0, 0, u8::from(self.weak)]);
        out.extend_from_slice(&self.entropy.to_be_bytes());
        out.extend_from_slice(&self.salt);
        for field in [self.cost.memory_kib, self.cost.passes, self.cost.lanes] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        out.extend_from_slice(&self.coherence);
        out.push(u8::from(self.details.parent.is_some()));
        out.extend_from_slice(&self.details.parent.map_or([0; 32], |id| id.0));
        out.extend_from_slice(&self.details.time.to_be_bytes());
        out.extend_from_slice(&self.body_len.to_be_bytes());
        out.extend_from_slice(&self.body_digest);
        // Lengths are checked where they enter.
        short(&mut out, &self.public_key);
        short(&mut out, self.details.author.as_bytes());
        out.extend_from_slice(&(self.details.metadata.len() as u16).to_be_bytes());
        for (name, value) in &self.details.metadata {
            short(&mut out, name.as_bytes());
            out.extend_from_slice(&(value.len() as u32).to_be_bytes());
            out.extend_from_slice(value.as_bytes());
        }
        let len = (out.len() as u32).to_be_bytes();
        out[LEN_AT..LEN_AT + 4].copy_from_slice(&len);
        out
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bad = |why| Error::Malformed { what: WHAT, why };
        let mut reader = Reader(&bytes[LEN_AT + 4..]);
        let weak = reader.flag()?;
        let entropy = u16::from_be_bytes(reader.array()?);
        let salt = reader.array()?;
        let cost = Cost {
            memory_kib: u32::from_be_bytes(reader.array()?),
            passes: u32::from_be_bytes(reader.array()?),
            lanes: u32::from_be_bytes(reader.array()?),
        };
        let coherence = reader.array()?;
        let (has_parent, parent) = (reader.flag()?, reader.array()?);
        if !has_parent && parent != [0; 32] {
            return Err(bad("has the id of a parent and says that there is none"));
        }
        let time = u64::from_be_bytes(reader.array()?);
        let body_len = u64::from_be_bytes(reader.array()?);
        let body_digest = reader.array()?;
        let public_key = reader.short("public key", BLOB_MAX)?.to_vec();
        let author = reader.text("author's name", NAME_MAX)?;
        let mut metadata = BTreeMap::new();
        for _ in 0..u16::from_be_bytes(reader.array()?) {
            let name = reader.text("name in the metadata", NAME_MAX)?;
            let len = u32::from_be_bytes(reader.array()?) as usize;
            limit("metadata", len, METADATA_MAX)?;
            let value = utf8(reader.take(len)?)?;
            if metadata
                .last_key_value()
                .is_some_and(|(last, _)| *last >= name)
            {
                return Err(bad("the metadata is not sorted by name"));
            }
            metadata.insert(name, value);
        }
        if !reader.0.is_empty() {
            return Err(bad("bytes follow the metadata"));
        }
        let details = Details {
            parent: has_parent.then_some(Id(parent)),
            time,
            author,
            metadata,
        };
        details.check()?;
        Ok(Self {
            weak,
            entropy,
            salt,
            cost,
            coherence,
            body_len,
            body_digest,
            public_key,
            details,
        })
    }
}

fn short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn utf8(bytes: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::Malformed {
        what: WHAT,
        why: "a name or value is not UTF-8 text",
    });
    text.map(str::to_owned)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Error::Malformed {
            what: WHAT,
            why: "the header ends within a field",
        })?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn flag(&mut self) -> Result<bool, Error> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Error::Malformed {
                what: WHAT,
                why: "a flag is neither 0 nor 1",
            }),
        }
    }

    fn short(&mut self, what: &'static str, most: usize) -> Result<&'a [u8], Error> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        limit(what, len, most)?;
        self.take(len)
    }

    fn text(&mut self, what: &'static str, most: usize) -> Result<String, Error> {
        utf8(self.short(what, most)?)
    }
}

/// The front of a container, parsed. What it says is true only after [`Front::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    pub(super) fields: Fields,
    header: Vec<u8>,
    signature: Vec<u8>,
}

impl Front {
    pub(super) fn new(fields: Fields, signature: Vec<u8>) -> Result<Self, Error> {
        limit("signature", signature.len(), BLOB_MAX)?;
        Ok(Self {
            header: fields.to_bytes(),
            fields,
            signature,
        })
    }

    /// How many bytes the front takes, once enough of them are there to tell (`Ok(None)` until then).
    ///
    /// # Errors
    /// [`Error::Foreign`], [`Error::UnknownVersion`], [`Error::TooLong`], [`Error::Malformed`].
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
        let Some(len) = start.get(LEN_AT..LEN_AT + 4) else {
            return Ok(None);
        };
        let header = len.iter().fold(0, |len, b| len << 8 | usize::from(*b));
        limit("header of the container", header, FRONT_MAX - BLOB_MAX)?;
        if header < FIXED {
            return Err(Error::Malformed {
                what: WHAT,
                why: "the header states a length that no header has",
            });
        }
        let Some(&[high, low]) = start.get(header..header + 2) else {
            return Ok(None);
        };
        let signature = usize::from(u16::from_be_bytes([high, low]));
        limit("signature", signature, BLOB_MAX)?;
        Ok(Some(header + 2 + signature))
    }

    /// Parses a whole front strictly.
    ///
    /// # Errors
    /// As [`Front::len`]; [`Error::Truncated`], [`Error::Malformed`], [`Error::TooLong`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let cut = Error::Truncated {
            what: WHAT,
            after: bytes.len() as u64,
        };
        let Some(len) = Self::len(bytes)?.filter(|len| *len <= bytes.len()) else {
            return Err(cut);
        };
        if bytes.len() > len {
            return Err(Error::Malformed {
                what: WHAT,
                why: "bytes follow the signature",
            });
        }
        let header = bytes[LEN_AT..LEN_AT + 4]
            .iter()
            .fold(0, |len, b| len << 8 | usize::from(*b));
        let (header, signature) = bytes.split_at(header);
        Ok(Self {
            fields: Fields::from_bytes(header)?,
            header: header.to_vec(),
            signature: signature[2..].to_vec(),
        })
    }

    /// The binary form; the sealed data follows it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.header.clone();
        short(&mut out, &self.signature);
        out
    }

    /// The container's id.
    #[must_use]
    pub fn id(&self) -> Id {
        id(&self.header)
    }

    /// Parent, time, author and metadata.
    #[must_use]
    pub fn details(&self) -> &Details {
        &self.fields.details
    }

    /// The author's public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.fields.public_key
    }

    /// Whether it is sealed under a waveform that was found weak and insisted on.
    #[must_use]
    pub fn weak(&self) -> bool {
        self.fields.weak
    }

    /// What trying a waveform costs, as it says.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.fields.cost
    }

    /// Estimated entropy of the waveform in bits, as the author's program found it.
    #[must_use]
    pub fn entropy(&self) -> u16 {
        self.fields.entropy
    }

    /// Bytes of sealed data.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        self.fields.body_len
    }

    /// Checks the author's signature.
    ///
    /// # Errors
    /// [`Error::BadSignature`].
    pub fn verify(&self, verifier: &dyn Verifier) -> Result<(), Error> {
        if verifier.verify(&self.fields.public_key, &self.header, &self.signature) {
            Ok(())
        } else {
            Err(Error::BadSignature(WHAT))
        }
    }
}

fn id(header: &[u8]) -> Id {
    let input = [&[ID_DOMAIN.len() as u8], ID_DOMAIN, header].concat();
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA3_256, &input).as_ref());
    Id(out)
}
