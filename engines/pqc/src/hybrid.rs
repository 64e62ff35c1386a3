//! Hybrids: a classic and a post-quantum algorithm, as strong as the stronger one. Signatures are
//! over one message that names the hybrid, so that neither part stands for anything by itself; secrets
//! are joined by HKDF over everything that both exchanges showed.

use crate::aws_lc::kem;
use crate::key::{exactly, part};
use crate::mldsa::check_context;
use crate::root::hkdf_sha512;
use crate::{Error, PUBLIC_KEY_LEN, PublicKey, SEED_LEN, Secret, Signature, SigningKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey as Peer, X25519, agree};
use aws_lc_rs::digest::{SHA512, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// Length of an Ed25519 or X25519 public key in bytes.
pub(crate) const CLASSIC_LEN: usize = 32;
/// Length of an Ed25519 signature in bytes.
const ED25519_SIGNATURE_LEN: usize = 64;

const SIGNATURE_DOMAIN: &[u8] = b"quantumos Ed25519+ML-DSA-87 v1";
const KEM_DOMAIN: &[u8] = b"quantumos X25519+ML-KEM-1024 v1";

/// The length of a context string, which fits one byte.
pub(crate) fn context_length(context: &[u8]) -> Result<u8, Error> {
    check_context(context)?;
    Ok(context.len() as u8)
}

/// What both parts sign.
fn representative(message: &[u8], context: &[u8]) -> Result<Vec<u8>, Error> {
    let length = context_length(context)?;
    let hash = digest(&SHA512, message);
    Ok([SIGNATURE_DOMAIN, &[0, length], context, hash.as_ref()].concat())
}

/// Signs by both.
pub(crate) struct HybridSigner {
    classic: Ed25519KeyPair,
    lattice: SigningKey,
}

impl HybridSigner {
    pub(crate) fn from_seed(seed: &Secret<SEED_LEN>) -> Result<Self, Error> {
        let classic: Secret<32> = part(seed, "Ed25519+ML-DSA-87: Ed25519")?;
        let lattice = part(seed, "Ed25519+ML-DSA-87: ML-DSA-87")?;
        Ok(Self {
            classic: Ed25519KeyPair::from_seed_unchecked(classic.expose())
                .map_err(|_| Error::Library("Ed25519 key generation"))?,
            lattice: SigningKey::from_seed(&lattice)?,
        })
    }

    pub(crate) fn public(&self) -> Vec<u8> {
        let lattice = &self.lattice.public_key().as_bytes()[..];
        [self.classic.public_key().as_ref(), lattice].concat()
    }

    pub(crate) fn sign(&self, message: &[u8], context: &[u8]) -> Result<Vec<u8>, Error> {
        let signed = representative(message, context)?;
        let classic = self.classic.sign(&signed);
        // Deterministic as Ed25519 is, a fault in it would give the key away.
        let public = self.classic.public_key().as_ref();
        UnparsedPublicKey::new(&ED25519, public)
            .verify(&signed, classic.as_ref())
            .map_err(|_| Error::SelfCheck("a fresh Ed25519 signature does not verify"))?;
        let lattice = self.lattice.sign(&signed, SIGNATURE_DOMAIN)?;
        Ok([classic.as_ref(), &lattice.as_bytes()[..]].concat())
    }
}

/// Whether both parts of a signature are valid.
pub(crate) fn verify(
    public: &[u8],
    message: &[u8],
    signature: &[u8],
    context: &[u8],
) -> Result<bool, Error> {
    let signed = representative(message, context)?;
    let (classic_key, lattice_key) = split(public, CLASSIC_LEN + PUBLIC_KEY_LEN, "public key")?;
    let Some((classic, lattice)) = signature.split_at_checked(ED25519_SIGNATURE_LEN) else {
        return Ok(false);
    };
    let Ok(lattice) = Signature::from_bytes(lattice) else {
        return Ok(false);
    };
    let classic_good = UnparsedPublicKey::new(&ED25519, classic_key)
        .verify(&signed, classic)
        .is_ok();
    let lattice_good =
        PublicKey::from_bytes(lattice_key)?.verify(&signed, &lattice, SIGNATURE_DOMAIN)?;
    Ok(classic_good && lattice_good)
}

fn split<'a>(
    bytes: &'a [u8],
    want: usize,
    what: &'static str,
) -> Result<(&'a [u8], &'a [u8]), Error> {
    let parts = bytes
        .split_at_checked(CLASSIC_LEN)
        .filter(|_| bytes.len() == want);
    parts.ok_or(Error::Length {
        what,
        want,
        got: bytes.len(),
    })
}

/// Decapsulates by both.
pub(crate) struct HybridKem {
    classic: PrivateKey,
    lattice: kem::Key,
}

impl HybridKem {
    pub(crate) fn from_seed(seed: &Secret<SEED_LEN>) -> Result<Self, Error> {
        let classic: Secret<32> = part(seed, "X25519+ML-KEM-1024: X25519")?;
        let lattice = part(seed, "X25519+ML-KEM-1024: ML-KEM-1024")?;
        Ok(Self {
            classic: PrivateKey::from_private_key(&X25519, classic.expose())
                .map_err(|_| Error::Library("X25519 key generation"))?,
            lattice: kem::Key::from_seed(lattice.expose())?,
        })
    }

    pub(crate) fn public(&self) -> Result<Vec<u8>, Error> {
        let classic = compute_public(&self.classic)?;
        Ok([&classic, &self.lattice.public()?[..]].concat())
    }

    pub(crate) fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, Error> {
        let want = CLASSIC_LEN + kem::CIPHERTEXT_LEN;
        let (classic, lattice) = split(ciphertext, want, "ciphertext")?;
        let lattice = self.lattice.decapsulate(exactly("ciphertext", lattice)?)?;
        let classic = exchange(&self.classic, classic)?;
        join(&classic, &lattice, ciphertext, &self.public()?)
    }
}

fn compute_public(key: &PrivateKey) -> Result<[u8; CLASSIC_LEN], Error> {
    let public = key
        .compute_public_key()
        .map_err(|_| Error::Library("X25519 public key"))?;
    exactly("public key", public.as_ref()).copied()
}

/// X25519; a point of low order, which would give nothing secret, is refused.
pub(crate) fn exchange(own: &PrivateKey, peer: &[u8]) -> Result<Secret<32>, Error> {
    let refused = Error::Malformed {
        what: "X25519 public key",
        why: "a point of low order",
    };
    agree(own, Peer::new(&X25519, peer), refused, |secret| {
        Secret::from_slice("X25519 secret", secret)
    })
}

fn join(
    classic: &Secret<32>,
    lattice: &Secret<32>,
    ciphertext: &[u8],
    public: &[u8],
) -> Result<Secret<32>, Error> {
    let both: Secret<64> = Secret::fill_with(|out| {
        out[..32].copy_from_slice(lattice.expose());
        out[32..].copy_from_slice(classic.expose());
        Ok(())
    })?;
    Secret::fill_with(|out| hkdf_sha512(KEM_DOMAIN, both.expose(), &[ciphertext, public], out))
}

/// A fresh secret for who has the key, and the ciphertext that carries it.
pub(crate) fn encapsulate(public: &[u8]) -> Result<(Vec<u8>, Secret<32>), Error> {
    let want = CLASSIC_LEN + kem::PUBLIC_KEY_LEN;
    let (classic_key, lattice_key) = split(public, want, "public key")?;
    let (ciphertext, lattice) =
        kem::Key::from_public(exactly("public key", lattice_key)?)?.encapsulate(None)?;
    let ephemeral = Secret::<32>::random()?;
    let ephemeral = PrivateKey::from_private_key(&X25519, ephemeral.expose())
        .map_err(|_| Error::Library("X25519 key generation"))?;
    let classic = exchange(&ephemeral, classic_key)?;
    let ciphertext = [&compute_public(&ephemeral)?[..], &ciphertext[..]].concat();
    let secret = join(&classic, &lattice, &ciphertext, public)?;
    Ok((ciphertext, secret))
}
