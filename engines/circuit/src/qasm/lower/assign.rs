//! Assignments: to bits, to variables that are known, and to variables that live in the circuit.

use std::rc::Rc;

use super::super::ast::{Expr, ExprKind};
use super::super::lexer::Place;
use super::value::Value;
use super::{Lower, Symbol};
use crate::Error;
use crate::ir::{Binary, Expression, Op};

impl Lower {
    pub(super) fn assign(
        &mut self,
        target: &Expr,
        operator: Option<&'static str>,
        value: &Expr,
        place: Place,
    ) -> Result<(), Error> {
        let name = match &target.kind {
            ExprKind::Name(name) => name,
            ExprKind::Index(..) => {
                let bits = self.bits(target)?;
                return self.assign_or_update(&bits, target, operator, value, place);
            }
            _ => return Err(target.place.error("this cannot be assigned to")),
        };
        let (scalar, stored) = match self.find(name) {
            Some(Symbol::Bits(bits)) => {
                let bits = Rc::clone(bits);
                return self.assign_or_update(&bits, target, operator, value, place);
            }
            Some(&Symbol::Known(scalar, _)) => (scalar, None),
            Some(&Symbol::Stored(scalar, start)) => (scalar, Some(start)),
            Some(_) => {
                return Err(target
                    .place
                    .error(format!("`{name}` cannot be assigned to")));
            }
            None => return Err(target.place.error(format!("`{name}` is not declared"))),
        };
        let value = self.combined(target, operator, value, place)?;
        let value = value.converted(scalar).map_err(|m| place.error(m))?;
        let start = match stored {
            Some(start) => start,
            None if value.is_known() => {
                if let Some(symbol) = self.find_mut(name) {
                    *symbol = Symbol::Known(scalar, Some(value));
                }
                return Ok(());
            }
            None => self.promote(name, place)?,
        };
        self.store(start, scalar.width, &value, place)
    }

    fn combined(
        &mut self,
        target: &Expr,
        operator: Option<&'static str>,
        value: &Expr,
        place: Place,
    ) -> Result<Value, Error> {
        let value = self.evaluate(value)?;
        match operator {
            None => Ok(value),
            Some(operator) => {
                let old = self.evaluate(target)?;
                Value::binary(operator, old, value).map_err(|m| place.error(m))
            }
        }
    }

    fn assign_or_update(
        &mut self,
        bits: &Rc<[u32]>,
        target: &Expr,
        operator: Option<&'static str>,
        value: &Expr,
        place: Place,
    ) -> Result<(), Error> {
        if operator.is_none() {
            return self.assign_bits(bits, value, place);
        }
        let value = self.combined(target, operator, value, place)?;
        self.scatter(bits, &value, place)
    }

    pub(super) fn assign_bits(
        &mut self,
        bits: &Rc<[u32]>,
        value: &Expr,
        place: Place,
    ) -> Result<(), Error> {
        if let ExprKind::Measure(operand) = &value.kind {
            let qubits = self.qubits(operand)?;
            return self.measure(&qubits, bits, place);
        }
        if let ExprKind::Bits(text) = &value.kind
            && text.len() != bits.len()
        {
            return Err(place.error(format!(
                "{} bits for a register of {}",
                text.len(),
                bits.len()
            )));
        }
        let value = self.evaluate(value)?;
        self.scatter(bits, &value, place)
    }

    /// Puts a value into bits, wherever they are.
    fn scatter(&mut self, bits: &[u32], value: &Value, place: Place) -> Result<(), Error> {
        if let Value::Bits(from) = value
            && from.len() != bits.len()
        {
            return Err(place.error(format!(
                "{} bits for a register of {}",
                from.len(),
                bits.len()
            )));
        }
        let fail = |m: String| place.error(m);
        let mut done = 0;
        while done < bits.len() {
            let run = (1..bits.len() - done)
                .take(63)
                .take_while(|&i| bits[done + i] == bits[done] + i as u32)
                .last()
                .map_or(1, |i| i + 1);
            let part = match value {
                Value::Bits(from) => Value::Bits(from[done..done + run].into()).expression(),
                Value::Int(v) => Ok(Expression::Value(if done < 127 {
                    (*v >> done) as u64
                } else {
                    0
                })),
                other if done == 0 => other.expression(),
                other => other.expression().map(|e| {
                    Expression::binary(Binary::ShiftRight, e, Expression::Value(done as u64))
                }),
            };
            let op = Op::Assign {
                start: bits[done],
                width: run as u32,
                value: part.map_err(fail)?,
            };
            self.emit(op, place)?;
            done += run;
        }
        Ok(())
    }

    pub(super) fn store(
        &mut self,
        start: u32,
        width: u32,
        value: &Value,
        place: Place,
    ) -> Result<(), Error> {
        let value = value.expression().map_err(|m| place.error(m))?;
        self.emit(
            Op::Assign {
                start,
                width,
                value,
            },
            place,
        )
    }

    /// Moves a known variable into bits of the circuit; gives the first.
    pub(super) fn promote(&mut self, name: &str, place: Place) -> Result<u32, Error> {
        let Some(Symbol::Known(scalar, value)) = self.find(name).cloned() else {
            return Err(place.error(format!("`{name}` cannot be assigned to")));
        };
        use super::TypeKind::{Angle, Duration, Float};
        if matches!(scalar.kind, Float | Angle | Duration) {
            return Err(place.error(format!(
                "`{name}` would depend on a measurement, which floats and angles cannot"
            )));
        }
        let start = Self::placed(self.circuit.add_hidden_bits(scalar.width.into()), place)?;
        if let Some(value) = value {
            self.store(start, scalar.width, &value, place)?;
        }
        if let Some(symbol) = self.find_mut(name) {
            *symbol = Symbol::Stored(scalar, start);
        }
        Ok(start)
    }
}
