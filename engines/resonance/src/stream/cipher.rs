//! One chunk at a time: the ciphers behind a stream, its nonces, and what can be said of a chunk
//! that doesn't open.

use super::{CHUNK, CHUNKS_MAX, TAG, WHAT};
use crate::Error;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};

/// Bytes of nonce prefix; AES-GCM uses the first three.
pub(super) const PREFIX: usize = 15;

/// How far around its place a chunk that doesn't open is looked for.
const NEAR: u64 = 16;

/// The cipher of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES-256-GCM (NIST SP 800-38D).
    Aes256Gcm,
    /// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), for processors without AES instructions.
    XChaCha20Poly1305,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Aes256Gcm, Self::XChaCha20Poly1305];

    /// The one that this processor is faster at.
    #[must_use]
    pub fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        let aes = std::arch::is_x86_feature_detected!("aes")
            && std::arch::is_x86_feature_detected!("pclmulqdq");
        #[cfg(target_arch = "aarch64")]
        let aes = std::arch::is_aarch64_feature_detected!("aes");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let aes = false;
        if aes {
            Self::Aes256Gcm
        } else {
            Self::XChaCha20Poly1305
        }
    }

    /// The name of the algorithm.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "AES-256-GCM",
            Self::XChaCha20Poly1305 => "XChaCha20-Poly1305",
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::XChaCha20Poly1305 => 2,
        }
    }

    pub(super) fn from_number(number: u8) -> Result<Self, Error> {
        let mut all = Self::ALL.into_iter();
        all.find(|s| s.number() == number)
            .ok_or(Error::UnknownNumber {
                what: "cipher suite",
                number,
            })
    }
}

enum Cipher {
    Aes(LessSafeKey),
    XChaCha(Box<XChaCha20Poly1305>),
}

/// The key of one stream. Seals and opens its chunks in any order, from any thread.
pub struct StreamKey {
    cipher: Cipher,
    prefix: [u8; PREFIX],
}

impl std::fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamKey").finish_non_exhaustive()
    }
}

impl StreamKey {
    pub(super) fn new(suite: Suite, key: &[u8; 32], prefix: [u8; PREFIX]) -> Result<Self, Error> {
        let cipher = match suite {
            Suite::Aes256Gcm => Cipher::Aes(LessSafeKey::new(
                UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::Library("AES-256-GCM"))?,
            )),
            Suite::XChaCha20Poly1305 => {
                Cipher::XChaCha(Box::new(XChaCha20Poly1305::new(key.into())))
            }
        };
        Ok(Self { cipher, prefix })
    }

    fn nonce<const N: usize>(&self, chunk: u64, last: bool) -> [u8; N] {
        let mut nonce = [0u8; N];
        nonce[..N - 9].copy_from_slice(&self.prefix[..N - 9]);
        nonce[N - 9..N - 1].copy_from_slice(&chunk.to_be_bytes());
        nonce[N - 1] = u8::from(last);
        nonce
    }

    /// Seals a chunk in place and gives its tag, to be written after it. A pair of number and end
    /// mark must be sealed once only; every chunk but the last has [`CHUNK`] bytes.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Malformed`] for a short chunk that isn't the last, [`Error::Library`].
    pub fn seal(&self, chunk: u64, last: bool, data: &mut [u8]) -> Result<[u8; TAG], Error> {
        check(chunk, last, data.len())?;
        match &self.cipher {
            Cipher::Aes(key) => {
                let nonce = Nonce::assume_unique_for_key(self.nonce::<12>(chunk, last));
                let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), data);
                let tag = tag.map_err(|_| Error::Library("AES-256-GCM"))?;
                tag.as_ref()
                    .try_into()
                    .map_err(|_| Error::Library("AES-256-GCM"))
            }
            Cipher::XChaCha(key) => {
                let nonce = self.nonce::<24>(chunk, last).into();
                let tag = key.encrypt_inout_detached(&nonce, b"", InOutBuf::from(data));
                tag.map(Into::into)
                    .map_err(|_| Error::Library("XChaCha20-Poly1305"))
            }
        }
    }

    /// Seals a chunk from one buffer to another, tag included.
    pub(super) fn seal_into(
        &self,
        chunk: u64,
        last: bool,
        plain: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), Error> {
        check(chunk, last, plain.len())?;
        let name = match self.cipher {
            Cipher::Aes(_) => Suite::Aes256Gcm.name(),
            Cipher::XChaCha(_) => Suite::XChaCha20Poly1305.name(),
        };
        let (body, tag) = sealed
            .split_last_chunk_mut::<TAG>()
            .ok_or(Error::Library(name))?;
        match &self.cipher {
            Cipher::Aes(key) => {
                let nonce = Nonce::assume_unique_for_key(self.nonce::<12>(chunk, last));
                key.seal_out_of_place_scatter(nonce, Aad::empty(), plain, body, b"", tag)
                    .map_err(|_| Error::Library(name))
            }
            Cipher::XChaCha(key) => {
                let nonce = self.nonce::<24>(chunk, last).into();
                let buffer = InOutBuf::new(plain, body).map_err(|_| Error::Library(name))?;
                let made = key.encrypt_inout_detached(&nonce, b"", buffer);
                *tag = made.map_err(|_| Error::Library(name))?.into();
                Ok(())
            }
        }
    }

    /// Opens a chunk (with its tag at the end) into `plain`, which has to have [`TAG`] bytes fewer.
    /// When it fails, `plain` holds nothing of the message.
    ///
    /// # Errors
    /// [`Error::Altered`], [`Error::CutOrAltered`], [`Error::OutOfOrder`], [`Error::Truncated`],
    /// [`Error::Trailing`], [`Error::TooLong`], [`Error::Malformed`].
    pub fn open(
        &self,
        chunk: u64,
        last: bool,
        sealed: &[u8],
        plain: &mut [u8],
    ) -> Result<(), Error> {
        let Some((body, tag)) = sealed.split_last_chunk::<TAG>() else {
            return Err(Error::Truncated {
                what: WHAT,
                after: chunk * (CHUNK + TAG) as u64 + sealed.len() as u64,
            });
        };
        check(chunk, last, body.len())?;
        if plain.len() != body.len() {
            return Err(Error::Malformed {
                what: "buffer for a chunk",
                why: "has another length than the chunk",
            });
        }
        if self.try_open(chunk, last, body, tag, plain) {
            // It says the same as its absence would; a message has one form only.
            if last && chunk > 0 && body.is_empty() {
                return Err(Error::Malformed {
                    what: WHAT,
                    why: "the last chunk is empty though others come before it",
                });
            }
            return Ok(());
        }
        let verdict = self.diagnose(chunk, last, body, tag, plain);
        plain.fill(0);
        Err(verdict)
    }

    fn try_open(
        &self,
        chunk: u64,
        last: bool,
        body: &[u8],
        tag: &[u8; TAG],
        out: &mut [u8],
    ) -> bool {
        match &self.cipher {
            Cipher::Aes(key) => {
                let nonce = Nonce::assume_unique_for_key(self.nonce::<12>(chunk, last));
                key.open_separate_gather(nonce, Aad::empty(), body, tag, out)
                    .is_ok()
            }
            Cipher::XChaCha(key) => {
                let nonce = self.nonce::<24>(chunk, last).into();
                let Ok(buffer) = InOutBuf::new(body, out) else {
                    return false;
                };
                key.decrypt_inout_detached(&nonce, b"", buffer, tag.into())
                    .is_ok()
            }
        }
    }

    /// What is wrong with a chunk that doesn't open in its place.
    fn diagnose(
        &self,
        chunk: u64,
        last: bool,
        body: &[u8],
        tag: &[u8; TAG],
        scratch: &mut [u8],
    ) -> Error {
        if self.try_open(chunk, !last, body, tag, scratch) {
            return if last {
                Error::Truncated {
                    what: WHAT,
                    after: (chunk + 1) * (CHUNK + TAG) as u64,
                }
            } else {
                Error::Trailing { last: chunk }
            };
        }
        let near = chunk.saturating_sub(NEAR)..=chunk.saturating_add(NEAR);
        for found in near.filter(|other| *other != chunk) {
            for end in [false, true] {
                if self.try_open(found, end, body, tag, scratch) {
                    return Error::OutOfOrder {
                        expected: chunk,
                        found,
                    };
                }
            }
        }
        if last && body.len() < CHUNK {
            return Error::CutOrAltered {
                chunk,
                after: chunk * (CHUNK + TAG) as u64 + (body.len() + TAG) as u64,
            };
        }
        Error::Altered { chunk }
    }
}

fn check(chunk: u64, last: bool, len: usize) -> Result<(), Error> {
    if chunk >= CHUNKS_MAX {
        return Err(Error::TooLong {
            what: "message in chunks",
            limit: CHUNKS_MAX,
            got: chunk.saturating_add(1),
        });
    }
    if len > CHUNK || (!last && len < CHUNK) {
        return Err(Error::Malformed {
            what: "chunk",
            why: "only the last one may have fewer than 65536 bytes, and none more",
        });
    }
    Ok(())
}
