//! Operations of a circuit as they are drawn, control and its conditions included.

use super::{Symbol, marks, push};
use crate::Error;
use crate::ir::{Binary, Circuit, Expression, Op, Unary};

/// The most letters of a condition.
const CONDITION: usize = 28;

pub(super) fn symbols(ops: &[Op], circuit: &Circuit, out: &mut Vec<Symbol>) -> Result<(), Error> {
    let n = circuit.qubits;
    let each = |qubits: &[u32], text: &str| qubits.iter().map(|&q| (q, text.to_owned())).collect();
    for op in ops {
        let symbol = match op {
            Op::Gate(gate) => Symbol::on(marks(gate, &circuit.parameters), true),
            Op::Measure { qubit, bit } => {
                let text = format!("M→{}", short(circuit, *bit));
                Symbol::on(vec![(*qubit, text)], false)
            }
            Op::Reset(qubit) => Symbol::on(vec![(*qubit, "|0⟩".to_owned())], false),
            Op::Barrier(qubits) => Symbol::on(each(qubits, "░"), false),
            Op::Noise(_, qubits) => Symbol::on(each(qubits, "≈"), true),
            Op::Assign { .. } => None,
            Op::Break => Symbol::whole("break", n),
            Op::Continue => Symbol::whole("continue", n),
            Op::End => Symbol::whole("end", n),
            Op::If {
                condition,
                then,
                otherwise,
            } => {
                block("if", condition, circuit, out)?;
                symbols(then, circuit, out)?;
                if !otherwise.is_empty() {
                    Symbol::whole("} else {", n).map_or(Ok(()), |s| push(out, s))?;
                    symbols(otherwise, circuit, out)?;
                }
                Symbol::whole("}", n)
            }
            Op::While { condition, body } => {
                block("while", condition, circuit, out)?;
                symbols(body, circuit, out)?;
                Symbol::whole("}", n)
            }
        };
        symbol.map_or(Ok(()), |s| push(out, s))?;
    }
    Ok(())
}

fn block(
    word: &str,
    condition: &Expression,
    circuit: &Circuit,
    out: &mut Vec<Symbol>,
) -> Result<(), Error> {
    let mut text = String::new();
    written(condition, circuit, 0, &mut text);
    if text.chars().count() > CONDITION {
        text = text.chars().take(CONDITION - 1).chain(['…']).collect();
    }
    let symbol = Symbol::whole(&format!("{word} {text} {{"), circuit.qubits);
    symbol.map_or(Ok(()), |s| push(out, s))
}

/// A bit as its register and number, without brackets.
fn short(circuit: &Circuit, bit: u32) -> String {
    let within = |r: &&crate::ir::Register| (r.start..r.start + r.size).contains(&bit);
    let found = circuit.bit_registers.iter().find(within);
    found.map_or_else(
        || bit.to_string(),
        |r| format!("{}{}", r.name, bit - r.start),
    )
}

/// A bit or a run of them by the name of its register.
fn bits(circuit: &Circuit, start: u32, width: u32) -> String {
    let within = |r: &&crate::ir::Register| r.start <= start && start + width <= r.start + r.size;
    let Some(register) = circuit.bit_registers.iter().find(within) else {
        return format!("bit {start}");
    };
    let (name, first) = (&register.name, start - register.start);
    match (width == register.size, width) {
        (true, _) => name.clone(),
        (false, 1) => format!("{name}[{first}]"),
        _ => format!("{name}[{first}:{}]", first + width - 1),
    }
}

/// Writes an expression, with brackets where `least` binds tighter.
fn written(expression: &Expression, circuit: &Circuit, least: u8, out: &mut String) {
    // What is longer is cut anyway.
    if out.len() > 8 * CONDITION {
        return;
    }
    match expression {
        Expression::Value(value) => out.push_str(&value.to_string()),
        Expression::Bits { start, width } | Expression::Signed { start, width } => {
            out.push_str(&bits(circuit, *start, *width));
        }
        Expression::Unary(operation, inner) => {
            out.push_str(match operation {
                Unary::Not => "!",
                Unary::Invert => "~",
                Unary::Negate => "-",
                Unary::Ones => "popcount ",
            });
            written(inner, circuit, 11, out);
        }
        Expression::Binary(operation, sides) => {
            let (text, binding) = operator(*operation);
            // What was written as `c > 1` has become `1 < c`.
            let turned = match (&sides[0], text) {
                (Expression::Value(_), " < ") => Some(" > "),
                (Expression::Value(_), " <= ") => Some(" >= "),
                _ => None,
            };
            if let Some(text) = turned {
                written(&sides[1], circuit, 8, out);
                out.push_str(text);
                return written(&sides[0], circuit, 8, out);
            }
            if binding < least {
                out.push('(');
            }
            written(&sides[0], circuit, binding, out);
            out.push_str(text);
            written(&sides[1], circuit, binding + 1, out);
            if binding < least {
                out.push(')');
            }
        }
    }
}

fn operator(operation: Binary) -> (&'static str, u8) {
    match operation {
        Binary::Or => (" || ", 1),
        Binary::And => (" && ", 2),
        Binary::BitOr => (" | ", 3),
        Binary::BitXor => (" ^ ", 4),
        Binary::BitAnd => (" & ", 5),
        Binary::Equal => (" == ", 6),
        Binary::NotEqual => (" != ", 6),
        Binary::Less | Binary::SignedLess => (" < ", 7),
        Binary::LessOrEqual | Binary::SignedLessOrEqual => (" <= ", 7),
        Binary::Greater => (" > ", 7),
        Binary::GreaterOrEqual => (" >= ", 7),
        Binary::ShiftLeft => (" << ", 8),
        Binary::ShiftRight => (" >> ", 8),
        Binary::Add => (" + ", 9),
        Binary::Subtract => (" - ", 9),
        Binary::Multiply => (" * ", 10),
        Binary::Divide | Binary::SignedDivide => (" / ", 10),
        Binary::Remainder | Binary::SignedRemainder => (" % ", 10),
    }
}
