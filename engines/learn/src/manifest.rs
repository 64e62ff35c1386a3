//! The manifest of a model: its files, its features and their baseline, what it was trained on, and its held-out
//! figures. It is what gets signed; no manifest, no load.

use crate::explain::Baseline;
use crate::features::{self, Feature};
use crate::{Error, onnx, profile};
use serde::{Deserialize, Serialize};

/// A manifest is never longer than this, in bytes.
pub const MAX_LEN: usize = 64 * 1024;
/// The form of manifest that this crate reads.
pub const FORMAT: u32 = 1;
/// The ML-DSA context of a manifest's signature, so that a signature for something else is never one for a model.
pub const SIGNATURE_CONTEXT: &[u8] = b"org.quantumos.model.windows.1";
/// The least area under the ROC curve, against windows of other units, with which a model is used.
pub const LEAST_AUC: f64 = 0.8;

/// Areas that differ by less are the same.
const MARGIN: f64 = 0.005;

/// One model's papers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Always `FORMAT`.
    pub format: u32,
    /// Serial number on this host, from 1.
    pub serial: u64,
    /// When it was trained, seconds of the real-time clock.
    pub trained_at: u64,
    /// What the model is, in words.
    pub architecture: String,
    /// Identifier, in quantumd, of the key that signs it.
    pub signer: String,
    /// Seed of the training.
    pub seed: u64,
    /// Windows with a score above this are strange.
    pub threshold: f64,
    /// The stated share of normal windows above it.
    pub false_positive_rate: f64,
    /// The features in their order.
    pub features: Vec<String>,
    /// The ONNX file.
    pub model: File,
    /// The profile's file.
    pub profile: File,
    /// What it was trained on.
    pub training: Source,
    /// What the figures come from; no window is in both.
    pub held_out: Source,
    /// The figures.
    pub figures: Figures,
    /// What is normal for each feature.
    pub baseline: Baseline,
}

/// A file that a manifest vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Where windows came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// How many windows.
    pub windows: u64,
    /// How many different subjects.
    pub subjects: u64,
    /// Start of the first, seconds of the real-time clock.
    pub from: u64,
    /// Start of the last.
    pub to: u64,
    /// SHA-256 over the windows' lines, in hexadecimal.
    pub sha256: String,
}

/// Figures on held-out windows.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Figures {
    /// Area under the ROC curve, held-out windows against the same ones attributed to other units.
    pub auc: f64,
    /// Share of those attributed to other units above the threshold.
    pub detected: f64,
    /// Share of the held-out windows above the threshold.
    pub false_positives: f64,
}

impl Figures {
    /// Whether a model with these figures is better than one with those, both on the same windows: it tells units
    /// apart better by more than half a point, or as well with fewer false positives.
    #[must_use]
    pub fn better_than(&self, old: &Self) -> bool {
        self.auc > old.auc + MARGIN
            || (self.as_good_as(old) && self.false_positives < old.false_positives)
    }

    /// Whether a model with these figures tells units apart as well as one with those: enough where another rate of
    /// false positives is asked for, since then theirs can't be compared.
    #[must_use]
    pub fn as_good_as(&self, old: &Self) -> bool {
        self.auc > old.auc - MARGIN
    }
}

impl Manifest {
    /// Reads a manifest (the caller parses the TOML) and checks all that can be without the files.
    ///
    /// # Errors
    /// `Error::Manifest` names the first thing that does not fit.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |reason: String| Err(Error::Manifest(reason));
        if self.format != FORMAT {
            return fail(format!("format {}, {FORMAT} expected", self.format));
        }
        if self.features != features::names(&features::HOST) {
            return fail("trained on other features than this version computes".into());
        }
        let width = features::HOST.len();
        let Baseline { mean, spread } = &self.baseline;
        let good =
            |numbers: &[f32]| numbers.len() == width && numbers.iter().all(|n| n.is_finite());
        if !good(mean) || !good(spread) || spread.iter().any(|spread| *spread <= 0.0) {
            return fail("its baseline is not one of these features".into());
        }
        let rate = self.false_positive_rate;
        if !(self.threshold.is_finite() && rate > 0.0 && rate <= 0.1) {
            return fail("its threshold or stated rate is no such number".into());
        }
        let largest = [
            ("model", &self.model, onnx::MAX_LEN),
            ("profile", &self.profile, profile::MAX_LEN),
        ];
        for (name, file, most) in largest {
            if file.size > most as u64 || file.sha256.len() != 64 {
                return fail(format!("the {name}'s length or digest is none"));
            }
        }
        if self.held_out.windows == 0 || self.training.sha256 == self.held_out.sha256 {
            return fail("its figures are not from windows that were held out".into());
        }
        let shares = [
            self.figures.auc,
            self.figures.detected,
            self.figures.false_positives,
        ];
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            return fail("its figures are no shares".into());
        }
        if self.figures.auc < LEAST_AUC {
            return fail(format!(
                "its area under the ROC curve is {:.3}, at least {LEAST_AUC} expected",
                self.figures.auc
            ));
        }
        Ok(())
    }

    /// The features in their order.
    #[must_use]
    pub fn features(&self) -> &'static [Feature] {
        &features::HOST
    }
}

impl File {
    /// Whether a file of this length and digest is the one meant.
    ///
    /// # Errors
    /// `Error::Manifest` names what differs; `name` says which file.
    pub fn check(&self, name: &str, size: u64, sha256: &str) -> Result<(), Error> {
        if self.size != size {
            return Err(Error::Manifest(format!(
                "the {name} has {size} bytes, {} expected",
                self.size
            )));
        }
        if !self.sha256.eq_ignore_ascii_case(sha256) {
            return Err(Error::Manifest(format!(
                "the {name} has digest {sha256}, {} expected",
                self.sha256
            )));
        }
        Ok(())
    }
}
