//! Wave HMAC: HMAC-SHA-512 under a derived key, over a domain, the phases and the message, each with
//! its length before it.

use crate::Error;
use crate::derive::hkdf;
use crate::wave::canonical;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// Bytes of a Wave HMAC.
pub const TAG_LEN: usize = 64;

const DOMAIN: &[u8] = b"quantumos wave hmac v1";

/// A Wave HMAC under way. The length of the message is part of what is authenticated, so it has
/// to be known at the start.
#[derive(Clone)]
pub struct WaveHmac {
    context: hmac::Context,
    left: u64,
    len: u64,
}

impl std::fmt::Debug for WaveHmac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaveHmac")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl WaveHmac {
    /// Starts over a message of `len` bytes. Without phases another value results than with an empty
    /// list of them.
    ///
    /// # Errors
    /// [`Error::TooShort`] for an empty key, [`Error::NotFinite`], [`Error::TooLong`].
    pub fn new(key: &[u8], phases: Option<&[f64]>, len: u64) -> Result<Self, Error> {
        if key.is_empty() {
            return Err(Error::TooShort {
                what: "key",
                need: 1,
                got: 0,
            });
        }
        let mut derived = Zeroizing::new([0u8; 64]);
        hkdf(b"", key, &[DOMAIN, b"key"], derived.as_mut_slice())?;
        let derived = hmac::Key::new(hmac::HMAC_SHA512, derived.as_slice());
        let mut context = hmac::Context::with_key(&derived);
        let block = phases.map(|p| canonical("phases", p)).transpose()?;
        let block = block.unwrap_or_default();
        for part in [DOMAIN, &block] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.update(&len.to_be_bytes());
        Ok(Self {
            context,
            left: len,
            len,
        })
    }

    /// Takes the next piece of the message.
    ///
    /// # Errors
    /// [`Error::Length`] once there are more bytes than stated.
    pub fn update(&mut self, piece: &[u8]) -> Result<(), Error> {
        let len = piece.len() as u64;
        self.left = self.left.checked_sub(len).ok_or(Error::Length {
            what: "message",
            want: self.len,
            got: self.len - self.left + len,
        })?;
        self.context.update(piece);
        Ok(())
    }

    /// The value.
    ///
    /// # Errors
    /// [`Error::Length`] when there were fewer bytes than stated.
    pub fn finish(self) -> Result<[u8; TAG_LEN], Error> {
        if self.left > 0 {
            return Err(Error::Length {
                what: "message",
                want: self.len,
                got: self.len - self.left,
            });
        }
        let tag = self.context.sign();
        tag.as_ref()
            .try_into()
            .map_err(|_| Error::Library("HMAC-SHA-512"))
    }

    /// Whether the value is `tag`, compared in constant time.
    ///
    /// # Errors
    /// As [`WaveHmac::finish`].
    pub fn verify(self, tag: &[u8]) -> Result<bool, Error> {
        Ok(verify_slices_are_equal(&self.finish()?, tag).is_ok())
    }
}

/// The Wave HMAC of a message at hand.
///
/// # Errors
/// As [`WaveHmac::new`].
pub fn wave_hmac(
    key: &[u8],
    phases: Option<&[f64]>,
    message: &[u8],
) -> Result<[u8; TAG_LEN], Error> {
    let mut mac = WaveHmac::new(key, phases, message.len() as u64)?;
    mac.update(message)?;
    mac.finish()
}
