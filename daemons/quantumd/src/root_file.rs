//! `root.sealed`, the root key at rest: sealed by the TPM, or by a key that Argon2id derives from
//! the host key. A strict binary form: magic, format, kind, fingerprint, then fields with lengths.

use crate::tpm::Sealed;
use quantumos_pqc::boot_policy::Authority;
use quantumos_pqc::{RootKey, Secret, open_secret, password_key, seal_secret};

const MAGIC: &[u8; 5] = b"QROOT";
const FORMAT: u8 = 1;
const TPM: u8 = 1;
const SOFTWARE: u8 = 2;
/// As [`TPM`], then the conditions: whether there is a PIN, and the key that approves PCR states.
const TPM_WITH_CONDITIONS: u8 = 3;
const SOFTWARE_DOMAIN: &[u8] = b"quantumos root key, software protection, v1";

/// The most bytes that the file may have.
pub const LIMIT: usize = 8192;

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootFile {
    /// Says which root key this is, without telling anything about it.
    pub fingerprint: [u8; 16],
    /// How it's protected.
    pub protected: Protected,
}

/// The sealed root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protected {
    /// By the TPM.
    Tpm(Sealed),
    /// By the host key.
    Software(SoftwareSealed),
}

/// A root key sealed by the host key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoftwareSealed {
    salt: [u8; 16],
    sealed: Vec<u8>,
}

impl SoftwareSealed {
    /// Seals a root key by a host key: Argon2id over a fresh salt, then AES-256-GCM.
    ///
    /// # Errors
    /// When the library fails.
    pub fn seal(host_key: &[u8], root: &RootKey) -> Result<Self, quantumos_pqc::Error> {
        let salt = *Secret::<16>::random()?.expose();
        let key = password_key(host_key, &salt)?;
        let sealed = seal_secret(&key, SOFTWARE_DOMAIN, root.secret())?;
        Ok(Self { salt, sealed })
    }

    /// Opens it again.
    ///
    /// # Errors
    /// When the host key is another or the bytes were altered.
    pub fn open(&self, host_key: &[u8]) -> Result<RootKey, quantumos_pqc::Error> {
        let key = password_key(host_key, &self.salt)?;
        open_secret("root key", &key, SOFTWARE_DOMAIN, &self.sealed).map(RootKey::new)
    }
}

impl RootFile {
    /// The binary form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, fields): (u8, Vec<&[u8]>) = match &self.protected {
            Protected::Tpm(sealed) => {
                let mut fields: Vec<&[u8]> =
                    vec![&sealed.root_name, &sealed.public, &sealed.private];
                if sealed.pin || sealed.authority.is_some() {
                    fields.push(if sealed.pin { &[1] } else { &[0] });
                    fields.push(sealed.authority.as_ref().map_or(&[], Authority::der));
                    (TPM_WITH_CONDITIONS, fields)
                } else {
                    (TPM, fields)
                }
            }
            Protected::Software(sealed) => (SOFTWARE, vec![&sealed.salt, &sealed.sealed]),
        };
        let mut out = [&MAGIC[..], &[FORMAT, kind], &self.fingerprint].concat();
        for field in fields {
            // Fields come from the TPM or from here and are far below 64 KiB.
            out.extend_from_slice(&(field.len() as u16).to_be_bytes());
            out.extend_from_slice(field);
        }
        out
    }

    /// Parses the binary form.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        let (head, mut rest) = bytes.split_first_chunk::<7>().ok_or("truncated")?;
        if head[..5] != *MAGIC {
            return Err("not a root key file");
        }
        if head[5] != FORMAT {
            return Err("made by another release: format not known");
        }
        let fingerprint = *take::<16>(&mut rest)?;
        let protected = match head[6] {
            kind @ (TPM | TPM_WITH_CONDITIONS) => {
                let mut sealed = Sealed {
                    root_name: field(&mut rest)?.to_vec(),
                    public: field(&mut rest)?.to_vec(),
                    private: field(&mut rest)?.to_vec(),
                    pin: false,
                    authority: None,
                };
                if kind == TPM_WITH_CONDITIONS {
                    (sealed.pin, sealed.authority) = conditions(&mut rest)?;
                }
                Protected::Tpm(sealed)
            }
            SOFTWARE => Protected::Software(SoftwareSealed {
                salt: field(&mut rest)?
                    .try_into()
                    .map_err(|_| "salt of a wrong length")?,
                sealed: field(&mut rest)?.to_vec(),
            }),
            _ => return Err("protected in a way that this release does not know"),
        };
        if !rest.is_empty() {
            return Err("trailing bytes");
        }
        Ok(Self {
            fingerprint,
            protected,
        })
    }
}

fn conditions(rest: &mut &[u8]) -> Result<(bool, Option<Authority>), &'static str> {
    let pin = match field(rest)? {
        [0] => false,
        [1] => true,
        _ => return Err("PIN flag is neither 0 nor 1"),
    };
    let authority = match field(rest)? {
        [] => None,
        der => Some(Authority::from_der(der).map_err(|_| "the PCR authority's key is broken")?),
    };
    if !pin && authority.is_none() {
        return Err("conditions without a condition");
    }
    Ok((pin, authority))
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], &'static str> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or("truncated")?;
    *rest = tail;
    Ok(head)
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    let len = usize::from(u16::from_be_bytes(*take(rest)?));
    let (head, tail) = rest.split_at_checked(len).ok_or("truncated")?;
    *rest = tail;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn examples() -> [RootFile; 5] {
        let root = RootKey::random().unwrap();
        let software = SoftwareSealed::seal(b"host key", &root).unwrap();
        assert_eq!(software.open(b"host key").unwrap(), root);
        assert!(software.open(b"host kez").is_err());
        let tpm = |pin, authority| {
            Protected::Tpm(Sealed {
                root_name: vec![1; 34],
                public: vec![2; 78],
                private: vec![3; 158],
                pin,
                authority,
            })
        };
        // A key that nobody has the other half of; only its encoding matters here.
        let head = "30820122300d06092a864886f70d01010105000382010f003082010a0282010100";
        let mut der: Vec<u8> = (0..head.len() / 2)
            .map(|at| u8::from_str_radix(&head[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        der.extend([0xA5; 256]);
        der.extend([2, 3, 1, 0, 1]);
        let authority = Authority::from_der(&der).unwrap();
        [
            Protected::Software(software),
            tpm(false, None),
            tpm(true, None),
            tpm(false, Some(authority.clone())),
            tpm(true, Some(authority)),
        ]
        .map(|protected| RootFile {
            fingerprint: [9; 16],
            protected,
        })
    }

    #[test]
    fn round_trip_and_truncation() {
        for file in examples() {
            let bytes = file.to_bytes();
            assert!(bytes.len() < LIMIT);
            assert_eq!(RootFile::from_bytes(&bytes).unwrap(), file);
            for len in 0..bytes.len() {
                assert!(RootFile::from_bytes(&bytes[..len]).is_err(), "length {len}");
            }
            assert!(RootFile::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn a_flipped_bit_changes_what_is_read() {
        for file in examples() {
            let bytes = file.to_bytes();
            for bit in 0..bytes.len() * 8 {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(RootFile::from_bytes(&bad).as_ref(), Ok(&file), "bit {bit}");
            }
        }
    }

    proptest! {
        #[test]
        fn parser_never_panics(tail in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..4) {
            let _ = RootFile::from_bytes(&tail);
            let head = [&MAGIC[..], &[FORMAT, kind]].concat();
            let _ = RootFile::from_bytes(&[head, tail].concat());
        }
    }
}
