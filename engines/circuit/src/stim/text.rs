//! The parser: a line is an instruction, `NAME[tag](arguments) targets`, or opens or closes a block.

use super::gates;
use super::targets::{Target, What, groups, read};
use crate::Error;
use crate::frames::{Basis, Clifford, Noise, Program, Step};
use crate::ir::DEPTH_MAX;

/// The longest text.
pub const TEXT_MAX: usize = 16 << 20;

/// A place of the text, for errors.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl Place {
    pub fn error(self, message: impl Into<String>) -> Error {
        Error::at(self.line, self.column, message)
    }
}

/// Reads a circuit.
///
/// # Errors
/// [`Error::Syntax`] with line and column, [`Error::Limit`] where it is too large.
pub fn parse(text: &str) -> Result<Program, Error> {
    if text.len() > TEXT_MAX {
        return Err(Error::Limit {
            what: "bytes of a circuit",
            got: text.len() as u128,
            limit: TEXT_MAX as u128,
        });
    }
    // Blocks that are open: how often, where, and what came before them.
    let mut open: Vec<(u64, Place, u128, Vec<Step>)> = Vec::new();
    let mut steps = Vec::new();
    let mut measured = 0u128;
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let body = line.trim();
        let indent = line.chars().count() - line.trim_start().chars().count();
        let place = Place {
            line: number as u32 + 1,
            column: indent as u32 + 1,
        };
        if body.is_empty() {
            continue;
        }
        if body == "}" {
            let (times, _, earlier, before) = open
                .pop()
                .ok_or_else(|| place.error("} without a REPEAT before it"))?;
            let more = (measured - earlier).saturating_mul(u128::from(times) - 1);
            measured = measured.saturating_add(more);
            let block = std::mem::replace(&mut steps, before);
            steps.push(Step::Repeat(times, block));
        } else if let Some(head) = body.strip_suffix('{') {
            if open.len() >= DEPTH_MAX {
                return Err(place.error(format!("more than {DEPTH_MAX} blocks in each other")));
            }
            let times = repeat(head, place)?;
            open.push((times, place, measured, std::mem::take(&mut steps)));
        } else {
            let before = steps.len();
            instruction(body, place, &mut steps)?;
            measured += checked(&steps[before..], measured, place)?;
        }
    }
    if let Some((_, place, ..)) = open.last() {
        return Err(place.error("this REPEAT is not closed: } is missing"));
    }
    Program::new(steps)
}

/// Checks the steps of a line; how many measurements they have.
fn checked(steps: &[Step], measured: u128, place: Place) -> Result<u128, Error> {
    let mut alone = Vec::new();
    for step in steps {
        let furthest = match step {
            Step::Feedback(_, back, _) => Some(back),
            Step::Detector(back) | Step::Observable(_, back, _) => back.iter().max(),
            other => {
                alone.push(other.clone());
                None
            }
        };
        if let Some(back) = furthest.filter(|&&back| u128::from(back) > measured) {
            let message = format!("rec[-{back}] is before the first of {measured} measurements");
            return Err(place.error(message));
        }
    }
    let program = Program::new(alone).map_err(|error| place.error(error.to_string()))?;
    Ok(program.measurements.into())
}

fn repeat(head: &str, place: Place) -> Result<u64, Error> {
    let mut words = head.split_whitespace();
    let name = words.next().unwrap_or_default();
    let name = name.split('[').next().unwrap_or_default();
    let times = words.next().and_then(|w| w.parse::<u64>().ok());
    match (name.eq_ignore_ascii_case("REPEAT"), times, words.next()) {
        (true, Some(times), None) if times > 0 => Ok(times),
        (true, ..) => Err(place.error("REPEAT needs a number of rounds, at least 1")),
        _ => Err(place.error("only REPEAT opens a block")),
    }
}

/// A product of Paulis, and whether it is turned around.
type Signed = (bool, Vec<(u32, Basis)>);

/// The parts of an instruction.
struct Parts {
    name: String,
    arguments: Vec<f64>,
    targets: Vec<Target>,
    place: Place,
}

fn parts(body: &str, place: Place) -> Result<Parts, Error> {
    let end = body
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(body.len());
    let name = body[..end].to_ascii_uppercase();
    let mut rest = &body[end..];
    if let Some(tag) = rest.strip_prefix('[') {
        let close = tag.find(']');
        let close = close.ok_or_else(|| place.error("a tag is not closed: ] is missing"))?;
        rest = &tag[close + 1..];
    }
    let mut arguments = Vec::new();
    if let Some(list) = rest.strip_prefix('(') {
        let close = list.find(')');
        let close = close.ok_or_else(|| place.error("arguments are not closed: ) is missing"))?;
        for word in list[..close].split(',').map(str::trim) {
            let number = word.parse::<f64>().ok().filter(|n| n.is_finite());
            arguments.push(number.ok_or_else(|| place.error(format!("{word:?} is no number")))?);
        }
        rest = &list[close + 1..];
    }
    if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
        return Err(place.error(format!("a blank expected before {rest:?}")));
    }
    let column = place.column + (body.chars().count() - rest.chars().count()) as u32;
    let targets = read(rest, Place { column, ..place })?;
    Ok(Parts {
        name,
        arguments,
        targets,
        place,
    })
}

impl Parts {
    fn at(&self, target: &Target) -> Place {
        Place {
            column: target.column,
            ..self.place
        }
    }

    /// That many arguments.
    fn numbers<const N: usize>(&self) -> Result<[f64; N], Error> {
        <[f64; N]>::try_from(&self.arguments[..]).map_err(|_| {
            let got = self.arguments.len();
            let message = format!("{} takes {N} arguments in brackets, not {got}", self.name);
            self.place.error(message)
        })
    }

    /// One argument, or 0.
    fn chance(&self) -> Result<f64, Error> {
        if self.arguments.is_empty() {
            return Ok(0.0);
        }
        self.numbers::<1>().map(|[p]| p)
    }

    fn wrong(&self, target: &Target, wanted: &str) -> Error {
        self.at(target)
            .error(format!("{} takes {wanted} here", self.name))
    }

    fn qubits(&self) -> Result<Vec<u32>, Error> {
        let one = |target: &Target| match target.what {
            What::Qubit(qubit, false) => Ok(qubit),
            _ => Err(self.wrong(target, "qubits")),
        };
        self.targets.iter().map(one).collect()
    }

    fn turned_qubits(&self) -> Result<Vec<(u32, bool)>, Error> {
        let one = |target: &Target| match target.what {
            What::Qubit(qubit, turned) => Ok((qubit, turned)),
            _ => Err(self.wrong(target, "qubits")),
        };
        self.targets.iter().map(one).collect()
    }

    /// Products of Paulis on different qubits.
    fn products(&self) -> Result<Vec<Signed>, Error> {
        let mut products = Vec::new();
        for group in groups(&self.targets, self.place)? {
            let (mut all, mut paulis) = (false, Vec::<(u32, Basis)>::new());
            for target in &group {
                let What::Pauli(basis, qubit, turned) = target.what else {
                    return Err(self.wrong(target, "products of Paulis such as X1*Z2"));
                };
                if paulis.iter().any(|p| p.0 == qubit) {
                    let message = format!("qubit {qubit} is twice in a product");
                    return Err(self.at(target).error(message));
                }
                all ^= turned;
                paulis.push((qubit, basis));
            }
            products.push((all, paulis));
        }
        Ok(products)
    }

    /// Paulis of which all strike together.
    fn paulis(&self) -> Result<Vec<(u32, Basis)>, Error> {
        let one = |target: &Target| match target.what {
            What::Pauli(basis, qubit, false) => Ok((qubit, basis)),
            _ => Err(self.wrong(target, "Paulis such as X1")),
        };
        self.targets.iter().map(one).collect()
    }

    fn records(&self) -> Result<Vec<u32>, Error> {
        let one = |target: &Target| match target.what {
            What::Record(back) => Ok(back),
            _ => Err(self.wrong(target, "measurements such as rec[-1]")),
        };
        self.targets.iter().map(one).collect()
    }
}

fn instruction(body: &str, place: Place, steps: &mut Vec<Step>) -> Result<(), Error> {
    let parts = parts(body, place)?;
    if let Some(gate) = gates::gate(&parts.name) {
        parts_of_gate(&parts, gate, steps)?;
        return parts.numbers::<0>().map(drop);
    }
    let measure = |basis| -> Result<Step, Error> {
        Ok(Step::Measure(
            basis,
            parts.chance()?,
            parts.turned_qubits()?,
        ))
    };
    let noise = |noise| -> Result<Step, Error> { Ok(Step::Noise(noise, parts.qubits()?)) };
    match parts.name.as_str() {
        "TICK" | "QUBIT_COORDS" | "SHIFT_COORDS" | "I_ERROR" | "II_ERROR" => {}
        "M" | "MZ" => steps.push(measure(Basis::Z)?),
        "MX" => steps.push(measure(Basis::X)?),
        "MY" => steps.push(measure(Basis::Y)?),
        "R" | "RZ" => steps.push(Step::Reset(Basis::Z, parts.qubits()?)),
        "RX" => steps.push(Step::Reset(Basis::X, parts.qubits()?)),
        "RY" => steps.push(Step::Reset(Basis::Y, parts.qubits()?)),
        "MR" | "MRZ" => measure_reset(&parts, Basis::Z, steps)?,
        "MRX" => measure_reset(&parts, Basis::X, steps)?,
        "MRY" => measure_reset(&parts, Basis::Y, steps)?,
        "MXX" => pairs(&parts, Basis::X, steps)?,
        "MYY" => pairs(&parts, Basis::Y, steps)?,
        "MZZ" => pairs(&parts, Basis::Z, steps)?,
        "MPP" => {
            let chance = parts.chance()?;
            let all = parts.products()?.into_iter();
            steps.extend(all.map(|(turned, paulis)| Step::Product(chance, turned, paulis)));
        }
        "SPP" | "SPP_DAG" => {
            for (turned, paulis) in parts.products()? {
                rotation(&paulis, turned ^ (parts.name == "SPP_DAG"), steps);
            }
        }
        "MPAD" => {
            let bit = |target: &Target| match target.what {
                What::Qubit(bit, false) if bit < 2 => Ok(bit == 1),
                _ => Err(parts.wrong(target, "0 or 1")),
            };
            let bits = parts.targets.iter().map(bit).collect::<Result<_, _>>()?;
            steps.push(Step::Pad(parts.chance()?, bits));
        }
        "X_ERROR" | "Y_ERROR" | "Z_ERROR" => {
            let [chance] = parts.numbers()?;
            let basis = match parts.name.as_bytes()[0] {
                b'X' => Basis::X,
                b'Y' => Basis::Y,
                _ => Basis::Z,
            };
            steps.push(noise(Noise::Single(basis, chance))?);
        }
        "DEPOLARIZE1" => {
            let [chance] = parts.numbers()?;
            steps.push(noise(Noise::One([chance / 3.0; 3]))?);
        }
        "DEPOLARIZE2" => {
            let [chance] = parts.numbers()?;
            steps.push(noise(Noise::Two([chance / 15.0; 15]))?);
        }
        "PAULI_CHANNEL_1" => steps.push(noise(Noise::One(parts.numbers()?))?),
        "PAULI_CHANNEL_2" => steps.push(noise(Noise::Two(parts.numbers()?))?),
        "HERALDED_ERASE" => {
            let [chance] = parts.numbers()?;
            steps.push(noise(Noise::Heralded([chance / 4.0; 4]))?);
        }
        "HERALDED_PAULI_CHANNEL_1" => steps.push(noise(Noise::Heralded(parts.numbers()?))?),
        "E" | "CORRELATED_ERROR" | "ELSE_CORRELATED_ERROR" => {
            let [chance] = parts.numbers()?;
            let otherwise = parts.name.starts_with("ELSE");
            steps.push(Step::Correlated(chance, otherwise, parts.paulis()?));
        }
        "DETECTOR" => steps.push(Step::Detector(parts.records()?)),
        "OBSERVABLE_INCLUDE" => steps.push(observable(&parts)?),
        "" => return Err(place.error(format!("an instruction expected, not {body:?}"))),
        name => return Err(place.error(format!("unknown instruction {name}"))),
    }
    Ok(())
}

fn parts_of_gate(
    parts: &Parts,
    gate: &'static Clifford,
    steps: &mut Vec<Step>,
) -> Result<(), Error> {
    let by_record = |t: &Target| matches!(t.what, What::Record(_));
    if gate.qubits == 1 || !parts.targets.iter().any(by_record) {
        let qubits = parts.qubits()?;
        if !qubits.len().is_multiple_of(gate.qubits) {
            let message = format!("{} takes pairs of qubits", parts.name);
            return Err(parts.place.error(message));
        }
        steps.push(Step::Gate(gate.clone(), qubits));
        return Ok(());
    }
    // A measurement may stand where Z controls: the other side is a Pauli then.
    let (first, second) = match parts.name.as_str() {
        "CX" | "CNOT" | "ZCX" => (None, Some(Basis::X)),
        "CY" | "ZCY" => (None, Some(Basis::Y)),
        "CZ" | "ZCZ" => (Some(Basis::Z), Some(Basis::Z)),
        "XCZ" => (Some(Basis::X), None),
        "YCZ" => (Some(Basis::Y), None),
        _ => (None, None),
    };
    for pair in parts.targets.chunks(2) {
        let step = match pair {
            [a, b] => match (a.what, b.what, first, second) {
                (What::Qubit(a, false), What::Qubit(b, false), ..) => {
                    Step::Gate(gate.clone(), vec![a, b])
                }
                (What::Record(back), What::Qubit(qubit, false), _, Some(basis))
                | (What::Qubit(qubit, false), What::Record(back), Some(basis), _) => {
                    Step::Feedback(basis, back, qubit)
                }
                _ => return Err(parts.wrong(a, "qubits, or a measurement as control")),
            },
            _ => return Err(parts.place.error(format!("{} takes pairs", parts.name))),
        };
        steps.push(step);
    }
    Ok(())
}

/// One after the other: a qubit may be there twice.
fn measure_reset(parts: &Parts, basis: Basis, steps: &mut Vec<Step>) -> Result<(), Error> {
    let chance = parts.chance()?;
    let qubits = parts.turned_qubits()?;
    let mut plain: Vec<u32> = qubits.iter().map(|q| q.0).collect();
    plain.sort_unstable();
    plain.dedup();
    let runs = if plain.len() == qubits.len() {
        vec![&qubits[..]]
    } else {
        qubits.chunks(1).collect()
    };
    for run in runs {
        steps.push(Step::Measure(basis, chance, run.to_vec()));
        steps.push(Step::Reset(basis, run.iter().map(|q| q.0).collect()));
    }
    Ok(())
}

fn pairs(parts: &Parts, basis: Basis, steps: &mut Vec<Step>) -> Result<(), Error> {
    let chance = parts.chance()?;
    for pair in parts.turned_qubits()?.chunks(2) {
        let [(a, first), (b, second)] = pair else {
            return Err(parts
                .place
                .error(format!("{} takes pairs of qubits", parts.name)));
        };
        if a == b {
            let message = format!("qubit {a} is paired with itself");
            return Err(parts.place.error(message));
        }
        let paulis = vec![(*a, basis), (*b, basis)];
        steps.push(Step::Product(chance, first ^ second, paulis));
    }
    Ok(())
}

/// The square root of a product of Paulis: its parity on one qubit, S, and back.
fn rotation(paulis: &[(u32, Basis)], dagger: bool, steps: &mut Vec<Step>) {
    let mut push = |name: &str, on: Vec<u32>| {
        if let Some(gate) = gates::gate(name).filter(|_| !on.is_empty()) {
            steps.push(Step::Gate(gate.clone(), on));
        }
    };
    let on = |wanted| -> Vec<u32> {
        let with = paulis.iter().filter(|p| p.1 == wanted);
        with.map(|p| p.0).collect()
    };
    let Some((&(last, _), others)) = paulis.split_last() else {
        return;
    };
    let ladder: Vec<u32> = others.iter().flat_map(|p| [p.0, last]).collect();
    push("H", on(Basis::X));
    push("H_YZ", on(Basis::Y));
    push("CX", ladder.clone());
    push(if dagger { "S_DAG" } else { "S" }, vec![last]);
    push("CX", ladder);
    push("H_YZ", on(Basis::Y));
    push("H", on(Basis::X));
}

fn observable(parts: &Parts) -> Result<Step, Error> {
    let [index] = parts.numbers()?;
    if index < 0.0 || index.fract() != 0.0 || index > f64::from(u32::MAX - 1) {
        return Err(parts.place.error("an observable has a number from 0"));
    }
    let (mut back, mut paulis) = (Vec::new(), Vec::new());
    for target in &parts.targets {
        match target.what {
            What::Record(b) => back.push(b),
            What::Pauli(basis, qubit, _) => paulis.push((qubit, basis)),
            _ => return Err(parts.wrong(target, "measurements such as rec[-1], or Paulis")),
        }
    }
    Ok(Step::Observable(index as u32, back, paulis))
}
