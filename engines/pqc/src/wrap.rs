//! Seeds at rest: AES-256-GCM under a versioned key encryption key, with the key's id, algorithm,
//! version and policy as associated data. The encoding is self-describing and its parser strict:
//! every byte is either checked or authenticated, so no truncation or flipped bit goes unseen.

use crate::reader::Reader;
use crate::root::gcm;
use crate::{Algorithm, Error, SEED_LEN, Secret};
use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

/// Longest policy in bytes.
pub const POLICY_MAX: usize = 1024;

const MAGIC: &[u8; 3] = b"QWS";
const FORMAT: u8 = 1;
const DOMAIN: &[u8] = b"quantumos wrapped seed v1\0";
const SEALED_LEN: usize = SEED_LEN + 16;

/// What a wrapped seed is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The key's identity.
    pub id: [u8; 16],
    /// The key's algorithm.
    pub algorithm: Algorithm,
    /// The key's version, from 1 on; rotation raises it.
    pub version: u32,
    /// The policy under which it may be used, at most [`POLICY_MAX`] bytes; empty is none.
    pub policy: Vec<u8>,
}

/// A key encryption key of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kek {
    version: u32,
    key: Secret<32>,
}

/// A wrapped seed, parsed but not yet authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedSeed {
    kek_version: u32,
    binding: Binding,
    nonce: [u8; NONCE_LEN],
    sealed: [u8; SEALED_LEN],
}

impl Kek {
    pub(crate) fn new(version: u32, key: Secret<32>) -> Self {
        Self { version, key }
    }

    /// The version that this key belongs to.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Wraps a seed. The nonce is random: at most 2^32 seeds per version keep a collision below 2^-32.
    ///
    /// # Errors
    /// [`Error::TooLong`] for the policy, [`Error::Library`].
    pub fn wrap(&self, binding: Binding, seed: &Secret<SEED_LEN>) -> Result<WrappedSeed, Error> {
        check_policy(binding.policy.len())?;
        let mut nonce = [0u8; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Error::Library("the random generator"))?;
        let mut buffer = Zeroizing::new(*seed.expose());
        let tag = gcm(&self.key)?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated_data(self.version, &binding)),
                buffer.as_mut_slice(),
            )
            .map_err(|_| Error::Library("AES-256-GCM"))?;
        let mut sealed = [0u8; SEALED_LEN];
        sealed[..SEED_LEN].copy_from_slice(buffer.as_slice());
        sealed[SEED_LEN..].copy_from_slice(tag.as_ref());
        Ok(WrappedSeed {
            kek_version: self.version,
            binding,
            nonce,
            sealed,
        })
    }

    /// Opens a wrapped seed that must belong to `expected`.
    ///
    /// # Errors
    /// [`Error::KekVersion`], [`Error::NotAuthentic`].
    pub fn unwrap(
        &self,
        wrapped: &WrappedSeed,
        expected: &Binding,
    ) -> Result<Secret<SEED_LEN>, Error> {
        if wrapped.kek_version != self.version {
            return Err(Error::KekVersion {
                found: wrapped.kek_version,
                have: self.version,
            });
        }
        // The associated data is what the caller expects, not what the bytes say of themselves.
        let mut buffer = Zeroizing::new(wrapped.sealed);
        let plain = gcm(&self.key)?
            .open_in_place(
                Nonce::assume_unique_for_key(wrapped.nonce),
                Aad::from(associated_data(self.version, expected)),
                buffer.as_mut_slice(),
            )
            .map_err(|_| Error::NotAuthentic("wrapped seed"))?;
        if wrapped.binding != *expected {
            return Err(Error::NotAuthentic("wrapped seed"));
        }
        Secret::from_slice("seed", plain)
    }
}

impl Kek {
    /// Seals data of any length, bound to a domain and facts: key version (4), nonce (12), ciphertext
    /// and tag. At most 2^32 pieces per version, as for seeds.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn seal(&self, domain: &str, facts: &[&[u8]], data: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0u8; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Error::Library("the random generator"))?;
        let mut out = self.version.to_be_bytes().to_vec();
        out.reserve_exact(NONCE_LEN + data.len() + 16);
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(data);
        let tag = gcm(&self.key)?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound(self.version, domain, facts)),
                &mut out[start..],
            )
            .map_err(|_| Error::Library("AES-256-GCM"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens what [`Kek::seal`] made for the same domain and facts.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::KekVersion`], [`Error::NotAuthentic`].
    pub fn open(
        &self,
        domain: &str,
        facts: &[&[u8]],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut reader = Reader::new("sealed data", sealed);
        let found = reader.u32()?;
        if found != self.version {
            return Err(Error::KekVersion {
                found,
                have: self.version,
            });
        }
        let nonce = reader.array()?;
        let mut data = Zeroizing::new(reader.rest().to_vec());
        let len = gcm(&self.key)?
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound(self.version, domain, facts)),
                &mut data,
            )
            .map_err(|_| Error::NotAuthentic("sealed data"))?
            .len();
        data.truncate(len);
        Ok(data)
    }
}

fn bound(version: u32, domain: &str, facts: &[&[u8]]) -> Vec<u8> {
    let mut out = version.to_be_bytes().to_vec();
    for fact in [domain.as_bytes()].iter().chain(facts) {
        out.extend_from_slice(&(fact.len() as u64).to_be_bytes());
        out.extend_from_slice(fact);
    }
    out
}

fn check_policy(len: usize) -> Result<(), Error> {
    if len > POLICY_MAX {
        return Err(Error::TooLong {
            what: "policy",
            limit: POLICY_MAX,
            got: len,
        });
    }
    Ok(())
}

/// The header that is stored and authenticated: magic, format, key version, identity, policy.
fn header(kek_version: u32, binding: &Binding) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + binding.policy.len());
    out.extend_from_slice(MAGIC);
    out.push(FORMAT);
    out.extend_from_slice(&kek_version.to_be_bytes());
    out.extend_from_slice(&binding.algorithm.number().to_be_bytes());
    out.extend_from_slice(&binding.version.to_be_bytes());
    out.extend_from_slice(&binding.id);
    // At most POLICY_MAX, checked where a binding enters.
    out.extend_from_slice(&(binding.policy.len() as u32).to_be_bytes());
    out.extend_from_slice(&binding.policy);
    out
}

fn associated_data(kek_version: u32, binding: &Binding) -> Vec<u8> {
    [DOMAIN, &header(kek_version, binding)].concat()
}

impl WrappedSeed {
    /// The binary form: header, nonce (12), ciphertext and tag (48). Integers are big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = header(self.kek_version, &self.binding);
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&self.sealed);
        out
    }

    /// Parses the binary form strictly. What it says is true only after [`Kek::unwrap`].
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::UnknownVersion`], [`Error::UnknownAlgorithm`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new("wrapped seed", bytes);
        if reader.array::<3>()? != *MAGIC {
            return Err(reader.malformed("wrong magic"));
        }
        let [version] = reader.array()?;
        if version != FORMAT {
            return Err(Error::UnknownVersion {
                what: "wrapped seed",
                version,
            });
        }
        let kek_version = reader.u32()?;
        let algorithm = Algorithm::from_number(reader.u16()?)?;
        let version = reader.u32()?;
        let id = reader.array()?;
        let policy_len = reader.u32()? as usize;
        check_policy(policy_len)?;
        let policy = reader.take(policy_len)?.to_vec();
        let nonce = reader.array()?;
        let sealed = reader.array()?;
        reader.end()?;
        Ok(Self {
            kek_version,
            binding: Binding {
                id,
                algorithm,
                version,
                policy,
            },
            nonce,
            sealed,
        })
    }

    /// The version of the key encryption key that it says it was made under.
    #[must_use]
    pub fn kek_version(&self) -> u32 {
        self.kek_version
    }
}

#[cfg(test)]
#[path = "wrap_tests.rs"]
mod tests;
