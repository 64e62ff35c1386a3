//! What each method would take, why it can or cannot run a circuit, and what to say where none can.

use super::analysis::Analysis;
use super::framed::Framed;
use super::{Choice, Precision, Request};
use crate::dense::bytes_needed;
use crate::ir::MATRIX_QUBITS_MAX;
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

/// All methods, from the circuit's gates alone.
pub(super) fn candidates(
    circuit: &Circuit,
    analysis: &Analysis,
    request: &Request,
    framed: Option<&Framed>,
) -> Vec<Candidate> {
    vec![
        stabilizer_candidate(circuit, analysis, request, framed),
        dense_candidate(circuit, request),
        mps_candidate(circuit, analysis, request),
        sparse_candidate(circuit, analysis, request),
    ]
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

/// Why nothing runs the circuit, and what could be done.
pub(super) fn refusal(
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
