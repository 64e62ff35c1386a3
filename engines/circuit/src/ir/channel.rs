//! Noise: what may happen to a qubit besides its gates, as probabilities of Pauli errors or as the
//! Kraus operators of damping.

use super::Matrix;
use crate::{C64, Error};

/// A noise channel. Probabilities are from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub enum Channel {
    /// X, Y, Z with these probabilities, on one qubit.
    Pauli([f64; 3]),
    /// With this probability one of X, Y, Z, each as likely, on one qubit.
    Depolarizing(f64),
    /// With this probability one of the 15 Pauli pairs that are not the identity, on two qubits.
    Depolarizing2(f64),
    /// Energy loss: 1 decays to 0 with this probability.
    AmplitudeDamping(f64),
    /// Loss of phase: with this probability the environment learns the bit.
    PhaseDamping(f64),
}

impl Channel {
    /// How many qubits it is about.
    #[must_use]
    pub fn qubits(&self) -> usize {
        if matches!(self, Self::Depolarizing2(_)) {
            2
        } else {
            1
        }
    }

    /// Checks the probabilities.
    ///
    /// # Errors
    /// Says which number is not a probability.
    pub fn check(&self) -> Result<(), Error> {
        let numbers: &[f64] = match self {
            Self::Pauli(p) => p,
            Self::Depolarizing(p)
            | Self::Depolarizing2(p)
            | Self::AmplitudeDamping(p)
            | Self::PhaseDamping(p) => std::slice::from_ref(p),
        };
        let sum: f64 = numbers.iter().sum();
        if numbers.iter().all(|p| (0.0..=1.0).contains(p)) && sum <= 1.0 + 1e-12 {
            Ok(())
        } else {
            Err(Error::Circuit(format!(
                "noise probabilities {numbers:?} are not from 0 to 1 or sum to more than 1"
            )))
        }
    }

    /// The chances of the Pauli errors, if that is what the channel is: pairs of a probability and
    /// a string of Pauli numbers (0 I, 1 X, 2 Y, 3 Z), one a qubit.
    #[must_use]
    pub fn paulis(&self) -> Option<Vec<(f64, [u8; 2])>> {
        match *self {
            Self::Pauli(p) => Some((0..3).map(|i| (p[i], [i as u8 + 1, 0])).collect()),
            Self::Depolarizing(p) => Some((1..4).map(|i| (p / 3.0, [i, 0])).collect()),
            Self::Depolarizing2(p) => Some((1..16).map(|i| (p / 15.0, [i & 3, i >> 2])).collect()),
            Self::AmplitudeDamping(_) | Self::PhaseDamping(_) => None,
        }
    }

    /// The Kraus operators of a channel that is no mixture of Paulis; empty for one that is.
    #[must_use]
    pub fn kraus(&self) -> Vec<Matrix> {
        let real = |x: f64| C64::new(x, 0.0);
        let cells = |m: [f64; 4]| Matrix::new(2, m.map(real).to_vec());
        let both = match *self {
            Self::AmplitudeDamping(g) => [
                cells([1.0, 0.0, 0.0, (1.0 - g).sqrt()]),
                cells([0.0, g.sqrt(), 0.0, 0.0]),
            ],
            Self::PhaseDamping(g) => [
                cells([1.0, 0.0, 0.0, (1.0 - g).sqrt()]),
                cells([0.0, 0.0, 0.0, g.sqrt()]),
            ],
            _ => [None, None],
        };
        both.into_iter().flatten().collect()
    }
}
