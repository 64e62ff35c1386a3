//! The forecast model: a linear part and one hidden layer beside it.
//!
//! `y = x S + relu(x W1 + b1) W2 + b2`, where x are the features as they come (their
//! scaling is folded into the weights) and y the pressure in 5 and 30 s as shares.

use crate::Error;
use crate::features::{self, Features};

/// How many forecasts come out.
pub const OUTPUTS: usize = 2;
/// Most hidden units in a model.
pub const MAX_HIDDEN: usize = 64;

/// The weights, row by row (`w1[feature * hidden + unit]`).
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Number of hidden units.
    pub hidden: usize,
    /// `features::COUNT` x `hidden`.
    pub w1: Vec<f32>,
    /// `hidden`.
    pub b1: Vec<f32>,
    /// `hidden` x `OUTPUTS`.
    pub w2: Vec<f32>,
    /// `features::COUNT` x `OUTPUTS`.
    pub skip: Vec<f32>,
    /// `OUTPUTS`.
    pub b2: Vec<f32>,
}

impl Network {
    /// Checks sizes and that every weight is a finite number.
    ///
    /// # Errors
    /// `Error::Model` names the part that does not fit.
    pub fn check(&self) -> Result<(), Error> {
        if !(1..=MAX_HIDDEN).contains(&self.hidden) {
            return Err(Error::Model(format!(
                "{} hidden units, 1 to {MAX_HIDDEN} expected",
                self.hidden
            )));
        }
        let parts = [
            ("w1", &self.w1, features::COUNT * self.hidden),
            ("b1", &self.b1, self.hidden),
            ("w2", &self.w2, self.hidden * OUTPUTS),
            ("skip", &self.skip, features::COUNT * OUTPUTS),
            ("b2", &self.b2, OUTPUTS),
        ];
        for (name, weights, expected) in parts {
            if weights.len() != expected {
                return Err(Error::Model(format!(
                    "{name} has {} numbers, {expected} expected",
                    weights.len()
                )));
            }
            if weights.iter().any(|weight| !weight.is_finite()) {
                return Err(Error::Model(format!(
                    "{name} holds a number that is not finite"
                )));
            }
        }
        Ok(())
    }

    /// The forecast as the network gives it, not yet limited to 0 to 1.
    pub fn run(&self, x: &Features) -> [f32; OUTPUTS] {
        let mut out = [self.b2[0], self.b2[1]];
        for (feature, value) in x.iter().enumerate() {
            for (which, sum) in out.iter_mut().enumerate() {
                *sum += value * self.skip[feature * OUTPUTS + which];
            }
        }
        for unit in 0..self.hidden {
            let sum: f32 = x
                .iter()
                .enumerate()
                .map(|(feature, value)| value * self.w1[feature * self.hidden + unit])
                .sum();
            let active = (sum + self.b1[unit]).max(0.0);
            for (which, total) in out.iter_mut().enumerate() {
                *total += active * self.w2[unit * OUTPUTS + which];
            }
        }
        out
    }
}

/// Turns what a model gave into shares of 0 to 1; `None` when any of it is not a finite
/// number, so that the caller falls back.
pub fn shares(raw: &[f32]) -> Option<[f64; OUTPUTS]> {
    let [near, far] = raw else { return None };
    (near.is_finite() && far.is_finite()).then(|| {
        [
            f64::from(near.clamp(0.0, 1.0)),
            f64::from(far.clamp(0.0, 1.0)),
        ]
    })
}
