//! Branches, loops and subroutines: unrolled where the condition is known, else blocks of the circuit.

use std::collections::HashMap;
use std::rc::Rc;

use super::super::ast::{Expr, ExprKind, Stmt, StmtKind, Subroutine, TypeKind};
use super::super::lexer::Place;
use super::value::{Value, contiguous};
use super::{Flow, Loop, Lower, Scalar, Symbol};
use crate::Error;
use crate::ir::{Binary, DEPTH_MAX, Expression, Op};

impl Lower {
    pub(super) fn control(&mut self, statement: &Stmt) -> Result<Flow, Error> {
        let place = statement.place;
        match &statement.kind {
            StmtKind::IfEquals(register, value, then) => {
                let bits = self.bits(register)?;
                let condition = Expression::equals(bits[0], bits.len() as u32, value);
                let then = self.live_block(std::slice::from_ref(&**then), place)?;
                self.emit(
                    Op::If {
                        condition,
                        then,
                        otherwise: Vec::new(),
                    },
                    place,
                )?;
                Ok(Flow::Next)
            }
            StmtKind::If(condition, then, otherwise) => {
                let value = self.evaluate(condition)?;
                self.branch(&value, then, otherwise, place)
            }
            StmtKind::Switch(on, cases, other) => self.switch(on, cases, other.as_deref(), place),
            StmtKind::While(condition, body) => self.while_loop(condition, body, place),
            StmtKind::For(ty, name, over, body) => {
                let values = match &over.kind {
                    ExprKind::Range(_) => self
                        .range(over, None)?
                        .into_iter()
                        .map(Value::Int)
                        .collect(),
                    ExprKind::Set(items) => items
                        .iter()
                        .map(|item| self.evaluate(item))
                        .collect::<Result<Vec<_>, _>>()?,
                    _ => match self.evaluate(over)? {
                        Value::Bits(bits) => {
                            bits.iter().map(|&bit| Value::Bits([bit].into())).collect()
                        }
                        _ => return Err(over.place.error("a range, a set or bits expected")),
                    },
                };
                let size = self.size(ty.size.as_deref(), place)?;
                let scalar = self.scalar(ty.kind, size, place)?;
                for value in values {
                    self.step(place)?;
                    let value = value.converted(scalar).map_err(|m| place.error(m))?;
                    self.scopes
                        .push(HashMap::from([(name.clone(), Symbol::Constant(value))]));
                    let flow = self.unrolled(body);
                    self.scopes.pop();
                    match flow? {
                        Flow::Next | Flow::Continue => {}
                        Flow::Break => break,
                        flow => return Ok(flow),
                    }
                }
                Ok(Flow::Next)
            }
            StmtKind::Break | StmtKind::Continue => {
                let leave = matches!(statement.kind, StmtKind::Break);
                match self.loops.last() {
                    Some(Loop::Live) => {
                        self.emit(if leave { Op::Break } else { Op::Continue }, place)?;
                    }
                    Some(Loop::Unrolled(open)) if *open == self.out.len() => {}
                    Some(Loop::Unrolled(_)) => {
                        return Err(place.error(
                            "break or continue that depends on a measurement, in a loop that is unrolled",
                        ));
                    }
                    None => return Err(place.error("break or continue outside of a loop")),
                }
                Ok(if leave { Flow::Break } else { Flow::Continue })
            }
            _ => Err(place.error("this statement is not possible here")),
        }
    }

    fn branch(
        &mut self,
        value: &Value,
        then: &[Stmt],
        otherwise: &[Stmt],
        place: Place,
    ) -> Result<Flow, Error> {
        if let Some(truth) = value.truth().map_err(|m| place.error(m))? {
            return self.scoped(if truth { then } else { otherwise });
        }
        let condition = value.any().map_err(|m| place.error(m))?;
        self.promote_assigned(then, place)?;
        self.promote_assigned(otherwise, place)?;
        let then = self.live_block(then, place)?;
        let otherwise = self.live_block(otherwise, place)?;
        let op = Op::If {
            condition,
            then,
            otherwise,
        };
        self.emit(op, place)?;
        Ok(Flow::Next)
    }

    fn switch(
        &mut self,
        on: &Expr,
        cases: &[(Vec<Expr>, Vec<Stmt>)],
        other: Option<&[Stmt]>,
        place: Place,
    ) -> Result<Flow, Error> {
        let value = self.evaluate(on)?;
        let on = self.kept(value, on.place)?;
        // From the last case to the first: each holds the rest as its other branch.
        for (_, body) in cases {
            self.promote_if_live(&on, body, place)?;
        }
        self.promote_if_live(&on, other.unwrap_or_default(), place)?;
        let mut conditions = Vec::new();
        for (values, body) in cases {
            let (mut parts, mut certain) = (Vec::new(), false);
            for value in values {
                let value_place = value.place;
                let value = self.evaluate(value)?;
                let fail = |m: String| value_place.error(m);
                let equal = Value::binary("==", on.clone(), value).map_err(fail)?;
                match equal.truth().map_err(fail)? {
                    Some(truth) => certain |= truth,
                    None => parts.push(equal.any().map_err(fail)?),
                }
            }
            if certain {
                return self.scoped(body);
            }
            if !parts.is_empty() {
                conditions.push((Expression::all(Binary::Or, parts), body));
            }
        }
        if conditions.is_empty() {
            return self.scoped(other.unwrap_or_default());
        }
        let mut rest = self.live_block(other.unwrap_or_default(), place)?;
        for (condition, body) in conditions.into_iter().rev() {
            let then = self.live_block(body, place)?;
            rest = vec![Op::If {
                condition,
                then,
                otherwise: rest,
            }];
        }
        for op in rest {
            self.emit(op, place)?;
        }
        Ok(Flow::Next)
    }

    /// A value that is looked at again and again: what the circuit computes goes into bits first.
    fn kept(&mut self, value: Value, place: Place) -> Result<Value, Error> {
        let signed = match &value {
            Value::Live(_, signed) => *signed,
            Value::Bits(bits) if bits.len() <= 64 && !contiguous(bits) => false,
            _ => return Ok(value),
        };
        let kind = if signed {
            TypeKind::Int
        } else {
            TypeKind::Uint
        };
        let width = 64;
        let start = self.stored(Scalar { kind, width }, &value, place)?;
        Ok(Value::Live(
            if signed {
                Expression::Signed { start, width }
            } else {
                Expression::Bits { start, width }
            },
            signed,
        ))
    }

    /// Hidden bits with this value in them; the first.
    fn stored(&mut self, scalar: Scalar, value: &Value, place: Place) -> Result<u32, Error> {
        let start = Self::placed(self.circuit.add_hidden_bits(scalar.width.into()), place)?;
        self.store(start, scalar.width, value, place)?;
        Ok(start)
    }

    fn promote_if_live(&mut self, on: &Value, body: &[Stmt], place: Place) -> Result<(), Error> {
        if on.is_known() {
            return Ok(());
        }
        self.promote_assigned(body, place)
    }

    fn while_loop(&mut self, condition: &Expr, body: &[Stmt], place: Place) -> Result<Flow, Error> {
        loop {
            self.step(place)?;
            let value = self.evaluate(condition)?;
            match value.truth().map_err(|m| place.error(m))? {
                Some(false) => return Ok(Flow::Next),
                Some(true) => match self.unrolled(body)? {
                    Flow::Next | Flow::Continue => {}
                    Flow::Break => return Ok(Flow::Next),
                    flow => return Ok(flow),
                },
                None => break,
            }
        }
        self.promote_assigned(body, place)?;
        let value = self.evaluate(condition)?;
        if contains_measure(condition) {
            return Err(place.error(
                "a loop's condition cannot measure; measure into a bit before and at the end of the body",
            ));
        }
        let condition = value.any().map_err(|m| place.error(m))?;
        self.loops.push(Loop::Live);
        let body = self.live_block(body, place);
        self.loops.pop();
        let op = Op::While {
            condition,
            body: body?,
        };
        self.emit(op, place)?;
        Ok(Flow::Next)
    }

    /// One round of a loop that is unrolled.
    fn unrolled(&mut self, body: &[Stmt]) -> Result<Flow, Error> {
        self.loops.push(Loop::Unrolled(self.out.len()));
        let flow = self.scoped(body);
        self.loops.pop();
        flow
    }

    /// Lowers statements into a block of the circuit.
    fn live_block(&mut self, statements: &[Stmt], place: Place) -> Result<Vec<Op>, Error> {
        if self.out.len() > DEPTH_MAX {
            return Err(place.error(format!("nested more than {DEPTH_MAX} deep")));
        }
        self.out.push(Vec::new());
        let flow = self.scoped(statements);
        let block = self.out.pop().unwrap_or_default();
        match flow? {
            // Breaks of loops outside of the circuit were refused where they stand.
            Flow::Next | Flow::End | Flow::Break | Flow::Continue => Ok(block),
            Flow::Return(_) => Err(place.error("return that depends on a measurement")),
        }
    }

    /// Variables that statements of a live block assign move into bits before the block starts.
    fn promote_assigned(&mut self, statements: &[Stmt], place: Place) -> Result<(), Error> {
        let mut names = Vec::new();
        assigned(statements, &mut names);
        for name in names {
            if matches!(self.find(&name), Some(Symbol::Known(..))) && self.find_mut(&name).is_some()
            {
                self.promote(&name, place)?;
            }
        }
        Ok(())
    }

    /// Runs a subroutine in place; its value, if it has one.
    pub(super) fn subroutine(
        &mut self,
        definition: &Rc<Subroutine>,
        arguments: &[Expr],
        place: Place,
    ) -> Result<Value, Error> {
        let name = &definition.name;
        if self.calls.iter().any(|c| c == name) || self.calls.len() >= DEPTH_MAX / 2 {
            return Err(place.error(format!("`{name}` calls itself: recursion is not possible")));
        }
        if arguments.len() != definition.parameters.len() {
            return Err(place.error(format!(
                "`{name}` takes {} arguments, not {}",
                definition.parameters.len(),
                arguments.len()
            )));
        }
        let mut scope = HashMap::new();
        for ((ty, parameter), argument) in definition.parameters.iter().zip(arguments) {
            let value = self.evaluate(argument)?;
            let size = self.size(ty.size.as_deref(), place)?;
            let symbol = match (ty.kind, value) {
                (TypeKind::Qubit, Value::Qubits(list)) | (TypeKind::Bit, Value::Bits(list)) => {
                    let wanted = size.unwrap_or(1);
                    if list.len() as u64 != wanted {
                        return Err(argument.place.error(format!(
                            "`{parameter}` has {wanted} elements, not {}",
                            list.len()
                        )));
                    }
                    if ty.kind == TypeKind::Qubit {
                        Symbol::Qubits(list)
                    } else {
                        Symbol::Bits(list)
                    }
                }
                (TypeKind::Qubit, _) => return Err(argument.place.error("qubits expected")),
                (kind, value) => {
                    let scalar = self.scalar(kind, size, place)?;
                    let value = value
                        .converted(scalar)
                        .map_err(|m| argument.place.error(m))?;
                    // A parameter is a variable of its own: an expression put in for its name could double
                    // with every call.
                    if value.is_known() {
                        Symbol::Known(scalar, Some(value))
                    } else {
                        Symbol::Stored(scalar, self.stored(scalar, &value, argument.place)?)
                    }
                }
            };
            scope.insert(parameter.clone(), symbol);
        }
        self.calls.push(name.clone());
        self.frames.push(self.scopes.len());
        self.scopes.push(scope);
        let loops = std::mem::take(&mut self.loops);
        let flow = self.statements(&definition.body);
        self.loops = loops;
        self.scopes.pop();
        self.frames.pop();
        self.calls.pop();
        match (flow?, &definition.returns) {
            (Flow::Return(Some(value)), Some(ty)) if ty.kind != TypeKind::Bit => {
                let size = self.size(ty.size.as_deref(), place)?;
                let scalar = self.scalar(ty.kind, size, place)?;
                value.converted(scalar).map_err(|m| place.error(m))
            }
            (Flow::Return(Some(value)), Some(_)) => Ok(value),
            (Flow::Next | Flow::Return(None), None) => Ok(Value::Bool(false)),
            (Flow::Return(Some(_)), None) => Err(place.error(format!("`{name}` returns no value"))),
            (_, Some(_)) => Err(place.error(format!("`{name}` ends without a value"))),
            _ => Err(place.error(format!("`{name}` is left by break, continue or end"))),
        }
    }
}

fn assigned(statements: &[Stmt], names: &mut Vec<String>) {
    for statement in statements {
        match &statement.kind {
            StmtKind::Assign(target, ..) => {
                if let ExprKind::Name(name) = &target.kind {
                    names.push(name.clone());
                }
            }
            StmtKind::If(_, a, b) => {
                assigned(a, names);
                assigned(b, names);
            }
            StmtKind::While(_, body) | StmtKind::For(_, _, _, body) | StmtKind::Block(body) => {
                assigned(body, names);
            }
            StmtKind::Switch(_, cases, other) => {
                cases.iter().for_each(|(_, body)| assigned(body, names));
                assigned(other.as_deref().unwrap_or_default(), names);
            }
            _ => {}
        }
    }
}

fn contains_measure(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Measure(_) | ExprKind::Call(..) => true,
        ExprKind::Unary(_, inner) | ExprKind::Cast(_, inner) => contains_measure(inner),
        ExprKind::Binary(_, sides) => sides.iter().any(contains_measure),
        _ => false,
    }
}
