//! Keys on their way to another host: sealed to that host's X25519+ML-KEM-1024 key, signed by a key of
//! the host that they leave. Who opens one names the signer that is trusted. Nothing of the keys, not
//! even how many there are to the byte, is told before all of it was found authentic.
//!
//! ```text
//! offset  bytes  what, integers big-endian
//!      0      3  "QKB"
//!      3      1  format: 1
//!      4      4  length of the whole file
//!      8     16  id of the backup, random
//!     24      8  time, microseconds since 1970
//!     32      2  signer's algorithm: 1 ML-DSA-87, 2 Ed25519+ML-DSA-87
//!     34     32  signer's fingerprint
//!     66     32  recipient's fingerprint
//!     98   1600  ciphertext for the recipient: X25519 (32), ML-KEM-1024 (1568)
//!   1698      n  contents, AES-256-GCM; key and nonce are HKDF-SHA-512 of the ciphertext's secret with
//!                salt "quantumos key backup v1" and info bytes 0 to 1697, which are associated data too
//! 1698+n  4627 or 4691  signature over all before it, context "quantumos key backup v1"
//!     end     32  SHA-256 of all before it, which tells damage from forgery
//! ```
//! A fingerprint is SHA-256 of "quantumos public key v1", a zero byte, the algorithm (2) and the public key.

mod contents;

pub use contents::{Item, ItemVersion};

use crate::reader::Reader;
use crate::root::{gcm, hkdf_sha512};
use crate::{Algorithm, Error, PublicHalf, SIGNATURE_LEN, Secret, SecretKey};
use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// The most bytes of a backup.
pub const SIZE_MAX: usize = 16 << 20;
/// The algorithm of keys that backups are sealed to.
pub const RECIPIENT: Algorithm = Algorithm::X25519MlKem1024;

const MAGIC: &[u8; 3] = b"QKB";
const FORMAT: u8 = 1;
const DOMAIN: &[u8] = b"quantumos key backup v1";
const WHAT: &str = "backup";
const CIPHERTEXT: usize = 1600;
const HEADER: usize = 98 + CIPHERTEXT;
const TAG: usize = 16;
const SUM: usize = 32;

/// A backup that parsed and is not damaged. Who signed it and what is in it is known after
/// [`Backup::open`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    bytes: Vec<u8>,
    /// Which backup it is.
    pub id: [u8; 16],
    /// Microseconds since 1970, by the clock of the host that made it.
    pub created_at: u64,
    /// Algorithm of who is said to have signed it.
    pub signer_algorithm: Algorithm,
    /// Fingerprint of who is said to have signed it.
    pub signer: [u8; 32],
    /// Fingerprint of the key that it is sealed to.
    pub recipient: [u8; 32],
}

fn signature_len(signer: Algorithm) -> Result<usize, Error> {
    match signer {
        Algorithm::MlDsa87 => Ok(SIGNATURE_LEN),
        Algorithm::Ed25519MlDsa87 => Ok(64 + SIGNATURE_LEN),
        other => Err(Error::WrongKind {
            algorithm: other.name(),
            operation: "sign a backup",
        }),
    }
}

/// A fingerprint as errors and listings show it: the first 16 hexadecimal digits.
#[must_use]
pub fn shown(fingerprint: &[u8; 32]) -> String {
    crate::digest::hex(&fingerprint[..8])
}

/// Seals keys to `recipient` and signs the result.
///
/// # Errors
/// [`Error::WrongKind`] for keys of another kind, [`Error::TooLong`], [`Error::Library`].
pub fn seal(
    items: &[Item],
    recipient: &PublicHalf,
    signer: &SecretKey,
    id: [u8; 16],
    created_at: u64,
) -> Result<Vec<u8>, Error> {
    if recipient.algorithm() != RECIPIENT {
        return Err(Error::WrongKind {
            algorithm: recipient.algorithm().name(),
            operation: "open a backup",
        });
    }
    let signature_len = signature_len(signer.algorithm())?;
    let contents = contents::encode(items)?;
    let total = HEADER + contents.len() + TAG + signature_len + SUM;
    if total > SIZE_MAX {
        return Err(Error::TooLong {
            what: WHAT,
            limit: SIZE_MAX,
            got: total,
        });
    }
    let (ciphertext, secret) = recipient.encapsulate()?;
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(MAGIC);
    out.push(FORMAT);
    // At most SIZE_MAX.
    out.extend_from_slice(&(total as u32).to_be_bytes());
    out.extend_from_slice(&id);
    out.extend_from_slice(&created_at.to_be_bytes());
    out.extend_from_slice(&signer.algorithm().number().to_be_bytes());
    out.extend_from_slice(&signer.public()?.fingerprint());
    out.extend_from_slice(&recipient.fingerprint());
    out.extend_from_slice(&ciphertext);
    let (key, nonce) = sealing_key(&secret, &out)?;
    let mut sealed = contents;
    let tag = gcm(&key)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&out),
            sealed.as_mut_slice(),
        )
        .map_err(|_| Error::Library("AES-256-GCM"))?;
    out.extend_from_slice(&sealed);
    out.extend_from_slice(tag.as_ref());
    let signature = signer.sign(&out, DOMAIN)?;
    out.extend_from_slice(&signature);
    let sum = digest(&SHA256, &out);
    out.extend_from_slice(sum.as_ref());
    Ok(out)
}

/// Key and nonce; the key is new with each encapsulation.
fn sealing_key(secret: &Secret<32>, header: &[u8]) -> Result<(Secret<32>, [u8; 12]), Error> {
    let both: Secret<44> =
        Secret::fill_with(|out| hkdf_sha512(DOMAIN, secret.expose(), &[header], out))?;
    let (key, nonce) = both.expose().split_at(32);
    let mut own = [0; 12];
    own.copy_from_slice(nonce);
    Ok((Secret::from_slice("key", key)?, own))
}

impl Backup {
    /// Parses a backup and looks for damage. What it says is true only after [`Backup::open`].
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::UnknownVersion`], [`Error::TooLong`], [`Error::Truncated`],
    /// [`Error::Altered`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Error> {
        let least = |want: usize| Error::Truncated {
            what: WHAT,
            want,
            got: bytes.len(),
        };
        let mut reader = Reader::new(WHAT, &bytes);
        let magic: [u8; 3] = reader.array().map_err(|_| least(HEADER))?;
        if magic != *MAGIC {
            return Err(reader.malformed("wrong magic"));
        }
        let [version] = reader.array().map_err(|_| least(HEADER))?;
        if version != FORMAT {
            return Err(Error::UnknownVersion {
                what: WHAT,
                version,
            });
        }
        let total = reader.u32().map_err(|_| least(HEADER))? as usize;
        if total > SIZE_MAX {
            return Err(Error::TooLong {
                what: WHAT,
                limit: SIZE_MAX,
                got: total,
            });
        }
        if total > bytes.len() || bytes.len() < HEADER + TAG + SUM {
            return Err(least(total.max(HEADER + TAG + SUM)));
        }
        if total < bytes.len() {
            return Err(reader.malformed("bytes after its end"));
        }
        let (signed, sum) = bytes.split_at(total - SUM);
        if digest(&SHA256, signed).as_ref() != sum {
            return Err(altered("check sum"));
        }
        let id = reader.array()?;
        let created_at = reader.u64()?;
        let signer_algorithm = Algorithm::from_number(reader.u16()?)?;
        let (signer, recipient) = (reader.array()?, reader.array()?);
        if total < HEADER + TAG + signature_len(signer_algorithm)? + SUM {
            return Err(reader.malformed("no room for contents and signature"));
        }
        Ok(Self {
            id,
            created_at,
            signer_algorithm,
            signer,
            recipient,
            bytes,
        })
    }

    /// What is signed, and the signature.
    fn parts(&self) -> Result<(&[u8], &[u8]), Error> {
        let end = self.bytes.len() - SUM;
        Ok(self.bytes[..end].split_at(end - signature_len(self.signer_algorithm)?))
    }

    /// Whether `signer` made it as it is.
    ///
    /// # Errors
    /// [`Error::OtherSigner`], [`Error::Altered`].
    pub fn verify(&self, signer: &PublicHalf) -> Result<(), Error> {
        let expected = signer.fingerprint();
        if expected != self.signer || signer.algorithm() != self.signer_algorithm {
            return Err(Error::OtherSigner {
                found: shown(&self.signer),
                expected: shown(&expected),
            });
        }
        let (signed, signature) = self.parts()?;
        if signer.verify(signed, signature, DOMAIN)? {
            Ok(())
        } else {
            Err(altered("signature"))
        }
    }

    /// The keys in it, if `signer` made it for `recipient`.
    ///
    /// # Errors
    /// [`Error::OtherSigner`], [`Error::Altered`], [`Error::OtherRecipient`], and
    /// [`Error::NotAuthentic`] or [`Error::Malformed`] where the signer made it wrong.
    pub fn open(&self, recipient: &SecretKey, signer: &PublicHalf) -> Result<Vec<Item>, Error> {
        self.verify(signer)?;
        let have = recipient.public()?.fingerprint();
        if have != self.recipient {
            return Err(Error::OtherRecipient {
                found: shown(&self.recipient),
                have: shown(&have),
            });
        }
        let header = &self.bytes[..HEADER];
        let secret = recipient.decapsulate(&header[HEADER - CIPHERTEXT..])?;
        let (key, nonce) = sealing_key(&secret, header)?;
        let (signed, _) = self.parts()?;
        let mut sealed = Zeroizing::new(signed[HEADER..].to_vec());
        let contents = gcm(&key)?
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(header),
                &mut sealed,
            )
            .map_err(|_| Error::NotAuthentic(WHAT))?;
        contents::decode(contents)
    }
}

/// Parses what is sealed in a backup, in the clear: for who checks files without this crate's [`Backup`],
/// and for tests of the parser.
///
/// # Errors
/// [`Error::Malformed`], [`Error::TooLong`], [`Error::NotAuthentic`].
pub fn contents(bytes: &[u8]) -> Result<Vec<Item>, Error> {
    contents::decode(bytes)
}

fn altered(how: &'static str) -> Error {
    Error::Altered { what: WHAT, how }
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
