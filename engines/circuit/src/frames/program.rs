//! What is sampled: gates, measurements, noise, detectors and observables, with repetitions.

use smallvec::SmallVec;

use super::{Clifford, RECORD_MAX, TARGETS_MAX};
use crate::Error;
use crate::ir::{DEPTH_MAX, QUBITS_MAX};

/// A Pauli other than the identity; its bits are x (1) and z (2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Basis {
    /// X.
    X = 1,
    /// Z.
    Z = 2,
    /// Y.
    Y = 3,
}

/// Noise by Paulis.
#[derive(Debug, Clone, PartialEq)]
pub enum Noise {
    /// One Pauli, on each qubit.
    Single(Basis, f64),
    /// X, Y, Z with these probabilities, on each qubit.
    One([f64; 3]),
    /// The 15 pairs IX, IY, IZ, XI, ... ZZ with these probabilities, on each pair of qubits.
    Two([f64; 15]),
    /// As `One`, with a measured bit that tells of it; the first number is for a bit without an error.
    Heralded([f64; 4]),
}

/// A step. Measurements are counted as they come; looking back, 1 is the last one.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A gate on each qubit, or each pair of them.
    Gate(Clifford, Vec<u32>),
    /// Measures each qubit, with a chance that the result is told wrong; true turns the result around.
    Measure(Basis, f64, Vec<(u32, bool)>),
    /// Measures a product of Paulis.
    Product(f64, bool, Vec<(u32, Basis)>),
    /// Puts each qubit into the +1 state of that basis.
    Reset(Basis, Vec<u32>),
    /// Noise on qubits.
    Noise(Noise, Vec<u32>),
    /// A product of Paulis with this chance; if not the first of a chain, only where none before came.
    Correlated(f64, bool, Vec<(u32, Basis)>),
    /// Bits that are written as if they were measured, with a chance to be told wrong.
    Pad(f64, Vec<bool>),
    /// A Pauli on a qubit where that measurement was 1.
    Feedback(Basis, u32, u32),
    /// A sum of measurements that noise alone changes.
    Detector(Vec<u32>),
    /// Measurements (and Paulis) that a logical observable is the sum of.
    Observable(u32, Vec<u32>, Vec<(u32, Basis)>),
    /// The same again and again.
    Repeat(u64, Vec<Step>),
}

/// A program that passed its checks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    pub(super) steps: Vec<Step>,
    /// How many qubits.
    pub qubits: u32,
    /// How many measurements a shot has.
    pub measurements: u64,
    /// How many detectors.
    pub detectors: u64,
    /// How many observables.
    pub observables: u64,
}

impl Program {
    /// Checks steps and counts what they have.
    ///
    /// # Errors
    /// [`Error::Limit`] where there is too much of something, [`Error::Circuit`] for a step that makes no
    /// sense, such as looking back further than there are measurements.
    pub fn new(steps: Vec<Step>) -> Result<Self, Error> {
        let mut count = Count::default();
        count.block(&steps, 0)?;
        Ok(Self {
            steps,
            qubits: count.qubits,
            measurements: count.measurements as u64,
            detectors: count.detectors as u64,
            observables: count.observables.into(),
        })
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

#[derive(Default)]
struct Count {
    qubits: u32,
    observables: u32,
    measurements: u128,
    detectors: u128,
    targets: u128,
}

impl Count {
    fn block(&mut self, steps: &[Step], depth: usize) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(Error::Limit {
                what: "nested repetitions",
                got: depth as u128,
                limit: DEPTH_MAX as u128,
            });
        }
        for step in steps {
            self.step(step, depth)?;
            let within = |what, got: u128, limit: u64| {
                if got > limit.into() {
                    let limit = limit.into();
                    return Err(Error::Limit { what, got, limit });
                }
                Ok(())
            };
            within("qubits", self.qubits.into(), QUBITS_MAX)?;
            within("measurements", self.measurements, RECORD_MAX)?;
            within("detectors", self.detectors, RECORD_MAX)?;
            within("observables", self.observables.into(), RECORD_MAX)?;
            within("targets", self.targets, TARGETS_MAX)?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step, depth: usize) -> Result<(), Error> {
        self.targets += 1;
        match step {
            Step::Gate(gate, on) => {
                if !on.len().is_multiple_of(gate.qubits) {
                    return wrong("a gate on two qubits needs pairs");
                }
                self.pairs(on, gate.qubits)
            }
            Step::Measure(_, chance, on) => {
                self.measurements += on.len() as u128;
                on.iter().try_for_each(|&(q, _)| self.qubit(q))?;
                probabilities(&[*chance])
            }
            Step::Product(chance, _, paulis) => {
                self.measurements += 1;
                self.paulis(paulis)?;
                probabilities(&[*chance])
            }
            Step::Reset(_, on) => on.iter().try_for_each(|&q| self.qubit(q)),
            Step::Noise(noise, on) => {
                let size = if matches!(noise, Noise::Two(_)) { 2 } else { 1 };
                if !on.len().is_multiple_of(size) {
                    return wrong("noise on two qubits needs pairs");
                }
                if matches!(noise, Noise::Heralded(_)) {
                    self.measurements += on.len() as u128;
                }
                self.pairs(on, size)?;
                match noise {
                    Noise::Single(_, p) => probabilities(&[*p]),
                    Noise::One(p) => probabilities(p),
                    Noise::Two(p) => probabilities(p),
                    Noise::Heralded(p) => probabilities(p),
                }
            }
            Step::Correlated(chance, _, paulis) => {
                self.paulis(paulis)?;
                probabilities(&[*chance])
            }
            Step::Pad(chance, bits) => {
                self.measurements += bits.len() as u128;
                self.targets += bits.len() as u128;
                probabilities(&[*chance])
            }
            Step::Feedback(_, back, qubit) => {
                self.qubit(*qubit)?;
                self.back(&[*back])
            }
            Step::Detector(back) => {
                self.detectors += 1;
                self.back(back)
            }
            Step::Observable(index, back, paulis) => {
                self.observables = self.observables.max(index.saturating_add(1));
                self.paulis(paulis)?;
                self.back(back)
            }
            Step::Repeat(times, steps) => {
                if *times == 0 {
                    return wrong("a block is repeated 0 times");
                }
                // The first round looks back least far, so it alone needs looking at.
                let before = (self.measurements, self.detectors, self.targets);
                // A round of nothing takes time, too.
                self.targets += 1;
                self.block(steps, depth + 1)?;
                let more = u128::from(*times) - 1;
                let grown = |now: u128, before: u128| now.saturating_add((now - before) * more);
                self.measurements = grown(self.measurements, before.0);
                self.detectors = grown(self.detectors, before.1);
                self.targets = grown(self.targets, before.2);
                Ok(())
            }
        }
    }

    fn qubit(&mut self, qubit: u32) -> Result<(), Error> {
        self.targets += 1;
        if u64::from(qubit) >= QUBITS_MAX {
            return Err(Error::Limit {
                what: "qubits",
                got: u128::from(qubit) + 1,
                limit: QUBITS_MAX.into(),
            });
        }
        self.qubits = self.qubits.max(qubit + 1);
        Ok(())
    }

    fn pairs(&mut self, on: &[u32], size: usize) -> Result<(), Error> {
        on.iter().try_for_each(|&q| self.qubit(q))?;
        match on.chunks(size).find(|c| size == 2 && c[0] == c[1]) {
            Some(pair) => wrong(&format!("qubit {} is paired with itself", pair[0])),
            None => Ok(()),
        }
    }

    fn paulis(&mut self, paulis: &[(u32, Basis)]) -> Result<(), Error> {
        paulis.iter().try_for_each(|&(q, _)| self.qubit(q))
    }

    fn back(&mut self, back: &[u32]) -> Result<(), Error> {
        self.targets += back.len() as u128;
        match back
            .iter()
            .find(|&&b| b == 0 || u128::from(b) > self.measurements)
        {
            Some(b) => wrong(&format!(
                "rec[-{b}] is before the first of {} measurements",
                self.measurements
            )),
            None => Ok(()),
        }
    }
}

fn wrong(what: &str) -> Result<(), Error> {
    Err(Error::Circuit(what.to_owned()))
}

fn probabilities(list: &[f64]) -> Result<(), Error> {
    let sum: f64 = list.iter().sum();
    if list.iter().all(|p| (0.0..=1.0).contains(p)) && sum <= 1.0 + 1e-9 {
        return Ok(());
    }
    let shown: SmallVec<[String; 4]> = list.iter().map(f64::to_string).collect();
    Err(Error::Circuit(format!(
        "probabilities {} are not from 0 to 1 or sum to more than 1",
        shown.join(", ")
    )))
}
