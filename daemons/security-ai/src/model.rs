//! Loads the model that ai-learnd published: manifest, signature, files, and only then a runtime.
//!
//! The chain is: the manifest is signed (ML-DSA-87) by a key that is trusted; it gives the digests of the two files;
//! they have the one form that the trainer writes; the held-out figures are good enough; and the runtime says what
//! the weights say. What breaks anywhere leaves no model, and the reason is shown.

use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use quantumos_learn::explain::{self, Moved};
use quantumos_learn::manifest::{self, Manifest, SIGNATURE_CONTEXT};
use quantumos_learn::{Density, Profile, Window, features, onnx, profile};
use quantumos_pqc::{PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, Signature};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

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
    let mut paths: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "pub"))
        .collect();
    paths.sort_unstable();
    paths.truncate(MOST_KEYS);
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
    session: Session,
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
        let digest = sha256(&bytes);
        manifest
            .model
            .check("model", bytes.len() as u64, &digest)
            .map_err(engine)?;
        let known = read(&folder.join("profile.bin"), profile::MAX_LEN)?;
        let digest = sha256(&known);
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
            session: session(&bytes)?,
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
            explanation = explain::sentence(window, &self.profile, &moved);
        }
        Ok(Verdict { score, explanation })
    }

    fn run(&mut self, x: &[f32]) -> Result<f64, Refused> {
        let refused = |error: ort::Error| Refused(format!("runtime: {error}"));
        let input = TensorRef::from_array_view(([1_usize, x.len()], x)).map_err(refused)?;
        let outputs = self
            .session
            .run(ort::inputs![onnx::INPUT => input])
            .map_err(refused)?;
        let output = outputs
            .get(onnx::OUTPUT)
            .ok_or_else(|| Refused(format!("the model has no output `{}`", onnx::OUTPUT)))?;
        let (_, raw) = output.try_extract_tensor::<f32>().map_err(refused)?;
        match raw {
            [score] if score.is_finite() => Ok(f64::from(*score)),
            other => Err(Refused(format!(
                "gave {other:?}, one finite number expected"
            ))),
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

/// The runtime allows one environment in a process, ever: a model that is loaded again has to find the first one.
static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();

fn session(bytes: &[u8]) -> Result<Session, Refused> {
    let environment = ENVIRONMENT.get_or_init(|| {
        let _ = ort::set_api(ort_tract::api());
        ort::init()
            .with_telemetry(false)
            .build()
            .map_err(|error| error.to_string())
    });
    let environment = environment
        .as_ref()
        .map_err(|error| Refused(format!("runtime: {error}")))?;
    let refused = |error: ort::Error| Refused(format!("runtime: {error}"));
    let mut builder = Session::builder(environment).map_err(refused)?;
    builder.commit_from_memory(bytes).map_err(refused)
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Reads a file that must not be longer than `most` bytes.
fn read(path: &Path, most: usize) -> Result<Vec<u8>, Refused> {
    let named = |reason: String| Refused(format!("{}: {reason}", path.display()));
    let file = File::open(path).map_err(|error| named(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| named(error.to_string()))?;
    if bytes.len() > most {
        return Err(named(format!("longer than {most} bytes")));
    }
    Ok(bytes)
}
