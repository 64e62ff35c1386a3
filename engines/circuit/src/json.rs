//! Circuits as JSON: `{"gates":[{"name":"h","target":0},{"name":"cnot","control":0,"target":1}]}`, with
//! angles, measurements, resets and barriers besides. Errors name the gate by its place in the list and in the text.

use serde::Deserialize;

use crate::Error;
use crate::ir::{Circuit, Gate, Op, QUBITS_MAX, standard};

/// The longest text that is read, in bytes.
pub const TEXT_MAX: usize = 64 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    gates: Vec<Entry>,
    #[serde(alias = "qubit_count", alias = "num_qubits")]
    qubits: Option<u64>,
    #[serde(alias = "clbits")]
    bits: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    qubits: Vec<u64>,
    target: Option<u64>,
    #[serde(default)]
    targets: Vec<u64>,
    control: Option<u64>,
    #[serde(default)]
    controls: Vec<u64>,
    #[serde(default, alias = "angles")]
    params: Vec<f64>,
    angle: Option<f64>,
    theta: Option<f64>,
    phi: Option<f64>,
    #[serde(alias = "lam")]
    lambda: Option<f64>,
    gamma: Option<f64>,
    #[serde(alias = "clbit")]
    bit: Option<u64>,
}

impl Entry {
    fn controls(&self) -> Vec<u64> {
        self.control
            .into_iter()
            .chain(self.controls.iter().copied())
            .collect()
    }

    fn all_qubits(&self) -> Vec<u64> {
        let mut all = self.controls();
        all.extend(self.target);
        all.extend(&self.targets);
        all.extend(&self.qubits);
        all
    }

    fn angles(&self) -> Vec<f64> {
        let named = [self.angle, self.theta, self.phi, self.lambda, self.gamma];
        self.params
            .iter()
            .copied()
            .chain(named.into_iter().flatten())
            .collect()
    }
}

/// Reads a circuit. Without `"qubits"` in the text there are as many as `qubits` says, or as the
/// gates name.
///
/// # Errors
/// [`Error::Syntax`] for what is not JSON of that form, [`Error::Circuit`] for a gate that is wrong,
/// [`Error::Limit`] for too much of anything.
pub fn parse(text: &str, qubits: Option<u64>) -> Result<Circuit, Error> {
    if text.len() > TEXT_MAX {
        return Err(Error::Limit {
            what: "bytes of text",
            got: text.len() as u128,
            limit: TEXT_MAX as u128,
        });
    }
    let document: Document = serde_json::from_str(text).map_err(|error| {
        // The library's own text ends with the place, which the error names anyway.
        let message = error.to_string();
        let message = message
            .rsplit_once(" at line")
            .map_or(message.as_str(), |(m, _)| m);
        Error::at(error.line() as u32, error.column() as u32, message)
    })?;
    let highest = document.gates.iter().flat_map(Entry::all_qubits).max();
    let count = document
        .qubits
        .or(qubits)
        .unwrap_or_else(|| highest.map_or(0, |q| q.saturating_add(1)));
    let measured = document
        .gates
        .iter()
        .filter(|e| e.name.eq_ignore_ascii_case("measure"))
        .flat_map(|e| e.bit.map_or_else(|| e.all_qubits(), |bit| vec![bit]))
        .max()
        .map_or(0, |bit| bit.saturating_add(1));
    let mut circuit = Circuit::new(count, document.bits.unwrap_or(measured))?;
    for (place, entry) in document.gates.iter().enumerate() {
        add(&mut circuit, entry).map_err(|error| match error {
            Error::Syntax { .. } => error,
            other => {
                let (line, column) = place_of(text, place);
                Error::at(line, column, format!("gates[{place}]: {other}"))
            }
        })?;
    }
    Ok(circuit)
}

/// Where the gate of that number starts, in a text that is JSON of this form.
fn place_of(text: &str, wanted: usize) -> (u32, u32) {
    let (mut line, mut column, mut depth, mut seen) = (1, 0, 0u32, 0);
    let (mut quoted, mut escaped, mut in_gates) = (false, false, false);
    let mut key = String::new();
    for c in text.chars() {
        column += 1;
        if c == '\n' {
            (line, column) = (line + 1, 0);
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => {
                quoted = !quoted;
                if quoted && depth == 1 {
                    key.clear();
                }
            }
            _ if quoted => key.push(c),
            '{' | '[' => {
                depth += 1;
                in_gates |= c == '[' && depth == 2 && key == "gates";
                if in_gates && c == '{' && depth == 3 {
                    if seen == wanted {
                        return (line, column);
                    }
                    seen += 1;
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                in_gates &= depth >= 2;
            }
            _ => {}
        }
    }
    (line, column)
}

fn add(circuit: &mut Circuit, entry: &Entry) -> Result<(), Error> {
    let qubits = entry
        .all_qubits()
        .into_iter()
        .map(|q| index("qubit", q))
        .collect::<Result<Vec<u32>, _>>()?;
    let angles = entry.angles();
    let name = entry.name.to_lowercase();
    match name.as_str() {
        "measure" => {
            if let (Some(_), [_, _, ..]) = (entry.bit, &qubits[..]) {
                return Err(Error::Circuit("one bit for several qubits".to_owned()));
            }
            for &qubit in &qubits {
                let bit = entry.bit.map_or(Ok(qubit), |bit| index("bit", bit))?;
                circuit.measure(qubit, bit)?;
            }
        }
        "reset" => {
            for &qubit in &qubits {
                circuit.reset(qubit)?;
            }
        }
        "barrier" => {
            circuit.push(Op::Barrier(qubits))?;
        }
        _ => {
            let Some(known) = standard(&name) else {
                return Err(Error::Circuit(format!("unknown gate {:?}", entry.name)));
            };
            // More controls than the name has make a gate with that many: `{"name":"x","controls":[0,1]}`.
            let given = entry.controls().len();
            let more = if known.qubits() < qubits.len() && known.controls == 0 {
                given
            } else {
                0
            };
            if more == 0 {
                circuit.gate(&name, &angles, &qubits)?;
                return Ok(());
            }
            let (controls, targets) = qubits.split_at(more);
            if known.angles != angles.len() || known.qubits() != targets.len() {
                return Err(Error::Circuit(format!(
                    "{name} has {} angles and {} targets",
                    known.angles,
                    known.qubits()
                )));
            }
            let angles: Vec<_> = angles.iter().map(|&a| a.into()).collect();
            let gates: Vec<Gate> = known.gates(&angles, targets).into_vec();
            for gate in gates {
                circuit.push(Op::Gate(gate.controlled(controls)))?;
            }
        }
    }
    Ok(())
}

fn index(what: &str, value: u64) -> Result<u32, Error> {
    u32::try_from(value)
        .ok()
        .filter(|&v| u64::from(v) < QUBITS_MAX)
        .ok_or_else(|| Error::Circuit(format!("{what} {value} is out of range")))
}
