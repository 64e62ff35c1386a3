//! Streams of the resonance suite between two descriptors of a caller, sealed or opened on the way in
//! constant memory, under a key of the keyring or a passphrase.

use super::transfer::{Output, Watch, both, refuse};
use crate::Error;
use crate::keyring::Keyring;
use crate::record::KeyId;
use quantumos_pqc::Algorithm;
use quantumos_resonance::stream::{
    CHUNK, Cost, Opener, Options, Sealer, Secret, Source, Suite, sealed_len,
};
use quantumos_wavelength::{Decoder, Encoder, Method};
use std::os::fd::OwnedFd;
use zeroize::Zeroizing;

/// The most that a derivation may cost in this daemon, whatever a header asks for.
pub(super) const COST_LIMIT: Cost = Cost {
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
    let bytes = match source {
        Source::Key(bytes) => bytes,
        Source::Passphrase(_) => {
            let found = "passphrase";
            return Err(quantumos_resonance::Error::OtherSource { found }.into());
        }
        Source::Carried { .. } => {
            let why = "it was sealed by quantumctl crypto encrypt --key, which opens it too";
            return Err(refuse("input", why));
        }
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

/// What is sealed as it is, or modulated as light.
struct Lamp {
    encoder: Option<Encoder>,
    frames: Vec<u8>,
}

impl Lamp {
    /// Frames say how much they carry before they carry it, so the message has to be a file.
    fn new(light: Option<Method>, header: usize, message: Option<u64>) -> Result<Self, Error> {
        let mut frames = Vec::new();
        let encoder = match (light, message) {
            (None, _) => None,
            (Some(_), None) => {
                return Err(refuse("input", "neither a regular file nor a memfd"));
            }
            (Some(method), Some(message)) => {
                let len = header as u64 + sealed_len(message);
                Some(Encoder::new(method, len, &mut frames)?)
            }
        };
        Ok(Self { encoder, frames })
    }

    fn write(&mut self, output: &mut Output<'_>, sealed: &[u8]) -> Result<(), Error> {
        let Some(encoder) = &mut self.encoder else {
            return output.write(sealed);
        };
        // Frames are up to 26 times as long as what they carry: a bit at a time.
        for piece in sealed.chunks(4096) {
            encoder.push(piece, &mut self.frames)?;
            output.write(&self.frames)?;
            self.frames.clear();
        }
        Ok(())
    }

    fn end(self) -> Result<(), Error> {
        Ok(self.encoder.map_or(Ok(()), Encoder::finish)?)
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

/// Seals what `input` gives, under the newest version of a key or a passphrase, and
/// modulates it if `light` says how. Blocks.
pub(super) fn seal(
    lock: &Lock<'_>,
    input: OwnedFd,
    output: OwnedFd,
    context: &[u8],
    light: Option<Method>,
    watch: Watch<'_>,
) -> Result<Done, Error> {
    let (mut sealer, suite) = sealer(lock, context)?;
    let (mut input, mut output) = both(input, output, watch)?;
    let header = sealer.header().to_bytes();
    let seal = || {
        let mut lamp = Lamp::new(light, header.len(), input.len())?;
        let mut piece = Zeroizing::new(vec![0; CHUNK]);
        let mut out = Vec::with_capacity(2 * CHUNK);
        lamp.write(&mut output, &header)?;
        loop {
            let count = input.read(&mut piece)?;
            if count == 0 {
                sealer.finish(&mut out)?;
                lamp.write(&mut output, &out)?;
                return lamp.end();
            }
            sealer.push(&piece[..count], &mut out)?;
            lamp.write(&mut output, &out)?;
            out.clear();
        }
    };
    let done = seal();
    let written = output.end(done)?;
    Ok(Done { written, suite })
}

/// Opens what [`seal`] made, under the version that it names; `light` says that it was modulated. Blocks.
pub(super) fn open(
    lock: &Lock<'_>,
    input: OwnedFd,
    output: OwnedFd,
    context: &[u8],
    light: bool,
    watch: Watch<'_>,
) -> Result<Done, Error> {
    if let Lock::Key(keyring, id) = lock {
        keyring.stream_secret(*id, None)?;
    }
    let (mut input, mut output) = both(input, output, watch)?;
    let mut suite = Suite::Aes256Gcm;
    let mut open = || {
        let mut eye = light.then(Decoder::new);
        let mut opener = Opener::new();
        let mut locked = true;
        let (mut piece, mut carried) = (vec![0; CHUNK], Vec::new());
        let mut out = Zeroizing::new(Vec::with_capacity(2 * CHUNK));
        loop {
            let count = input.read(&mut piece)?;
            if count == 0 {
                if let Some(eye) = eye {
                    eye.finish()?;
                }
                opener.finish(&mut out)?;
                return output.write(&out);
            }
            let sealed = match &mut eye {
                Some(eye) => {
                    carried.clear();
                    eye.push(&piece[..count], &mut carried)?;
                    &carried[..]
                }
                None => &piece[..count],
            };
            let mut taken = opener.push(sealed, &mut out)?;
            if let Some(header) = opener.header().filter(|_| locked) {
                suite = header.suite();
                unlock(lock, &mut opener, context)?;
                locked = false;
                taken += opener.push(&sealed[taken..], &mut out)?;
            }
            debug_assert_eq!(taken, sealed.len(), "all is taken once it is unlocked");
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
