//! Text as the seed's API has it: a key that is a string, and base64 in and out. What is inside is
//! a stream under a passphrase.

use crate::Error;
use crate::stream::{Cost, Opener, Options, Sealer, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Longest text in bytes; longer ones go through a stream.
pub const TEXT_MAX: usize = 16 << 20;

/// Encrypts text under a passphrase: base64 of a stream.
///
/// # Errors
/// [`Error::TooLong`], and as [`Sealer::new`].
pub fn encrypt(text: &str, passphrase: &str, options: &Options<'_>) -> Result<String, Error> {
    limit(text.len(), TEXT_MAX)?;
    let mut sealer = Sealer::new(Secret::Passphrase(passphrase.as_bytes()), options)?;
    let mut out = sealer.header().to_bytes();
    sealer.push(text.as_bytes(), &mut out)?;
    sealer.finish(&mut out)?;
    Ok(STANDARD.encode(out))
}

/// Decrypts what [`encrypt`] made. White space around and in the base64 does not matter.
///
/// # Errors
/// [`Error::Malformed`] for what is not base64 or not UTF-8 inside, and as [`Opener`].
pub fn decrypt(
    text: &str,
    passphrase: &str,
    context: &[u8],
    cost: Cost,
) -> Result<Zeroizing<String>, Error> {
    limit(text.len(), TEXT_MAX * 2)?;
    let bad = |what, why| Error::Malformed { what, why };
    let compact: String = text.split_ascii_whitespace().collect();
    let bytes = STANDARD
        .decode(compact)
        .map_err(|_| bad("ciphertext", "is not base64"))?;
    let mut opener = Opener::new();
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let header = opener.push(&bytes, &mut out)?;
    opener.unlock(Secret::Passphrase(passphrase.as_bytes()), context, cost)?;
    opener.push(&bytes[header..], &mut out)?;
    opener.finish(&mut out)?;
    let text = std::str::from_utf8(&out).map_err(|_| bad("message", "is not UTF-8 text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn limit(got: usize, limit: usize) -> Result<(), Error> {
    if got > limit {
        return Err(Error::TooLong {
            what: "text",
            limit: limit as u64,
            got: got as u64,
        });
    }
    Ok(())
}
