//! Streams of the resonance suite between two descriptors of a caller, sealed or opened on the way in
//! constant memory, under a key of the keyring or a passphrase.

use super::transfer::{Watch, both, refuse};
use crate::Error;
use crate::keyring::Keyring;
use crate::record::KeyId;
use quantumos_pqc::Algorithm;
use quantumos_resonance::stream::{CHUNK, Cost, Opener, Options, Sealer, Secret, Source, Suite};
use std::os::fd::OwnedFd;
use zeroize::Zeroizing;

/// The most that a passphrase's derivation may cost in this daemon, whatever a header asks for.
const COST_LIMIT: Cost = Cost {
    memory_kib: 256 << 10,
    passes: 8,
    lanes: 8,
};

/// What a stream is sealed under.
pub(super) enum Lock<'a> {
    /// A key that encrypts data.
    Key(&'a Keyring, KeyId),
    /// Something that a person remembers.
    Passphrase(&'a [u8]),
}

/// What came of a transfer.
pub(super) struct Done {
    /// Bytes of the output.
    pub(super) written: u64,
    /// The cipher.
    pub(super) suite: Suite,
}

/// Key and version as the header of a stream names them.
fn reference(id: KeyId, version: u32) -> [u8; 20] {
    let mut out = [0; 20];
    out[..16].copy_from_slice(&id.0);
    out[16..].copy_from_slice(&version.to_be_bytes());
    out
}

/// The version of this key that a stream was sealed under.
fn version_in(source: &Source, id: KeyId) -> Result<u32, Error> {
    let Source::Key(bytes) = source else {
        let found = "passphrase";
        return Err(quantumos_resonance::Error::OtherSource { found }.into());
    };
    let parts = bytes.split_first_chunk::<16>();
    let version = parts.and_then(|(key, rest)| Some((key, rest.try_into().ok()?)));
    match version {
        Some((key, version)) if *key == id.0 => Ok(u32::from_be_bytes(version)),
        Some((key, _)) => {
            let why = format!("it was sealed under key {}", KeyId(*key));
            Err(refuse("input", why))
        }
        None => Err(refuse("input", "it was not sealed by quantumd's Encrypt")),
    }
}

/// Starts a stream.
fn sealer(lock: &Lock<'_>, context: &[u8]) -> Result<(Sealer, Suite), Error> {
    match lock {
        Lock::Key(keyring, id) => {
            let suite = match keyring.record(*id)?.algorithm {
                Algorithm::XChaCha20Poly1305 => Suite::XChaCha20Poly1305,
                _ => Suite::Aes256Gcm,
            };
            let (secret, version) = keyring.stream_secret(*id, None)?;
            let reference = reference(*id, version);
            let options = Options {
                suite,
                reference: &reference,
                context,
                ..Options::default()
            };
            Ok((Sealer::new(Secret::Key(secret.expose()), &options)?, suite))
        }
        Lock::Passphrase(passphrase) => {
            let options = Options {
                context,
                ..Options::default()
            };
            let sealer = Sealer::new(Secret::Passphrase(passphrase), &options)?;
            Ok((sealer, options.suite))
        }
    }
}

/// Seals what `input` gives, under the newest version of a key or a passphrase. Blocks.
pub(super) fn seal(
    lock: &Lock<'_>,
    input: OwnedFd,
    output: OwnedFd,
    context: &[u8],
    watch: Watch<'_>,
) -> Result<Done, Error> {
    let (mut sealer, suite) = sealer(lock, context)?;
    let (mut input, mut output) = both(input, output, watch)?;
    let seal = || {
        let mut piece = Zeroizing::new(vec![0; CHUNK]);
        let mut out = Vec::with_capacity(2 * CHUNK);
        output.write(&sealer.header().to_bytes())?;
        loop {
            let count = input.read(&mut piece)?;
            if count == 0 {
                sealer.finish(&mut out)?;
                return output.write(&out);
            }
            sealer.push(&piece[..count], &mut out)?;
            output.write(&out)?;
            out.clear();
        }
    };
    let done = seal();
    let written = output.end(done)?;
    Ok(Done { written, suite })
}

/// Opens what [`seal`] made, under the version that it names. Blocks.
pub(super) fn open(
    lock: &Lock<'_>,
    input: OwnedFd,
    output: OwnedFd,
    context: &[u8],
    watch: Watch<'_>,
) -> Result<Done, Error> {
    if let Lock::Key(keyring, id) = lock {
        keyring.stream_secret(*id, None)?;
    }
    let (mut input, mut output) = both(input, output, watch)?;
    let mut suite = Suite::Aes256Gcm;
    let mut open = || {
        let mut opener = Opener::new();
        let mut locked = true;
        let mut piece = vec![0; CHUNK];
        let mut out = Zeroizing::new(Vec::with_capacity(2 * CHUNK));
        loop {
            let count = input.read(&mut piece)?;
            if count == 0 {
                opener.finish(&mut out)?;
                return output.write(&out);
            }
            let mut taken = opener.push(&piece[..count], &mut out)?;
            if let Some(header) = opener.header().filter(|_| locked) {
                suite = header.suite();
                unlock(lock, &mut opener, context)?;
                locked = false;
                taken += opener.push(&piece[taken..count], &mut out)?;
            }
            debug_assert_eq!(taken, count, "all is taken once the stream is unlocked");
            output.write(&out)?;
            out.clear();
        }
    };
    let done = open();
    let written = output.end(done)?;
    Ok(Done { written, suite })
}

/// Gives an opener that has the header what opens it.
fn unlock(lock: &Lock<'_>, opener: &mut Opener, context: &[u8]) -> Result<(), Error> {
    match (lock, opener.header()) {
        (Lock::Key(keyring, id), Some(header)) => {
            let version = version_in(header.source(), *id)?;
            let (secret, _) = keyring.stream_secret(*id, Some(version))?;
            opener.unlock(Secret::Key(secret.expose()), context, COST_LIMIT)?;
        }
        (Lock::Passphrase(phrase), _) => {
            opener.unlock(Secret::Passphrase(phrase), context, COST_LIMIT)?;
        }
        (Lock::Key(..), None) => {}
    }
    Ok(())
}
