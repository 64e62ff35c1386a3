//! What a run asks of a method: gates, measurement, damping, copies and samples. Bits of a sample are
//! packed 64 to a word, qubit 0 the lowest.

use crate::dense::{Real, State};
use crate::ir::Gate;
use crate::rng::Rng;
use crate::{C64, Error, Watch};

/// The bits of all qubits.
pub type Bits = Vec<u64>;

/// A state of qubits, by one of the methods.
pub trait Method: Sized + Send + Sync {
    /// Applies gates.
    fn apply(&mut self, gates: &[&Gate], watch: &Watch) -> Result<(), Error>;
    /// The probability that a qubit is 1.
    fn one(&mut self, qubit: u32) -> f64;
    /// Keeps the part where the qubit is that bit.
    fn collapse(&mut self, qubit: u32, bit: bool);
    /// Multiplies the part where the qubit is 1, and everything, by numbers.
    fn damp(&mut self, qubit: u32, one: f64, all: f64) -> Result<(), Error>;
    /// A copy.
    fn copied(&self) -> Result<Self, Error>;
    /// One outcome of measuring every qubit, for each stream.
    fn sample(&mut self, draws: &mut [Rng]) -> Result<Vec<Bits>, Error>;
    /// The expectation value of the Pauli product with those X and Z parts.
    fn expectation(&mut self, x: &[u64], z: &[u64]) -> Result<f64, Error>;
    /// The amplitude of a basis state.
    fn amplitude(&mut self, basis: &[u64]) -> Result<C64, Error>;
    /// The weight that was cut off so far; 0 for exact methods.
    fn discarded(&self) -> f64 {
        0.0
    }
    /// An error if it took more operations than it was given.
    fn within(&self) -> Result<(), Error> {
        Ok(())
    }
    /// Bytes of memory that it takes now.
    fn bytes(&self) -> u128;
}

impl<T: Real> Method for State<T> {
    fn apply(&mut self, gates: &[&Gate], watch: &Watch) -> Result<(), Error> {
        self.apply_all(gates.iter().copied(), watch)
    }

    fn one(&mut self, qubit: u32) -> f64 {
        self.probability_of_one(qubit)
    }

    fn collapse(&mut self, qubit: u32, bit: bool) {
        State::collapse(self, qubit, bit);
    }

    fn damp(&mut self, qubit: u32, one: f64, all: f64) -> Result<(), Error> {
        let m = [all, 0.0, 0.0, one * all].map(|x| C64::new(x, 0.0));
        self.apply_matrix(m, qubit);
        Ok(())
    }

    fn copied(&self) -> Result<Self, Error> {
        State::copied(self)
    }

    fn sample(&mut self, draws: &mut [Rng]) -> Result<Vec<Bits>, Error> {
        Ok(State::sample(self, draws)
            .into_iter()
            .map(|s| vec![s])
            .collect())
    }

    fn expectation(&mut self, x: &[u64], z: &[u64]) -> Result<f64, Error> {
        let word = |w: &[u64]| w.first().copied().unwrap_or_default();
        Ok(State::expectation(self, word(x), word(z)))
    }

    fn amplitude(&mut self, basis: &[u64]) -> Result<C64, Error> {
        Ok(State::amplitude(
            self,
            basis.first().copied().unwrap_or_default(),
        ))
    }

    fn bytes(&self) -> u128 {
        crate::dense::bytes_needed::<T>(self.qubits(), 0)
    }
}
