//! The circuit as it is planned and run: its noise in it, and without what does not matter. Nothing here
//! depends on an angle, so it is done once for all points of a sweep.

use std::borrow::Cow;

use super::Request;
use super::analysis::{Split, is_static, light_cone};
use crate::ir::Op;
use crate::{Circuit, Error};

/// What runs in a circuit's place.
#[derive(Debug)]
pub(super) struct Reduced<'a> {
    /// The circuit on its own qubits; the one that was given where nothing changed.
    pub(super) circuit: Cow<'a, Circuit>,
    /// What was left out.
    pub(super) split: Split,
    /// The qubits that remain, in order: qubit i here is `qubits[i]` of the circuit that was given.
    pub(super) qubits: Vec<u32>,
}

impl<'a> Reduced<'a> {
    /// Adds the noise, leaves out gates outside of the light cone and qubits that nothing touches.
    pub(super) fn of(circuit: &'a Circuit, request: &Request) -> Result<Self, Error> {
        let mut noisy = request.noise.applied(circuit)?;
        let all: Vec<u32> = (0..circuit.qubits).collect();
        let mut measures = false;
        noisy.each(&mut |op| measures |= matches!(op, Op::Measure { .. }));
        let is_static = is_static(&noisy);
        if !measures && request.shots > 0 && !is_static {
            // Counts of a circuit without measurements are those of all its qubits.
            noisy.to_mut().measure_all()?;
        }
        let whole = request.statevector
            || !request.amplitudes.is_empty()
            || (!measures && request.shots > 0);
        if whole || !is_static {
            return Ok(Self {
                circuit: noisy,
                split: Split::default(),
                qubits: all,
            });
        }
        let bit = |words: &[u64], q: u32| {
            words
                .get(q as usize / 64)
                .is_some_and(|w| w >> (q % 64) & 1 == 1)
        };
        let kept: Vec<u32> = all
            .iter()
            .copied()
            .filter(|&q| {
                let terms = request.observables.iter().flat_map(|o| &o.terms);
                terms.clone().any(|(_, x, z)| bit(x, q) || bit(z, q))
            })
            .collect();
        let (mut reduced, split) = light_cone(&noisy, &kept);
        let mut used = vec![false; circuit.qubits as usize];
        kept.iter().for_each(|&q| used[q as usize] = true);
        for op in &reduced.ops {
            match op {
                Op::Gate(gate) => gate.qubits.iter().for_each(|&q| used[q as usize] = true),
                Op::Measure { qubit, .. } => used[*qubit as usize] = true,
                _ => {}
            }
        }
        let qubits: Vec<u32> = all.into_iter().filter(|&q| used[q as usize]).collect();
        let mut place = vec![0u32; circuit.qubits as usize];
        for (i, &q) in qubits.iter().enumerate() {
            place[q as usize] = i as u32;
        }
        reduced.ops.retain(|op| !matches!(op, Op::Barrier(_)));
        for op in &mut reduced.ops {
            match op {
                Op::Gate(gate) => gate.qubits.iter_mut().for_each(|q| *q = place[*q as usize]),
                Op::Measure { qubit, .. } => *qubit = place[*qubit as usize],
                _ => {}
            }
        }
        reduced.qubits = qubits.len() as u32;
        Ok(Self {
            circuit: Cow::Owned(reduced),
            split,
            qubits,
        })
    }
}
