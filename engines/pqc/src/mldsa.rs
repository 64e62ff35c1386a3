//! ML-DSA-87 keys and signatures (FIPS 204, pure mode with a context string). AWS-LC generates,
//! signs (hedged) and verifies; fips204 expands the same seed once, and libcrux checks every signature
//! before it leaves, so that a fault in one implementation cannot give a key away. libcrux verifies in half
//! the time of fips204; fips204 wipes what it expands.

use crate::aws_lc::dsa as aws_lc;
use crate::{Error, Secret};
use fips204::ml_dsa_87 as second;
use fips204::traits::{KeyGen as _, SerDes as _};
use libcrux_ml_dsa::ml_dsa_87::{self as third, MLDSA87Signature, MLDSA87VerificationKey};
use std::fmt;

/// Length of a seed in bytes (FIPS 204 xi).
pub const SEED_LEN: usize = 32;
/// Length of an encoded public key in bytes.
pub const PUBLIC_KEY_LEN: usize = second::PK_LEN;
/// Length of a signature in bytes.
pub const SIGNATURE_LEN: usize = second::SIG_LEN;
/// Longest context string in bytes.
pub const CONTEXT_MAX: usize = 255;

/// An encoded public key of the right length.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Box<[u8; PUBLIC_KEY_LEN]>);

/// An encoded signature of the right length.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(Box<[u8; SIGNATURE_LEN]>);

fn boxed<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<Box<[u8; N]>, Error> {
    Box::<[u8]>::from(bytes)
        .try_into()
        .map_err(|_| Error::Length {
            what,
            want: N,
            got: bytes.len(),
        })
}

impl PublicKey {
    /// Takes an encoded public key and checks its length (every string of that length decodes).
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        boxed("public key", bytes).map(Self)
    }

    /// The FIPS 204 encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.0
    }

    /// Whether `signature` is valid over `message` under `context`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for the context, [`Error::Library`] when the library fails.
    pub fn verify(
        &self,
        message: &[u8],
        signature: &Signature,
        context: &[u8],
    ) -> Result<bool, Error> {
        check_context(context)?;
        aws_lc::Key::from_public(&self.0)?.verify(message, &signature.0, context)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:02x?}..)", &self.0[..8])
    }
}

impl Signature {
    /// Takes an encoded signature and checks its length.
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        boxed("signature", bytes).map(Self)
    }

    /// The FIPS 204 encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SIGNATURE_LEN] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:02x?}..)", &self.0[..8])
    }
}

/// A private key, expanded and ready to sign. Both halves wipe themselves when dropped.
pub struct SigningKey {
    signer: aws_lc::Key,
    checker: Box<MLDSA87VerificationKey>,
    public: PublicKey,
}

impl SigningKey {
    /// Expands a seed with two implementations and compares what they derive.
    ///
    /// # Errors
    /// [`Error::SelfCheck`] when they disagree, [`Error::Library`] when the library fails.
    pub fn from_seed(seed: &Secret<SEED_LEN>) -> Result<Self, Error> {
        let signer = aws_lc::Key::from_seed(seed.expose())?;
        let public = PublicKey(signer.public()?);
        let (again, _wiped) = second::KG::keygen_from_seed(seed.expose());
        if again.into_bytes() != *public.0 {
            return Err(Error::SelfCheck(
                "two implementations derive different public keys from one seed",
            ));
        }
        let checker = Box::new(MLDSA87VerificationKey::new(*public.0));
        Ok(Self {
            signer,
            checker,
            public,
        })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message` under `context`: hedged, and verified by another implementation.
    ///
    /// # Errors
    /// [`Error::TooLong`] for the context, [`Error::SelfCheck`] when the signature does not verify.
    pub fn sign(&self, message: &[u8], context: &[u8]) -> Result<Signature, Error> {
        let signature = self.sign_unchecked(message, context)?;
        let fresh = MLDSA87Signature::new(*signature.0);
        if third::verify(&self.checker, message, context, &fresh).is_ok() {
            Ok(signature)
        } else {
            Err(Error::SelfCheck("a fresh signature does not verify"))
        }
    }

    /// The bare signature operation, without the second implementation's check: what `sign` is
    /// measured against. Never let its result leave the process.
    ///
    /// # Errors
    /// As [`SigningKey::sign`].
    #[doc(hidden)]
    pub fn sign_unchecked(&self, message: &[u8], context: &[u8]) -> Result<Signature, Error> {
        check_context(context)?;
        self.signer.sign(message, context).map(Signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("public", &self.public)
            .field("private", &"redacted")
            .finish()
    }
}

pub(crate) fn check_context(context: &[u8]) -> Result<(), Error> {
    if context.len() > CONTEXT_MAX {
        return Err(Error::TooLong {
            what: "context string",
            limit: CONTEXT_MAX,
            got: context.len(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_seed(&Secret::from_slice("seed", &[byte; 32]).unwrap()).unwrap()
    }

    #[test]
    fn signatures_are_hedged_and_bound_to_message_context_and_key() {
        let (mine, other) = (key(1), key(2));
        let signature = mine.sign(b"message", b"ctx").unwrap();
        assert_ne!(signature, mine.sign(b"message", b"ctx").unwrap(), "hedged");
        let ok = |key: &SigningKey, m: &[u8], c: &[u8]| {
            key.public_key().verify(m, &signature, c).unwrap()
        };
        assert!(ok(&mine, b"message", b"ctx"));
        assert!(!ok(&mine, b"messagf", b"ctx"));
        assert!(!ok(&mine, b"message", b"ctx2"));
        assert!(!ok(&mine, b"message", b""));
        assert!(!ok(&other, b"message", b"ctx"));
    }

    #[test]
    fn empty_message_and_longest_context_work() {
        let key = key(3);
        let context = [7u8; CONTEXT_MAX];
        let signature = key.sign(b"", &context).unwrap();
        assert!(key.public_key().verify(b"", &signature, &context).unwrap());
        let e = key.sign(b"", &[7u8; CONTEXT_MAX + 1]).unwrap_err();
        assert_eq!(
            e.to_string(),
            "context string is 256 bytes long, at most 255 are allowed"
        );
        assert!(
            key.public_key()
                .verify(b"", &signature, &[7u8; 256])
                .is_err()
        );
    }

    #[test]
    fn encodings_of_the_wrong_length_are_refused() {
        for len in [0, PUBLIC_KEY_LEN - 1, PUBLIC_KEY_LEN + 1] {
            assert!(PublicKey::from_bytes(&vec![0; len]).is_err());
        }
        for len in [0, SIGNATURE_LEN - 1, SIGNATURE_LEN + 1] {
            assert!(Signature::from_bytes(&vec![0; len]).is_err());
        }
    }

    #[test]
    fn debug_shows_no_private_byte() {
        let shown = format!("{:?}", key(0x5A));
        assert!(
            shown.contains("redacted") && !shown.contains("5a, 5a"),
            "{shown}"
        );
    }
}
