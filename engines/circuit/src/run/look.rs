//! A look at circuits for which the bounds that gates give are too wide: adders and comparisons taken apart into
//! gates on two qubits are easy all the same. They are tried, with little memory and a bounded number of
//! operations, so that what is refused is refused soon, and what is not is known to fit.

use super::analysis::Analysis;
use super::candidates::Candidate;
use super::{Choice, Request};
use crate::ir::{Circuit, Gate, MATRIX_QUBITS_MAX, Op};
use crate::mps::{self, Chain};
use crate::sparse::{self, Over, Sparse};

/// Bytes that a look takes at most.
const BYTES: u64 = 64 << 20;
/// Amplitudes that a sparse look touches at most: about a second.
const AMPLITUDES: u64 = 1 << 24;
/// The bond of a look at a chain, its multiplications, and the distance from the true state that is rounding.
const BOND: usize = 32;
const MULTIPLICATIONS: u64 = 1 << 30;
const ROUNDING: f64 = 1e-10;

/// What a look needs, and how a run that follows it goes: bytes, and why it fits or does not.
struct Found {
    fits: bool,
    bytes: Option<u128>,
    reason: String,
}

/// Tries few amplitudes, then small bonds, and writes down with the candidates what came of it. Gives the bond
/// to run with, if it is a chain of tensors that does it.
pub fn look(
    circuit: &Circuit,
    analysis: &Analysis,
    request: &Request,
    candidates: &mut [Candidate],
) -> Option<usize> {
    if !analysis.is_static || request.statevector {
        return None;
    }
    let gates: Vec<&Gate> = circuit.ops.iter().filter_map(gate).collect();
    let mut write = |method, found: Found| {
        let fits = found.fits;
        if let Some(candidate) = candidates.iter_mut().find(|c| c.method == method) {
            candidate.fits = fits;
            candidate.bytes = found.bytes.or(candidate.bytes);
            candidate.reason = found.reason;
        }
        fits
    };
    if circuit.qubits <= sparse::QUBITS
        && write(Choice::Sparse, in_few_amplitudes(circuit, &gates, request))
    {
        return None;
    }
    let room = request.available.min(BYTES);
    let fits = |bond: &usize| mps::bytes_needed(circuit.qubits, *bond) <= room.into();
    let bonds = std::iter::successors(Some(BOND.min(request.bond)), |bond| Some(bond / 2));
    let bond = bonds.take_while(|bond| *bond > 1).find(fits);
    if let Some(bond) = bond
        && analysis.widest <= MATRIX_QUBITS_MAX
        && write(Choice::Mps, in_small_bonds(circuit, &gates, bond, room))
    {
        return Some(bond);
    }
    None
}

/// Where a look ended.
fn place(gates: &[&Gate], number: usize) -> String {
    let name = gates.get(number).map_or_else(String::new, |g| g.name());
    format!("gate {} of {} ({name})", number + 1, gates.len())
}

fn in_few_amplitudes(circuit: &Circuit, gates: &[&Gate], request: &Request) -> Found {
    let room = request.available.min(BYTES);
    let most = room / sparse::ENTRY;
    let looked = match Sparse::new(circuit.qubits, room) {
        Ok(mut state) => state.look(gates, AMPLITUDES),
        Err(_) => Err(Over::Memory(0)),
    };
    let (fits, bytes, reason) = match looked {
        Ok(peak) => {
            let bytes = u128::from(sparse::ENTRY) * peak as u128;
            let reason = format!("tried: {peak} amplitudes at most are not zero");
            (true, Some(bytes.max(room.into())), reason)
        }
        Err(Over::Memory(number)) => {
            let at = place(gates, number);
            (
                false,
                None,
                format!("tried: more than {most} amplitudes are not zero from {at} on"),
            )
        }
        Err(Over::Work(number)) => {
            let at = place(gates, number);
            (
                false,
                None,
                format!("tried: {AMPLITUDES} amplitudes were touched before {at} was done"),
            )
        }
    };
    Found {
        fits,
        bytes,
        reason,
    }
}

fn in_small_bonds(circuit: &Circuit, gates: &[&Gate], bond: usize, room: u64) -> Found {
    let over = |reason: String| Found {
        fits: false,
        bytes: None,
        reason,
    };
    let looked = match Chain::new(circuit.qubits, bond, room) {
        Ok(mut chain) => chain.look(gates, (MULTIPLICATIONS, ROUNDING)),
        Err(error) => return over(error.to_string()),
    };
    match looked {
        Ok(()) => {}
        Err(mps::Over::Bonds(number)) => {
            let at = place(gates, number);
            return over(format!("tried: bonds need more than {bond} from {at} on"));
        }
        Err(mps::Over::Work(number)) => {
            let at = place(gates, number);
            return over(format!(
                "tried: bonds up to {bond} took {MULTIPLICATIONS} multiplications before {at} was done"
            ));
        }
    }
    let bytes = mps::bytes_needed(circuit.qubits, bond);
    Found {
        fits: true,
        bytes: Some(bytes.max(room.into())),
        reason: format!("tried: bonds of {bond} suffice"),
    }
}

fn gate(op: &Op) -> Option<&Gate> {
    match op {
        Op::Gate(gate) => Some(gate),
        _ => None,
    }
}
