//! From windows to a model with figures: the older windows train, the newer are held out, and a model is compared
//! with the one in force on the same held-out windows. Pure.
//!
//! There are no attacks to measure with, so the figures come from a masquerade: each held-out window is also
//! attributed to another unit, as when a program does elsewhere what is normal only in its own place.

use quantumos_learn::evaluate::{auc, share_above};
use quantumos_learn::features::{self, HOST};
use quantumos_learn::manifest::{Figures, Source};
use quantumos_learn::train::{self, Settings, Trained};
use quantumos_learn::{Density, Error, Profile, Window, token};
use std::collections::BTreeSet;

/// One of so many windows, the newest, is held out.
const HELD_OUT: usize = 4;
/// How often held-out windows are scored again to find a unit that they don't belong to.
const OTHERS: usize = 3;

/// A model, not yet signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What was learned.
    pub trained: Trained,
    /// Scores above it are strange.
    pub threshold: f64,
    /// Figures on the held-out windows.
    pub figures: Figures,
    /// What trained it, without the digest.
    pub training: Source,
    /// What it was measured on, without the digest.
    pub held_out: Source,
}

/// The windows in the order of their time, and where those that are held out begin.
#[must_use]
pub fn split(mut windows: Vec<Window>) -> (Vec<Window>, usize) {
    windows.sort_by_key(|window| window.start);
    let from = windows.len() - windows.len() / HELD_OUT;
    (windows, from)
}

/// Trains on the windows before `from` and measures on the others.
///
/// # Errors
/// When there are too few windows.
pub fn train(windows: &[Window], from: usize, seed: u64, rate: f64) -> Result<Candidate, Error> {
    let (older, held_out) = windows.split_at(from.min(windows.len()));
    let refs: Vec<&Window> = older.iter().collect();
    let settings = Settings {
        seed,
        ..Settings::default()
    };
    let trained = train::train(&refs, &HOST, &settings)?;
    // Windows that were left out in turn, and newer ones: neither was known when it was scored.
    let unseen = held_out.iter().map(|window| trained.score(window, &HOST));
    let scores: Vec<f64> = trained.scores.iter().copied().chain(unseen).collect();
    // What a host does when it is set up or starts is much at once, though known: no more of that is strange either.
    let again = train::threshold(&trained.again, rate);
    let threshold = train::threshold(&scores, rate)?.max(again.unwrap_or(f64::MIN));
    let figures = figures(&trained.density, &trained.profile, threshold, held_out);
    Ok(Candidate {
        threshold,
        figures,
        training: source(older),
        held_out: source(held_out),
        trained,
    })
}

/// The figures of any model on held-out windows.
#[must_use]
pub fn figures(
    density: &Density,
    profile: &Profile,
    threshold: f64,
    held_out: &[Window],
) -> Figures {
    let score = |window: &Window| density.score(&features::of(window, profile, &HOST));
    let normal: Vec<f64> = held_out.iter().map(score).collect();
    let strange: Vec<f64> = masquerade(held_out).iter().map(score).collect();
    let area = auc(&normal, &strange);
    Figures {
        auc: if area.is_finite() { area } else { 0.0 },
        detected: share_above(&strange, threshold),
        false_positives: share_above(&normal, threshold),
    }
}

/// Each window under the names of a few other units, chosen by its own content.
fn masquerade(windows: &[Window]) -> Vec<Window> {
    let subjects: BTreeSet<&str> = windows
        .iter()
        .map(|window| window.subject.as_str())
        .collect();
    let subjects: Vec<&str> = subjects.into_iter().collect();
    let mut out = Vec::new();
    for (index, window) in windows.iter().enumerate() {
        for round in 0..OTHERS {
            let at = token::sequence(&[index as u64, round as u64]) as usize % subjects.len();
            // A window without items says nothing of whose it is.
            if subjects[at] != window.subject && !window.items.is_empty() {
                out.push(Window {
                    subject: subjects[at].to_owned(),
                    ..window.clone()
                });
            }
        }
    }
    out
}

fn source(windows: &[Window]) -> Source {
    const SECOND: u64 = 1_000_000;
    let subjects: BTreeSet<&str> = windows
        .iter()
        .map(|window| window.subject.as_str())
        .collect();
    let start = |window: Option<&Window>| window.map_or(0, |window| window.start / SECOND);
    Source {
        windows: windows.len() as u64,
        subjects: subjects.len() as u64,
        from: start(windows.first()),
        to: start(windows.last()),
        sha256: String::new(),
    }
}
