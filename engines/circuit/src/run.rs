//! Running a circuit: the request, the method that suits it, shots, and what comes out.

mod analysis;
mod candidates;
mod choose;
mod framed;
mod look;
mod noise;
mod once;
mod program;
mod reduce;
mod results;
mod shots;
mod sweep;
mod tree;

pub use analysis::{Analysis, Split};
pub use candidates::Candidate;
pub use choose::{Plan, explain};
pub use noise::Noise;
pub use results::{Observable, Outcome, basis_state};
pub use sweep::{Sweep, sweep};

use crate::dense::{Real, State};
use crate::method::Method;
use crate::mps::Chain;
use crate::sparse::Sparse;
use crate::stabilizer::Tableau;
use crate::{Circuit, Error, Watch};
use shots::Shots;

/// Which method runs the circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// Whatever suits the circuit.
    #[default]
    Auto,
    /// Every amplitude.
    Dense,
    /// Clifford circuits.
    Stabilizer,
    /// A chain of tensors.
    Mps,
    /// The amplitudes that are not zero.
    Sparse,
}

impl Choice {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dense => "dense",
            Self::Stabilizer => "stabilizer",
            Self::Mps => "mps",
            Self::Sparse => "sparse",
        }
    }
}

/// How precise amplitudes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point.
    Single,
    /// 64-bit floating point.
    #[default]
    Double,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Choice,
    /// The precision of the dense method.
    pub precision: Precision,
    /// The largest bond of the mps method; what is above is cut off and reported.
    pub bond: usize,
    /// How many shots; 0 for none.
    pub shots: u64,
    /// Whether each shot's result is kept.
    pub memory: bool,
    /// From which number the random streams start.
    pub seed: u64,
    /// Threads to use, at least 1.
    pub threads: usize,
    /// Bytes that may be used.
    pub available: u64,
    /// Noise besides what the circuit itself says.
    pub noise: Noise,
    /// Whether all amplitudes are wanted.
    pub statevector: bool,
    /// Basis states whose amplitudes are wanted, 64 qubits to a word.
    pub amplitudes: Vec<Vec<u64>>,
    /// What expectation values are wanted.
    pub observables: Vec<Observable>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: Choice::Auto,
            precision: Precision::Double,
            bond: 64,
            shots: 1024,
            memory: false,
            seed: 0,
            threads: 1,
            available: 1 << 30,
            noise: Noise::default(),
            statevector: false,
            amplitudes: Vec::new(),
            observables: Vec::new(),
        }
    }
}

/// The most shots of a run.
pub const SHOTS_MAX: u64 = 100_000_000;

/// Runs a circuit.
///
/// # Errors
/// What is wrong with the circuit or the request, or [`Error::Memory`] (before memory is taken)
/// where no method fits.
pub fn run(circuit: &Circuit, request: &Request, watch: &Watch) -> Result<Outcome, Error> {
    let plan = explain(circuit, request)?;
    run_planned(circuit, request, &plan, watch)
}

/// Runs a circuit by a plan that [`explain`] made of it and of the same request.
///
/// # Errors
/// As [`run`]; [`Error::Circuit`] for a plan of a circuit of other size.
pub fn run_planned(
    circuit: &Circuit,
    request: &Request,
    plan: &Plan,
    watch: &Watch,
) -> Result<Outcome, Error> {
    let runs = plan.runs.as_ref().unwrap_or(circuit);
    let way = plan.way(circuit)?;
    go(Shots::new(way, &plan.qubits, runs, request), watch)
}

/// Runs by the method that was chosen.
fn go(mut work: Shots<'_>, watch: &Watch) -> Result<Outcome, Error> {
    let (n, request) = (work.qubits(), work.request);
    match work.way.method {
        Choice::Stabilizer => work.run(|_| Tableau::new(n, request.available), watch),
        Choice::Sparse => {
            let room = match work.way.is_static {
                true => request.available,
                false => work.way.state,
            };
            work.run(|_| Sparse::new(n, room), watch)
        }
        Choice::Mps => {
            let bond = work.way.bond;
            // The plan has looked whether it fits.
            work.run(|_| Chain::new(n, bond, u64::MAX), watch)
        }
        Choice::Dense | Choice::Auto => match request.precision {
            Precision::Double => dense::<f64>(&mut work, request, watch),
            Precision::Single => dense::<f32>(&mut work, request, watch),
        },
    }
}

fn dense<T: Real>(work: &mut Shots<'_>, request: &Request, watch: &Watch) -> Result<Outcome, Error>
where
    State<T>: Method,
{
    let n = work.qubits();
    work.run(
        |threads| State::<T>::new(n, threads, request.available),
        watch,
    )
}

fn check(circuit: &Circuit, request: &Request) -> Result<(), Error> {
    circuit.check()?;
    if !circuit.is_bound() {
        return Err(Error::Circuit(format!(
            "parameters without a value: {}",
            circuit.parameters.join(", ")
        )));
    }
    check_request(circuit, request)
}

fn check_request(circuit: &Circuit, request: &Request) -> Result<(), Error> {
    if request.shots > SHOTS_MAX {
        return Err(Error::Limit {
            what: "shots",
            got: request.shots.into(),
            limit: SHOTS_MAX.into(),
        });
    }
    request
        .observables
        .iter()
        .try_for_each(|o| o.check(circuit.qubits))
}
