//! Why a window is strange: which features are how far from the baseline, and the items that nobody saw before.

use crate::density::Density;
use crate::features::Feature;
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
    /// Its mean in the training windows.
    pub mean: f32,
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
                distance: (value - mean) / spread,
                share: score - density.score(&without),
            })
        })
        .filter(|moved| moved.share > 0.0)
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

/// The explanation in words: one clause a feature.
#[must_use]
pub fn sentence(window: &Window, profile: &Profile, moved: &[Moved]) -> String {
    let clause = |moved: &Moved| {
        let mut text = format!(
            "{} {:.2}, normally {:.2} ({:+.1} spreads)",
            moved.feature.name(),
            moved.value,
            moved.mean,
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
    moved.iter().map(clause).collect::<Vec<_>>().join("; ")
}
