//! Loads the model that ai-learnd published: manifest, signature, files, and only then a runtime.
//!
//! The chain is: the manifest is signed (ML-DSA-87) by a key that is trusted; it gives the digests of the two files;
//! they have the one form that the trainer writes; the held-out figures are good enough; and the runtime says what
//! the weights say. What breaks anywhere leaves no model, and the reason is shown.

use quantumos_learn::explain::{self, Moved};
use quantumos_learn::manifest::{self, Manifest, SIGNATURE_CONTEXT};
use quantumos_learn::{Density, Profile, Window, features, onnx, profile};
use quantumos_onnx::Runtime;
use quantumos_pqc::{PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, Signature, sha256_hex};
use quantumos_service::files;
use std::path::{Path, PathBuf};

/// Most public keys that are tried.
const MOST_KEYS: usize = 64;

/// Which link of the chain broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl Refused {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A manifest and its signature, not yet believed.
#[derive(Debug, Clone)]
pub struct Papers {
    folder: PathBuf,
    text: Vec<u8>,
    signature: Vec<u8>,
    manifest: Manifest,
}

impl Papers {
    /// Reads them.
    ///
    /// # Errors
    /// When they are not there, too long, or no manifest.
    pub fn read(folder: &Path) -> Result<Self, Refused> {
        let text = read(&folder.join("manifest.toml"), manifest::MAX_LEN)?;
        let signature = read(&folder.join("manifest.toml.sig"), SIGNATURE_LEN)?;
        let parsed = std::str::from_utf8(&text).map_err(|_| Refused::new("manifest: not text"))?;
        let manifest: Manifest =
            toml::from_str(parsed).map_err(|error| Refused(format!("manifest: {error}")))?;
        Ok(Self {
            folder: folder.to_owned(),
            text,
            signature,
            manifest,
        })
    }

    /// The key that they say has signed them, by its identifier in quantumd.
    #[must_use]
    pub fn signer(&self) -> &str {
        &self.manifest.signer
    }

    /// Whether a key has signed them.
    #[must_use]
    pub fn signed_by(&self, key: &[u8]) -> bool {
        let (Ok(key), Ok(signature)) = (
            PublicKey::from_bytes(key),
            Signature::from_bytes(&self.signature),
        ) else {
            return false;
        };
        matches!(
            key.verify(&self.text, &signature, SIGNATURE_CONTEXT),
            Ok(true)
        )
    }
}

/// The public keys in these folders (`*.pub`).
#[must_use]
pub fn keys(folders: &[PathBuf]) -> Vec<Vec<u8>> {
    let paths = files::with_ending(folders, "pub", MOST_KEYS);
    let keys = paths
        .iter()
        .filter_map(|path| read(path, PUBLIC_KEY_LEN).ok());
    keys.collect()
}

/// A model that may be used.
pub struct Model {
    /// Its papers.
    pub manifest: Manifest,
    profile: Profile,
    density: Density,
    runtime: Runtime,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("serial", &self.manifest.serial)
            .finish_non_exhaustive()
    }
}

/// What a model says of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The score; strange above the manifest's threshold.
    pub score: f64,
    /// Why, for strange windows; else empty.
    pub explanation: String,
}

impl Model {
    /// Loads the model of papers that one of `keys` has signed.
    ///
    /// # Errors
    /// Which link of the chain broke.
    pub fn load(papers: Papers, keys: &[Vec<u8>]) -> Result<Self, Refused> {
        if !keys.iter().any(|key| papers.signed_by(key)) {
            return Err(Refused(format!(
                "none of the {} trusted keys has signed the manifest",
                keys.len()
            )));
        }
        let Papers {
            folder, manifest, ..
        } = papers;
        let engine = |error: quantumos_learn::Error| Refused(error.to_string());
        manifest.check().map_err(engine)?;
        let bytes = read(&folder.join("model.onnx"), onnx::MAX_LEN)?;
        let digest = sha256_hex(&bytes);
        manifest
            .model
            .check("model", bytes.len() as u64, &digest)
            .map_err(engine)?;
        let known = read(&folder.join("profile.bin"), profile::MAX_LEN)?;
        let digest = sha256_hex(&known);
        manifest
            .profile
            .check("profile", known.len() as u64, &digest)
            .map_err(engine)?;
        let density = onnx::read(&bytes).map_err(engine)?;
        if density.width != features::HOST.len() {
            return Err(Refused::new("the model is of another number of features"));
        }
        let mut model = Self {
            profile: Profile::read(&known).map_err(engine)?,
            runtime: runtime(&bytes)?,
            manifest,
            density,
        };
        model.agrees_with_itself()?;
        Ok(model)
    }

    /// Judges a window.
    ///
    /// # Errors
    /// When the runtime fails or gives anything but a finite number.
    pub fn judge(&mut self, window: &Window) -> Result<Verdict, Refused> {
        let x = features::of(window, &self.profile, &features::HOST);
        let score = self.run(&x)?;
        let mut explanation = String::new();
        if score > self.manifest.threshold {
            let moved: Vec<Moved> =
                explain::moved(&self.density, &self.manifest.baseline, &features::HOST, &x);
            explanation = explain::sentence(window, &self.profile, &self.manifest, score, &moved);
        }
        Ok(Verdict { score, explanation })
    }

    fn run(&mut self, x: &[f32]) -> Result<f64, Refused> {
        let raw = self
            .runtime
            .run(x)
            .map_err(|error| Refused(error.to_string()))?;
        match raw[..] {
            [score] if score.is_finite() => Ok(f64::from(score)),
            _ => Err(Refused(format!("gave {raw:?}, one finite number expected"))),
        }
    }

    /// The runtime has to say what the weights say, or it reads the file differently.
    fn agrees_with_itself(&mut self) -> Result<(), Refused> {
        for value in [0.0_f32, 0.5, 2.0] {
            let x = vec![value; features::HOST.len()];
            let (expected, seen) = (self.density.score(&x), self.run(&x)?);
            // Single precision, over sums of squares that may be large.
            if (expected - seen).abs() > 1e-3 * expected.abs().max(1.0) {
                return Err(Refused(format!(
                    "the runtime says {seen} where the weights say {expected}"
                )));
            }
        }
        Ok(())
    }
}

fn runtime(bytes: &[u8]) -> Result<Runtime, Refused> {
    Runtime::load(bytes, onnx::INPUT, onnx::OUTPUT).map_err(|error| Refused(error.to_string()))
}

fn read(path: &Path, most: usize) -> Result<Vec<u8>, Refused> {
    files::read_at_most(path, most).map_err(|error| Refused(format!("{}: {error}", path.display())))
}
