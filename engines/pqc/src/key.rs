//! Keys of any algorithm in the registry, expanded from a 32-byte seed, and their public halves.
//! ML-DSA-87 takes the seed as it is; every other algorithm, and each part of a hybrid, takes what
//! HKDF-SHA-512 derives from it under the part's own name.

use crate::aws_lc::kem;
use crate::hybrid::{self, HybridKem, HybridSigner};
use crate::root::hkdf_sha512;
use crate::{Algorithm, Error, PublicKey, SEED_LEN, Secret, Signature, SigningKey};
use aws_lc_rs::{digest, hmac};
use std::fmt;

/// A private or secret key, ready for use. Every part wipes itself when dropped.
pub struct SecretKey {
    algorithm: Algorithm,
    parts: Parts,
}

enum Parts {
    MlDsa(SigningKey),
    HybridSigner(Box<HybridSigner>),
    Kem(kem::Key),
    HybridKem(Box<HybridKem>),
    Symmetric(Secret<32>),
}

/// The public half of a key: empty for algorithms that have none.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicHalf {
    algorithm: Algorithm,
    bytes: Box<[u8]>,
}

/// Derives the secret of a part from a key's seed.
pub(crate) fn part<const N: usize>(
    seed: &Secret<SEED_LEN>,
    name: &str,
) -> Result<Secret<N>, Error> {
    Secret::fill_with(|out| {
        hkdf_sha512(
            b"quantumos key seed v1",
            seed.expose(),
            &[name.as_bytes()],
            out,
        )
    })
}

impl SecretKey {
    /// Expands a seed.
    ///
    /// # Errors
    /// [`Error::SelfCheck`] when two implementations disagree, [`Error::Library`].
    pub fn from_seed(algorithm: Algorithm, seed: &Secret<SEED_LEN>) -> Result<Self, Error> {
        let parts = match algorithm {
            Algorithm::MlDsa87 => Parts::MlDsa(SigningKey::from_seed(seed)?),
            Algorithm::Ed25519MlDsa87 => {
                Parts::HybridSigner(Box::new(HybridSigner::from_seed(seed)?))
            }
            Algorithm::MlKem1024 => {
                Parts::Kem(kem::Key::from_seed(part(seed, "ML-KEM-1024")?.expose())?)
            }
            Algorithm::X25519MlKem1024 => Parts::HybridKem(Box::new(HybridKem::from_seed(seed)?)),
            Algorithm::Aes256Gcm | Algorithm::XChaCha20Poly1305 | Algorithm::HmacSha512 => {
                Parts::Symmetric(part(seed, algorithm.name())?)
            }
        };
        Ok(Self { algorithm, parts })
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn public(&self) -> Result<PublicHalf, Error> {
        let bytes: Box<[u8]> = match &self.parts {
            Parts::MlDsa(key) => Box::from(&key.public_key().as_bytes()[..]),
            Parts::HybridSigner(key) => key.public().into(),
            Parts::Kem(key) => key.public()?,
            Parts::HybridKem(key) => key.public()?.into(),
            Parts::Symmetric(_) => Box::default(),
        };
        Ok(PublicHalf {
            algorithm: self.algorithm,
            bytes,
        })
    }

    fn cannot<T>(&self, operation: &'static str) -> Result<T, Error> {
        cannot(self.algorithm, operation)
    }

    /// Signs, or authenticates under a MAC key, `message` under `context`.
    ///
    /// # Errors
    /// [`Error::WrongKind`], [`Error::TooLong`] for the context, [`Error::SelfCheck`].
    pub fn sign(&self, message: &[u8], context: &[u8]) -> Result<Vec<u8>, Error> {
        match &self.parts {
            Parts::MlDsa(key) => Ok(key.sign(message, context)?.as_bytes().to_vec()),
            Parts::HybridSigner(key) => key.sign(message, context),
            Parts::Symmetric(key) if self.algorithm == Algorithm::HmacSha512 => {
                Ok(mac(key, message, context)?.as_ref().to_vec())
            }
            _ => self.cannot("sign"),
        }
    }

    /// Whether `tag` is what [`SecretKey::sign`] gives for a MAC key, in constant time.
    ///
    /// # Errors
    /// [`Error::WrongKind`], [`Error::TooLong`] for the context.
    pub fn verify_mac(&self, message: &[u8], tag: &[u8], context: &[u8]) -> Result<bool, Error> {
        match &self.parts {
            Parts::Symmetric(key) if self.algorithm == Algorithm::HmacSha512 => {
                let expected = mac(key, message, context)?;
                Ok(
                    aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), tag)
                        .is_ok(),
                )
            }
            _ => self.cannot("verify a MAC"),
        }
    }

    /// The secret that a ciphertext carries. An altered one gives another secret, as FIPS 203 has it.
    ///
    /// # Errors
    /// [`Error::WrongKind`], [`Error::Length`], [`Error::Library`].
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, Error> {
        match &self.parts {
            Parts::Kem(key) => key.decapsulate(exactly("ciphertext", ciphertext)?),
            Parts::HybridKem(key) => key.decapsulate(ciphertext),
            _ => self.cannot("decapsulate"),
        }
    }

    /// A secret for one use of a MAC key, named by `purpose`. No MAC of a message is equal to it.
    ///
    /// # Errors
    /// [`Error::WrongKind`], [`Error::Library`].
    pub fn derived(&self, purpose: &str) -> Result<Secret<64>, Error> {
        match &self.parts {
            Parts::Symmetric(key) if self.algorithm == Algorithm::HmacSha512 => {
                Secret::fill_with(|out| {
                    let salt = b"quantumos derived key v1";
                    hkdf_sha512(salt, key.expose(), &[purpose.as_bytes()], out)
                })
            }
            _ => self.cannot("derive secrets"),
        }
    }

    /// The secret that streams are sealed under.
    ///
    /// # Errors
    /// [`Error::WrongKind`].
    pub fn stream_secret(&self) -> Result<&Secret<32>, Error> {
        match &self.parts {
            Parts::Symmetric(key) if self.algorithm != Algorithm::HmacSha512 => Ok(key),
            _ => self.cannot("encrypt"),
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, redacted)", self.algorithm.name())
    }
}

fn cannot<T>(algorithm: Algorithm, operation: &'static str) -> Result<T, Error> {
    Err(Error::WrongKind {
        algorithm: algorithm.name(),
        operation,
    })
}

/// Context and message, told apart by the context's length.
fn mac(key: &Secret<32>, message: &[u8], context: &[u8]) -> Result<hmac::Tag, Error> {
    let length = hybrid::context_length(context)?;
    let key = hmac::Key::new(hmac::HMAC_SHA512, key.expose());
    let mut signer = hmac::Context::with_key(&key);
    for piece in [b"quantumos HMAC v1\0", &[length][..], context, message] {
        signer.update(piece);
    }
    Ok(signer.sign())
}

pub(crate) fn exactly<'a, const N: usize>(
    what: &'static str,
    bytes: &'a [u8],
) -> Result<&'a [u8; N], Error> {
    bytes.try_into().map_err(|_| Error::Length {
        what,
        want: N,
        got: bytes.len(),
    })
}

impl PublicHalf {
    /// Takes an encoded public half and checks its length.
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, Error> {
        let want = match algorithm {
            Algorithm::MlDsa87 => crate::PUBLIC_KEY_LEN,
            Algorithm::Ed25519MlDsa87 => hybrid::CLASSIC_LEN + crate::PUBLIC_KEY_LEN,
            Algorithm::MlKem1024 => kem::PUBLIC_KEY_LEN,
            Algorithm::X25519MlKem1024 => hybrid::CLASSIC_LEN + kem::PUBLIC_KEY_LEN,
            _ => 0,
        };
        if bytes.len() != want {
            return Err(Error::Length {
                what: "public key",
                want,
                got: bytes.len(),
            });
        }
        Ok(Self {
            algorithm,
            bytes: bytes.into(),
        })
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The encoding: for a hybrid the classic part first.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// 32 public bytes that name this key: SHA-256 of a domain, the algorithm's number and the encoding.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"quantumos public key v1\0");
        context.update(&self.algorithm.number().to_be_bytes());
        context.update(&self.bytes);
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }

    /// Whether `signature` is valid over `message` under `context`. One of a wrong length is not.
    ///
    /// # Errors
    /// [`Error::WrongKind`], [`Error::TooLong`] for the context, [`Error::Library`].
    pub fn verify(&self, message: &[u8], signature: &[u8], context: &[u8]) -> Result<bool, Error> {
        match self.algorithm {
            Algorithm::MlDsa87 => {
                hybrid::context_length(context)?;
                let Ok(signature) = Signature::from_bytes(signature) else {
                    return Ok(false);
                };
                PublicKey::from_bytes(&self.bytes)?.verify(message, &signature, context)
            }
            Algorithm::Ed25519MlDsa87 => hybrid::verify(&self.bytes, message, signature, context),
            _ => cannot(self.algorithm, "verify"),
        }
    }

    /// A fresh secret and the ciphertext that carries it to who has the key.
    ///
    /// # Errors
    /// [`Error::WrongKind`], [`Error::Library`] also for a public key that is none.
    pub fn encapsulate(&self) -> Result<(Vec<u8>, Secret<32>), Error> {
        match self.algorithm {
            Algorithm::MlKem1024 => {
                let key = kem::Key::from_public(exactly("public key", &self.bytes)?)?;
                let (ciphertext, secret) = key.encapsulate(None)?;
                Ok((ciphertext.to_vec(), secret))
            }
            Algorithm::X25519MlKem1024 => hybrid::encapsulate(&self.bytes),
            _ => cannot(self.algorithm, "encapsulate"),
        }
    }
}

impl fmt::Debug for PublicHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.bytes[..self.bytes.len().min(8)];
        write!(f, "PublicHalf({}, {shown:02x?}..)", self.algorithm.name())
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
