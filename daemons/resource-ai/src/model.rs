//! Loads the forecast model: file, manifest, signature, figures, and only then a runtime.
//!
//! The chain is: the manifest is signed (ML-DSA-87) by a key that the host trusts; it
//! gives the digest of the file; the file has the one form that the trainer writes; the
//! held-out figures beat both simple forecasts. What breaks anywhere leaves the simple
//! forecasts, and the reason is shown.

use std::path::{Path, PathBuf};

use quantumos_onnx::Runtime;
use quantumos_pqc::{PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, Signature, sha256_hex};
use quantumos_resource::features::{COUNT, Features};
use quantumos_resource::manifest::{self, Manifest};
use quantumos_resource::network::{Network, shares};
use quantumos_resource::onnx;
use quantumos_service::files;

use crate::Error;
use crate::settings;

/// Stem of the model's files.
pub const NAME: &str = "pressure";
/// Most public keys that are tried.
const MOST_KEYS: usize = 64;

/// A model that may be used.
pub struct Model {
    /// Its papers.
    pub manifest: Manifest,
    /// The key that signed it: the name of its file.
    pub signer: String,
    /// Its weights, for explanations.
    pub network: Network,
    runtime: Runtime,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("sha256", &self.manifest.sha256)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Loads the model that the settings name.
    ///
    /// # Errors
    /// `Error::Model` or `Error::Engine` says which link of the chain broke.
    pub fn load(settings: &settings::Model) -> Result<Self, Error> {
        if !settings.enabled {
            return Err(Error::Model("switched off by configuration".into()));
        }
        let file = |ending: &str| settings.directory.join(format!("{NAME}.{ending}"));
        let papers = read(&file("manifest.toml"), manifest::MAX_LEN)?;
        let signature = read(&file("manifest.toml.sig"), SIGNATURE_LEN)?;
        let signer = verify(&papers, &signature, &settings.trusted)?;
        let manifest = parse(&papers)?;
        let bytes = read(&file("onnx"), onnx::MAX_LEN)?;
        manifest.check(bytes.len() as u64, &sha256_hex(&bytes))?;
        let network = onnx::read(&bytes)?;
        if let Some(reason) = manifest.loses() {
            return Err(Error::Model(format!("not used: {reason}")));
        }
        let mut model = Self {
            manifest,
            signer,
            network,
            runtime: runtime(&bytes)?,
        };
        model.agrees_with_itself()?;
        Ok(model)
    }

    /// The forecast in shares for 5 and 30 s.
    ///
    /// # Errors
    /// When the runtime fails or gives anything but two finite numbers.
    pub fn run(&mut self, features: &Features) -> Result<[f64; 2], Error> {
        let raw = self
            .runtime
            .run(features)
            .map_err(|error| Error::Model(error.to_string()))?;
        shares(&raw)
            .ok_or_else(|| Error::Model(format!("gave {raw:?}, two finite numbers expected")))
    }

    /// The runtime has to say what the weights say, or it reads the file differently.
    fn agrees_with_itself(&mut self) -> Result<(), Error> {
        for value in [0.0_f32, 0.25, 1.0] {
            let features = [value; COUNT];
            let expected = shares(&self.network.run(&features));
            let seen = self.run(&features)?;
            let near = expected.is_some_and(|expected| {
                expected
                    .iter()
                    .zip(seen)
                    .all(|(expected, seen)| (expected - seen).abs() < 1e-3)
            });
            if !near {
                return Err(Error::Model(format!(
                    "the runtime gives {seen:?} where the weights give {expected:?}"
                )));
            }
        }
        Ok(())
    }
}

/// Reads a manifest.
///
/// # Errors
/// `Error::Model` with the parser's line.
pub fn parse(papers: &[u8]) -> Result<Manifest, Error> {
    let text =
        std::str::from_utf8(papers).map_err(|_| Error::Model("manifest: not text".into()))?;
    toml::from_str(text).map_err(|error| Error::Model(format!("manifest: {error}")))
}

fn runtime(bytes: &[u8]) -> Result<Runtime, Error> {
    Runtime::load(bytes, onnx::INPUT, onnx::OUTPUT).map_err(|error| Error::Model(error.to_string()))
}

/// Finds the trusted key that signed; gives the name of its file.
fn verify(papers: &[u8], signature: &[u8], trusted: &[PathBuf]) -> Result<String, Error> {
    let signature = Signature::from_bytes(signature)
        .map_err(|error| Error::Model(format!("signature: {error}")))?;
    let keys = files::with_ending(trusted, "pub", MOST_KEYS);
    if keys.is_empty() {
        let places: Vec<String> = trusted
            .iter()
            .map(|place| place.display().to_string())
            .collect();
        return Err(Error::Model(format!(
            "no public key in {}",
            places.join(" or ")
        )));
    }
    for path in &keys {
        let Ok(bytes) = read(path, PUBLIC_KEY_LEN) else {
            continue;
        };
        let Ok(key) = PublicKey::from_bytes(&bytes) else {
            tracing::warn!(path = %path.display(), "not a public key of ML-DSA-87");
            continue;
        };
        let signed = key.verify(papers, &signature, manifest::SIGNATURE_CONTEXT);
        if matches!(signed, Ok(true)) {
            return Ok(path
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()));
        }
    }
    Err(Error::Model(format!(
        "none of the {} trusted keys has signed the manifest",
        keys.len()
    )))
}

fn read(path: &Path, most: usize) -> Result<Vec<u8>, Error> {
    files::read_at_most(path, most)
        .map_err(|error| Error::Model(format!("{}: {error}", path.display())))
}
