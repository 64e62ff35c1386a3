//! How far forecasts were off: the mean absolute error, in percentage points of
//! pressure, at each horizon, of a model and of the two simple forecasts.

use serde::{Deserialize, Serialize};

use crate::dataset::{CONSTANTS_S, Row};

/// Errors at one horizon, in percentage points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// How far ahead, in seconds.
    pub horizon_s: u64,
    /// Mean absolute error of the model.
    pub model: f64,
    /// Mean absolute error of persistence.
    pub persistence: f64,
    /// Mean absolute error of the exponential average.
    pub average: f64,
    /// Its time constant, in seconds: the best one on the training runs.
    pub average_constant_s: f64,
}

impl Score {
    /// Whether the model is better than both simple forecasts. A figure that is not a
    /// number is never better.
    pub fn model_is_better(&self) -> bool {
        self.model.is_finite()
            && self.model >= 0.0
            && self.model < self.persistence
            && self.model < self.average
    }
}

/// The index into `CONSTANTS_S` that is best for a horizon (0 or 1) on these rows.
pub fn best_constant(rows: &[Row], horizon: usize) -> usize {
    let error = |which: usize| mean_error(rows, horizon, |row| row.averages[which]);
    (0..CONSTANTS_S.len())
        .min_by(|a, b| error(*a).total_cmp(&error(*b)))
        .unwrap_or(0)
}

/// Mean absolute error of a forecast given as a share, in percentage points.
pub fn mean_error(rows: &[Row], horizon: usize, forecast: impl Fn(&Row) -> f64) -> f64 {
    if rows.is_empty() {
        return f64::NAN;
    }
    let sum: f64 = rows
        .iter()
        .map(|row| (forecast(row) - row.target[horizon]).abs())
        .sum();
    100.0 * sum / rows.len() as f64
}
