//! Which method: the one that fits and is fastest, or what to say where none does.

use std::borrow::Cow;
use std::sync::Arc;

use super::analysis::{Analysis, Split};
use super::candidates::{Candidate, candidates, refusal};
use super::framed::Framed;
use super::look::look;
use super::reduce::Reduced;
use super::{Choice, Request, check, tree};
use crate::{Circuit, Error};

/// The choice and what it rests on.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The method that runs.
    pub method: Choice,
    /// Why it.
    pub reason: String,
    /// Bytes to set aside for it.
    pub bytes: u128,
    /// The largest bond, for a chain of tensors.
    pub bond: usize,
    /// All methods.
    pub candidates: Vec<Candidate>,
    /// What the circuit is like, after the reduction.
    pub analysis: Analysis,
    /// What does not matter and goes.
    pub split: Split,
    /// The qubits that remain, in order; the method's qubit i is the circuit's qubit `qubits[i]`.
    pub qubits: Vec<u32>,
    /// What runs, on its own qubits; none where it is the circuit itself.
    pub(super) runs: Option<Circuit>,
    /// Bytes of one state.
    pub(super) state: u64,
    /// It as a program of frames, if it runs by them.
    pub(super) framed: Option<Arc<Framed>>,
    /// Operations, qubits and bits of the circuit that was planned.
    pub(super) shape: (usize, u32, u32),
}

/// What a run needs of a plan besides its circuit.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) method: Choice,
    pub(super) bond: usize,
    /// Bytes of a state, and bytes that it may take in all, states that wait included.
    pub(super) state: u64,
    pub(super) bytes: u64,
    pub(super) gates: u64,
    pub(super) is_static: bool,
    /// Whether it runs by frames, and their program where that was kept.
    pub(super) by_frames: bool,
    pub(super) framed: Option<Arc<Framed>>,
}

/// A choice for a circuit that was reduced.
pub(super) struct Chosen {
    pub(super) way: Way,
    pub(super) reason: String,
    pub(super) candidates: Vec<Candidate>,
    pub(super) analysis: Analysis,
    /// Whether it rests on nothing but which gates are Clifford and which are monomial.
    pub(super) by_kinds: bool,
}

/// Chooses without running, but for a look with little memory and a bounded number of operations where no
/// method's bound fits.
///
/// # Errors
/// What is wrong with the circuit or the request; [`Error::Memory`] or [`Error::Unsupported`] where the method
/// asked for, or every method, cannot do it.
pub fn explain(circuit: &Circuit, request: &Request) -> Result<Plan, Error> {
    check(circuit, request)?;
    let reduced = Reduced::of(circuit, request)?;
    let chosen = choose(&reduced.circuit, request)?;
    let way = chosen.way;
    Ok(Plan {
        method: way.method,
        reason: chosen.reason,
        bytes: way.bytes.into(),
        bond: way.bond,
        candidates: chosen.candidates,
        analysis: chosen.analysis,
        split: reduced.split,
        qubits: reduced.qubits,
        state: way.state,
        runs: match reduced.circuit {
            Cow::Borrowed(_) => None,
            Cow::Owned(circuit) => Some(circuit),
        },
        framed: way.framed,
        shape: shape(circuit),
    })
}

/// What a plan and its circuit must have in common.
fn shape(circuit: &Circuit) -> (usize, u32, u32) {
    (circuit.ops.len(), circuit.qubits, circuit.bits)
}

impl Plan {
    /// How this circuit runs.
    ///
    /// # Errors
    /// [`Error::Circuit`] where the plan is one of another circuit.
    pub(super) fn way(&self, circuit: &Circuit) -> Result<Way, Error> {
        if self.shape != shape(circuit) {
            return Err(Error::Circuit(
                "the plan is that of another circuit".to_owned(),
            ));
        }
        Ok(Way {
            method: self.method,
            bond: self.bond,
            state: self.state,
            bytes: u64::try_from(self.bytes).unwrap_or(u64::MAX),
            gates: self.analysis.gates,
            is_static: self.analysis.is_static,
            by_frames: self.framed.is_some(),
            framed: self.framed.clone(),
        })
    }
}

/// Chooses for a circuit that is reduced already.
pub(super) fn choose(circuit: &Circuit, request: &Request) -> Result<Chosen, Error> {
    let analysis = Analysis::of(circuit);
    let framed = if analysis.is_clifford() && !analysis.is_static {
        Framed::of(circuit, request)
    } else {
        None
    };
    let mut candidates = candidates(circuit, &analysis, request, framed.as_ref());
    let hopeless = request.method == Choice::Auto && !candidates.iter().any(|c| c.fits);
    let bond = hopeless
        .then(|| look(circuit, &analysis, request, &mut candidates))
        .flatten();
    let wanted = |method| candidates.iter().find(|c| c.method == method);
    let chosen = match request.method {
        Choice::Auto => {
            // Small states are fastest dense, whatever they are.
            let order = if framed.is_some() {
                // Frames follow a thousand shots at once, whatever their number of qubits.
                [
                    Choice::Stabilizer,
                    Choice::Dense,
                    Choice::Sparse,
                    Choice::Mps,
                ]
            } else if circuit.qubits <= 12 {
                [
                    Choice::Dense,
                    Choice::Stabilizer,
                    Choice::Sparse,
                    Choice::Mps,
                ]
            } else if analysis.log_non_zeros <= 12 && !analysis.is_clifford() {
                [
                    Choice::Sparse,
                    Choice::Dense,
                    Choice::Stabilizer,
                    Choice::Mps,
                ]
            } else {
                [
                    Choice::Stabilizer,
                    Choice::Dense,
                    Choice::Mps,
                    Choice::Sparse,
                ]
            };
            order.into_iter().filter_map(wanted).find(|c| c.fits)
        }
        method => wanted(method).filter(|c| c.fits),
    };
    let Some(chosen) = chosen.cloned() else {
        return Err(refusal(&candidates, circuit, &analysis, request));
    };
    let framed = framed.filter(|_| chosen.method == Choice::Stabilizer);
    let available = u128::from(request.available);
    let mut state = chosen.bytes.unwrap_or(available).min(available);
    let mut bytes = state;
    if !analysis.is_static && framed.is_none() {
        if chosen.method == Choice::Sparse {
            // It grows as it runs, by more than what stays in the end, and others wait meanwhile.
            state = (4 * state + (1 << 20)).min(available / 2);
        }
        bytes = tree::bytes(state, request);
    }
    let narrow = |bytes: u128| u64::try_from(bytes).unwrap_or(u64::MAX);
    Ok(Chosen {
        way: Way {
            method: chosen.method,
            bond: bond.unwrap_or(request.bond),
            state: narrow(state),
            bytes: narrow(bytes),
            gates: analysis.gates,
            is_static: analysis.is_static,
            by_frames: framed.is_some(),
            framed: framed.map(Arc::new),
        },
        reason: chosen.reason,
        candidates,
        by_kinds: !hopeless && !analysis.is_clifford(),
        analysis,
    })
}
