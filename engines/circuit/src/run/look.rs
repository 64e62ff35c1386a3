//! A look at circuits for which the bounds that gates give are too wide: adders and comparisons taken apart into
//! gates on two qubits are easy all the same, and what measurements and resets leave is in no bound at all. They
//! are tried, with little memory and a bounded number of operations, so that what is refused is refused soon.
//! Gates alone are run whole, so that what is not refused fits; of other circuits some shots are.

use super::analysis::Analysis;
use super::candidates::Candidate;
use super::choose::Way;
use super::program::steps;
use super::shots::Shots;
use super::tree::{Branch, Stack};
use super::{Choice, Request};
use crate::ir::{Circuit, Gate, MATRIX_QUBITS_MAX, Op};
use crate::method::Method;
use crate::mps::{self, Chain};
use crate::sparse::{self, Sparse};
use crate::{Error, Watch};

/// Bytes that a look takes at most.
const BYTES: u64 = 64 << 20;
/// Amplitudes that a sparse look touches at most: about a second.
const AMPLITUDES: u64 = 1 << 24;
/// The bond of a look at a chain, its multiplications, and the distance from the true state that is rounding.
const BOND: usize = 32;
const MULTIPLICATIONS: u64 = 1 << 30;
const ROUNDING: f64 = 1e-10;
/// Shots that are tried where shots differ.
const SHOTS: u64 = 4;

/// What a look needs, and how a run that follows it goes: bytes, and why it fits or does not.
struct Found {
    fits: bool,
    bytes: Option<u128>,
    reason: String,
}

impl Found {
    fn over(reason: String) -> Self {
        Self {
            fits: false,
            bytes: None,
            reason,
        }
    }
}

/// The circuit that is looked at.
struct Look<'a> {
    circuit: &'a Circuit,
    analysis: &'a Analysis,
    request: &'a Request,
    /// Bytes that it may take.
    room: u64,
}

/// Tries few amplitudes, then small bonds, and writes down with the candidates what came of it. Gives the bond
/// to run with, if it is a chain of tensors that does it.
pub fn look(
    circuit: &Circuit,
    analysis: &Analysis,
    request: &Request,
    candidates: &mut [Candidate],
) -> Option<usize> {
    if request.statevector {
        return None;
    }
    let look = Look {
        circuit,
        analysis,
        request,
        room: request.available.min(BYTES),
    };
    let mut write = |method, found: Found| {
        let fits = found.fits;
        if let Some(candidate) = candidates.iter_mut().find(|c| c.method == method) {
            candidate.fits = fits;
            candidate.bytes = found.bytes.or(candidate.bytes);
            candidate.reason = found.reason;
        }
        fits
    };
    if circuit.qubits <= sparse::QUBITS && write(Choice::Sparse, look.in_few_amplitudes()) {
        return None;
    }
    let fits = |bond: &usize| mps::bytes_needed(circuit.qubits, *bond) <= look.room.into();
    let bonds = std::iter::successors(Some(BOND.min(request.bond)), |bond| Some(bond / 2));
    let bond = bonds.take_while(|bond| *bond > 1).find(fits);
    if let Some(bond) = bond
        && analysis.widest <= MATRIX_QUBITS_MAX
        && write(Choice::Mps, look.in_small_bonds(bond))
    {
        return Some(bond);
    }
    None
}

/// Where a try ended: its state, the shot if there are several, and why.
struct Ended<M> {
    state: M,
    shot: Option<usize>,
    error: Error,
}

impl Look<'_> {
    /// Runs the gates, or some shots, on states that `fresh` makes; `done` sees the states afterwards and says what
    /// part of all the work they took. How many shots were run, if shots differ.
    fn tried<M: Method>(
        &self,
        method: Choice,
        fresh: impl Fn(f64) -> Result<M, Error>,
        mut done: impl FnMut(&M) -> f64,
    ) -> Result<Option<u64>, Result<Ended<M>, Error>> {
        let watch = Watch::default();
        if self.analysis.is_static {
            let gates: Vec<&Gate> = self.circuit.ops.iter().filter_map(gate).collect();
            let mut state = fresh(1.0).map_err(Err)?;
            return match state.apply(&gates, &watch) {
                Ok(()) => {
                    done(&state);
                    Ok(None)
                }
                Err(error) => Err(Ok(Ended {
                    state,
                    shot: None,
                    error,
                })),
            };
        }
        let way = Way {
            method,
            bond: 0,
            state: self.room,
            bytes: self.room,
            gates: self.analysis.gates,
            is_static: false,
            by_frames: false,
            framed: None,
        };
        let shots = Shots::new(way, &[], self.circuit, self.request);
        let program = steps(self.circuit);
        let (mut left, mut number) = (1.0, 0);
        while number < self.request.shots.clamp(1, SHOTS) {
            let shot = shots.shot(number as usize);
            let mut branch = Branch::new(fresh(left).map_err(Err)?, vec![shot]);
            let ran = shots.branch(&program, &mut branch, &mut Stack::new((0, 0)), &watch);
            if let Err(error) = ran {
                if number > 0 && matches!(error, Error::Limit { .. }) {
                    break;
                }
                return Err(Ok(Ended {
                    state: branch.state,
                    shot: Some(number as usize),
                    error,
                }));
            }
            number += 1;
            left -= done(&branch.state);
            if left < 0.5 {
                break;
            }
        }
        Ok(Some(number))
    }

    /// Where a try ended.
    fn place(&self, number: usize, shot: Option<usize>) -> String {
        if let Some(shot) = shot {
            return format!("gate {} of shot {shot}", number + 1);
        }
        let mut gates = self.circuit.ops.iter().filter_map(gate);
        let name = gates.nth(number).map_or_else(String::new, Gate::name);
        format!("gate {} of {} ({name})", number + 1, self.analysis.gates)
    }

    fn in_few_amplitudes(&self) -> Found {
        let mut peak = 0;
        let tried = self.tried(
            Choice::Sparse,
            |part| {
                let state = Sparse::new(self.circuit.qubits, self.room)?;
                Ok(state.with_work((AMPLITUDES as f64 * part) as u64))
            },
            |state| {
                peak = peak.max(state.progress().1);
                state.work() as f64 / AMPLITUDES as f64
            },
        );
        match tried {
            Ok(shots) => {
                let reason = format!("tried: {peak} amplitudes at most are not zero");
                let taken = u128::from(sparse::ENTRY) * peak as u128;
                let (bytes, reason) = match shots {
                    None => (taken, reason),
                    Some(shots) => (taken, format!("{reason} in {}", counted(shots))),
                };
                Found {
                    fits: true,
                    bytes: Some(bytes.max(self.room.into())),
                    reason,
                }
            }
            Err(Ok(ended)) => {
                let at = self.place(ended.state.progress().0, ended.shot);
                Found::over(match ended.error {
                    Error::Memory { .. } => format!(
                        "tried: more than {} amplitudes are not zero from {at} on",
                        self.room / sparse::ENTRY
                    ),
                    Error::Limit { .. } => {
                        format!("tried: {AMPLITUDES} amplitudes were touched before {at} was done")
                    }
                    other => format!("tried: {other}"),
                })
            }
            Err(Err(error)) => Found::over(format!("tried: {error}")),
        }
    }

    fn in_small_bonds(&self, bond: usize) -> Found {
        let tried = self.tried(
            Choice::Mps,
            |part| {
                let chain = Chain::new(self.circuit.qubits, bond, self.room)?;
                Ok(chain.with_limits((MULTIPLICATIONS as f64 * part) as u64, ROUNDING))
            },
            |chain| chain.progress().1 as f64 / MULTIPLICATIONS as f64,
        );
        match tried {
            Ok(shots) => {
                let in_shots = shots.map(|shots| format!(" in {}", counted(shots)));
                let bytes = mps::bytes_needed(self.circuit.qubits, bond);
                Found {
                    fits: true,
                    bytes: Some(bytes.max(self.room.into())),
                    reason: format!(
                        "tried: bonds of {bond} suffice{}",
                        in_shots.unwrap_or_default()
                    ),
                }
            }
            Err(Ok(ended)) => {
                let at = self.place(ended.state.progress().0, ended.shot);
                Found::over(match ended.error {
                    Error::Numeric(_) => format!("tried: bonds need more than {bond} from {at} on"),
                    Error::Limit { .. } => format!(
                        "tried: bonds up to {bond} took {MULTIPLICATIONS} multiplications before {at} was done"
                    ),
                    other => format!("tried: {other}"),
                })
            }
            Err(Err(error)) => Found::over(format!("tried: {error}")),
        }
    }
}

fn counted(shots: u64) -> String {
    match shots {
        1 => "the shot that was".to_owned(),
        _ => format!("the {shots} shots that were"),
    }
}

fn gate(op: &Op) -> Option<&Gate> {
    match op {
        Op::Gate(gate) => Some(gate),
        _ => None,
    }
}
