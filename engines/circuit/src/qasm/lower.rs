//! Statements to operations. What is known now is computed now: constants, loops over ranges,
//! subroutines; what hangs on a measurement becomes classical control of the circuit. Every step
//! counts against a budget, so a program that never ends is refused.

mod assign;
mod control;
mod evaluate;
mod gates;
mod operands;
mod value;

use std::collections::HashMap;
use std::rc::Rc;

use super::ast::{GateDef, Program, Stmt, StmtKind, Subroutine, Type, TypeKind};
use super::lexer::Place;
use crate::ir::{Circuit, DEPTH_MAX, OPERATIONS_MAX, Op};
use crate::{C64, Error};
use value::Value;

/// Steps of a program (statements, expressions, gates) before it counts as one that never ends.
const STEPS_MAX: u64 = 10 * OPERATIONS_MAX;
/// Parts of all expressions that the circuit is to compute.
const PARTS_MAX: u64 = 2 * OPERATIONS_MAX;
/// How deep statements, expressions, calls and definitions may lie in each other, calls followed.
const NESTED_MAX: usize = 2 * DEPTH_MAX;

/// What a name stands for.
#[derive(Debug, Clone)]
enum Symbol {
    /// Qubits; a single one if it is declared without a size.
    Qubits(Rc<[u32]>),
    /// Classical bits, the least significant first.
    Bits(Rc<[u32]>),
    Constant(Value),
    /// A variable whose value is known here.
    Known(Scalar, Option<Value>),
    /// A variable that lives in bits of the circuit.
    Stored(Scalar, u32),
    Gate(Rc<GateDef>),
    Subroutine(Rc<Subroutine>),
    Opaque,
}

/// The type of a variable that is no register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scalar {
    kind: TypeKind,
    width: u32,
}

/// How a block ended.
enum Flow {
    Next,
    Break,
    Continue,
    Return(Option<Value>),
    End,
}

struct Lower {
    version: u32,
    circuit: Circuit,
    /// Operations, of the circuit and of each open block.
    out: Vec<Vec<Op>>,
    /// Names, innermost last. Subroutines see those from their frame on and the outermost.
    scopes: Vec<HashMap<String, Symbol>>,
    frames: Vec<usize>,
    library: bool,
    steps: u64,
    operations: u64,
    parts: u64,
    nested: usize,
    /// Controls around the gate that is being expanded.
    controlled: u32,
    calls: Vec<String>,
    /// The open loops of this subroutine.
    loops: Vec<Loop>,
}

/// A loop whose body is being lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loop {
    /// It runs during the circuit.
    Live,
    /// It is unrolled, with this many blocks open around it.
    Unrolled(usize),
}

/// Makes the circuit of a program.
pub fn circuit(program: &Program) -> Result<Circuit, Error> {
    let mut lower = Lower {
        version: program.version,
        circuit: Circuit::default(),
        out: vec![Vec::new()],
        scopes: vec![HashMap::new()],
        frames: Vec::new(),
        library: false,
        steps: 0,
        operations: 0,
        parts: 0,
        nested: 0,
        controlled: 0,
        calls: Vec::new(),
        loops: Vec::new(),
    };
    if let Some((last, place)) = program.hardware {
        lower.hardware(last, place)?;
    }
    lower.statements(&program.statements)?;
    let mut circuit = lower.circuit;
    circuit.ops = lower.out.pop().unwrap_or_default();
    Ok(circuit)
}

impl Lower {
    fn step(&mut self, place: Place) -> Result<(), Error> {
        self.steps += 1;
        if self.steps <= STEPS_MAX {
            return Ok(());
        }
        Err(place.error(format!(
            "the program takes more than {STEPS_MAX} steps; does it end?"
        )))
    }

    /// Something that lies in something else; [`Lower::nested`] steps back at its end.
    fn nest(&mut self, place: Place) -> Result<(), Error> {
        self.step(place)?;
        if self.nested >= NESTED_MAX {
            return Err(place.error(format!("nested more than {NESTED_MAX} deep")));
        }
        self.nested += 1;
        Ok(())
    }

    /// Qubits of the machine, `$0` to the last one that the program names.
    fn hardware(&mut self, last: u64, place: Place) -> Result<(), Error> {
        let added = self.circuit.add_qubits("$", last.saturating_add(1));
        let start = Self::placed(added, place)?;
        for qubit in start..self.circuit.qubits {
            let name = format!("${}", qubit - start);
            self.define(&name, Symbol::Qubits([qubit].into()), place)?;
        }
        Ok(())
    }

    fn emit(&mut self, op: Op, place: Place) -> Result<(), Error> {
        self.operations += 1;
        if let Op::Assign { value: e, .. }
        | Op::If { condition: e, .. }
        | Op::While { condition: e, .. } = &op
        {
            self.parts += e.parts();
            if self.parts > PARTS_MAX {
                return Err(place.error(format!("expressions of more than {PARTS_MAX} parts")));
            }
        }
        if self.operations > OPERATIONS_MAX {
            return Err(place.error(format!("more than {OPERATIONS_MAX} operations")));
        }
        self.circuit
            .check_op(&op, 0, self.loops.contains(&Loop::Live))
            .map_err(|error| match error {
                Error::Circuit(what) => place.error(what),
                other => other,
            })?;
        if let Some(block) = self.out.last_mut() {
            block.push(op);
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<&Symbol> {
        let from = self.frames.last().copied().unwrap_or_default();
        self.scopes[from..]
            .iter()
            .rev()
            .chain(self.scopes.first())
            .find_map(|scope| scope.get(name))
    }

    fn find_mut(&mut self, name: &str) -> Option<&mut Symbol> {
        let from = self.frames.last().copied().unwrap_or_default();
        self.scopes[from..]
            .iter_mut()
            .rev()
            .find_map(|scope| scope.get_mut(name))
    }

    fn define(&mut self, name: &str, symbol: Symbol, place: Place) -> Result<(), Error> {
        let Some(scope) = self.scopes.last_mut() else {
            return Ok(());
        };
        if scope.contains_key(name) {
            return Err(place.error(format!("`{name}` is declared already")));
        }
        scope.insert(name.to_owned(), symbol);
        Ok(())
    }

    /// The error for a limit, with the place in front.
    fn placed<T>(result: Result<T, Error>, place: Place) -> Result<T, Error> {
        result.map_err(|error| match error {
            Error::Syntax { .. } => error,
            other => place.error(other.to_string()),
        })
    }

    fn statements(&mut self, statements: &[Stmt]) -> Result<Flow, Error> {
        for statement in statements {
            let flow = self.statement(statement)?;
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// A block with names of its own.
    fn scoped(&mut self, statements: &[Stmt]) -> Result<Flow, Error> {
        self.scopes.push(HashMap::new());
        let flow = self.statements(statements);
        self.scopes.pop();
        flow
    }

    fn statement(&mut self, statement: &Stmt) -> Result<Flow, Error> {
        self.nest(statement.place)?;
        let flow = self.one_statement(statement);
        self.nested -= 1;
        flow
    }

    fn one_statement(&mut self, statement: &Stmt) -> Result<Flow, Error> {
        let place = statement.place;
        match &statement.kind {
            StmtKind::Nothing => {}
            StmtKind::Include(file) => match file.as_str() {
                "qelib1.inc" | "stdgates.inc" => self.library = true,
                _ => {
                    return Err(place.error(format!(
                        "cannot include \"{file}\": only \"qelib1.inc\" and \"stdgates.inc\" are there"
                    )));
                }
            },
            StmtKind::Qubits(name, size) => {
                if self.frames.last().is_some() || self.out.len() > 1 {
                    return Err(place.error("qubits are declared outside of blocks only"));
                }
                let size = self.size(size.as_ref(), place)?.unwrap_or(1);
                let start = Self::placed(self.circuit.add_qubits(name, size), place)?;
                let all = (start..self.circuit.qubits).collect();
                self.define(name, Symbol::Qubits(all), place)?;
            }
            StmtKind::Declare {
                ty,
                name,
                value,
                constant,
                input,
                output,
            } => {
                if *output && (ty.kind != TypeKind::Bit || self.scopes.len() > 1) {
                    return Err(place.error("only bits outside of blocks can be outputs"));
                }
                self.declare(ty, name, value.as_ref(), (*constant, *input), place)?;
            }
            StmtKind::Alias(name, of) => {
                let symbol = match self.evaluate(of)? {
                    Value::Qubits(qubits) => Symbol::Qubits(qubits),
                    Value::Bits(bits) => Symbol::Bits(bits),
                    _ => return Err(place.error("only qubits and bits can be aliased")),
                };
                self.define(name, symbol, place)?;
            }
            StmtKind::Gate(definition) => {
                self.check_definition(definition, place)?;
                let symbol = Symbol::Gate(Rc::clone(definition));
                self.define(&definition.name, symbol, place)?;
            }
            StmtKind::Opaque(name) => self.define(name, Symbol::Opaque, place)?,
            StmtKind::Subroutine(definition) => {
                let symbol = Symbol::Subroutine(Rc::clone(definition));
                self.define(&definition.name, symbol, place)?;
            }
            StmtKind::Call {
                modifiers,
                name,
                arguments,
                operands,
            } => self.call(modifiers, name, arguments, operands, place)?,
            StmtKind::Measure(from, to) => {
                let qubits = self.qubits(from)?;
                let bits = match to {
                    Some(to) => self.bits(to)?,
                    None => self.hidden(qubits.len(), place)?,
                };
                self.measure(&qubits, &bits, place)?;
            }
            StmtKind::Reset(operand) => {
                for &qubit in self.qubits(operand)?.iter() {
                    self.emit(Op::Reset(qubit), place)?;
                }
            }
            StmtKind::Barrier(operands) => {
                let mut all = Vec::new();
                for operand in operands {
                    all.extend_from_slice(&self.qubits(operand)?);
                }
                if operands.is_empty() {
                    all.extend(0..self.circuit.qubits);
                }
                self.steps += all.len() as u64;
                self.emit(Op::Barrier(all), place)?;
            }
            StmtKind::Assign(target, operator, value) => {
                self.assign(target, *operator, value, place)?;
            }
            StmtKind::Expression(expression) => drop(self.evaluate(expression)?),
            StmtKind::Block(body) => return self.scoped(body),
            StmtKind::End => {
                self.emit(Op::End, place)?;
                return Ok(if self.out.len() == 1 {
                    Flow::End
                } else {
                    Flow::Next
                });
            }
            StmtKind::Return(value) => {
                if self.calls.is_empty() {
                    return Err(place.error("return outside of a subroutine"));
                }
                let value = value.as_ref().map(|v| self.evaluate(v)).transpose()?;
                return Ok(Flow::Return(value));
            }
            _ => return self.control(statement),
        }
        Ok(Flow::Next)
    }

    fn declare(
        &mut self,
        ty: &Type,
        name: &str,
        value: Option<&super::ast::Expr>,
        (constant, input): (bool, bool),
        place: Place,
    ) -> Result<(), Error> {
        if input {
            if !matches!(ty.kind, TypeKind::Float | TypeKind::Angle) {
                return Err(place.error("only floats and angles can be inputs"));
            }
            let parameter = Value::Angle(self.circuit.parameter(name));
            return self.define(name, Symbol::Constant(parameter), place);
        }
        if ty.kind == TypeKind::Duration {
            return self.define(name, Symbol::Constant(Value::Float(0.0)), place);
        }
        let size = self.size(ty.size.as_deref(), place)?;
        if ty.kind == TypeKind::Bit && !constant {
            let size = size.unwrap_or(1);
            let shown = self.scopes.len() == 1;
            let added = if shown {
                self.circuit.add_bits(name, size)
            } else {
                self.circuit.add_hidden_bits(size)
            };
            let start = Self::placed(added, place)?;
            let bits: Rc<[u32]> = (start..self.circuit.bits).collect();
            self.define(name, Symbol::Bits(Rc::clone(&bits)), place)?;
            return match value {
                // Bits are zero when a shot starts; in a block they may have been set in a round before.
                None => Ok(()),
                Some(value) => self.assign_bits(&bits, value, place),
            };
        }
        let scalar = self.scalar(ty.kind, size, place)?;
        let value = match value {
            Some(value) => {
                let value = self.evaluate(value)?;
                Some(value.converted(scalar).map_err(|e| place.error(e))?)
            }
            None if constant => return Err(place.error("a constant needs a value")),
            None => None,
        };
        let symbol = match value {
            Some(value) if constant && value.is_known() => Symbol::Constant(value),
            Some(_) if constant => {
                return Err(place.error("a constant cannot depend on a measurement"));
            }
            Some(value) if !value.is_known() => {
                let start = Self::placed(self.circuit.add_hidden_bits(scalar.width.into()), place)?;
                self.store(start, scalar.width, &value, place)?;
                Symbol::Stored(scalar, start)
            }
            value => Symbol::Known(scalar, value),
        };
        self.define(name, symbol, place)
    }

    fn scalar(&self, kind: TypeKind, size: Option<u64>, place: Place) -> Result<Scalar, Error> {
        let width = match kind {
            TypeKind::Bool => 1,
            TypeKind::Bit => size.unwrap_or(1),
            _ => size.unwrap_or(if kind == TypeKind::Float { 64 } else { 32 }),
        };
        match u32::try_from(width) {
            Ok(width @ 1..=64) => Ok(Scalar { kind, width }),
            _ => Err(place.error(format!("a type of {width} bits; 1 to 64 are possible"))),
        }
    }

    fn hidden(&mut self, count: usize, place: Place) -> Result<Rc<[u32]>, Error> {
        let start = Self::placed(self.circuit.add_hidden_bits(count as u64), place)?;
        Ok((start..self.circuit.bits).collect())
    }

    fn measure(&mut self, qubits: &[u32], bits: &[u32], place: Place) -> Result<(), Error> {
        if qubits.len() != bits.len() {
            return Err(place.error(format!(
                "{} qubits are measured into {} bits",
                qubits.len(),
                bits.len()
            )));
        }
        for (&qubit, &bit) in qubits.iter().zip(bits) {
            self.emit(Op::Measure { qubit, bit }, place)?;
        }
        Ok(())
    }
}

/// A power of a unitary 2 by 2 matrix: the principal one.
fn matrix_power(matrix: &crate::ir::Matrix, power: f64) -> Option<crate::ir::Matrix> {
    // exp(i alpha) (cos t + i sin t n.sigma), alpha half the argument of the determinant.
    let (a, b, c, d) = (
        matrix.at(0, 0),
        matrix.at(0, 1),
        matrix.at(1, 0),
        matrix.at(1, 1),
    );
    let trace = a + d;
    let root = (trace * trace - (a * d - b * c) * 4.0).sqrt();
    let (one, two) = ((trace + root) / 2.0, (trace - root) / 2.0);
    let (p, q) = (one.powf(power), two.powf(power));
    let identity = crate::ir::Matrix::identity(2);
    let cells = if (one - two).norm() < 1e-12 {
        identity.cells().iter().map(|x| x * p).collect()
    } else {
        // p times the projector on the first eigenvector, q times that on the second.
        let slope = (p - q) / (one - two);
        [a, b, c, d]
            .iter()
            .zip(identity.cells())
            .map(|(x, i)| (x - i * two) * slope + i * q)
            .collect::<Vec<C64>>()
    };
    crate::ir::Matrix::new(2, cells)
}
