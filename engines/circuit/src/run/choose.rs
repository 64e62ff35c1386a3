//! Which method: what each would take and why it can or cannot, then the one that fits and is fastest.

use super::analysis::{Analysis, Split, is_static, light_cone};
use super::framed::Framed;
use super::look::look;
use super::{Choice, Precision, Request};
use crate::dense::bytes_needed;
use crate::ir::{MATRIX_QUBITS_MAX, Op};
use crate::{Circuit, Error, mps, sparse, stabilizer};

/// What a method would take.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The method.
    pub method: Choice,
    /// Bytes at most; `None` where that is known only while it runs.
    pub bytes: Option<u128>,
    /// Whether it can be used.
    pub fits: bool,
    /// Why, or why not.
    pub reason: String,
}

/// The choice and what it rests on.
#[derive(Debug, Clone, PartialEq)]
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
    /// The reduced circuit, on its own qubits; none where nothing was left out.
    pub(super) reduced: Option<Circuit>,
}

/// Chooses without running, but for a look with little memory and a bounded number of operations where no
/// method's bound fits.
///
/// # Errors
/// [`Error::Memory`] or [`Error::Unsupported`] where the method asked for, or every method, cannot do it.
pub fn explain(circuit: &Circuit, request: &Request) -> Result<Plan, Error> {
    let noisy = request.noise.applied(circuit)?;
    let (reduced, split, qubits) = reduce(&noisy, request);
    let circuit = reduced.as_ref().unwrap_or(&noisy);
    let analysis = Analysis::of(circuit);
    let framed = if analysis.is_clifford() && !analysis.is_static {
        Framed::of(circuit, request)
    } else {
        None
    };
    let mut candidates = vec![
        stabilizer_candidate(circuit, &analysis, request, framed.as_ref()),
        dense_candidate(circuit, request),
        mps_candidate(circuit, &analysis, request),
        sparse_candidate(circuit, &analysis, request),
    ];
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
    Ok(Plan {
        method: chosen.method,
        reason: chosen.reason,
        bytes: chosen.bytes.unwrap_or(request.available.into()),
        bond: bond.unwrap_or(request.bond),
        candidates,
        analysis,
        split,
        qubits,
        reduced,
    })
}

/// Leaves out gates outside of the light cone, and qubits that nothing touches; no circuit where it stays.
fn reduce(circuit: &Circuit, request: &Request) -> (Option<Circuit>, Split, Vec<u32>) {
    let all: Vec<u32> = (0..circuit.qubits).collect();
    let measures = circuit
        .ops
        .iter()
        .any(|op| matches!(op, Op::Measure { .. }));
    let whole =
        request.statevector || !request.amplitudes.is_empty() || (!measures && request.shots > 0);
    if whole || !is_static(circuit) {
        return (None, Split::default(), all);
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
    let (mut reduced, split) = light_cone(circuit, &kept);
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
    (Some(reduced), split, qubits)
}

fn stabilizer_candidate(
    circuit: &Circuit,
    analysis: &Analysis,
    request: &Request,
    framed: Option<&Framed>,
) -> Candidate {
    let bytes = match framed {
        Some(framed) => framed.bytes(request),
        None => stabilizer::bytes_needed(circuit.qubits),
    };
    let (fits, reason) = if !analysis.is_clifford() {
        let what = if analysis.damps { "damping" } else { "gates" };
        let count = analysis.other_than_clifford;
        (
            false,
            format!("{count} of {} {what} are not Clifford", analysis.gates),
        )
    } else if request.statevector || !request.amplitudes.is_empty() {
        (false, "amplitudes are asked for".to_owned())
    } else if bytes > request.available.into() {
        (false, "the tableau does not fit".to_owned())
    } else if framed.is_some() {
        let reason = format!(
            "all {} gates are Clifford and noise is by Paulis: 1024 shots at once, by Pauli frames",
            analysis.gates
        );
        (true, reason)
    } else {
        (true, format!("all {} gates are Clifford", analysis.gates))
    };
    Candidate {
        method: Choice::Stabilizer,
        bytes: Some(bytes),
        fits,
        reason,
    }
}

fn dense_candidate(circuit: &Circuit, request: &Request) -> Candidate {
    let bytes = match request.precision {
        Precision::Single => bytes_needed::<f32>(circuit.qubits, request.threads),
        Precision::Double => bytes_needed::<f64>(circuit.qubits, request.threads),
    };
    let list = if request.statevector {
        16u128 << circuit.qubits.min(100)
    } else {
        0
    };
    let bytes = bytes.saturating_add(list);
    let fits = bytes <= request.available.into();
    let reason = if fits {
        format!("2^{} amplitudes fit", circuit.qubits)
    } else {
        format!("2^{} amplitudes do not fit", circuit.qubits)
    };
    Candidate {
        method: Choice::Dense,
        bytes: Some(bytes),
        fits,
        reason,
    }
}

fn mps_candidate(circuit: &Circuit, analysis: &Analysis, request: &Request) -> Candidate {
    let exact = 1usize
        .checked_shl(analysis.log_bond)
        .filter(|&b| b <= request.bond);
    let bytes = mps::bytes_needed(circuit.qubits, exact.unwrap_or(request.bond));
    let bound = analysis.log_bond;
    let wide = analysis.widest;
    let (fits, reason) = if request.statevector {
        (false, "all amplitudes are asked for".to_owned())
    } else if wide > MATRIX_QUBITS_MAX {
        (false, format!("a gate is on {wide} qubits at once"))
    } else if bytes > request.available.into() {
        (false, format!("bonds of {} do not fit", request.bond))
    } else if exact.is_some() {
        (true, format!("bonds reach 2^{bound} at most"))
    } else if request.method == Choice::Mps {
        let reason = format!(
            "bonds are cut at {}, what that costs is reported",
            request.bond
        );
        (true, reason)
    } else {
        (false, format!("bonds may need more than {}", request.bond))
    };
    Candidate {
        method: Choice::Mps,
        bytes: Some(bytes),
        fits,
        reason,
    }
}

fn sparse_candidate(circuit: &Circuit, analysis: &Analysis, request: &Request) -> Candidate {
    let most = u128::from(request.available) / u128::from(sparse::ENTRY);
    let bound = analysis.log_non_zeros;
    let (fits, reason) = if circuit.qubits > sparse::QUBITS {
        (false, format!("more than {} qubits", sparse::QUBITS))
    } else if request.statevector {
        (false, "all amplitudes are asked for".to_owned())
    } else if bound < 64 && 1u128 << bound <= most {
        (true, format!("at most 2^{bound} amplitudes are not zero"))
    } else if request.method == Choice::Sparse {
        (
            true,
            format!("up to 2^{bound} amplitudes may be non-zero; it stops where memory ends"),
        )
    } else {
        (false, format!("up to 2^{bound} amplitudes may be non-zero"))
    };
    Candidate {
        method: Choice::Sparse,
        bytes: (bound < 100)
            .then(|| (u128::from(sparse::ENTRY) << bound).min(request.available.into())),
        fits,
        reason,
    }
}

fn refusal(
    candidates: &[Candidate],
    circuit: &Circuit,
    analysis: &Analysis,
    request: &Request,
) -> Error {
    let tried: Vec<String> = candidates
        .iter()
        .filter(|c| matches!(request.method, Choice::Auto) || c.method == request.method)
        .map(|c| format!("{}: {}", c.method.name(), c.reason))
        .collect();
    let dense = candidates.iter().find(|c| c.method == Choice::Dense);
    let needed = dense.and_then(|c| c.bytes).unwrap_or(u128::MAX);
    if needed <= request.available.into() {
        return Error::Unsupported {
            method: request.method.name(),
            what: format!("run this circuit: {}", tried.join("; ")),
        };
    }
    let mut most = 0;
    while bytes_needed::<f64>(most + 1, request.threads) <= request.available.into() {
        most += 1;
    }
    let sparse = if circuit.qubits <= sparse::QUBITS {
        "ask for sparse: it goes on until memory ends; "
    } else {
        ""
    };
    let largest = analysis.groups.first().map_or(0, Vec::len);
    Error::Memory {
        method: if request.method == Choice::Auto {
            "dense"
        } else {
            request.method.name()
        },
        needed,
        available: request.available,
        advice: format!(
            "{}. What could be done: {most} qubits of this depth fit ({} in single precision); \
             measure fewer of the {} qubits, so that gates outside their light cone go; \
             ask for mps with a bond: what cutting there costs is reported; \
             {sparse}\
             cut the circuit between qubits that meet rarely (the largest group that meets has {largest}); \
             or replace the {} gates that are not Clifford",
            tried.join("; "),
            most + 1,
            circuit.qubits,
            analysis.other_than_clifford,
        ),
    }
}
