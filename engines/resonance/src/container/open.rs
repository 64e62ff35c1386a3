//! Opening a container, and checking a waveform against it.

use super::WHAT;
use super::header::Front;
use super::seal::keys;
use crate::Error;
use crate::stream::{Cost, Opener, Secret};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA3_256};
use zeroize::Zeroizing;

const DOMAIN: &[u8] = b"quantumos container v1";

impl Front {
    /// Whether `waveform` is the one it was sealed under, by the commitment and in constant time. Costs as
    /// much as an unlock, and counts as an attempt for whoever throttles.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::TooCostly`], [`Error::TooLong`].
    pub fn verify_coherence(&self, waveform: &[f64]) -> Result<bool, Error> {
        self.key(waveform).map(|key| key.is_some())
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`Error::WrongKey`] for another waveform, and as [`Front::verify_coherence`].
    pub fn unlock(&self, waveform: &[f64]) -> Result<Unlocked, Error> {
        let key = self.key(waveform)?.ok_or(Error::WrongKey("waveform"))?;
        Ok(Unlocked {
            key,
            opener: Opener::new(),
            digest: Context::new(&SHA3_256),
            len: 0,
            want: self.fields.body_len,
            body_digest: self.fields.body_digest,
        })
    }

    fn key(&self, waveform: &[f64]) -> Result<Option<Zeroizing<[u8; 32]>>, Error> {
        self.fields.cost.check(Cost::LIMIT)?;
        let (coherence, key) = keys(waveform, &self.fields.salt, self.fields.cost)?;
        let same = verify_slices_are_equal(&coherence, &self.fields.coherence);
        Ok(same.is_ok().then_some(key))
    }

    /// Whether these are the sealed data that the header tells of; no key is needed.
    #[must_use]
    pub fn body_check(&self) -> BodyCheck {
        BodyCheck {
            digest: Context::new(&SHA3_256),
            len: 0,
            want: self.fields.body_len,
            body_digest: self.fields.body_digest,
        }
    }
}

/// Compares sealed data with what the header says, piece by piece.
pub struct BodyCheck {
    digest: Context,
    len: u64,
    want: u64,
    body_digest: [u8; 32],
}

impl std::fmt::Debug for BodyCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyCheck").finish_non_exhaustive()
    }
}

impl BodyCheck {
    /// Takes the next piece of the sealed data.
    pub fn push(&mut self, piece: &[u8]) {
        self.digest.update(piece);
        self.len += piece.len() as u64;
    }

    /// The verdict.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Length`] for more than there should be, [`Error::Damaged`].
    pub fn finish(self) -> Result<(), Error> {
        compare(self.digest, self.len, self.want, &self.body_digest)
    }
}

fn compare(digest: Context, len: u64, want: u64, wanted: &[u8; 32]) -> Result<(), Error> {
    if len < want {
        return Err(Error::Truncated {
            what: "data of the container",
            after: len,
        });
    }
    if len > want {
        return Err(Error::Length {
            what: "data of the container",
            want,
            got: len,
        });
    }
    if digest.finish().as_ref() != wanted {
        return Err(Error::Damaged(WHAT));
    }
    Ok(())
}

/// A container that is being opened. Holds one chunk. What it gives out is authentic; that it is
/// all of what the author signed is known only when [`Unlocked::finish`] has said so.
pub struct Unlocked {
    key: Zeroizing<[u8; 32]>,
    opener: Opener,
    digest: Context,
    len: u64,
    want: u64,
    body_digest: [u8; 32],
}

impl std::fmt::Debug for Unlocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unlocked").finish_non_exhaustive()
    }
}

impl Unlocked {
    /// From the beginning again, with the same key.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            key: self.key.clone(),
            opener: Opener::new(),
            digest: Context::new(&SHA3_256),
            len: 0,
            want: self.want,
            body_digest: self.body_digest,
        }
    }

    /// Takes the next piece of what follows the front and appends the data so far to `out`.
    ///
    /// # Errors
    /// As [`Opener::push`].
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.digest.update(piece);
        self.len += piece.len() as u64;
        let mut rest = piece;
        loop {
            let taken = self.opener.push(rest, out)?;
            rest = &rest[taken..];
            if self.opener.header().is_none() {
                return Ok(());
            }
            let secret = Secret::Key(self.key.as_slice());
            self.opener.unlock(secret, DOMAIN, Cost::LIMIT)?;
        }
    }

    /// Ends it and appends the last of the data to `out`.
    ///
    /// # Errors
    /// As [`Opener::finish`]; [`Error::Truncated`], [`Error::Length`], [`Error::Damaged`] for other
    /// data than the author signed.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.opener.finish(out)?;
        compare(self.digest, self.len, self.want, &self.body_digest)
    }
}
