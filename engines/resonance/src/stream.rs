//! Resonance encryption: 64 KiB chunks in the STREAM construction (Hoang, Reyhanitabar, Rogaway,
//! Vizár 2015) over AES-256-GCM or XChaCha20-Poly1305, with a header that commits to the key.
//!
//! A stream is a [`Header`], then chunks of 65,536 bytes and a tag of 16, the last one shorter, or
//! empty when the whole message is. Every stream has a key of its own, derived by HKDF-SHA-512 from
//! the secret, a random salt, the header and the caller's context. The nonce of a chunk is a derived
//! prefix, the chunk's number and whether it is the last one, so chunks can be neither altered,
//! moved, left out nor added, and the end can't be cut off without notice.
//!
//! [`Sealer`] and [`Opener`] take pieces of any size and hold one chunk; [`StreamKey`] seals and
//! opens single chunks in any order and from many threads, for callers who can address a file.

mod cipher;
mod header;
mod opener;
mod run;
mod sealer;

pub use crate::derive::Cost;
pub use cipher::{StreamKey, Suite};
pub use header::{CAPSULE_MAX, CONTEXT_MAX, Header, REFERENCE_MAX, Secret, Source};
pub use opener::Opener;
pub use sealer::{Options, Sealer};

/// Bytes of a message in each chunk but the last.
pub const CHUNK: usize = 64 * 1024;

/// Bytes that each chunk grows by.
pub const TAG: usize = 16;

/// The most chunks of a stream: 256 TiB of message, far below where AES-GCM under one key weakens.
pub const CHUNKS_MAX: u64 = 1 << 32;

/// What a message of `len` bytes comes to without the header.
#[must_use]
pub fn sealed_len(len: u64) -> u64 {
    len + TAG as u64 * len.div_ceil(CHUNK as u64).max(1)
}

/// How long the message is whose chunks (without the header) come to `len` bytes, if there is one.
#[must_use]
pub fn message_len(len: u64) -> Option<u64> {
    let chunks = len.div_ceil((CHUNK + TAG) as u64);
    let message = len.checked_sub(chunks * TAG as u64)?;
    (chunks > 0 && sealed_len(message) == len).then_some(message)
}

const WHAT: &str = "resonance stream";

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::{SHA256, digest};

    /// A fixed stream: whoever changes the format by accident learns it here. The commitment was
    /// computed from the description of the header by another program (HKDF over HMAC-SHA-512).
    #[test]
    fn the_format_stays() {
        let options = Options {
            suite: Suite::Aes256Gcm,
            reference: b"ref",
            context: b"ctx",
            ..Options::default()
        };
        let key: Vec<u8> = (0..32).collect();
        let sealer = Sealer::with_salt(Secret::Key(&key), &options, [9; 32]).unwrap();
        let mut out = sealer.header().to_bytes();
        assert_eq!(hex(&out[..9]), "515245530101010055");
        assert_eq!(hex(&out[45..77]), COMMITMENT);
        sealer.finish(&mut out).unwrap();
        assert_eq!(hex(digest(&SHA256, &out).as_ref()), WHOLE);
    }

    const COMMITMENT: &str = "ca1e110ace5b726b41b632d889e898059e75b589d1ec421c32476647b0289801";
    const WHOLE: &str = "3a541cb33d17f485a79962fbb9ce5869a45434e4e09474eb7b7b331a057e347b";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }
}
