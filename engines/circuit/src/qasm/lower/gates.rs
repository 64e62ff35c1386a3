//! Gate calls: broadcast over registers, definitions expanded down to the library, modifiers applied.

use std::collections::HashMap;
use std::rc::Rc;

use smallvec::SmallVec;

use super::super::ast::{Expr, ExprKind, GateDef, Modifier, StmtKind};
use super::super::lexer::Place;
use super::evaluate::constant;
use super::{Lower, Symbol, matrix_power};
use crate::Error;
use crate::ir::{Angle, Base, Gate, OPERATIONS_MAX, Op, Standard, standard};

type Angles = SmallVec<[Angle; 4]>;

/// A modifier with its argument computed.
enum Computed {
    Inverse,
    Power(f64),
    Control(bool, usize),
}

impl Lower {
    pub(super) fn call(
        &mut self,
        modifiers: &[Modifier],
        name: &str,
        arguments: &[Expr],
        operands: &[Expr],
        place: Place,
    ) -> Result<(), Error> {
        let modifiers = self.computed(modifiers)?;
        let angles = self.angles(arguments)?;
        let mut lists = Vec::new();
        for operand in operands {
            lists.push(self.qubits(operand)?);
        }
        let width = lists.iter().map(|l| l.len()).max().unwrap_or(1);
        if lists.iter().any(|l| l.len() != width && l.len() != 1) {
            return Err(place.error("registers of different sizes"));
        }
        for i in 0..width {
            let qubits: SmallVec<[u32; 8]> = lists
                .iter()
                .map(|l| if l.len() == 1 { l[0] } else { l[i] })
                .collect();
            for gate in self.expand(&modifiers, name, &angles, &qubits, place)? {
                self.emit(Op::Gate(gate), place)?;
            }
        }
        Ok(())
    }

    fn computed(&mut self, modifiers: &[Modifier]) -> Result<Vec<Computed>, Error> {
        modifiers
            .iter()
            .map(|modifier| {
                Ok(match modifier {
                    Modifier::Inverse => Computed::Inverse,
                    Modifier::Power(power) => {
                        let value = self.evaluate(power)?;
                        Computed::Power(value.number().map_err(|m| power.place.error(m))?)
                    }
                    Modifier::Control(on, None) => Computed::Control(*on, 1),
                    Modifier::Control(on, Some(count)) => {
                        let value = self.whole(count)?;
                        let count = usize::try_from(value)
                            .ok()
                            .filter(|n| (1..=100_000).contains(n))
                            .ok_or_else(|| count.place.error(format!("{value} controls")))?;
                        Computed::Control(*on, count)
                    }
                })
            })
            .collect()
    }

    fn angles(&mut self, arguments: &[Expr]) -> Result<Angles, Error> {
        arguments
            .iter()
            .map(|a| self.evaluate(a)?.angle().map_err(|m| a.place.error(m)))
            .collect()
    }

    fn expand(
        &mut self,
        modifiers: &[Computed],
        name: &str,
        angles: &[Angle],
        qubits: &[u32],
        place: Place,
    ) -> Result<Vec<Gate>, Error> {
        self.step(place)?;
        let controls: usize = modifiers
            .iter()
            .map(|m| {
                if let Computed::Control(_, n) = m {
                    *n
                } else {
                    0
                }
            })
            .sum();
        let Some((mut leading, own)) = qubits.split_at_checked(controls) else {
            return Err(place.error(format!(
                "{controls} controls, {} qubits are given",
                qubits.len()
            )));
        };
        if let Some(i) = (1..qubits.len()).find(|&i| qubits[..i].contains(&qubits[i])) {
            return Err(place.error(format!("`{name}` is given qubit {} twice", qubits[i])));
        }
        // Whether a phase of the whole matters.
        self.controlled += u32::from(controls > 0);
        let gates = self.plain(name, angles, own, place);
        self.controlled -= u32::from(controls > 0);
        let mut gates = gates?;
        for modifier in modifiers.iter().rev() {
            match modifier {
                Computed::Inverse => gates = inverted(&gates),
                Computed::Power(power) => gates = self.powered(gates, *power, place)?,
                Computed::Control(on, count) => {
                    let (rest, by) = leading.split_at(leading.len() - count);
                    leading = rest;
                    self.steps += (count * gates.len()) as u64;
                    gates = gates.into_iter().map(|g| g.controlled(by)).collect();
                    if !on {
                        let flips = by.iter().map(|&q| Gate::new(Base::X, &[], &[q]));
                        let flips: Vec<Gate> = flips.collect();
                        gates = [flips.clone(), gates, flips].concat();
                    }
                }
            }
        }
        Ok(gates)
    }

    fn powered(&mut self, gates: Vec<Gate>, power: f64, place: Place) -> Result<Vec<Gate>, Error> {
        if power.fract() == 0.0 && power.abs() <= OPERATIONS_MAX as f64 {
            let once = if power < 0.0 { inverted(&gates) } else { gates };
            let times = power.abs() as usize;
            if (times as u64).saturating_mul(once.len() as u64) > OPERATIONS_MAX {
                return Err(place.error(format!("more than {OPERATIONS_MAX} operations")));
            }
            self.steps += (times * once.len()) as u64;
            return Ok(once
                .iter()
                .cloned()
                .cycle()
                .take(times * once.len())
                .collect());
        }
        let refused = || place.error(format!("a power of {power:?} of this gate"));
        if power.abs() > OPERATIONS_MAX as f64 {
            return Err(refused());
        }
        let [gate] = &gates[..] else {
            return Err(refused());
        };
        let mut gate = gate.clone();
        match gate.base {
            Base::GlobalPhase
            | Base::Phase
            | Base::Rx
            | Base::Ry
            | Base::Rz
            | Base::R
            | Base::Rxx
            | Base::Ryy
            | Base::Rzz
            | Base::Rzx
            | Base::XxMinusYy
            | Base::XxPlusYy => gate.angles[0] = gate.angles[0].scaled(power),
            _ if gate.base.targets() == 1 => {
                let bound = gate.angles.iter().all(|a| matches!(a, Angle::Value(_)));
                let matrix = matrix_power(&gate.target_matrix(), power).filter(|_| bound);
                gate.base = Base::Unitary(matrix.ok_or_else(refused)?.into());
                gate.angles.clear();
            }
            _ => return Err(refused()),
        }
        Ok(vec![gate])
    }

    /// A gate without modifiers.
    fn plain(
        &mut self,
        name: &str,
        angles: &[Angle],
        qubits: &[u32],
        place: Place,
    ) -> Result<Vec<Gate>, Error> {
        match self.find(name) {
            Some(Symbol::Gate(definition)) => {
                let definition = Rc::clone(definition);
                return self.defined(&definition, angles, qubits, place);
            }
            Some(Symbol::Opaque) => {
                return Err(place.error(format!("`{name}` is opaque: nothing says what it does")));
            }
            Some(_) => return Err(place.error(format!("`{name}` is not a gate"))),
            None => {}
        }
        let known = self.library_gate(name).map_err(|what| place.error(what))?;
        let on = (known.qubits(), qubits.len());
        counts(name, (known.angles, angles.len()), on).map_err(|what| place.error(what))?;
        let mut gates = known.gates(angles, qubits).into_vec();
        if self.version == 3 && self.controlled > 0 {
            gates.extend(phases(name, angles));
        }
        Ok(gates)
    }

    fn library_gate(&self, name: &str) -> Result<Standard, String> {
        let found = match name {
            "U" => standard("u"),
            "CX" => standard("cx"),
            "gphase" if self.version == 3 => standard("gphase"),
            _ if name.chars().any(char::is_uppercase) => None,
            _ => {
                let found = standard(name);
                if found.is_some() && !self.library {
                    let file = if self.version == 2 {
                        "qelib1.inc"
                    } else {
                        "stdgates.inc"
                    };
                    return Err(format!("unknown gate `{name}`; include \"{file}\"; has it"));
                }
                found
            }
        };
        found.ok_or_else(|| format!("unknown gate `{name}`"))
    }

    fn defined(
        &mut self,
        definition: &GateDef,
        angles: &[Angle],
        qubits: &[u32],
        place: Place,
    ) -> Result<Vec<Gate>, Error> {
        let on = (definition.qubits.len(), qubits.len());
        counts(
            &definition.name,
            (definition.angles.len(), angles.len()),
            on,
        )
        .map_err(|what| place.error(what))?;
        self.nest(place)?;
        let named = definition.angles.iter().zip(angles).map(|(name, &angle)| {
            let value = match angle {
                Angle::Value(v) => super::Value::Float(v),
                parameter @ Angle::Parameter { .. } => super::Value::Angle(parameter),
            };
            (name.clone(), Symbol::Constant(value))
        });
        let on = definition.qubits.iter().zip(qubits);
        let on = on.map(|(name, &qubit)| (name.clone(), Symbol::Qubits([qubit].into())));
        let scope: HashMap<String, Symbol> = named.chain(on).collect();
        self.frames.push(self.scopes.len());
        self.scopes.push(scope);
        let gates = self.definition_body(definition);
        self.scopes.pop();
        self.frames.pop();
        self.nested -= 1;
        gates
    }

    fn definition_body(&mut self, definition: &GateDef) -> Result<Vec<Gate>, Error> {
        let mut gates = Vec::new();
        for statement in &definition.body {
            let StmtKind::Call {
                modifiers,
                name,
                arguments,
                operands,
            } = &statement.kind
            else {
                continue;
            };
            let modifiers = self.computed(modifiers)?;
            let angles = self.angles(arguments)?;
            let mut qubits = SmallVec::<[u32; 8]>::new();
            for operand in operands {
                qubits.extend_from_slice(&self.qubits(operand)?);
            }
            let inner = self.expand(&modifiers, name, &angles, &qubits, statement.place)?;
            if (gates.len() + inner.len()) as u64 > OPERATIONS_MAX {
                return Err(statement
                    .place
                    .error(format!("more than {OPERATIONS_MAX} operations")));
            }
            gates.extend(inner);
        }
        Ok(gates)
    }

    /// A call in a definition: something that is there, with as many angles and qubits as it has.
    fn check_call(
        &self,
        definition: &GateDef,
        modifiers: &[Modifier],
        name: &str,
        angles: usize,
        operands: &[Expr],
    ) -> Result<(), String> {
        if *name == definition.name {
            return Err(format!("`{name}` calls itself"));
        }
        let (wanted, on) = match self.find(name) {
            Some(Symbol::Gate(known)) => (known.angles.len(), known.qubits.len()),
            Some(Symbol::Opaque) => return Ok(()),
            Some(_) => return Err(format!("`{name}` is not a gate")),
            None => {
                let known = self.library_gate(name)?;
                (known.angles, known.qubits())
            }
        };
        // How many qubits a modifier adds is known when the gate is called.
        let on = if modifiers.is_empty() {
            on
        } else {
            operands.len()
        };
        counts(name, (wanted, angles), (on, operands.len()))
    }

    /// Names in an angle of a definition: its own angles, constants, and functions.
    fn check_names(&self, definition: &GateDef, expr: &Expr) -> Result<(), Error> {
        match &expr.kind {
            ExprKind::Name(name) => {
                let own = definition.angles.contains(name);
                if own || self.find(name).is_some() || constant(name).is_some() {
                    return Ok(());
                }
                Err(expr.place.error(format!("`{name}` is not declared")))
            }
            ExprKind::Unary(_, inner) | ExprKind::Cast(_, inner) => {
                self.check_names(definition, inner)
            }
            ExprKind::Binary(_, sides) => sides
                .iter()
                .try_for_each(|side| self.check_names(definition, side)),
            ExprKind::Call(_, arguments) => arguments
                .iter()
                .try_for_each(|argument| self.check_names(definition, argument)),
            _ => Ok(()),
        }
    }

    /// A definition is looked at when it is made: what it calls must be there before it, so none can
    /// call itself.
    pub(super) fn check_definition(
        &mut self,
        definition: &GateDef,
        place: Place,
    ) -> Result<(), Error> {
        let mut names: Vec<&String> = definition.angles.iter().chain(&definition.qubits).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
            return Err(place.error(format!("`{}` is declared already", twice[0])));
        }
        for statement in &definition.body {
            match &statement.kind {
                StmtKind::Nothing => {}
                StmtKind::Barrier(operands) => own_qubits(definition, operands)?,
                StmtKind::Call {
                    modifiers,
                    name,
                    arguments,
                    operands,
                } => {
                    own_qubits(definition, operands)?;
                    self.check_call(definition, modifiers, name, arguments.len(), operands)
                        .map_err(|what| statement.place.error(what))?;
                    for argument in arguments {
                        self.check_names(definition, argument)?;
                    }
                }
                _ => return Err(statement.place.error("a gate is made of gates only")),
            }
        }
        Ok(())
    }
}

/// What version 3 multiplies its `U`, `u2` and `u3` by, compared with the matrix that everybody else calls
/// so: half of theta, or half of phi and lambda backwards. It matters under a control.
fn phases(name: &str, angles: &[Angle]) -> Vec<Gate> {
    let (half, of) = match (name, angles) {
        ("U", [theta, ..]) => (0.5, std::slice::from_ref(theta)),
        ("u2", of) => (-0.5, of),
        ("u3", [_, of @ ..]) => (-0.5, of),
        _ => return Vec::new(),
    };
    of.iter()
        .map(|angle| Gate {
            base: Base::GlobalPhase,
            controls: 0,
            angles: SmallVec::from_slice(&[angle.scaled(half)]),
            qubits: SmallVec::new(),
        })
        .collect()
}

/// Operands in a definition are its own qubits.
fn own_qubits(definition: &GateDef, operands: &[Expr]) -> Result<(), Error> {
    let strange = operands.iter().find(|operand| {
        !matches!(&operand.kind, ExprKind::Name(name) if definition.qubits.contains(name))
    });
    match strange {
        None => Ok(()),
        Some(operand) => Err(operand.place.error("one of the gate's own qubits expected")),
    }
}

fn inverted(gates: &[Gate]) -> Vec<Gate> {
    gates.iter().rev().map(Gate::inverse).collect()
}

/// Wanted and given angles and qubits.
fn counts(name: &str, angles: (usize, usize), qubits: (usize, usize)) -> Result<(), String> {
    if angles.0 != angles.1 {
        return Err(format!(
            "`{name}` has {} angles, not {}",
            angles.0, angles.1
        ));
    }
    if qubits.0 != qubits.1 {
        return Err(format!(
            "`{name}` is on {} qubits, not {}",
            qubits.0, qubits.1
        ));
    }
    Ok(())
}
