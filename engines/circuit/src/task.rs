//! A run as a document: a circuit's text and what is asked for, in one value that travels as JSON. The
//! result is JSON again, or the amplitudes alone.

mod points;

pub use points::{NUMBERS_MAX, OPERATIONS_MAX, POINTS_MAX};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::frames::{self, Program};
use crate::ir::Op;
use crate::run::{self, Choice, Noise, Observable, Outcome, Precision, Sweep, basis_state};
use crate::{C64, Circuit, Error, Watch, gradient, json as json_form, qasm, stim};
use points::Points;

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
    /// How many shots; 1024 without, none for gradients.
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
    /// Inputs that go through lists of values, all of them together and equally long: a run for each place.
    pub sweep: BTreeMap<String, Vec<f64>>,
    /// Whether the derivatives of the observables by each input are wanted.
    pub gradient: bool,
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
    Circuit(Box<Runs>),
    Program(Box<Program>, frames::Request),
}

/// A circuit that runs once, or once for each point of a sweep.
#[derive(Debug)]
struct Runs {
    circuit: Circuit,
    request: run::Request,
    points: Points,
    sweep: Sweep,
    /// How many points run side by side.
    together: usize,
    gradient: bool,
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
        if self.format == Format::Stim {
            return self.sampling(threads, available);
        }
        let json = self.format == Format::Json
            || (self.format == Format::Auto && self.circuit.trim_start().starts_with('{'));
        let circuit = if json {
            json_form::parse(&self.circuit, None)?
        } else {
            qasm::parse(&self.circuit)?
        };
        let request = self.request(&circuit, threads, available)?;
        let points = Points::of(&circuit, &self.inputs, &self.sweep)?;
        let mut operations = 0;
        circuit.each(&mut |_| operations += 1);
        self.check(&circuit, &request, &points, operations)?;
        let sweep = points.plan(&circuit, &request)?;
        let adjoint = match self.gradient {
            true => gradient::bytes_taken(circuit.qubits, threads),
            false => 0,
        };
        let most = adjoint.max(sweep.bytes.into());
        // Results are kept besides the state: amplitudes once more, texts of shots, counts of each.
        let bits = u128::from(circuit.bits.max(circuit.qubits)) + 64;
        let shots = u128::from(request.shots);
        let kept = if self.statevector {
            32u128 << circuit.qubits.min(64)
        } else if self.per_shot {
            2 * bits * shots
        } else {
            // Twice: a long run keeps what it has done until that is stored.
            4 * bits * shots.min(1 << 20)
        };
        let kept = kept * points.count() as u128 + 64 * u128::from(self.numbers(&circuit, &points));
        // The circuit itself: as it is, reduced, with its noise, and for each point that runs bound and as steps.
        let written = size_of::<Op>() as u128 * u128::from(operations);
        let needed = |together: usize| {
            let each = most.saturating_add(4 * written);
            let all = each.saturating_mul(together as u128);
            all.saturating_add(kept + 3 * written)
        };
        let mut together = sweep.together(u64::try_from(adjoint).unwrap_or(u64::MAX));
        while together > 1 && needed(together) > available.into() {
            together -= 1;
        }
        let needed = needed(together);
        let mut method = format!("{}: {}", sweep.methods.join(", "), sweep.reason);
        if points.swept() {
            method += &format!("; {} points", points.count());
        }
        Ok(Ready {
            bytes: fitting("the results", needed, available)?,
            method,
            kind: Kind::Circuit(Box::new(Runs {
                circuit,
                request,
                points,
                sweep,
                together,
                gradient: self.gradient,
            })),
        })
    }

    fn request(
        &self,
        circuit: &Circuit,
        threads: usize,
        available: u64,
    ) -> Result<run::Request, Error> {
        let mut noise = Noise::default();
        self.noise.iter().try_for_each(|text| noise.add(text))?;
        noise.readout = self.readout.unwrap_or_default();
        let amplitudes = self.amplitudes.iter();
        let observables = self.observables.iter();
        let shots = self.shots.unwrap_or(if self.gradient { 0 } else { 1024 });
        Ok(run::Request {
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
        })
    }

    /// What no method could do, and what is too much.
    fn check(
        &self,
        circuit: &Circuit,
        request: &run::Request,
        points: &Points,
        operations: u64,
    ) -> Result<(), Error> {
        let count = points.count() as u64;
        for (what, got, limit) in [
            ("shots", request.shots.saturating_mul(count), run::SHOTS_MAX),
            (
                "numbers in the answer (amplitudes, expectation values and derivatives of all points)",
                self.numbers(circuit, points),
                NUMBERS_MAX,
            ),
            (
                "operations of the circuit, times points of the sweep",
                if count > 1 {
                    operations.saturating_mul(count)
                } else {
                    0
                },
                OPERATIONS_MAX,
            ),
        ] {
            if got > limit {
                return Err(Error::Limit {
                    what,
                    got: got.into(),
                    limit: limit.into(),
                });
            }
        }
        let checked = |observable: &Observable| observable.check(circuit.qubits);
        request.observables.iter().try_for_each(checked)?;
        if self.statevector && (points.swept() || self.gradient) {
            let message = "all amplitudes (statevector) come alone: no sweep, no gradient; ask for amplitudes by basis state";
            return Err(Error::Circuit(message.to_owned()));
        }
        if !self.gradient {
            return Ok(());
        }
        if request.observables.is_empty() {
            let message = "a gradient is of an expectation value: say which observable";
            return Err(Error::Circuit(message.to_owned()));
        }
        if circuit.parameters.is_empty() {
            let message = "a gradient is by inputs, and the circuit has none (input float NAME;)";
            return Err(Error::Circuit(message.to_owned()));
        }
        gradient::check(circuit)?;
        let quiet = Noise {
            readout: request.noise.readout,
            ..Noise::default()
        };
        if request.noise != quiet {
            return Err(gradient::irreversible("noise"));
        }
        Ok(())
    }

    /// How many numbers the answer has, besides counts.
    fn numbers(&self, circuit: &Circuit, points: &Points) -> u64 {
        let slopes = if self.gradient {
            circuit.parameters.len()
        } else {
            0
        };
        let each = 2 * self.amplitudes.len() + self.observables.len() * (1 + slopes);
        (each as u64).saturating_mul(points.count() as u64)
    }

    fn sampling(&self, threads: usize, available: u64) -> Result<Ready, Error> {
        if self.gradient || !self.sweep.is_empty() {
            let message = "a program in stim's format has no inputs: no sweep, no gradient";
            return Err(Error::Circuit(message.to_owned()));
        }
        let shots = self.shots.unwrap_or(1024);
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
            Kind::Circuit(runs) => self.runs(runs, watch),
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

    fn runs(&self, runs: &Runs, watch: &Watch) -> Result<Answer, Error> {
        let request = &runs.request;
        let mut document = json!({
            "method": self.method,
            "shots": request.shots,
            "seed": request.seed,
            "bytes": self.bytes,
        });
        if !runs.points.swept() {
            let values = runs.points.values(0);
            let mut outcome = runs.sweep.point(0, &values, watch)?;
            if request.statevector {
                return Ok(Answer::Amplitudes(std::mem::take(&mut outcome.statevector)));
            }
            put(
                &mut document,
                runs.results(&outcome, &values, request, watch)?,
            );
            return Ok(Answer::Document(document));
        }
        let values = |number: usize| runs.points.values(number);
        let inputs = |number: usize| -> Value {
            let names = runs.circuit.parameters.iter();
            let pairs: BTreeMap<&String, f64> = names.zip(values(number)).collect();
            json!(pairs)
        };
        let known = |number: usize| {
            let point = watch.kept()?.earlier_point(number)?;
            (point.get("inputs") == Some(&inputs(number))).then_some(point)
        };
        let point = |number: usize, outcome: Outcome, share: &run::Request, part: &Watch| {
            let mut point = json!({"inputs": inputs(number), "method": outcome.method});
            put(
                &mut point,
                runs.results(&outcome, &values(number), share, part)?,
            );
            if let Some(kept) = watch.kept() {
                kept.add_point(number, &point);
            }
            Ok(point)
        };
        let list = runs
            .sweep
            .each(&values, runs.together, watch, known, point)?;
        put(&mut document, vec![("points", Value::Array(list))]);
        Ok(Answer::Document(document))
    }
}

impl Runs {
    /// What a run gives, by name.
    fn results(
        &self,
        outcome: &Outcome,
        values: &[f64],
        request: &run::Request,
        watch: &Watch,
    ) -> Result<Vec<(&'static str, Value)>, Error> {
        let mut results = vec![
            ("counts", json!(outcome.counts)),
            ("error_bound", json!(outcome.error_bound)),
        ];
        if request.memory {
            results.push(("per_shot", json!(outcome.memory)));
        }
        if !request.observables.is_empty() {
            results.push(("expectations", json!(outcome.expectations)));
        }
        if !request.amplitudes.is_empty() {
            let pairs: Vec<[f64; 2]> = outcome.amplitudes.iter().map(|a| [a.re, a.im]).collect();
            results.push(("amplitudes", json!(pairs)));
        }
        if self.gradient {
            let of = |observable: &Observable| {
                let (threads, available) = (request.threads, request.available);
                gradient::gradient(&self.circuit, values, observable, threads, available, watch)
            };
            let mut gradients = Vec::new();
            for observable in &request.observables {
                let (_, slopes) = of(observable)?;
                let named: BTreeMap<&String, f64> =
                    self.circuit.parameters.iter().zip(slopes).collect();
                gradients.push(named);
            }
            results.push(("gradients", json!(gradients)));
        }
        Ok(results)
    }
}

fn put(document: &mut Value, members: Vec<(&'static str, Value)>) {
    if let Some(object) = document.as_object_mut() {
        object.extend(
            members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
    }
}

#[cfg(test)]
mod tests;
