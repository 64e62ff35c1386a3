//! Signed PCR policies: what a TPM computes when it checks PolicyPCR, PolicyAuthorize and
//! PolicyAuthValue (TPM 2.0 part 3), and the RSA key whose signature approves a state of the PCRs.
//! Signatures are PKCS #1 v1.5 over SHA-256, as systemd-measure(1) makes them.

use crate::Error;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// A SHA-256 digest, such as the value of a PCR or a policy.
pub type Digest = [u8; 32];

/// The highest number of a PCR that a selection of three bytes can name.
pub const LAST_PCR: u8 = 23;

const POLICY_PCR: u32 = 0x17F;
const POLICY_AUTHORIZE: u32 = 0x16A;
const POLICY_AUTH_VALUE: u32 = 0x16B;

/// SHA-256 over the parts, one after another.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, &parts.concat()).as_ref());
    out
}

/// The policy digest of PolicyPCR over these values (SHA-256 bank).
///
/// # Errors
/// [`Error::Malformed`] for no PCR at all or one above [`LAST_PCR`].
pub fn pcr_policy(values: &BTreeMap<u8, Digest>) -> Result<Digest, Error> {
    if values.is_empty() || values.keys().any(|pcr| *pcr > LAST_PCR) {
        return Err(Error::Malformed {
            what: "PCR selection",
            why: "it has to name PCRs from 0 to 23",
        });
    }
    let mut bits = [0u8; 3];
    for pcr in values.keys() {
        bits[usize::from(pcr / 8)] |= 1 << (pcr % 8);
    }
    // TPML_PCR_SELECTION: one bank, SHA-256 (0x000b), three bytes of bits.
    let selection = [&[0, 0, 0, 1, 0, 0x0b, 3][..], &bits].concat();
    let values: Vec<u8> = values.values().flatten().copied().collect();
    Ok(sha256(&[
        &[0; 32],
        &POLICY_PCR.to_be_bytes(),
        &selection,
        &sha256(&[&values]),
    ]))
}

/// The authorisation policy of an object that asks for an approval by the key of this Name, and
/// with `pin` for the object's authorisation value too.
#[must_use]
pub fn authorised_policy(key_name: &[u8], pin: bool) -> Digest {
    let approved = sha256(&[&[0; 32], &POLICY_AUTHORIZE.to_be_bytes(), key_name]);
    // The second step of PolicyUpdate, with an empty policyRef.
    let approved = sha256(&[&approved]);
    if pin {
        sha256(&[&approved, &POLICY_AUTH_VALUE.to_be_bytes()])
    } else {
        approved
    }
}

/// What is signed to approve a policy: its digest and an empty policyRef, hashed.
#[must_use]
pub fn approval(policy: &Digest) -> Digest {
    sha256(&[policy])
}

/// The public RSA key that approves states of the PCRs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    der: Vec<u8>,
    modulus: Vec<u8>,
    exponent: u32,
}

/// The most bytes of a key in PEM.
pub const PEM_MAX: usize = 16 << 10;

impl Authority {
    /// Reads `-----BEGIN PUBLIC KEY-----`.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        Self::from_der(pem("PUBLIC KEY", "RSA public key", text)?.as_slice())
    }

    /// Reads a SubjectPublicKeyInfo of an RSA key of 2048, 3072 or 4096 bits.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let (modulus, exponent) = components(der).ok_or(BAD_KEY)?;
        if ![256, 384, 512].contains(&modulus.len()) || modulus[0] & 0x80 == 0 {
            return Err(Error::Malformed {
                what: "RSA public key",
                why: "it has to have 2048, 3072 or 4096 bits",
            });
        }
        Ok(Self {
            der: der.to_vec(),
            modulus: modulus.to_vec(),
            exponent,
        })
    }

    /// The SubjectPublicKeyInfo.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The modulus, big-endian, 256, 384 or 512 bytes.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The public exponent.
    #[must_use]
    pub fn exponent(&self) -> u32 {
        self.exponent
    }

    /// SHA-256 of the SubjectPublicKeyInfo: `pkfp` in systemd's files.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        sha256(&[&self.der])
    }
}

const BAD_KEY: Error = Error::Malformed {
    what: "RSA public key",
    why: "it is no SubjectPublicKeyInfo of an RSA key",
};

/// Approves a policy with a private key (PKCS #8 in PEM): the public half and the signature.
///
/// # Errors
/// [`Error::Malformed`] for the key, [`Error::Library`].
pub fn approve(private_pem: &[u8], policy: &Digest) -> Result<(Authority, Vec<u8>), Error> {
    let der = pem("PRIVATE KEY", "RSA private key", private_pem)?;
    let key = rsa::KeyPair::from_pkcs8(&der).map_err(|_| Error::Malformed {
        what: "RSA private key",
        why: "it is no PKCS #8 of an RSA key of 2048 bits or more",
    })?;
    let public: PublicKeyX509Der<'_> = key
        .public_key()
        .as_der()
        .map_err(|_| Error::Library("RSA public key encoding"))?;
    let authority = Authority::from_der(public.as_ref())?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        policy,
        &mut signature,
    )
    .map_err(|_| Error::Library("RSA signing"))?;
    Ok((authority, signature))
}

fn pem(label: &str, what: &'static str, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let bad = |why| Error::Malformed { what, why };
    if text.len() > PEM_MAX {
        return Err(bad("longer than 16 KiB"));
    }
    let text = std::str::from_utf8(text).map_err(|_| bad("not PEM"))?;
    let body = text
        .split_once(&format!("-----BEGIN {label}-----"))
        .and_then(|(_, rest)| rest.split_once(&format!("-----END {label}-----")))
        .ok_or(bad("not PEM of that kind"))?
        .0;
    let digits: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    STANDARD
        .decode(digits.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| bad("its base64 is broken"))
}

/// Modulus (without a leading zero) and exponent of a SubjectPublicKeyInfo.
fn components(der: &[u8]) -> Option<(&[u8], u32)> {
    /// rsaEncryption with NULL parameters, as RFC 3279 has it.
    const ALGORITHM: &[u8] = &[
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let (info, rest) = element(0x30, der)?;
    let (algorithm, key) = element(0x30, info)?;
    let (bits, after) = element(0x03, key)?;
    let (0, key) = bits.split_first().map(|(unused, key)| (*unused, key))? else {
        return None;
    };
    let (key, tail) = element(0x30, key)?;
    let (modulus, exponent) = element(0x02, key)?;
    let (exponent, end) = element(0x02, exponent)?;
    let nothing_left = [rest, after, tail, end].iter().all(|left| left.is_empty());
    if algorithm != ALGORITHM || !nothing_left || exponent.len() > 4 {
        return None;
    }
    let exponent = exponent
        .iter()
        .fold(0, |number, byte| (number << 8) | u32::from(*byte));
    Some((modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent))
}

/// The content of a DER element with this tag, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81 | 0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |number, byte| (number << 8) | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    (*found == tag).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
#[path = "boot_policy_tests.rs"]
mod tests;
