//! Circuits that are gates, then measurements: the state is made once, and every shot drawn from it.

use std::collections::BTreeMap;

use super::results::{Outcome, text};
use super::shots::{Shot, Shots};
use crate::ir::{Gate, Op};
use crate::method::Method;
use crate::rng::Rng;
use crate::{Error, Watch};

impl Shots<'_> {
    /// Runs the gates, then draws all shots.
    pub(super) fn run_static<M: Method>(
        &self,
        fresh: &impl Fn(usize) -> Result<M, Error>,
        outcome: &mut Outcome,
        watch: &Watch,
    ) -> Result<(), Error> {
        let mut state = fresh(self.request.threads)?;
        let gates: Vec<&Gate> = self.circuit.ops.iter().filter_map(gate).collect();
        state.apply(&gates, watch)?;
        let measured: Vec<(u32, u32)> = self
            .circuit
            .ops
            .iter()
            .chain(&self.shown.ops)
            .filter_map(measured)
            .collect();
        // Where bit i is qubit i, and told right, a sample is the shot's bits.
        let plain = self.request.noise.readout == [0.0; 2]
            && measured.len() == self.circuit.qubits as usize
            && self.shown.bits == self.circuit.qubits
            && measured
                .iter()
                .enumerate()
                .all(|(i, &(q, b))| (q, b) == (i as u32, i as u32));
        outcome.bytes = state.bytes();
        outcome.error_bound = state.discarded();
        let mut counts: BTreeMap<Vec<u64>, u64> = BTreeMap::new();
        let mut number = 0;
        // In portions, so that a hundred million shots do not have to lie in memory at once.
        while number < self.request.shots {
            watch.check()?;
            let portion = (self.request.shots - number).min(1 << 16);
            let mut shots: Vec<Shot> = (number..number + portion)
                .map(|i| self.shot(i as usize))
                .collect();
            let mut draws: Vec<Rng> = shots.iter().map(|s| s.rng.clone()).collect();
            let samples = state.sample(&mut draws)?;
            for ((shot, sample), rng) in shots.iter_mut().zip(samples).zip(draws) {
                shot.rng = rng;
                if plain {
                    let words = shot.bits.len();
                    shot.bits.copy_from_slice(&sample[..words]);
                } else {
                    for &(qubit, bit) in &measured {
                        let value = sample[qubit as usize / 64] >> (qubit % 64) & 1 == 1;
                        self.readout(shot, bit, value);
                    }
                }
                if self.request.memory {
                    outcome.memory.push(text(&self.shown, |b| shot.bit(b)));
                }
                *counts.entry(std::mem::take(&mut shot.bits)).or_default() += 1;
            }
            number += portion;
        }
        outcome.counts = self.shown(counts);
        self.read_off(&mut state, outcome)
    }

    fn read_off<M: Method>(&self, state: &mut M, outcome: &mut Outcome) -> Result<(), Error> {
        // The method's qubits are some of the circuit's.
        let packed = |words: &[u64]| {
            let mut out = vec![0u64; self.names.len().div_ceil(64).max(1)];
            for (i, &q) in self.names.iter().enumerate() {
                let bit = words.get(q as usize / 64).map_or(0, |w| w >> (q % 64) & 1);
                out[i / 64] |= bit << (i % 64);
            }
            out
        };
        for observable in &self.request.observables {
            let mut sum = 0.0;
            for (factor, x, z) in &observable.terms {
                sum += factor * state.expectation(&packed(x), &packed(z))?;
            }
            outcome.expectations.push(sum);
        }
        for basis in &self.request.amplitudes {
            outcome.amplitudes.push(state.amplitude(&packed(basis))?);
        }
        if self.request.statevector {
            for basis in 0..1u64 << self.circuit.qubits {
                outcome.statevector.push(state.amplitude(&[basis])?);
            }
        }
        Ok(())
    }
}

fn measured(op: &Op) -> Option<(u32, u32)> {
    match *op {
        Op::Measure { qubit, bit } => Some((qubit, bit)),
        _ => None,
    }
}

fn gate(op: &Op) -> Option<&Gate> {
    match op {
        Op::Gate(gate) => Some(gate),
        _ => None,
    }
}
