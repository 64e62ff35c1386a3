//! Shots. A static circuit runs once and is sampled; Clifford circuits with noise go by Pauli frames, and
//! anything else runs as a tree. Each shot has its own stream of random numbers, so threads change nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Request;
use super::choose::Way;
use super::framed::Framed;
use super::results::{Outcome, text};
use crate::ir::{Circuit, Op};
use crate::method::Method;
use crate::rng::Rng;
use crate::{Error, Watch};

/// A shot: its number, its stream, its bits.
#[derive(Clone)]
pub(super) struct Shot {
    pub(super) number: usize,
    pub(super) rng: Rng,
    pub(super) bits: Vec<u64>,
}

impl Shot {
    pub(super) fn bit(&self, bit: u32) -> bool {
        self.bits[bit as usize / 64] >> (bit % 64) & 1 == 1
    }

    pub(super) fn set(&mut self, bit: u32, value: bool) {
        let mask = 1 << (bit % 64);
        let word = &mut self.bits[bit as usize / 64];
        *word = if value { *word | mask } else { *word & !mask };
    }
}

/// A run in preparation.
pub struct Shots<'a> {
    pub(super) way: Way,
    /// The qubits of the circuit that was asked about, by those that run.
    pub(super) names: &'a [u32],
    pub(super) request: &'a Request,
    /// What runs.
    pub(super) circuit: &'a Circuit,
    /// Its registers, those of measurements that nobody wrote among them.
    pub(super) shown: Circuit,
}

impl<'a> Shots<'a> {
    pub fn new(way: Way, names: &'a [u32], circuit: &'a Circuit, request: &'a Request) -> Self {
        Self {
            way,
            names,
            request,
            shown: circuit.bare(),
            circuit,
        }
    }

    /// How many qubits the method has.
    pub fn qubits(&self) -> u32 {
        self.circuit.qubits
    }

    /// Runs by the method that `fresh` makes (with that many threads).
    pub fn run<M: Method>(
        &mut self,
        fresh: impl Fn(usize) -> Result<M, Error> + Sync,
        watch: &Watch,
    ) -> Result<Outcome, Error> {
        let measures = {
            let mut any = false;
            self.circuit
                .each(&mut |op| any |= matches!(op, Op::Measure { .. }));
            any
        };
        if !measures && self.request.shots > 0 {
            // Counts of a circuit without measurements are those of all its qubits.
            self.shown.measure_all()?;
        }
        let mut outcome = Outcome {
            method: self.way.method.name(),
            seed: self.request.seed,
            ..Outcome::default()
        };
        if self.way.is_static {
            self.run_static(&fresh, &mut outcome, watch)?;
        } else {
            let asks = self.request.statevector
                || !self.request.amplitudes.is_empty()
                || !self.request.observables.is_empty();
            if asks {
                return Err(Error::Unsupported {
                    method: "a circuit with measurement, reset, noise or branches in it",
                    what: "give amplitudes or expectation values: only counts have a meaning"
                        .to_owned(),
                });
            }
            let framed = match self.way.framed.clone() {
                None if self.way.by_frames => Framed::of(self.circuit, self.request).map(Arc::new),
                kept => kept,
            };
            match framed {
                Some(framed) => {
                    outcome.bytes = framed.bytes(self.request);
                    framed.run(self, &mut outcome, watch)?;
                }
                None => self.run_tree(&fresh, &mut outcome, watch)?,
            }
        }
        outcome.error_bound = (self.rounding() + outcome.error_bound).min(1.0);
        Ok(outcome)
    }

    /// A bound of what rounding does to probabilities: each gate adds a few units in the last place.
    fn rounding(&self) -> f64 {
        let unit = match (self.way.method, self.request.precision) {
            (super::Choice::Stabilizer, _) => 0.0,
            (super::Choice::Dense, super::Precision::Single) => f64::from(f32::EPSILON),
            _ => f64::EPSILON,
        };
        8.0 * unit * self.way.gates as f64
    }

    pub(super) fn shot(&self, number: usize) -> Shot {
        Shot {
            number,
            rng: Rng::stream(self.request.seed, number as u64),
            bits: vec![0; (self.shown.bits as usize).div_ceil(64)],
        }
    }

    pub(super) fn readout(&self, shot: &mut Shot, bit: u32, value: bool) {
        let chance = self.request.noise.readout[usize::from(value)];
        let flips = chance > 0.0 && shot.rng.unit() < chance;
        shot.set(bit, value ^ flips);
    }

    pub(super) fn shown(&self, counts: BTreeMap<Vec<u64>, u64>) -> BTreeMap<String, u64> {
        let mut shown = BTreeMap::new();
        for (bits, count) in counts {
            let key = text(&self.shown, |b| bits[b as usize / 64] >> (b % 64) & 1 == 1);
            *shown.entry(key).or_default() += count;
        }
        shown
    }
}
