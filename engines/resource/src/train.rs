//! Training: scales the features, fits the linear part by ridge regression, then
//! trains it and the hidden layer together by Adam on a smooth absolute error.
//!
//! The order of every sum is fixed and all randomness comes from the seed, so the same
//! rows and settings give the same model.

use crate::Error;
use crate::dataset::Row;
use crate::features::COUNT;
use crate::network::{MAX_HIDDEN, Network, OUTPUTS, shares};
use crate::ridge;
use crate::rng::Rng;
use crate::score::mean_error;

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Seed of the first weights and of the order of the rows.
    pub seed: u64,
    /// Hidden units.
    pub hidden: usize,
    /// Most passes over the rows.
    pub epochs: u32,
    /// Step size of the first pass; it falls to a tenth at the last.
    pub rate: f64,
    /// Shrinkage of the linear start, and weight decay.
    pub lambda: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 2026,
            hidden: 16,
            epochs: 60,
            rate: 4e-4,
            lambda: 1e-3,
        }
    }
}

const BATCH: usize = 64;
/// Below this error (a share) the loss is a square, above it the absolute error.
const SMOOTH: f64 = 0.02;

/// Trains on `rows` for so many of the settings' passes.
///
/// # Errors
/// `Error::Training` when there are too few rows or the settings are out of range.
pub fn train(rows: &[Row], settings: &Settings, passes: u32) -> Result<Network, Error> {
    let mut last = None;
    each_pass(rows, settings, passes, |network| last = Some(network))?;
    last.ok_or_else(|| Error::Training("no passes".into()))
}

/// Trains on `rows` and gives the error on `unseen` after each pass, the start first: what
/// settings and how many passes to take is chosen by this, on runs left out in turn.
///
/// # Errors
/// As `train`.
pub fn trace(rows: &[Row], unseen: &[Row], settings: &Settings) -> Result<Vec<f64>, Error> {
    let mut errors = Vec::new();
    each_pass(rows, settings, settings.epochs, |network| {
        errors.push(error(&network, unseen))
    })?;
    Ok(errors)
}

fn each_pass(
    rows: &[Row],
    settings: &Settings,
    passes: u32,
    mut look: impl FnMut(Network),
) -> Result<(), Error> {
    if rows.len() < 10 * COUNT {
        return Err(Error::Training(format!("{} rows are too few", rows.len())));
    }
    if !(1..=MAX_HIDDEN).contains(&settings.hidden) || settings.epochs == 0 {
        return Err(Error::Training(
            "hidden units or epochs out of range".into(),
        ));
    }
    let scale = Scale::of(rows);
    let inputs: Vec<Vec<f64>> = rows.iter().map(|row| scale.apply(row)).collect();
    let mut work = Work::start(&inputs, rows, settings)?;
    let mut rng = Rng::new(settings.seed ^ 0x6f72_6465_7273);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    look(work.export(&scale)?);
    for epoch in 0..passes {
        rng.shuffle(&mut order);
        let done = f64::from(epoch) / f64::from(settings.epochs);
        let rate = settings.rate * (1.0 - 0.9 * done.min(1.0));
        for batch in order.chunks(BATCH) {
            work.step(batch, &inputs, rows, rate, settings.lambda);
        }
        look(work.export(&scale)?);
    }
    Ok(())
}

/// The sum of the mean absolute errors at both horizons, in percentage points.
pub fn error(network: &Network, rows: &[Row]) -> f64 {
    (0..OUTPUTS)
        .map(|which| mean_error(rows, which, |row| forecast(network, row, which)))
        .sum()
}

/// The forecast of a network for a row, as a share.
pub fn forecast(network: &Network, row: &Row, which: usize) -> f64 {
    shares(&network.run(&row.features)).map_or(f64::NAN, |out| out[which])
}

/// Mean and spread of each feature.
struct Scale {
    mean: Vec<f64>,
    spread: Vec<f64>,
}

impl Scale {
    fn of(rows: &[Row]) -> Self {
        let count = rows.len() as f64;
        let mean: Vec<f64> = (0..COUNT)
            .map(|i| {
                rows.iter()
                    .map(|row| f64::from(row.features[i]))
                    .sum::<f64>()
                    / count
            })
            .collect();
        let spread = (0..COUNT)
            .map(|i| {
                let square: f64 = rows
                    .iter()
                    .map(|row| (f64::from(row.features[i]) - mean[i]).powi(2))
                    .sum();
                // A feature that never moved gets no say instead of a huge one.
                (square / count).sqrt().max(0.02)
            })
            .collect();
        Self { mean, spread }
    }

    fn apply(&self, row: &Row) -> Vec<f64> {
        (0..COUNT)
            .map(|i| (f64::from(row.features[i]) - self.mean[i]) / self.spread[i])
            .collect()
    }
}

/// The weights while they are trained, on scaled features, in one flat list:
/// skip, w1, w2, b1, b2.
struct Work {
    hidden: usize,
    weights: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    steps: i32,
}

impl Work {
    fn start(inputs: &[Vec<f64>], rows: &[Row], settings: &Settings) -> Result<Self, Error> {
        let hidden = settings.hidden;
        let total = COUNT * OUTPUTS + COUNT * hidden + hidden * OUTPUTS + hidden + OUTPUTS;
        let mut work = Self {
            hidden,
            weights: vec![0.0; total],
            first: vec![0.0; total],
            second: vec![0.0; total],
            steps: 0,
        };
        let with_one: Vec<Vec<f64>> = inputs
            .iter()
            .map(|row| std::iter::once(1.0).chain(row.iter().copied()).collect())
            .collect();
        for which in 0..OUTPUTS {
            let target: Vec<f64> = rows.iter().map(|row| row.target[which]).collect();
            let fitted = ridge::fit(&with_one, &target, settings.lambda)?;
            let bias = work.b2() + which;
            work.weights[bias] = fitted[0];
            for (feature, weight) in fitted[1..].iter().enumerate() {
                work.weights[feature * OUTPUTS + which] = *weight;
            }
        }
        let mut rng = Rng::new(settings.seed);
        let (from, to) = (work.w1(), work.w2());
        let width = (1.0 / COUNT as f64).sqrt();
        for weight in &mut work.weights[from..to] {
            *weight = rng.between(-width, width);
        }
        let (from, to) = (work.w2(), work.b1());
        for weight in &mut work.weights[from..to] {
            *weight = rng.between(-0.01, 0.01);
        }
        Ok(work)
    }

    fn w1(&self) -> usize {
        COUNT * OUTPUTS
    }

    fn w2(&self) -> usize {
        self.w1() + COUNT * self.hidden
    }

    fn b1(&self) -> usize {
        self.w2() + self.hidden * OUTPUTS
    }

    fn b2(&self) -> usize {
        self.b1() + self.hidden
    }

    fn step(&mut self, batch: &[usize], inputs: &[Vec<f64>], rows: &[Row], rate: f64, decay: f64) {
        let mut gradient = vec![0.0; self.weights.len()];
        for index in batch {
            self.add_gradient(&inputs[*index], &rows[*index].target, &mut gradient);
        }
        self.steps = self.steps.saturating_add(1);
        let (one, two) = (0.9_f64, 0.999_f64);
        let (fix_one, fix_two) = (1.0 - one.powi(self.steps), 1.0 - two.powi(self.steps));
        let biases = self.b1();
        for (i, sum) in gradient.iter().enumerate() {
            let g = sum / batch.len() as f64;
            self.first[i] = one * self.first[i] + (1.0 - one) * g;
            self.second[i] = two * self.second[i] + (1.0 - two) * g * g;
            let step = (self.first[i] / fix_one) / ((self.second[i] / fix_two).sqrt() + 1e-8);
            let shrink = if i < biases {
                decay * self.weights[i]
            } else {
                0.0
            };
            self.weights[i] -= rate * (step + shrink);
        }
    }

    fn add_gradient(&self, x: &[f64], target: &[f64; OUTPUTS], gradient: &mut [f64]) {
        let (w1, w2, b1, b2, hidden) = (self.w1(), self.w2(), self.b1(), self.b2(), self.hidden);
        let mut active = vec![0.0; hidden];
        for (unit, value) in active.iter_mut().enumerate() {
            let sum: f64 = x
                .iter()
                .enumerate()
                .map(|(i, v)| v * self.weights[w1 + i * hidden + unit])
                .sum();
            *value = (sum + self.weights[b1 + unit]).max(0.0);
        }
        let mut back = vec![0.0; hidden];
        for which in 0..OUTPUTS {
            let linear: f64 = x
                .iter()
                .enumerate()
                .map(|(i, v)| v * self.weights[i * OUTPUTS + which])
                .sum();
            let bent: f64 = active
                .iter()
                .enumerate()
                .map(|(unit, v)| v * self.weights[w2 + unit * OUTPUTS + which])
                .sum();
            let off = linear + bent + self.weights[b2 + which] - target[which];
            let slope = off / (off * off + SMOOTH * SMOOTH).sqrt();
            gradient[b2 + which] += slope;
            for (i, v) in x.iter().enumerate() {
                gradient[i * OUTPUTS + which] += slope * v;
            }
            for unit in 0..hidden {
                gradient[w2 + unit * OUTPUTS + which] += slope * active[unit];
                back[unit] += slope * self.weights[w2 + unit * OUTPUTS + which];
            }
        }
        for unit in 0..hidden {
            if active[unit] > 0.0 {
                gradient[b1 + unit] += back[unit];
                for (i, v) in x.iter().enumerate() {
                    gradient[w1 + i * hidden + unit] += back[unit] * v;
                }
            }
        }
    }

    /// The network on features as they come: `(x - mean) / spread` goes into the weights.
    fn export(&self, scale: &Scale) -> Result<Network, Error> {
        let (w1, w2, b1, b2, hidden) = (self.w1(), self.w2(), self.b1(), self.b2(), self.hidden);
        let fold = |from: usize, bias: usize, columns: usize| -> (Vec<f32>, Vec<f32>) {
            let scaled: Vec<f64> = (0..COUNT * columns)
                .map(|i| self.weights[from + i] / scale.spread[i / columns])
                .collect();
            let biases = (0..columns)
                .map(|column| {
                    let moved: f64 = (0..COUNT)
                        .map(|i| scale.mean[i] * scaled[i * columns + column])
                        .sum();
                    (self.weights[bias + column] - moved) as f32
                })
                .collect();
            (
                scaled.into_iter().map(|weight| weight as f32).collect(),
                biases,
            )
        };
        let (first, first_bias) = fold(w1, b1, hidden);
        let (skip, last_bias) = fold(0, b2, OUTPUTS);
        let network = Network {
            hidden,
            w1: first,
            b1: first_bias,
            w2: self.weights[w2..b1]
                .iter()
                .map(|weight| *weight as f32)
                .collect(),
            skip,
            b2: last_bias,
        };
        network.check()?;
        Ok(network)
    }
}
