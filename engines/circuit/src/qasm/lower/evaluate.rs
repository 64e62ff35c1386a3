//! Expressions to values.

use std::f64::consts;
use std::rc::Rc;

use super::super::ast::{Expr, ExprKind};
use super::super::lexer::Place;
use super::value::Value;
use super::{Lower, Symbol};
use crate::Error;
use crate::ir::{BITS_MAX, Expression, Unary};

impl Lower {
    pub(super) fn evaluate(&mut self, expr: &Expr) -> Result<Value, Error> {
        self.nest(expr.place)?;
        let value = self.one_value(expr);
        self.nested -= 1;
        value
    }

    fn one_value(&mut self, expr: &Expr) -> Result<Value, Error> {
        let place = expr.place;
        let fail = |message: String| place.error(message);
        match &expr.kind {
            ExprKind::Integer(v) => i128::try_from(*v)
                .map(Value::Int)
                .map_err(|_| place.error("the number is out of range")),
            ExprKind::Float(v) => Ok(Value::Float(*v)),
            ExprKind::Bool(v) => Ok(Value::Bool(*v)),
            ExprKind::Bits(text) => {
                if text.len() > 126 {
                    return Err(place.error("a bit string of more than 126 bits"));
                }
                Ok(Value::Int(
                    text.chars().fold(0, |v, c| 2 * v + i128::from(c == '1')),
                ))
            }
            ExprKind::Duration => Ok(Value::Float(0.0)),
            ExprKind::Name(name) => self.named(name, place),
            ExprKind::Index(..) => self.indexed(expr),
            ExprKind::Unary(operator, inner) => {
                let inner = self.evaluate(inner)?;
                Value::unary(operator, inner).map_err(fail)
            }
            ExprKind::Binary("++", sides) => {
                let left = self.evaluate(&sides[0])?;
                let right = self.evaluate(&sides[1])?;
                match (left, right) {
                    (Value::Qubits(a), Value::Qubits(b)) => {
                        Ok(Value::Qubits(self.joined(&a, &b, place)?))
                    }
                    (Value::Bits(a), Value::Bits(b)) => {
                        Ok(Value::Bits(self.joined(&a, &b, place)?))
                    }
                    _ => Err(place.error("only registers can be joined")),
                }
            }
            ExprKind::Binary(operator, sides) => {
                let left = self.evaluate(&sides[0])?;
                let right = self.evaluate(&sides[1])?;
                // Version 2 has real numbers only, and `1/2` is a half in version 3's own library.
                let literal = |side: &Expr| matches!(side.kind, ExprKind::Integer(_));
                if *operator == "/" && (self.version == 2 || sides.iter().all(literal)) {
                    let left = left.real().map_err(fail)?;
                    return Value::binary(operator, left, right).map_err(fail);
                }
                Value::binary(operator, left, right).map_err(fail)
            }
            ExprKind::Call(name, arguments) => self.function(name, arguments, place),
            ExprKind::Cast(ty, inner) => {
                let inner = self.evaluate(inner)?;
                let size = self.size(ty.size.as_deref(), place)?;
                let scalar = self.scalar(ty.kind, size, place)?;
                inner.converted(scalar).map_err(fail)
            }
            ExprKind::Measure(operand) => {
                let qubits = self.qubits(operand)?;
                let bits = self.hidden(qubits.len(), place)?;
                self.measure(&qubits, &bits, place)?;
                Ok(Value::Bits(bits))
            }
            ExprKind::Range(_) | ExprKind::Set(_) => {
                Err(place.error("a range cannot be used as a value"))
            }
        }
    }

    /// Two lists in one. A list joined with itself again and again would double without an end.
    fn joined(&mut self, a: &[u32], b: &[u32], place: Place) -> Result<Rc<[u32]>, Error> {
        let length = a.len() as u64 + b.len() as u64;
        if length > BITS_MAX {
            return Err(place.error(format!("a register of more than {BITS_MAX} elements")));
        }
        self.steps += length;
        Ok(a.iter().chain(b).copied().collect())
    }

    fn named(&mut self, name: &str, place: Place) -> Result<Value, Error> {
        match self.find(name) {
            Some(Symbol::Qubits(qubits)) => return Ok(Value::Qubits(Rc::clone(qubits))),
            Some(Symbol::Bits(bits)) => return Ok(Value::Bits(Rc::clone(bits))),
            Some(Symbol::Constant(value)) | Some(Symbol::Known(_, Some(value))) => {
                return Ok(value.clone());
            }
            Some(Symbol::Known(_, None)) => {
                return Err(place.error(format!("`{name}` has no value yet")));
            }
            Some(&Symbol::Stored(scalar, start)) => {
                let signed = scalar.kind == super::TypeKind::Int;
                let width = scalar.width;
                let expression = if signed {
                    Expression::Signed { start, width }
                } else {
                    Expression::Bits { start, width }
                };
                return Ok(Value::Live(expression, signed));
            }
            Some(Symbol::Gate(_) | Symbol::Opaque) => {
                return Err(place.error(format!("`{name}` is a gate, not a value")));
            }
            Some(Symbol::Subroutine(_)) => {
                return Err(place.error(format!("`{name}` is a subroutine, call it")));
            }
            None => {}
        }
        let known = constant(name).filter(|_| self.version == 3 || matches!(name, "pi" | "π"));
        known
            .map(Value::Float)
            .ok_or_else(|| place.error(format!("`{name}` is not declared")))
    }

    fn function(&mut self, name: &str, arguments: &[Expr], place: Place) -> Result<Value, Error> {
        if let Some(Symbol::Subroutine(definition)) = self.find(name) {
            let definition = Rc::clone(definition);
            return self.subroutine(&definition, arguments, place);
        }
        let values = arguments
            .iter()
            .map(|a| self.evaluate(a))
            .collect::<Result<Vec<_>, _>>()?;
        let wrong = |count: usize| {
            place.error(format!(
                "`{name}` takes {count} arguments, not {}",
                values.len()
            ))
        };
        let one = |f: fn(f64) -> f64| match &values[..] {
            [x] => {
                let result = f(x.number().map_err(|m| place.error(m))?);
                if result.is_finite() {
                    return Ok(Value::Float(result));
                }
                Err(place.error(format!("`{name}` is not defined there")))
            }
            _ => Err(wrong(1)),
        };
        match (name, self.version) {
            ("sin", _) => one(f64::sin),
            ("cos", _) => one(f64::cos),
            ("tan", _) => one(f64::tan),
            ("exp", _) => one(f64::exp),
            ("ln" | "log", _) => one(f64::ln),
            ("sqrt", _) => one(f64::sqrt),
            ("asin" | "arcsin", _) => one(f64::asin),
            ("acos" | "arccos", _) => one(f64::acos),
            ("atan" | "arctan", _) => one(f64::atan),
            ("floor", 3) => one(f64::floor),
            ("ceiling", 3) => one(f64::ceil),
            ("pow" | "mod", 3) => match <[Value; 2]>::try_from(values) {
                Ok([x, y]) => {
                    let operator = if name == "pow" { "**" } else { "%" };
                    Value::binary(operator, x, y).map_err(|m| place.error(m))
                }
                Err(values) => {
                    Err(place.error(format!("`{name}` takes 2 arguments, not {}", values.len())))
                }
            },
            ("popcount", 3) => match &values[..] {
                [Value::Int(v)] => Ok(Value::Int(v.count_ones().into())),
                [value] => {
                    let inner = value.expression().map_err(|m| place.error(m))?;
                    Ok(Value::Live(
                        Expression::Unary(Unary::Ones, Box::new(inner)),
                        false,
                    ))
                }
                _ => Err(wrong(1)),
            },
            ("rotl" | "rotr", 3) => match &values[..] {
                [Value::Bits(list), by] => {
                    let by = by.integer().map_err(|m| place.error(m))?;
                    let by = if name == "rotl" { by } else { -by };
                    let by = by.rem_euclid(list.len().max(1) as i128) as usize;
                    let mut turned = list.to_vec();
                    turned.rotate_right(by);
                    self.steps += turned.len() as u64;
                    Ok(Value::Bits(turned.into()))
                }
                _ => Err(place.error(format!("`{name}` takes a register of bits and a number"))),
            },
            ("sizeof", 3) => match &values[..] {
                [Value::Bits(list) | Value::Qubits(list)] => Ok(Value::Int(list.len() as i128)),
                _ => Err(place.error("`sizeof` takes one register")),
            },
            _ => Err(place.error(format!("there is no function `{name}`"))),
        }
    }

    /// A size in brackets: a whole number, not zero.
    pub(super) fn size(&mut self, size: Option<&Expr>, place: Place) -> Result<Option<u64>, Error> {
        let Some(size) = size else { return Ok(None) };
        let value = self.whole(size)?;
        match u64::try_from(value) {
            Ok(value) if value > 0 => Ok(Some(value)),
            _ => Err(place.error(format!("a size of {value}"))),
        }
    }

    /// A whole number that is known now.
    pub(super) fn whole(&mut self, expr: &Expr) -> Result<i128, Error> {
        let value = self.evaluate(expr)?;
        value.integer().map_err(|m| expr.place.error(m))
    }
}

/// Constants that are there without a declaration.
pub(super) fn constant(name: &str) -> Option<f64> {
    Some(match name {
        "pi" | "π" => consts::PI,
        "tau" | "τ" => consts::TAU,
        "euler" | "ℇ" => consts::E,
        _ => return None,
    })
}
