//! A run as a document: a circuit's text and what is asked for, in one value that travels as JSON. The
//! result is JSON again, or the amplitudes alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::frames::{self, Program};
use crate::ir::Op;
use crate::run::{self, Choice, Noise, Observable, Outcome, Precision, basis_state};
use crate::{C64, Circuit, Error, Watch, json as json_form, qasm, stim};

/// How the circuit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON if it starts with a brace, else OpenQASM.
    #[default]
    Auto,
    /// OpenQASM 2 or 3.
    Qasm,
    /// The JSON form.
    Json,
    /// Stim's format: it is sampled, and detectors and observables are counted.
    Stim,
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Task {
    /// The circuit's text.
    pub circuit: String,
    /// How it is written.
    pub format: Format,
    /// The method.
    pub method: Choice,
    /// The precision of the dense method.
    pub precision: Precision,
    /// The largest bond of the mps method; 64 without.
    pub bond: Option<u32>,
    /// How many shots; 1024 without.
    pub shots: Option<u64>,
    /// Where random numbers start.
    pub seed: u64,
    /// Whether the result of each shot is wanted.
    pub per_shot: bool,
    /// Whether all amplitudes are wanted, and nothing else.
    pub statevector: bool,
    /// Basis states whose amplitudes are wanted, as bits with qubit 0 last.
    pub amplitudes: Vec<String>,
    /// Sums of Paulis, see [`Observable::parse`].
    pub observables: Vec<String>,
    /// Values of the circuit's inputs.
    pub inputs: BTreeMap<String, f64>,
    /// Noise, see [`Noise::add`].
    pub noise: Vec<String>,
    /// Chances that readout shows 1 for 0 and 0 for 1.
    pub readout: Option<[f64; 2]>,
}

/// A task that was read.
#[derive(Debug)]
pub struct Ready {
    kind: Kind,
    /// Bytes that it takes at most.
    pub bytes: u64,
    /// What it will do and why, such as `dense: 2^3 amplitudes fit`.
    pub method: String,
}

#[derive(Debug)]
enum Kind {
    Circuit(Box<Circuit>, Box<run::Request>),
    Program(Box<Program>, frames::Request),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A document.
    Document(Value),
    /// All amplitudes.
    Amplitudes(Vec<C64>),
}

impl Task {
    /// Reads the circuit and chooses the method, with that many threads and bytes. Nothing large is
    /// allocated.
    ///
    /// # Errors
    /// What is wrong with the circuit or the request; [`Error::Memory`] where it does not fit.
    pub fn ready(&self, threads: usize, available: u64) -> Result<Ready, Error> {
        let shots = self.shots.unwrap_or(1024);
        if self.format == Format::Stim {
            return self.sampling(shots, threads, available);
        }
        let json = self.format == Format::Json
            || (self.format == Format::Auto && self.circuit.trim_start().starts_with('{'));
        let circuit = if json {
            json_form::parse(&self.circuit, None)?
        } else {
            qasm::parse(&self.circuit)?
        };
        let circuit = self.bound(&circuit)?;
        let mut noise = Noise::default();
        self.noise.iter().try_for_each(|text| noise.add(text))?;
        noise.readout = self.readout.unwrap_or_default();
        let amplitudes = self.amplitudes.iter();
        let observables = self.observables.iter();
        let request = run::Request {
            method: self.method,
            precision: self.precision,
            bond: self.bond.unwrap_or(64).max(1) as usize,
            shots: if self.statevector { 0 } else { shots },
            memory: self.per_shot,
            seed: self.seed,
            threads,
            available,
            noise,
            statevector: self.statevector,
            amplitudes: amplitudes
                .map(|text| basis_state(text, circuit.qubits))
                .collect::<Result<_, _>>()?,
            observables: observables
                .map(|text| Observable::parse(text))
                .collect::<Result<_, _>>()?,
        };
        if request.shots > run::SHOTS_MAX {
            return Err(Error::Limit {
                what: "shots",
                got: request.shots.into(),
                limit: run::SHOTS_MAX.into(),
            });
        }
        request
            .observables
            .iter()
            .try_for_each(|observable| observable.check(circuit.qubits))?;
        let plan = run::explain(&circuit, &request)?;
        // The circuit itself: as it is, with its noise, reduced, and as steps.
        let mut operations = 0;
        circuit.each(&mut |_| operations += 1);
        let written = 6 * size_of::<Op>() as u128 * operations;
        // Results are kept besides the state: amplitudes once more, texts of shots, counts of each.
        let bits = u128::from(circuit.bits.max(circuit.qubits)) + 64;
        let kept = if self.statevector {
            32u128 << circuit.qubits.min(64)
        } else if self.per_shot {
            2 * bits * u128::from(request.shots)
        } else {
            // Twice: a long run keeps what it has done until that is stored.
            4 * bits * u128::from(request.shots.min(1 << 20))
        };
        Ok(Ready {
            bytes: fitting(
                "the results",
                plan.bytes.saturating_add(kept + written),
                available,
            )?,
            method: format!("{}: {}", plan.method.name(), plan.reason),
            kind: Kind::Circuit(Box::new(circuit), Box::new(request)),
        })
    }

    fn sampling(&self, shots: u64, threads: usize, available: u64) -> Result<Ready, Error> {
        let program = stim::parse(&self.circuit)?;
        let request = frames::Request {
            shots,
            seed: self.seed,
            threads,
            available,
            measurements: true,
        };
        let needed = frames::bytes_needed(&program, &request);
        Ok(Ready {
            bytes: fitting("stabilizer sampling", needed, available)?,
            method: "stabilizer: Clifford gates and Pauli noise, sampled by frames".to_owned(),
            kind: Kind::Program(Box::new(program), request),
        })
    }

    fn bound(&self, circuit: &Circuit) -> Result<Circuit, Error> {
        let value = |name: &String| {
            let given = self.inputs.get(name).copied();
            given.ok_or_else(|| Error::Circuit(format!("input {name} needs a value")))
        };
        let strange = self.inputs.keys().find(|n| !circuit.parameters.contains(n));
        if let Some(name) = strange {
            return Err(Error::Circuit(format!("the circuit has no input {name}")));
        }
        let values = circuit.parameters.iter().map(value);
        circuit.bind(&values.collect::<Result<Vec<f64>, _>>()?)
    }
}

fn fitting(method: &'static str, needed: u128, available: u64) -> Result<u64, Error> {
    u64::try_from(needed)
        .ok()
        .filter(|&bytes| bytes <= available)
        .ok_or_else(|| Error::Memory {
            method,
            needed,
            available,
            advice: "fewer qubits, shots or threads".to_owned(),
        })
}

impl Ready {
    /// Runs it.
    ///
    /// # Errors
    /// As [`run::run`] and [`frames::sample`].
    pub fn run(&self, watch: &Watch) -> Result<Answer, Error> {
        match &self.kind {
            Kind::Circuit(circuit, request) => {
                let mut outcome = run::run(circuit, request, watch)?;
                if request.statevector {
                    return Ok(Answer::Amplitudes(std::mem::take(&mut outcome.statevector)));
                }
                Ok(Answer::Document(self.document(&outcome, request)))
            }
            Kind::Program(program, request) => {
                let summary = frames::summary(program, request, watch)?;
                Ok(Answer::Document(json!({
                    "method": self.method,
                    "shots": summary.shots,
                    "seed": request.seed,
                    "detected": summary.detected,
                    "detectors": summary.detectors,
                    "observables": summary.observables,
                    "ones": summary.ones,
                    "bytes": self.bytes,
                })))
            }
        }
    }

    fn document(&self, outcome: &Outcome, request: &run::Request) -> Value {
        let mut document = json!({
            "method": self.method,
            "shots": request.shots,
            "seed": outcome.seed,
            "counts": outcome.counts,
            "error_bound": outcome.error_bound,
            "bytes": self.bytes,
        });
        let mut put = |name: &str, wanted: bool, value: Value| {
            if wanted && let Some(members) = document.as_object_mut() {
                members.insert(name.to_owned(), value);
            }
        };
        put("per_shot", request.memory, json!(outcome.memory));
        put(
            "expectations",
            !request.observables.is_empty(),
            json!(outcome.expectations),
        );
        let pairs: Vec<[f64; 2]> = outcome.amplitudes.iter().map(|a| [a.re, a.im]).collect();
        put("amplitudes", !request.amplitudes.is_empty(), json!(pairs));
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(circuit: &str) -> Task {
        Task {
            circuit: circuit.to_owned(),
            ..Task::default()
        }
    }

    const BELL: &str = "OPENQASM 2.0; include \"qelib1.inc\"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;";

    fn answer(task: &Task) -> Answer {
        let ready = task.ready(2, 1 << 28).unwrap();
        ready.run(&Watch::default()).unwrap()
    }

    #[test]
    fn a_task_travels_as_json_and_gives_what_it_asks_for() {
        let text = json!({"circuit": BELL, "shots": 100, "seed": 3, "observables": ["XX"], "amplitudes": ["11"]});
        let read: Task = serde_json::from_value(text).unwrap();
        let again: Task = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
        assert_eq!(read, again);
        let Answer::Document(document) = answer(&read) else {
            panic!("no document");
        };
        let counts = document["counts"].as_object().unwrap();
        let sum: u64 = counts.values().filter_map(Value::as_u64).sum();
        assert_eq!((sum, counts.len()), (100, 2));
        assert!((document["expectations"][0].as_f64().unwrap() - 1.0).abs() < 1e-12);
        let amplitude = document["amplitudes"][0][0].as_f64().unwrap();
        assert!((amplitude - 0.5f64.sqrt()).abs() < 1e-12);
        assert!(serde_json::from_str::<Task>("{\"circut\": \"\"}").is_err());
    }

    #[test]
    fn amplitudes_come_alone_and_stim_is_sampled() {
        let mut state = task("{\"gates\":[{\"name\":\"x\",\"target\":1}]}");
        state.statevector = true;
        let Answer::Amplitudes(list) = answer(&state) else {
            panic!("no amplitudes");
        };
        assert_eq!(list.len(), 4);
        assert!((list[2].re - 1.0).abs() < 1e-15);
        let mut sampled = task("X_ERROR(1) 0\nM 0\nDETECTOR rec[-1]");
        sampled.format = Format::Stim;
        sampled.shots = Some(77);
        let Answer::Document(document) = answer(&sampled) else {
            panic!("no document");
        };
        assert_eq!(
            (&document["detected"], &document["ones"][0]),
            (&json!(77), &json!(77))
        );
    }

    #[test]
    fn what_cannot_be_run_is_refused_before_it_starts() {
        let refused = |change: fn(&mut Task), words: &str| {
            let mut task = task(BELL);
            change(&mut task);
            let error = task.ready(1, 1 << 28).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        refused(|t| t.circuit = "qreg q[1]; frob q[0];".into(), "line 1");
        refused(
            |t| t.noise = vec!["rain=0.5".into()],
            "unknown channel \"rain\"",
        );
        refused(|t| t.noise = vec!["hh:bit-flip=0.5".into()], "unknown gate");
        refused(|t| t.noise = vec!["bit-flip=2".into()], "not from 0 to 1");
        refused(|t| t.amplitudes = vec!["0".into()], "2 bits expected");
        refused(
            |t| t.observables = vec!["XXX".into()],
            "more than the 2 qubits",
        );
        refused(|t| t.inputs = [("t".to_owned(), 1.0)].into(), "no input t");
        refused(|t| t.shots = Some(u64::MAX), "shots");
        refused(
            |t| {
                t.per_shot = true;
                t.shots = Some(10_000_000);
            },
            "the results needs",
        );
        refused(
            |t| {
                t.circuit =
                    "OPENQASM 3.0; include \"stdgates.inc\"; input float a; qubit q; rx(a) q;"
                        .into()
            },
            "input a needs a value",
        );
    }
}
