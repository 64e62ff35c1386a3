//! Circuits as text: a line a qubit, gates from left to right, folded to a width.

mod control;
mod stim;

use crate::Error;
use crate::frames::Program;
use crate::ir::{Angle, Base, Circuit, Gate};

/// The most operations that are drawn.
pub const OPERATIONS_MAX: usize = 20_000;
/// The most qubits.
const QUBITS_MAX: usize = 1000;
/// Characters of an input's name.
const NAME_MAX: usize = 16;

/// One operation as it is drawn: what stands on which line.
struct Symbol {
    marks: Vec<(u32, String)>,
    low: u32,
    high: u32,
    connected: bool,
}

/// Draws a circuit in lines of at most `width` columns. Blocks of control stand between a column that opens
/// them and one that closes them.
///
/// # Errors
/// [`Error::Limit`] for more operations than [`OPERATIONS_MAX`] or qubits than lines make sense for.
pub fn text(circuit: &Circuit, width: usize) -> Result<String, Error> {
    within("qubits of a drawing", circuit.qubits as usize, QUBITS_MAX)?;
    let mut symbols = Vec::new();
    control::symbols(&circuit.ops, circuit, &mut symbols)?;
    let names: Vec<String> = circuit
        .qubit_registers
        .iter()
        .flat_map(|r| (0..r.size).map(move |i| format!("{}[{i}]: ", r.name)))
        .collect();
    Ok(drawn(symbols, circuit.qubits, &names, width))
}

/// The same for a program in stim's format; the last line counts what no line of a qubit shows.
///
/// # Errors
/// As [`text`].
pub fn program(program: &Program, width: usize) -> Result<String, Error> {
    within("qubits of a drawing", program.qubits as usize, QUBITS_MAX)?;
    let mut symbols = Vec::new();
    stim::symbols(program.steps(), program.qubits, &mut symbols)?;
    let names: Vec<String> = (0..program.qubits).map(|i| format!("{i}: ")).collect();
    let mut out = drawn(symbols, program.qubits, &names, width);
    out.push_str(&format!(
        "{} measurements, {} detectors, {} observables\n",
        program.measurements, program.detectors, program.observables
    ));
    Ok(out)
}

fn within(what: &'static str, got: usize, limit: usize) -> Result<(), Error> {
    if got <= limit {
        return Ok(());
    }
    Err(Error::Limit {
        what,
        got: got as u128,
        limit: limit as u128,
    })
}

fn push(out: &mut Vec<Symbol>, symbol: Symbol) -> Result<(), Error> {
    out.push(symbol);
    within("operations of a drawing", out.len(), OPERATIONS_MAX)
}

fn drawn(symbols: Vec<Symbol>, qubits: u32, names: &[String], width: usize) -> String {
    let margin = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let columns = layers(symbols, qubits);
    let mut out = String::new();
    let mut first = 0;
    loop {
        let mut last = first;
        let mut used = margin + 2;
        while last < columns.len() {
            let wide = column_width(&columns[last]) + 2;
            if last > first && used + wide > width {
                break;
            }
            used += wide;
            last += 1;
        }
        fold(&columns[first..last], qubits, names, margin, &mut out);
        first = last;
        if first >= columns.len() {
            return out;
        }
        out.push('\n');
    }
}

fn layers(symbols: Vec<Symbol>, qubits: u32) -> Vec<Vec<Symbol>> {
    let mut columns: Vec<Vec<Symbol>> = Vec::new();
    let mut free = vec![0usize; qubits as usize];
    for symbol in symbols {
        let lines = symbol.low as usize..=symbol.high as usize;
        let at = free[lines.clone()].iter().copied().max().unwrap_or(0);
        free[lines].fill(at + 1);
        if columns.len() <= at {
            columns.resize_with(at + 1, Vec::new);
        }
        columns[at].push(symbol);
    }
    columns
}

impl Symbol {
    /// Marks on their lines; nothing where there are none.
    fn on(marks: Vec<(u32, String)>, connected: bool) -> Option<Self> {
        let low = marks.iter().map(|m| m.0).min()?;
        let high = marks.iter().map(|m| m.0).max()?;
        Some(Self {
            marks,
            low,
            high,
            connected,
        })
    }

    /// One mark over all lines.
    fn whole(text: &str, qubits: u32) -> Option<Self> {
        (qubits > 0).then(|| Self {
            marks: vec![(0, text.to_owned())],
            low: 0,
            high: qubits - 1,
            connected: true,
        })
    }
}

fn marks(gate: &Gate, inputs: &[String]) -> Vec<(u32, String)> {
    let mut marks: Vec<(u32, String)> = gate
        .control_qubits()
        .iter()
        .map(|&q| (q, "●".to_owned()))
        .collect();
    let numbers: Vec<String> = gate.angles.iter().map(|&a| written(a, inputs)).collect();
    let numbers = if numbers.is_empty() {
        String::new()
    } else {
        format!("({})", numbers.join(","))
    };
    let plain = Gate {
        controls: 0,
        ..gate.clone()
    };
    let label = match gate.base {
        Base::X if gate.controls > 0 => "⊕".to_owned(),
        Base::Z | Base::Phase if gate.controls > 0 && numbers.is_empty() => "●".to_owned(),
        Base::Swap => "✕".to_owned(),
        _ => {
            let name = plain.name();
            let mut letters = name.chars();
            let first = letters
                .next()
                .map(|c| c.to_ascii_uppercase())
                .unwrap_or(' ');
            format!("{first}{}{numbers}", letters.as_str())
        }
    };
    let targets = gate.target_qubits();
    for (i, &q) in targets.iter().enumerate() {
        let text = if targets.len() > 1 && gate.base != Base::Swap {
            format!("{label}:{i}")
        } else {
            label.clone()
        };
        marks.push((q, text));
    }
    marks
}

/// An angle as a fraction of pi where it is one, else with three digits.
/// An angle as a number, or as what it is of an input: `-2*a+π`.
fn written(of: Angle, inputs: &[String]) -> String {
    let (index, factor, offset) = match of {
        Angle::Value(value) => return angle(value),
        Angle::Parameter {
            index,
            factor,
            offset,
        } => (index as usize, factor, offset),
    };
    let name = inputs.get(index).map_or("?", String::as_str);
    let name: String = name.chars().take(NAME_MAX).collect();
    let product = match factor {
        1.0 => name,
        -1.0 => format!("-{name}"),
        _ => format!("{}*{name}", angle(factor)),
    };
    match offset {
        0.0 => product,
        _ if offset > 0.0 => format!("{product}+{}", angle(offset)),
        _ => product + &angle(offset),
    }
}

fn angle(value: f64) -> String {
    let turns = value / std::f64::consts::PI;
    for denominator in [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0] {
        let numerator = turns * denominator;
        if numerator != 0.0
            && numerator.abs() <= 16.0
            && (numerator - numerator.round()).abs() < 1e-12
        {
            let top = match numerator.round() as i64 {
                1 => "π".to_owned(),
                -1 => "-π".to_owned(),
                n => format!("{n}π"),
            };
            return if denominator == 1.0 {
                top
            } else {
                format!("{top}/{denominator}")
            };
        }
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn column_width(column: &[Symbol]) -> usize {
    column
        .iter()
        .flat_map(|s| &s.marks)
        .map(|m| m.1.chars().count())
        .max()
        .unwrap_or(1)
}

fn fold(columns: &[Vec<Symbol>], qubits: u32, names: &[String], margin: usize, out: &mut String) {
    for qubit in 0..qubits {
        let name = names.get(qubit as usize).map_or("", String::as_str);
        let mut wire = format!("{name:>margin$}─");
        let mut below = " ".repeat(margin + 1);
        for column in columns {
            let width = column_width(column);
            let here = column.iter().find(|s| (s.low..=s.high).contains(&qubit));
            let mark = here.and_then(|s| s.marks.iter().find(|m| m.0 == qubit));
            let text = match (mark, here) {
                (Some(mark), _) => mark.1.as_str(),
                (None, Some(s)) if s.connected => "┼",
                _ => "─",
            };
            let pad = width - text.chars().count().min(width);
            let left = pad / 2;
            wire.push_str(&"─".repeat(left));
            wire.push_str(text);
            wire.push_str(&"─".repeat(pad - left + 2));
            let link = here.is_some_and(|s| s.connected && qubit < s.high);
            below.push_str(&" ".repeat((width - 1) / 2));
            below.push(if link { '│' } else { ' ' });
            below.push_str(&" ".repeat(width - 1 - (width - 1) / 2 + 2));
        }
        out.push_str(wire.trim_end());
        out.push('\n');
        if qubit + 1 < qubits && !below.trim().is_empty() {
            out.push_str(below.trim_end());
            out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_is_drawn() {
        let mut circuit = Circuit::new(3, 1).unwrap();
        circuit.gate("h", &[], &[0]).unwrap();
        circuit.gate("cx", &[], &[0, 2]).unwrap();
        circuit
            .gate("rz", &[std::f64::consts::FRAC_PI_4], &[1])
            .unwrap();
        circuit.measure(2, 0).unwrap();
        let wanted = "\
q[0]: ─H──●───────────
          │
q[1]: ────┼──Rz(π/4)──
          │
q[2]: ────⊕───M→c0────
";
        assert_eq!(text(&circuit, 80).unwrap(), wanted);
        // Folded: every line within the width, and more of them.
        for _ in 0..40 {
            circuit.gate("h", &[], &[1]).unwrap();
        }
        let folded = text(&circuit, 60).unwrap();
        assert!(folded.lines().all(|l| l.chars().count() <= 60), "{folded}");
        assert!(folded.lines().count() > 10);
    }

    #[test]
    fn inputs_are_named() {
        let circuit = crate::qasm::parse(
            "OPENQASM 3.0; include \"stdgates.inc\"; input float a; input float beta; qubit q;
             rx(a) q; rz(-2*beta+0.5) q; ry(-a-0.5) q; p(a/2) q;",
        )
        .unwrap();
        let drawn = text(&circuit, 80).unwrap();
        let wanted = "q[0]: ─Rx(a)──Rz(-2*beta+0.5)──Ry(-a-0.5)──P(0.5*a)──\n";
        assert_eq!(drawn, wanted);
    }

    #[test]
    fn angles_are_short() {
        use std::f64::consts::PI;
        for (value, wanted) in [
            (PI, "π"),
            (-PI / 2.0, "-π/2"),
            (3.0 * PI / 8.0, "3π/8"),
            (0.5, "0.5"),
            (0.0, "0"),
        ] {
            assert_eq!(angle(value), wanted);
        }
    }

    #[test]
    fn what_is_too_large_is_not_drawn() {
        let circuit = Circuit::new(5000, 0).unwrap();
        assert!(text(&circuit, 80).is_err());
        let long = format!("REPEAT 5 {{\n{}}}\n", "H 0\n".repeat(OPERATIONS_MAX));
        assert!(program(&crate::stim::parse(&long).unwrap(), 80).is_err());
        assert_eq!(text(&Circuit::default(), 80).unwrap(), "");
    }

    #[test]
    fn blocks_stand_between_columns() {
        let text_of = |body: &str| {
            let head = "OPENQASM 3.0; include \"stdgates.inc\"; qubit[2] q; bit[2] c; bit d;";
            text(&crate::qasm::parse(&format!("{head} {body}")).unwrap(), 200).unwrap()
        };
        let wanted = "\
q[0]: ─M→d0──if d {──X──} else {─────}──while c > 1 {─────}──
               │           │         │        │           │
q[1]: ─────────┼───────────┼──────Z──┼────────┼────────H──┼──
";
        let got = text_of(
            "d = measure q[0]; if (d) { x q[0]; } else { z q[1]; } while (c > 1) { h q[1]; } ",
        );
        assert_eq!(got, wanted);
        for (body, words) in [
            (
                "d = measure q[0]; if (c[1] == d && !d) x q[0];",
                "if c[1] == d && !d {",
            ),
            ("if (c == 2) x q[0];", "if c == 2 {"),
            ("if (-(c + 1) < 3) { end; }", "if -(c + 1) < 3 {"),
            ("while (d) { break; }", "break"),
        ] {
            let got = text_of(body);
            assert!(got.contains(words), "{body}:\n{got}");
        }
    }

    #[test]
    fn a_program_is_drawn() {
        let text = "R 0 1 2\nH 0\nREPEAT 3 {\nCX 0 1\nDEPOLARIZE1(0.1) 1\nMR 2\n}\nMPP X0*Z1\nCX rec[-1] 2\nM !2\nDETECTOR rec[-1]";
        let wanted = "\
0: ─R──H──repeat 3 {──●─────────────}──MPP:X───────────────
              │       │             │    │
1: ─R─────────┼───────⊕───≈─────────┼──MPP:Z───────────────
              │                     │
2: ─R─────────┼───────M───R─────────}──X·rec[-1]──!M──
5 measurements, 1 detectors, 0 observables
";
        let got = program(&crate::stim::parse(text).unwrap(), 80).unwrap();
        let shape = |t: &str| t.replace(['─', ' ', '│', '┼', '\n', '}'], "");
        assert_eq!(shape(&got), shape(wanted), "{got}");
        assert!(got.lines().all(|l| l.chars().count() <= 80));
    }
}
