//! Training: the features of each window are taken beside what the other folds saw, so that nothing is known only
//! because it is the window itself; then a mixture of normal distributions is fitted to them by linfa. Where windows
//! have an order of time, only the newer half says how much new is normal: a host that is set up does a hundred new
//! things in a minute, which are known from then on, and would make it normal to do a hundred new things.

use crate::density::{Component, Density, MAX_COMPONENTS};
use crate::explain::Baseline;
use crate::features::{self, Feature};
use crate::profile::Profile;
use crate::window::Window;
use crate::{Error, evaluate, token};
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_clustering::GaussianMixtureModel;
use ndarray::Array2;
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;

/// In so many parts the windows are split, each looked at with what the others know.
pub const FOLDS: usize = 10;
/// The least windows to train on.
pub const LEAST_WINDOWS: usize = 100;
/// A spread is never taken for less than this, so that one new thing is no infinite distance.
pub const LEAST_SPREAD: f64 = 0.1;

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Seed of the mixture's start.
    pub seed: u64,
    /// The most components that are tried; the number with the least Bayesian information criterion is taken.
    pub components: usize,
    /// Added to each variance, in squared spreads.
    pub shrinkage: f64,
    /// Whether the windows are in the order of their time: then neighbours go to the same fold, as windows of one run
    /// should, and of the older half all is taken as known.
    pub ordered: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 2026,
            components: 4,
            shrinkage: 0.2,
            ordered: true,
        }
    }
}

/// What training gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// What was seen, in all windows.
    pub profile: Profile,
    /// The density of the features.
    pub density: Density,
    /// Mean and spread of the features.
    pub baseline: Baseline,
    /// The scores of the windows, without an older half, each beside what the other folds know.
    pub scores: Vec<f64>,
    /// The scores of the older half, all of it known.
    pub again: Vec<f64>,
}

impl Trained {
    /// The score of a window.
    #[must_use]
    pub fn score(&self, window: &Window, features: &[Feature]) -> f64 {
        self.density
            .score(&features::of(window, &self.profile, features))
    }
}

/// Trains on normal windows.
///
/// # Errors
/// `Error::Training` when there are too few, or the library refuses.
pub fn train(
    windows: &[&Window],
    features: &[Feature],
    settings: &Settings,
) -> Result<Trained, Error> {
    if windows.len() < LEAST_WINDOWS {
        return Err(Error::Training(format!(
            "{} windows, at least {LEAST_WINDOWS} needed",
            windows.len()
        )));
    }
    let profile = Profile::learn(windows.iter().copied());
    let older = if settings.ordered {
        windows.len() / 2
    } else {
        0
    };
    let known = windows[..older].iter();
    let known = known.map(|window| features::of(window, &profile, features));
    let beside_others = rows(windows, older, features, settings.ordered);
    let rows: Vec<Vec<f32>> = known.chain(beside_others).collect();
    let baseline = baseline(&rows, features);
    let scaled = scaled(&rows, features, &baseline);
    let mut best: Option<(f64, Density)> = None;
    for components in 1..=settings.components.clamp(1, MAX_COMPONENTS) {
        let Ok(density) = fit(&scaled, &baseline, components, settings) else {
            // A mixture of so many does not converge on these windows; one of fewer may do.
            continue;
        };
        let height: f64 = rows.iter().map(|row| density.score(row)).sum();
        let width = features.len();
        let parameters = components * (1 + width + width * (width + 1) / 2) - 1;
        let criterion = 2.0 * height + parameters as f64 * (rows.len() as f64).ln();
        if best.as_ref().is_none_or(|(least, _)| criterion < *least) {
            best = Some((criterion, density));
        }
    }
    let (_, density) = best.ok_or_else(|| Error::Training("no mixture could be fitted".into()))?;
    let mut again: Vec<f64> = rows.iter().map(|row| density.score(row)).collect();
    let scores = again.split_off(older);
    Ok(Trained {
        profile,
        density,
        baseline,
        scores,
        again,
    })
}

/// The features of each window from that one on, beside a profile of the other folds.
fn rows(windows: &[&Window], from: usize, features: &[Feature], ordered: bool) -> Vec<Vec<f32>> {
    let fold = |index: usize| {
        if ordered {
            index * FOLDS / windows.len()
        } else {
            index % FOLDS
        }
    };
    let mut rows = vec![Vec::new(); windows.len() - from];
    for out in 0..FOLDS {
        let mine: Vec<usize> = (from..windows.len())
            .filter(|index| fold(*index) == out)
            .collect();
        if mine.is_empty() {
            continue;
        }
        let others = windows
            .iter()
            .enumerate()
            .filter(|(index, _)| fold(*index) != out);
        let profile = Profile::learn(others.map(|(_, window)| *window));
        for index in mine {
            rows[index - from] = features::of(windows[index], &profile, features);
        }
    }
    rows
}

/// The centre and the spread of each feature. What is only strange when it is more (new items, distance) has its
/// centre at 0: none of it is never strange.
fn baseline(rows: &[Vec<f32>], features: &[Feature]) -> Baseline {
    let count = rows.len() as f64;
    let mut baseline = Baseline::default();
    for (index, feature) in features.iter().enumerate() {
        let column = || rows.iter().map(|row| f64::from(row[index]));
        let mean = if feature.is_one_sided() {
            0.0
        } else {
            column().sum::<f64>() / count
        };
        let squares: f64 = column().map(|value| (value - mean).powi(2)).sum();
        baseline.mean.push(mean as f32);
        let spread = (squares / count).sqrt().max(LEAST_SPREAD);
        baseline.spread.push(spread as f32);
    }
    baseline
}

/// The rows in spreads from the centre. A row is there twice, with the one-sided features under opposite signs that
/// alternate from row to row, so that their distribution is symmetric about 0 and none explains another away.
fn scaled(rows: &[Vec<f32>], features: &[Feature], baseline: &Baseline) -> Array2<f64> {
    let number = |row: usize, index: usize| {
        let value = rows[row / 2][index] - baseline.mean[index];
        let scaled = f64::from(value) / f64::from(baseline.spread[index]);
        let turned = token::sequence(&[(row / 2) as u64, index as u64]) & 1 == (row % 2) as u64;
        if features[index].is_one_sided() && turned {
            -scaled
        } else {
            scaled
        }
    };
    Array2::from_shape_fn((2 * rows.len(), features.len()), |(row, index)| {
        number(row, index)
    })
}

fn fit(
    scaled: &Array2<f64>,
    baseline: &Baseline,
    components: usize,
    settings: &Settings,
) -> Result<Density, Error> {
    let refused = |error: linfa_clustering::GmmError| Error::Training(error.to_string());
    let rng = Xoshiro256Plus::seed_from_u64(settings.seed);
    let mixture = GaussianMixtureModel::params_with_rng(components, rng)
        .n_runs(3)
        .max_n_iterations(300)
        .tolerance(1e-4)
        .reg_covariance(settings.shrinkage)
        .fit(&DatasetBase::from(scaled.clone()))
        .map_err(refused)?;
    let width = scaled.ncols();
    let mut density = Density {
        width,
        components: Vec::new(),
    };
    for index in 0..components {
        let precision = mixture.precisions().index_axis(ndarray::Axis(0), index);
        let precision: Vec<f64> = precision.iter().copied().collect();
        let lower = cholesky(&precision, width)?;
        let center = mixture.means().row(index);
        density.components.push(component(
            &lower,
            &center.to_vec(),
            mixture.weights()[index],
            baseline,
        ));
    }
    density.check()?;
    Ok(density)
}

/// Folds scale, centre and whitening into `x A + b`, and height and weight into `o`.
fn component(lower: &[f64], center: &[f64], weight: f64, baseline: &Baseline) -> Component {
    let width = center.len();
    let mut a = vec![0.0_f32; width * width];
    let mut b = vec![0.0_f64; width];
    let mut height = 0.0;
    for row in 0..width {
        let (mean, spread) = (
            f64::from(baseline.mean[row]),
            f64::from(baseline.spread[row]),
        );
        for column in 0..width {
            let whiten = lower[row * width + column];
            a[row * width + column] = (whiten / spread) as f32;
            b[column] -= (mean / spread + center[row]) * whiten;
        }
        height += lower[row * width + row].ln();
    }
    let constant = 0.5 * width as f64 * std::f64::consts::TAU.ln();
    Component {
        a,
        b: b.into_iter().map(|number| number as f32).collect(),
        o: (constant - height - weight.ln()) as f32,
    }
}

/// The lower triangle L of a positive definite matrix L Lᵀ.
fn cholesky(matrix: &[f64], width: usize) -> Result<Vec<f64>, Error> {
    let mut lower = vec![0.0; width * width];
    for row in 0..width {
        for column in 0..=row {
            let known: f64 = (0..column)
                .map(|k| lower[row * width + k] * lower[column * width + k])
                .sum();
            let rest = matrix[row * width + column] - known;
            lower[row * width + column] = if row == column {
                if rest <= 0.0 || !rest.is_finite() {
                    return Err(Error::Training("a component without a spread".into()));
                }
                rest.sqrt()
            } else {
                rest / lower[column * width + column]
            };
        }
    }
    Ok(lower)
}

/// The threshold for a stated rate of false positives, from scores of windows that training did not see.
///
/// # Errors
/// `Error::Training` when there are too few scores.
pub fn threshold(scores: &[f64], rate: f64) -> Result<f64, Error> {
    evaluate::threshold(scores, rate).ok_or_else(|| {
        Error::Training(format!(
            "{} scores are too few for a threshold",
            scores.len()
        ))
    })
}
