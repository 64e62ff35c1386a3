//! The manifest of a model: what it was trained on, its features, its held-out
//! figures and the digest of its file. No manifest, no load; and where the figures do
//! not beat the simple forecasts, the model is not used.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::dataset::HORIZONS_S;
use crate::features;
use crate::score::Score;

/// A manifest is never longer than this, in bytes.
pub const MAX_LEN: usize = 64 * 1024;
/// The form of manifest that this crate reads.
pub const FORMAT: u32 = 1;
/// The ML-DSA context of a manifest's signature, so that a signature for something else
/// is never one for a model.
pub const SIGNATURE_CONTEXT: &[u8] = b"org.quantumos.model.1";

/// One model's papers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always `FORMAT`.
    pub format: u32,
    /// Name of the model, which is also the stem of its files.
    pub name: String,
    /// SHA-256 of the ONNX file, in hexadecimal.
    pub sha256: String,
    /// Length of the ONNX file, in bytes.
    pub size: u64,
    /// What the model is.
    pub architecture: String,
    /// What it forecasts, in words.
    pub target: String,
    /// The features in their order.
    pub features: Vec<String>,
    /// Seed of the training.
    pub seed: u64,
    /// What it was trained on.
    pub training: Source,
    /// What the figures below come from; no run is in both.
    pub held_out: Source,
    /// Errors on the held-out runs, one for each horizon.
    pub scores: Vec<Score>,
}

/// Where rows came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The machines the runs were recorded on, in words.
    pub recorded_on: Vec<String>,
    /// The runs: scenario and seed.
    pub runs: Vec<String>,
    /// SHA-256 over the files of the runs in that order, in hexadecimal.
    pub sha256: String,
    /// Number of rows.
    pub rows: u64,
}

impl Manifest {
    /// Checks that the manifest is one for this crate's features and horizons and for a
    /// file of this length and digest.
    ///
    /// # Errors
    /// `Error::Manifest` names the first thing that does not fit.
    pub fn check(&self, size: u64, sha256: &str) -> Result<(), Error> {
        let fail = |reason: String| Err(Error::Manifest(reason));
        if self.format != FORMAT {
            return fail(format!("format {}, {FORMAT} expected", self.format));
        }
        if self.size != size {
            return fail(format!(
                "the model has {size} bytes, {} expected",
                self.size
            ));
        }
        if !self.sha256.eq_ignore_ascii_case(sha256) {
            return fail(format!(
                "the model has digest {sha256}, {} expected",
                self.sha256
            ));
        }
        if self.features != features::NAMES {
            return fail("trained on other features than this version computes".into());
        }
        if self
            .scores
            .iter()
            .map(|score| score.horizon_s)
            .ne(HORIZONS_S)
        {
            return fail("no held-out figures for 5 and 30 s".into());
        }
        if self.held_out.rows == 0
            || self
                .training
                .runs
                .iter()
                .any(|run| self.held_out.runs.contains(run))
        {
            return fail("the held-out runs are empty or among the training runs".into());
        }
        Ok(())
    }

    /// Why the model must not be used: the horizon at which a simple forecast was as
    /// good. `None` when it beats both everywhere.
    pub fn loses(&self) -> Option<String> {
        self.scores.iter().find(|score| !score.model_is_better()).map(|score| {
            format!(
                "at {} s its held-out error is {:.3}, persistence {:.3}, exponential average {:.3}",
                score.horizon_s, score.model, score.persistence, score.average
            )
        })
    }
}
