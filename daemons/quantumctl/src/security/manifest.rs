//! The manifest beside a capture: what was recorded, where and when, whether that is all, its digest, and the key that
//! signed this. The signature is ML-DSA-87 over the manifest's bytes, in a file of its own; checking it needs no daemon.
//! A manifest that says that nothing is complete is there from the start, and keeps the room for the one that replaces it.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use quantumos_pqc::{PublicKey, Sha256, Signature};
use serde::{Deserialize, Serialize};

use crate::{error::Error, keys};

/// The context of the signature.
pub const CONTEXT: &str = "quantumos capture manifest 1";
/// The largest manifest and signature, in bytes.
const LARGEST: u64 = 64 * 1024;
/// How much longer a manifest may become, in bytes: the digest, and in words why it ended.
const ROOM: usize = 1024;

/// The manifest. Times are microseconds of the real-time clock.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `quantumos-capture-1`.
    pub format: String,
    /// SHA-256 of the capture, in hexadecimal.
    pub sha256: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its events.
    pub events: u64,
    /// Whether the recording came to its end. One that did not is a part of what happened.
    #[serde(default = "yes")]
    pub complete: bool,
    /// Why it did not; empty when it did.
    #[serde(default)]
    pub interruption: String,
    /// Events that could not be written down in time; none when that is not known.
    pub dropped: Option<u64>,
    /// How many are known to be missing, all the same.
    #[serde(default)]
    pub dropped_at_least: u64,
    /// When recording began and ended.
    pub started_at: u64,
    /// The same.
    pub ended_at: u64,
    /// The host's name.
    pub host: String,
    /// The kernel's release.
    pub kernel: String,
    /// The signing key's id; empty in an unsigned manifest.
    pub key: String,
    /// Its public key, in Base64.
    pub public_key: String,
}

fn yes() -> bool {
    true
}

impl Manifest {
    /// Why the capture is only a part of what happened, in words; none when it is all of it.
    pub fn part(&self) -> Option<String> {
        let missing = match self.dropped {
            Some(0) => None,
            Some(dropped) => Some(format!("{dropped} events were dropped")),
            None => match self.dropped_at_least {
                0 => Some("how many events were dropped is not known".to_owned()),
                least => Some(format!("at least {least} events were dropped")),
            },
        };
        let interruption = (!self.complete).then(|| match self.interruption.as_str() {
            "" => "its recording did not end".to_owned(),
            reason => reason.to_owned(),
        });
        let both: Vec<String> = interruption.into_iter().chain(missing).collect();
        (!both.is_empty()).then(|| both.join("; "))
    }

    /// As it is written and signed.
    pub fn text(&self) -> Result<Vec<u8>, Error> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| Error::Answer(e.to_string()))?;
        text.push(b'\n');
        Ok(text)
    }
}

/// Why a capture is only a part, as the manifest beside it says; nothing when there is none. Nobody vouches for that: to
/// trust it, [`verify`].
pub fn part(capture: &Path) -> Option<String> {
    let path = path_of(capture);
    if !path.exists() {
        return None;
    }
    let manifest = read(&path).map(|text| serde_json::from_slice::<Manifest>(&text));
    match manifest {
        Ok(Ok(manifest)) => manifest.part(),
        Ok(Err(error)) => Some(format!("its manifest can't be read: {error}")),
        Err(error) => Some(format!("its manifest can't be read: {error}")),
    }
}

/// The only format there is.
pub const FORMAT: &str = "quantumos-capture-1";

/// The manifest's file.
pub fn path_of(capture: &Path) -> PathBuf {
    with(capture, ".manifest")
}

/// The signature's file.
pub fn signature_of(capture: &Path) -> PathBuf {
    with(capture, ".manifest.sig")
}

fn with(capture: &Path, end: &str) -> PathBuf {
    let mut name: OsString = capture.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// What a capture's file holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Lines, each an event.
    pub lines: u64,
}

/// Reads a file through.
pub fn digest(path: &Path) -> Result<Found, Error> {
    let named = |source| Error::file(path, source);
    let mut file = File::open(path).map_err(named)?;
    let (mut hash, mut bytes, mut lines) = (Sha256::default(), 0, 0);
    let mut piece = vec![0; 1 << 16];
    loop {
        let got = file.read(&mut piece).map_err(named)?;
        if got == 0 {
            break;
        }
        let part = piece.get(..got).unwrap_or_default();
        hash.update(part);
        bytes += got as u64;
        lines += part.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    Ok(Found {
        bytes,
        sha256: hash.hex(),
        lines,
    })
}

/// The manifest's file while a recording is under way.
#[derive(Debug)]
pub struct Beside {
    /// What replaces it in the end.
    pub manifest: Manifest,
    path: PathBuf,
    file: File,
}

impl Beside {
    /// Writes a manifest that is not the last word, with some room for the one that is.
    pub fn create(capture: &Path, manifest: Manifest) -> Result<Self, Error> {
        let path = path_of(capture);
        let mut text = manifest.text()?;
        text.resize(text.len() + ROOM, b'\n');
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let mut file = made.map_err(|source| Error::file(&path, source))?;
        let written = file.write_all(&text).and_then(|()| file.sync_all());
        if let Err(source) = written {
            // Half a manifest helps nobody.
            let _ = std::fs::remove_file(&path);
            return Err(Error::file(path, source));
        }
        Ok(Self {
            manifest,
            path,
            file,
        })
    }

    /// Replaces it in its place, which needs no more room on a full disk; gives the text.
    pub fn replace(&mut self) -> Result<Vec<u8>, Error> {
        let text = self.manifest.text()?;
        let file = &mut self.file;
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.write_all(&text))
            .and_then(|()| file.set_len(text.len() as u64))
            .and_then(|()| file.sync_all())
            .map_err(|source| Error::file(&self.path, source))?;
        Ok(text)
    }

    /// Takes it away again.
    pub fn remove(self) {
        // It may be gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Checks that a capture is the one of its manifest, and that the manifest was signed by the key whose public part is
/// in a file; gives the key's id.
pub fn verify(capture: &Path, public_key: &Path) -> Result<String, Error> {
    let trusted = keys::decoded(public_key)?;
    let text = read(&path_of(capture))?;
    let signature = keys::decoded(&signature_of(capture))?;
    let refused = |reason: &str| Error::Capture {
        place: path_of(capture).display().to_string(),
        reason: reason.into(),
    };
    let key = PublicKey::from_bytes(&trusted)
        .map_err(|_| refused("the given file is no ML-DSA-87 public key"))?;
    let signature =
        Signature::from_bytes(&signature).map_err(|_| refused("its signature is none"))?;
    let valid = key.verify(&text, &signature, CONTEXT.as_bytes());
    if !valid.unwrap_or(false) {
        return Err(Error::BadSignature);
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| refused(&e.to_string()))?;
    if manifest.format != FORMAT {
        return Err(refused("its format is unknown"));
    }
    if STANDARD.decode(&manifest.public_key).ok().as_ref() != Some(&trusted) {
        return Err(refused("it names another key than the one that signed it"));
    }
    let found = digest(capture)?;
    if (found.bytes, &found.sha256) != (manifest.bytes, &manifest.sha256) {
        return Err(refused("the capture was changed after it was recorded"));
    }
    Ok(manifest.key)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
        .map_err(|source| Error::file(path, source))?;
    Ok(bytes)
}
