//! Steps of a program in stim's format as they are drawn.

use super::{Symbol, push};
use crate::Error;
use crate::frames::{Basis, Clifford, Noise, Step};
use crate::stim::{gate, gate_names};

pub(super) fn symbols(steps: &[Step], n: u32, out: &mut Vec<Symbol>) -> Result<(), Error> {
    for step in steps {
        match step {
            Step::Gate(clifford, on) => {
                let name = name(clifford);
                for targets in on.chunks(clifford.qubits) {
                    let labels = labels(name, targets.len());
                    let marks = targets.iter().copied().zip(labels).collect();
                    put(Symbol::on(marks, true), out)?;
                }
            }
            Step::Measure(basis, _, on) => {
                for &(qubit, turned) in on {
                    let text = format!("{}M{}", if turned { "!" } else { "" }, suffix(*basis));
                    put(Symbol::on(vec![(qubit, text)], false), out)?;
                }
            }
            Step::Reset(basis, on) => {
                for &qubit in on {
                    let text = format!("R{}", suffix(*basis));
                    put(Symbol::on(vec![(qubit, text)], false), out)?;
                }
            }
            Step::Product(_, turned, paulis) => {
                let sign = if *turned { "!" } else { "" };
                put(product(&format!("{sign}MPP:"), paulis), out)?;
            }
            Step::Correlated(_, _, paulis) => put(product("≈", paulis), out)?,
            Step::Noise(noise, on) => {
                let (size, text) = match noise {
                    Noise::Single(basis, _) => (1, format!("≈{}", letter(*basis))),
                    Noise::One(_) => (1, "≈".to_owned()),
                    Noise::Two(_) => (2, "≈".to_owned()),
                    Noise::Heralded(_) => (1, "≈M".to_owned()),
                };
                for targets in on.chunks(size) {
                    let marks = targets.iter().map(|&q| (q, text.clone())).collect();
                    put(Symbol::on(marks, true), out)?;
                }
            }
            Step::Feedback(basis, back, qubit) => {
                let text = format!("{}·rec[-{back}]", letter(*basis));
                put(Symbol::on(vec![(*qubit, text)], false), out)?;
            }
            Step::Repeat(times, block) => {
                put(Symbol::whole(&format!("repeat {times} {{"), n), out)?;
                symbols(block, n, out)?;
                put(Symbol::whole("}", n), out)?;
            }
            Step::Pad(..) | Step::Detector(_) | Step::Observable(..) => {}
        }
    }
    Ok(())
}

fn put(symbol: Option<Symbol>, out: &mut Vec<Symbol>) -> Result<(), Error> {
    symbol.map_or(Ok(()), |symbol| push(out, symbol))
}

/// The first name in stim's table that does the same.
fn name(clifford: &Clifford) -> &'static str {
    gate_names()
        .find(|name| gate(name) == Some(clifford))
        .unwrap_or("gate")
}

fn labels(name: &str, targets: usize) -> Vec<String> {
    let both = |first: &str, second: &str| vec![first.to_owned(), second.to_owned()];
    match (name, targets) {
        (_, 1) => vec![name.to_owned()],
        ("CX", _) => both("●", "⊕"),
        ("CZ", _) => both("●", "●"),
        ("SWAP", _) => both("✕", "✕"),
        _ => both(&format!("{name}:0"), &format!("{name}:1")),
    }
}

fn product(text: &str, paulis: &[(u32, Basis)]) -> Option<Symbol> {
    let marks = paulis
        .iter()
        .map(|(qubit, basis)| (*qubit, format!("{text}{}", letter(*basis))))
        .collect();
    Symbol::on(marks, true)
}

fn letter(basis: Basis) -> char {
    match basis {
        Basis::X => 'X',
        Basis::Y => 'Y',
        Basis::Z => 'Z',
    }
}

fn suffix(basis: Basis) -> &'static str {
    match basis {
        Basis::X => "X",
        Basis::Y => "Y",
        Basis::Z => "",
    }
}
