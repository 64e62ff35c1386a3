//! The root key and what is derived from it. HKDF-SHA-512 gives one key encryption key per
//! version and a public fingerprint that tells which root key a store belongs to; Argon2id turns
//! a host key into the key that seals the root key where there is no TPM.

use crate::{Error, Kek, Secret};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{self, KeyType, Prk, Salt};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

const SALT: &[u8] = b"quantumos root key v1";
const TAG_LEN: usize = 16;

/// The 32-byte key that everything in a key store hangs from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootKey(Secret<32>);

/// An output length for HKDF.
struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA-512 with an output of at most 255 hashes.
pub(crate) fn hkdf_sha512(
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
    out: &mut [u8],
) -> Result<(), Error> {
    hkdf(hkdf::HKDF_SHA512, salt, secret, info, out)
}

/// HKDF with an output of at most 255 hashes.
pub(crate) fn hkdf(
    hash: hkdf::Algorithm,
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
    out: &mut [u8],
) -> Result<(), Error> {
    let prk: Prk = Salt::new(hash, salt).extract(secret);
    prk.expand(info, Len(out.len()))
        .and_then(|okm| okm.fill(out))
        .map_err(|_| Error::Library("HKDF"))
}

impl RootKey {
    /// Wraps the bytes that the TPM or the host key gave back.
    #[must_use]
    pub fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// A fresh root key.
    ///
    /// # Errors
    /// [`Error::Library`] when the generator fails.
    pub fn random() -> Result<Self, Error> {
        Secret::random().map(Self)
    }

    /// The bytes, for sealing.
    #[must_use]
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// The key encryption key of a version (from 1 on).
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn kek(&self, version: u32) -> Result<Kek, Error> {
        let secret = Secret::fill_with(|out| {
            let info: [&[u8]; 2] = [b"key encryption key", &version.to_be_bytes()];
            hkdf_sha512(SALT, self.0.expose(), &info, out)
        })?;
        Ok(Kek::new(version, secret))
    }

    /// The key that authenticates what a store says in the clear, such as who may use a key.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn authenticator(&self) -> Result<Authenticator, Error> {
        let secret =
            Secret::fill_with(|out| hkdf_sha512(SALT, self.0.expose(), &[b"authenticator"], out))?;
        Ok(Authenticator(secret))
    }

    /// Sixteen public bytes that name this root key without telling anything about it.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub fn fingerprint(&self) -> Result<[u8; 16], Error> {
        let mut out = [0u8; 16];
        hkdf_sha512(SALT, self.0.expose(), &[b"fingerprint"], &mut out)?;
        Ok(out)
    }
}

/// Derives a sealing key from a host key or passphrase by Argon2id (19 MiB, 2 passes, 1 lane: the
/// OWASP minimum; a machine-made host key has full entropy and needs none of it, a passphrase does).
///
/// # Errors
/// [`Error::Library`] when the parameters or salt are refused.
pub fn password_key(password: &[u8], salt: &[u8; 16]) -> Result<Secret<32>, Error> {
    let params = Params::new(19 * 1024, 2, 1, Some(32)).map_err(|_| Error::Library("Argon2id"))?;
    Secret::fill_with(|out| {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password, salt, out)
            .map_err(|_| Error::Library("Argon2id"))
    })
}

/// Authenticates facts by HMAC-SHA-512.
#[derive(Debug, Clone)]
pub struct Authenticator(Secret<32>);

impl Authenticator {
    /// A tag over named facts about something; each part counts with its length.
    #[must_use]
    pub fn tag(&self, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA512, self.0.expose());
        let mut context = hmac::Context::with_key(&key);
        for part in [domain.as_bytes()].iter().chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(&context.sign().as_ref()[..32]);
        out
    }

    /// Whether a tag is right, in constant time.
    #[must_use]
    pub fn verify(&self, domain: &str, parts: &[&[u8]], tag: &[u8]) -> bool {
        let expected = self.tag(domain, parts);
        aws_lc_rs::constant_time::verify_slices_are_equal(&expected, tag).is_ok()
    }
}

/// What a TPM compares for a PIN: a digest, so that a PIN of any length fits the TPM's limit. The TPM
/// itself counts the wrong ones; nothing on disk helps to guess.
///
/// # Errors
/// [`Error::Library`].
pub fn pin_value(pin: &[u8]) -> Result<Secret<32>, Error> {
    Secret::fill_with(|out| hkdf_sha512(b"quantumos PIN v1", pin, &[b"TPM authorisation"], out))
}

pub(crate) fn gcm(key: &Secret<32>) -> Result<LessSafeKey, Error> {
    UnboundKey::new(&AES_256_GCM, key.expose())
        .map(LessSafeKey::new)
        .map_err(|_| Error::Library("AES-256-GCM"))
}

/// Seals 32 bytes under `key`, bound to `aad`: nonce (12), ciphertext (32), tag (16).
///
/// # Errors
/// [`Error::Library`].
pub fn seal_secret(key: &Secret<32>, aad: &[u8], secret: &Secret<32>) -> Result<Vec<u8>, Error> {
    let mut nonce = [0u8; NONCE_LEN];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Error::Library("the random generator"))?;
    let mut buffer = Zeroizing::new(*secret.expose());
    let tag = gcm(key)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            buffer.as_mut_slice(),
        )
        .map_err(|_| Error::Library("AES-256-GCM"))?;
    let mut out = Vec::with_capacity(NONCE_LEN + 32 + TAG_LEN);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(buffer.as_slice());
    out.extend_from_slice(tag.as_ref());
    Ok(out)
}

/// Opens what [`seal_secret`] made; `what` names it in the error.
///
/// # Errors
/// [`Error::Length`], [`Error::NotAuthentic`].
pub fn open_secret(
    what: &'static str,
    key: &Secret<32>,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Secret<32>, Error> {
    const WANT: usize = NONCE_LEN + 32 + TAG_LEN;
    let Some((nonce, ciphertext)) = sealed
        .split_first_chunk::<NONCE_LEN>()
        .filter(|_| sealed.len() == WANT)
    else {
        return Err(Error::Length {
            what,
            want: WANT,
            got: sealed.len(),
        });
    };
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let plain = gcm(key)?
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(aad),
            &mut buffer,
        )
        .map_err(|_| Error::NotAuthentic(what))?;
    Secret::from_slice(what, plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(byte: u8) -> RootKey {
        RootKey::new(Secret::from_slice("root", &[byte; 32]).unwrap())
    }

    #[test]
    fn versions_and_roots_give_different_keys() {
        let (a, b) = (root(1), root(2));
        assert_ne!(a.kek(1).unwrap(), a.kek(2).unwrap());
        assert_ne!(a.kek(1).unwrap(), b.kek(1).unwrap());
        assert_ne!(a.fingerprint().unwrap(), b.fingerprint().unwrap());
        assert_eq!(a.fingerprint().unwrap(), a.clone().fingerprint().unwrap());
    }

    #[test]
    fn tags_are_bound_to_root_domain_and_each_part() {
        let (a, b) = (
            root(1).authenticator().unwrap(),
            root(2).authenticator().unwrap(),
        );
        let tag = a.tag("d", &[b"ab", b"c"]);
        assert!(a.verify("d", &[b"ab", b"c"], &tag));
        assert!(!b.verify("d", &[b"ab", b"c"], &tag));
        assert!(!a.verify("e", &[b"ab", b"c"], &tag));
        assert!(!a.verify("d", &[b"a", b"bc"], &tag));
        assert!(!a.verify("d", &[b"ab", b"c"], &tag[1..]));
    }

    #[test]
    fn sealed_secret_opens_with_same_key_and_aad_only() {
        let (key, secret) = (Secret::random().unwrap(), Secret::random().unwrap());
        let sealed = seal_secret(&key, b"aad", &secret).unwrap();
        assert_eq!(open_secret("it", &key, b"aad", &sealed).unwrap(), secret);
        assert!(open_secret("it", &key, b"aae", &sealed).is_err());
        assert!(open_secret("it", &secret, b"aad", &sealed).is_err());
        for len in 0..sealed.len() {
            assert!(open_secret("it", &key, b"aad", &sealed[..len]).is_err());
        }
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open_secret("it", &key, b"aad", &flipped).is_err(),
                "bit {bit}"
            );
        }
    }

    /// The vector was made by the reference tool:
    /// `printf password | argon2 somesaltsomesalt -id -k 19456 -t 2 -p 1 -l 32 -r`.
    #[test]
    fn password_key_is_argon2id() {
        let a = password_key(b"password", b"somesaltsomesalt").unwrap();
        assert_eq!(
            a.expose()[..8],
            [0x2b, 0x5d, 0xc4, 0x05, 0x48, 0x86, 0xec, 0x95]
        );
        assert_ne!(a, password_key(b"password", b"somesaltsomesalu").unwrap());
        assert_ne!(a, password_key(b"Password", b"somesaltsomesalt").unwrap());
        assert_eq!(a, password_key(b"password", b"somesaltsomesalt").unwrap());
    }
}
