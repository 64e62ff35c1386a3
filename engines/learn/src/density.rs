//! The model: a mixture of normal distributions over the features, as what its ONNX file holds.
//!
//! The score of a window is the least, over the components, of `½‖x A + b‖² + o`: minus the logarithm of the
//! component's density, weight included. The higher, the stranger.

use crate::Error;

/// The most features.
pub const MAX_WIDTH: usize = 64;
/// The most components.
pub const MAX_COMPONENTS: usize = 8;

/// One component.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Whitening, `width` x `width`, row by row: scaling to unit spread is folded in.
    pub a: Vec<f32>,
    /// `width`.
    pub b: Vec<f32>,
    /// What the density's height and the component's weight add.
    pub o: f32,
}

/// A density over features as they come.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    /// How many features.
    pub width: usize,
    /// One or more.
    pub components: Vec<Component>,
}

impl Density {
    /// Checks sizes and that every number is finite.
    ///
    /// # Errors
    /// `Error::Model` names the part that does not fit.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |reason: String| Err(Error::Model(reason));
        if !(1..=MAX_WIDTH).contains(&self.width) {
            return fail(format!(
                "{} features, 1 to {MAX_WIDTH} expected",
                self.width
            ));
        }
        if !(1..=MAX_COMPONENTS).contains(&self.components.len()) {
            return fail(format!(
                "{} components, 1 to {MAX_COMPONENTS} expected",
                self.components.len()
            ));
        }
        for (index, component) in self.components.iter().enumerate() {
            let parts = [
                ("a", &component.a[..], self.width * self.width),
                ("b", &component.b, self.width),
                ("o", std::slice::from_ref(&component.o), 1),
            ];
            for (name, numbers, expected) in parts {
                if numbers.len() != expected {
                    return fail(format!(
                        "{name}{index} has {} numbers, {expected} expected",
                        numbers.len()
                    ));
                }
                if numbers.iter().any(|number| !number.is_finite()) {
                    return fail(format!("{name}{index} holds a number that is not finite"));
                }
            }
        }
        Ok(())
    }

    /// The score; NaN for another number of features than the model has.
    #[must_use]
    pub fn score(&self, x: &[f32]) -> f64 {
        if x.len() != self.width {
            return f64::NAN;
        }
        let of = |component: &Component| {
            let square = |column: usize| {
                let sum: f32 = x
                    .iter()
                    .zip(component.a[column..].iter().step_by(self.width))
                    .map(|(value, weight)| value * weight)
                    .sum();
                f64::from(sum + component.b[column]).powi(2)
            };
            0.5 * (0..self.width).map(square).sum::<f64>() + f64::from(component.o)
        };
        self.components.iter().map(of).fold(f64::INFINITY, f64::min)
    }
}
