//! Operands: registers, their elements, ranges and sets of them.

use std::rc::Rc;

use super::super::ast::{Expr, ExprKind};
use super::Lower;
use super::value::Value;
use crate::Error;
use crate::ir::{Binary, Expression};

impl Lower {
    /// The qubits that an operand names.
    pub(super) fn qubits(&mut self, expr: &Expr) -> Result<Rc<[u32]>, Error> {
        match self.evaluate(expr)? {
            Value::Qubits(qubits) => Ok(qubits),
            _ => Err(expr.place.error("qubits expected")),
        }
    }

    /// The bits that an operand names.
    pub(super) fn bits(&mut self, expr: &Expr) -> Result<Rc<[u32]>, Error> {
        match self.evaluate(expr)? {
            Value::Bits(bits) => Ok(bits),
            _ => Err(expr.place.error("classical bits expected")),
        }
    }

    pub(super) fn indexed(&mut self, expr: &Expr) -> Result<Value, Error> {
        let ExprKind::Index(of, indices) = &expr.kind else {
            return self.evaluate(expr);
        };
        let place = expr.place;
        let base = self.evaluate(of)?;
        let [index] = &indices[..] else {
            return Err(place.error("one index expected"));
        };
        let list = match &base {
            Value::Qubits(list) | Value::Bits(list) => Rc::clone(list),
            // A bit of a number that the circuit computes, or of a known one.
            Value::Live(..) | Value::Int(_) => {
                let i = self.whole(index)?;
                let shift = u64::try_from(i).ok().filter(|&i| i < 64);
                let Some(shift) = shift else {
                    return Err(index.place.error(format!("index {i} is out of range")));
                };
                let whole = base.expression().map_err(|m| place.error(m))?;
                let moved = Expression::binary(Binary::ShiftRight, whole, Expression::Value(shift));
                let bit = Expression::binary(Binary::BitAnd, moved, Expression::Value(1));
                return Ok(match base {
                    Value::Int(v) => Value::Int((v >> shift) & 1),
                    _ => Value::Live(bit, false),
                });
            }
            _ => return Err(place.error("only registers have elements")),
        };
        let mut chosen = Vec::new();
        for i in self.indices(index, list.len())? {
            chosen.push(list[i]);
        }
        let chosen = chosen.into();
        Ok(match base {
            Value::Qubits(_) => Value::Qubits(chosen),
            _ => Value::Bits(chosen),
        })
    }

    fn indices(&mut self, index: &Expr, length: usize) -> Result<Vec<usize>, Error> {
        let values = match &index.kind {
            ExprKind::Range(_) => self.range(index, Some(length))?,
            ExprKind::Set(items) => items
                .iter()
                .map(|item| self.whole(item))
                .collect::<Result<_, _>>()?,
            _ => vec![self.whole(index)?],
        };
        if values.is_empty() {
            return Err(index.place.error("the range is empty"));
        }
        values
            .into_iter()
            .map(|v| {
                let wrapped = if v < 0 && self.version == 3 {
                    v + length as i128
                } else {
                    v
                };
                usize::try_from(wrapped)
                    .ok()
                    .filter(|&i| i < length)
                    .ok_or_else(|| {
                        index.place.error(format!(
                            "index {v} is out of range: the register has {length}"
                        ))
                    })
            })
            .collect()
    }

    /// The numbers of a range, both ends included.
    pub(super) fn range(&mut self, expr: &Expr, length: Option<usize>) -> Result<Vec<i128>, Error> {
        let ExprKind::Range([start, step, stop]) = &expr.kind else {
            return Err(expr.place.error("a range expected"));
        };
        let place = expr.place;
        let step = step.as_ref().map_or(Ok(1), |s| self.whole(s))?;
        let last = length.map(|l| l as i128 - 1);
        let end = |value: Option<i128>, other: Option<i128>| {
            value
                .map(|v| {
                    if v < 0 {
                        last.map_or(v, |l| v + l + 1)
                    } else {
                        v
                    }
                })
                .or(other)
                .ok_or_else(|| place.error("a range without an end"))
        };
        let (low, high) = if step < 0 {
            (last, last.map(|_| 0))
        } else {
            (last.map(|_| 0), last)
        };
        let from = start.as_ref().map(|s| self.whole(s)).transpose()?;
        let to = stop.as_ref().map(|s| self.whole(s)).transpose()?;
        let (from, to) = (end(from, low)?, end(to, high)?);
        if step == 0 {
            return Err(place.error("a range with step 0"));
        }
        let mut values = Vec::new();
        let mut at = from;
        while if step > 0 { at <= to } else { at >= to } {
            self.step(place)?;
            if values.len() as u64 > crate::ir::OPERATIONS_MAX {
                return Err(place.error("a range of too many numbers"));
            }
            values.push(at);
            at = at
                .checked_add(step)
                .ok_or_else(|| place.error("out of range"))?;
        }
        Ok(values)
    }
}
