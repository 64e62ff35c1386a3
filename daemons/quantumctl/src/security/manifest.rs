//! The manifest beside a capture: what was recorded, where and when, its digest, and the key that signed this. The
//! signature is ML-DSA-87 over the manifest's bytes, in a file of its own; checking it needs no daemon.

use std::{
    ffi::OsString,
    fs::File,
    io::Read,
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
    /// Events that could not be written down in time.
    pub dropped: u64,
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

/// Bytes and SHA-256 of a file.
pub fn digest(path: &Path) -> Result<(u64, String), Error> {
    let named = |source| Error::file(path, source);
    let mut file = File::open(path).map_err(named)?;
    let (mut hash, mut length) = (Sha256::default(), 0);
    let mut piece = vec![0; 1 << 16];
    loop {
        let got = file.read(&mut piece).map_err(named)?;
        if got == 0 {
            break;
        }
        hash.update(piece.get(..got).unwrap_or_default());
        length += got as u64;
    }
    Ok((length, hash.hex()))
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
    if digest(capture)? != (manifest.bytes, manifest.sha256) {
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
