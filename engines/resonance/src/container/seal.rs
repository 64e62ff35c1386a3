//! Sealing a container: the data first, piece by piece, then the header that has its digest, and the
//! author's signature.

use super::header::{Details, Fields, Front, limit};
use super::{ENTROPY_NEEDED, Signer, Verifier, WHAT, estimate_entropy};
use crate::Error;
use crate::derive::{argon2id, hkdf, random};
use crate::stream::{Cost, Options, Sealer, Secret, Suite};
use crate::wave::canonical;
use aws_lc_rs::digest::{Context, SHA3_256};
use zeroize::Zeroizing;

const DOMAIN: &[u8] = b"quantumos container v1";

/// A random waveform to seal under: `len` values in [-1, 1) with 53 bits of randomness each.
///
/// # Errors
/// [`Error::TooLong`] for more than 4096 values, [`Error::Library`].
pub fn random_waveform(len: usize) -> Result<Vec<f64>, Error> {
    limit("waveform", len, 4096)?;
    let mut bytes = Zeroizing::new(vec![0u8; 8 * len]);
    random(&mut bytes)?;
    let value = |word: &[u8]| {
        let word = word.iter().fold(0u64, |word, b| word << 8 | u64::from(*b));
        (word >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    Ok(bytes.chunks_exact(8).map(value).collect())
}

/// Commitment and data key of a waveform.
pub(super) fn keys(
    waveform: &[f64],
    salt: &[u8; 32],
    cost: Cost,
) -> Result<([u8; 32], Zeroizing<[u8; 32]>), Error> {
    let waveform = Zeroizing::new(canonical("waveform", waveform)?);
    let root = argon2id(&waveform, salt, cost)?;
    let mut coherence = [0u8; 32];
    hkdf(
        salt,
        root.as_slice(),
        &[DOMAIN, b"coherence"],
        &mut coherence,
    )?;
    let mut key = Zeroizing::new([0u8; 32]);
    hkdf(
        salt,
        root.as_slice(),
        &[DOMAIN, b"data"],
        key.as_mut_slice(),
    )?;
    Ok((coherence, key))
}

/// A container that is being sealed. Holds one chunk.
pub struct Seal {
    fields: Fields,
    sealer: Sealer,
    digest: Context,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

/// A header that waits for its author's signature.
#[derive(Debug)]
pub struct Unsigned(Fields);

impl Seal {
    /// Starts a container of the author with this public key, sealed under `waveform`, and appends
    /// the first of the sealed data to `out`. `insist` accepts a weak waveform, which is marked.
    ///
    /// # Errors
    /// [`Error::Weak`], [`Error::NotFinite`], [`Error::TooLong`], [`Error::TooCostly`], [`Error::Library`].
    pub fn new(
        waveform: &[f64],
        insist: bool,
        cost: Cost,
        details: Details,
        public_key: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        details.check()?;
        limit("public key", public_key.len(), 16 * 1024)?;
        cost.check(Cost::LIMIT)?;
        crate::rft::check_finite("waveform", waveform.iter().copied())?;
        let entropy = estimate_entropy(waveform);
        let weak = entropy < ENTROPY_NEEDED;
        if weak && !insist {
            return Err(Error::Weak {
                bits: entropy,
                need: ENTROPY_NEEDED,
            });
        }
        let mut salt = [0u8; 32];
        random(&mut salt)?;
        let (coherence, key) = keys(waveform, &salt, cost)?;
        let options = Options {
            suite: Suite::fastest(),
            context: DOMAIN,
            ..Options::default()
        };
        let sealer = Sealer::new(Secret::Key(key.as_slice()), &options)?;
        let mut seal = Self {
            fields: Fields {
                weak,
                entropy,
                salt,
                cost,
                coherence,
                body_len: 0,
                body_digest: [0; 32],
                public_key: public_key.to_vec(),
                details,
            },
            sealer,
            digest: Context::new(&SHA3_256),
        };
        let start = out.len();
        out.extend_from_slice(&seal.sealer.header().to_bytes());
        seal.count(&out[start..]);
        Ok(seal)
    }

    /// Bytes that the front will take with a signature of `signature` bytes, so that a caller can
    /// leave room for it before the data.
    #[must_use]
    pub fn front_len(&self, signature: usize) -> usize {
        self.fields.to_bytes().len() + 2 + signature
    }

    /// Takes the next piece of the data and appends what is sealed by now to `out`.
    ///
    /// # Errors
    /// As [`Sealer::push`].
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        self.sealer.push(piece, out)?;
        self.count(&out[start..]);
        Ok(())
    }

    /// Ends the data, appends the rest to `out` and gives the header to sign.
    ///
    /// # Errors
    /// As [`Sealer::finish`].
    pub fn finish(self, out: &mut Vec<u8>) -> Result<Unsigned, Error> {
        let Self {
            mut fields,
            sealer,
            mut digest,
        } = self;
        let start = out.len();
        sealer.finish(out)?;
        digest.update(&out[start..]);
        fields.body_len += (out.len() - start) as u64;
        fields.body_digest.copy_from_slice(digest.finish().as_ref());
        Ok(Unsigned(fields))
    }

    fn count(&mut self, sealed: &[u8]) {
        self.digest.update(sealed);
        self.fields.body_len += sealed.len() as u64;
    }
}

impl Unsigned {
    /// What has to be signed under [`CONTEXT`](super::CONTEXT).
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Adds a signature that was made elsewhere, if it verifies.
    ///
    /// # Errors
    /// [`Error::BadSignature`], [`Error::TooLong`].
    pub fn with_signature(
        self,
        signature: Vec<u8>,
        verifier: &dyn Verifier,
    ) -> Result<Front, Error> {
        let front = Front::new(self.0, signature)?;
        front.verify(verifier)?;
        Ok(front)
    }

    /// Has it signed.
    ///
    /// # Errors
    /// [`Error::Signer`], [`Error::BadSignature`] for another key than stated or a signature that
    /// does not verify.
    pub fn sign(self, signer: &dyn Signer, verifier: &dyn Verifier) -> Result<Front, Error> {
        if signer.public_key() != self.0.public_key {
            return Err(Error::BadSignature(WHAT));
        }
        let signature = signer.sign(&self.message()).map_err(Error::Signer)?;
        self.with_signature(signature, verifier)
    }
}
