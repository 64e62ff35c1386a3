//! What the commands print with `--json`, see docs/json.md.

use std::collections::BTreeMap;
use std::time::Duration;

use quantumos_circuit::Circuit;
use quantumos_circuit::run::{Outcome, Plan, Request};
use serde::{Deserialize, Serialize};

/// The result of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Result {
    /// The method that ran.
    pub method: String,
    /// Why it.
    pub reason: String,
    /// Shots.
    pub shots: u64,
    /// The seed that repeats the result.
    pub seed: u64,
    /// Counts by result.
    pub counts: BTreeMap<String, u64>,
    /// Results shot by shot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_shot: Vec<String>,
    /// Expectation values, in the order of the observables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<f64>,
    /// For each observable its derivative by each input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gradients: Vec<BTreeMap<String, f64>>,
    /// Amplitudes asked for: real and imaginary part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amplitudes: Vec<[f64; 2]>,
    /// All amplitudes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statevector: Vec<[f64; 2]>,
    /// A bound on the error of probabilities.
    pub error_bound: f64,
    /// Bytes of the state.
    pub bytes: u64,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Result {
    pub fn new(outcome: &Outcome, plan: &Plan, request: &Request, time: Duration) -> Self {
        let pairs = |list: &[quantumos_circuit::C64]| list.iter().map(|a| [a.re, a.im]).collect();
        Self {
            method: outcome.method.to_owned(),
            reason: plan.reason.clone(),
            shots: request.shots,
            seed: outcome.seed,
            counts: outcome.counts.clone(),
            per_shot: outcome.memory.clone(),
            expectations: outcome.expectations.clone(),
            gradients: Vec::new(),
            amplitudes: pairs(&outcome.amplitudes),
            statevector: pairs(&outcome.statevector),
            error_bound: outcome.error_bound,
            bytes: u64::try_from(outcome.bytes).unwrap_or(u64::MAX),
            seconds: time.as_secs_f64(),
        }
    }
}

/// The results of a sweep.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Swept {
    /// The methods that ran.
    pub method: String,
    /// Why the first of them.
    pub reason: String,
    /// Shots of each point.
    pub shots: u64,
    /// The seed that repeats the results.
    pub seed: u64,
    /// Results, in the order of the values.
    pub points: Vec<Point>,
    /// Bytes at most.
    pub bytes: u64,
    /// Seconds that all of it took.
    pub seconds: f64,
}

/// The result at one point of a sweep.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Point {
    /// The value of each input.
    pub inputs: BTreeMap<String, f64>,
    /// The method that ran.
    pub method: String,
    /// Counts by result.
    pub counts: BTreeMap<String, u64>,
    /// Results shot by shot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_shot: Vec<String>,
    /// Expectation values, in the order of the observables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<f64>,
    /// For each observable its derivative by each input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gradients: Vec<BTreeMap<String, f64>>,
    /// Amplitudes asked for: real and imaginary part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amplitudes: Vec<[f64; 2]>,
    /// A bound on the error of probabilities.
    pub error_bound: f64,
}

/// A method and what it would take.
#[derive(Debug, Serialize)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Whether it can run the circuit.
    pub fits: bool,
    /// Why, or why not.
    pub reason: String,
    /// Bytes, if known; a number too large for 64 bits is the largest one.
    pub bytes: Option<u64>,
}

/// Which method, and why.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The method that would run.
    pub method: String,
    /// Why it.
    pub reason: String,
    /// Bytes to set aside.
    pub bytes: u64,
    /// Bytes that may be used.
    pub available: u64,
    /// Qubits of the circuit.
    pub qubits: u32,
    /// Qubits that matter for the result.
    pub qubits_needed: u32,
    /// Gates that matter.
    pub gates: u64,
    /// Gates outside of the light cone.
    pub gates_dropped: u64,
    /// Gates that are not Clifford.
    pub gates_not_clifford: u64,
    /// Sizes of the groups of qubits that meet.
    pub groups: Vec<u32>,
    /// The logarithm (base 2) of a bound of the non-zero amplitudes.
    pub log_non_zeros: u32,
    /// All methods.
    pub methods: Vec<Method>,
}

impl Explanation {
    pub fn new(circuit: &Circuit, plan: &Plan, request: &Request) -> Self {
        let narrow = |bytes: u128| u64::try_from(bytes).unwrap_or(u64::MAX);
        Self {
            method: plan.method.name().to_owned(),
            reason: plan.reason.clone(),
            bytes: narrow(plan.bytes),
            available: request.available,
            qubits: circuit.qubits,
            qubits_needed: plan.qubits.len() as u32,
            gates: plan.analysis.gates,
            gates_dropped: plan.split.dropped,
            gates_not_clifford: plan.analysis.other_than_clifford,
            groups: plan
                .analysis
                .groups
                .iter()
                .map(|g| g.len() as u32)
                .collect(),
            log_non_zeros: plan.analysis.log_non_zeros,
            methods: plan
                .candidates
                .iter()
                .map(|c| Method {
                    name: c.method.name().to_owned(),
                    fits: c.fits,
                    reason: c.reason.clone(),
                    bytes: c.bytes.map(narrow),
                })
                .collect(),
        }
    }
}

/// A drawing.
#[derive(Debug, Serialize)]
pub struct Drawing {
    /// The lines.
    pub text: String,
}

/// One line of a benchmark.
#[derive(Debug, Serialize, Deserialize)]
pub struct Timing {
    /// The circuit: its kind.
    pub circuit: String,
    /// The method.
    pub method: String,
    /// Qubits.
    pub qubits: u32,
    /// Milliseconds, the median of the rounds.
    pub milliseconds: f64,
}

impl Timing {
    /// For people.
    pub fn line(&self) -> String {
        format!(
            "{:<9} {:<10} {:>5} qubits  {:>12.3} ms\n",
            self.circuit, self.method, self.qubits, self.milliseconds
        )
    }
}
