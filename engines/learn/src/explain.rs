//! Why a window is strange: its score beside what ordinary windows score, which features are how far from what is
//! normal, what that was learned from, and the items that nobody saw before.

use crate::density::Density;
use crate::features::Feature;
use crate::manifest::Manifest;
use crate::profile::{Profile, Standing};
use crate::window::Window;

/// The most features and items that an explanation names.
pub const MOST: usize = 5;

/// What is normal for each feature.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Means of the training windows.
    pub mean: Vec<f32>,
    /// Spreads, never 0.
    pub spread: Vec<f32>,
}

/// A feature that moved.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// Which.
    pub feature: Feature,
    /// Its value in the window.
    pub value: f32,
    /// Its mean in the training windows; 0 where only more is strange.
    pub mean: f32,
    /// Its spread around that.
    pub spread: f32,
    /// How many spreads it is above (or, negative, below) that.
    pub distance: f32,
    /// How much less the score would be with this feature at its mean.
    pub share: f64,
}

/// The features that add to a window's score, the one that adds most first.
#[must_use]
pub fn moved(
    density: &Density,
    baseline: &Baseline,
    features: &[Feature],
    x: &[f32],
) -> Vec<Moved> {
    let score = density.score(x);
    let mut all: Vec<Moved> = features
        .iter()
        .enumerate()
        .filter_map(|(index, feature)| {
            let (value, mean) = (*x.get(index)?, *baseline.mean.get(index)?);
            let spread = *baseline.spread.get(index)?;
            let mut without = x.to_vec();
            without[index] = mean;
            Some(Moved {
                feature: *feature,
                value,
                mean,
                spread,
                distance: (value - mean) / spread,
                share: score - density.score(&without),
            })
        })
        // What is within its range adds by being out of proportion to the others only, which explains nothing.
        .filter(|moved| moved.share > 0.0 && moved.distance.abs() >= 1.0)
        .collect();
    all.sort_by(|a, b| b.share.total_cmp(&a.share));
    all.truncate(MOST);
    all
}

/// The labels of items that stand so to the profile, the most frequent first.
#[must_use]
pub fn new_items<'a>(window: &'a Window, profile: &Profile, feature: Feature) -> Vec<&'a str> {
    let Some((kind, wanted)) = feature.new_items() else {
        return Vec::new();
    };
    let mut items: Vec<_> = window
        .items
        .iter()
        .zip(profile.standings(window))
        .filter(|(item, standing)| item.kind == kind && *standing == wanted)
        .filter(|(item, _)| !item.label.is_empty())
        .map(|(item, _)| item)
        .collect();
    items.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.label.cmp(&b.label)));
    items.truncate(MOST);
    items.into_iter().map(|item| item.label.as_str()).collect()
}

/// What a model was learned from, in words.
#[must_use]
pub fn compared_with(manifest: &Manifest) -> String {
    let training = &manifest.training;
    let hours = training.to.saturating_sub(training.from) as f64 / 3600.0;
    let time = if hours < 2.0 {
        format!("{:.0} minutes", 60.0 * hours)
    } else if hours < 48.0 {
        format!("{hours:.1} hours")
    } else {
        format!("{:.1} days", hours / 24.0)
    };
    format!(
        "{} windows of {} units over {time}",
        training.windows, training.subjects
    )
}

/// The explanation in words: the score, what it is compared with, and a clause for each feature that moved, with the
/// range of one spread around what is normal.
#[must_use]
pub fn sentence(
    window: &Window,
    profile: &Profile,
    manifest: &Manifest,
    score: f64,
    moved: &[Moved],
) -> String {
    let clause = |moved: &Moved| {
        let shown = |value: f32| moved.feature.shown(value);
        let low = if moved.feature.is_one_sided() {
            moved.mean
        } else {
            moved.mean - moved.spread
        };
        let mut text = format!(
            "{} {}, normally {} to {} ({:+.1} spreads)",
            moved.feature.name(),
            shown(moved.value),
            shown(low),
            shown(moved.mean + moved.spread),
            moved.distance
        );
        let items = new_items(window, profile, moved.feature);
        if !items.is_empty() {
            let whose = match moved.feature.new_items() {
                Some((_, Standing::NewToUnit)) => "new to the unit",
                _ => "new to the host",
            };
            text.push_str(&format!(", {whose}: {}", items.join(", ")));
        }
        text
    };
    let mut text = format!(
        "score {score:.1}, strange above {:.1} (set for 1 in {:.0} ordinary windows); compared with {}",
        manifest.threshold,
        1.0 / manifest.false_positive_rate,
        compared_with(manifest)
    );
    if !profile.knows(&window.subject) {
        text.push_str(", nothing kept of this unit");
    }
    for moved in moved {
        text.push_str("; ");
        text.push_str(&clause(moved));
    }
    text
}
