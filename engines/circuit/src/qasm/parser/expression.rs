//! Expressions, by precedence climbing.

use super::super::ast::{Expr, ExprKind};
use super::super::lexer::Kind;
use super::Parser;
use crate::Error;

/// Binary operators of version 3 and how tightly they bind.
const BINDING: &[(&str, u8)] = &[
    ("||", 1),
    ("&&", 2),
    ("|", 3),
    ("^", 4),
    ("&", 5),
    ("==", 6),
    ("!=", 6),
    ("<", 7),
    ("<=", 7),
    (">", 7),
    (">=", 7),
    ("<<", 8),
    (">>", 8),
    ("++", 9),
    ("+", 9),
    ("-", 9),
    ("*", 10),
    ("/", 10),
    ("%", 10),
    ("**", 12),
];
/// Those of version 2, where `^` is the power.
const BINDING_2: &[(&str, u8)] = &[("+", 9), ("-", 9), ("*", 10), ("/", 10), ("^", 12)];
const UNARY: u8 = 11;
const POWER: u8 = 12;

impl Parser {
    pub(super) fn expression(&mut self) -> Result<Expr, Error> {
        self.climb(0)
    }

    fn climb(&mut self, least: u8) -> Result<Expr, Error> {
        let mut left = self.deeper(Self::prefix)?;
        loop {
            let table = if self.version == 2 {
                BINDING_2
            } else {
                BINDING
            };
            let found = match self.kind() {
                Kind::Symbol(s) => table.iter().find(|(o, _)| o == s),
                _ => None,
            };
            let Some(&(operator, binding)) = found.filter(|(_, b)| *b >= least.max(1)) else {
                return Ok(left);
            };
            let place = self.place();
            // A chain to the left is as deep a tree as a nest of brackets.
            self.terms += 1;
            if self.terms > 8 * crate::ir::DEPTH_MAX {
                return Err(place.error("an expression of too many terms"));
            }
            self.next();
            // The power binds to the right.
            let right = self.deeper(|p| {
                p.climb(if binding == POWER {
                    binding
                } else {
                    binding + 1
                })
            })?;
            let operator = if self.version == 2 && operator == "^" {
                "**"
            } else {
                operator
            };
            left = Expr {
                kind: ExprKind::Binary(operator, Box::new([left, right])),
                place,
            };
        }
    }

    fn prefix(&mut self) -> Result<Expr, Error> {
        let place = self.place();
        for operator in ["-", "+", "!", "~"] {
            if self.eat(operator) {
                let inner = self.deeper(|p| p.climb(UNARY))?;
                let kind = ExprKind::Unary(operator, Box::new(inner));
                return Ok(Expr { kind, place });
            }
        }
        self.operand()
    }

    /// A primary expression with its indices.
    pub(super) fn operand(&mut self) -> Result<Expr, Error> {
        let place = self.place();
        let mut expr = self.primary()?;
        let mut indices = 0;
        while self.eat("[") {
            indices += 1;
            if indices > 8 {
                return Err(place.error("too many indices"));
            }
            let index = if self.is("{") {
                let set = self.deeper(Self::range_or_set)?;
                self.expect("]")?;
                vec![set]
            } else {
                self.list("]", Self::range)?
            };
            expr = Expr {
                kind: ExprKind::Index(Box::new(expr), index),
                place,
            };
        }
        Ok(expr)
    }

    /// `a`, `a:b`, `a:s:b`, with any of them left out.
    fn range(&mut self) -> Result<Expr, Error> {
        let place = self.place();
        let mut parts: Vec<Option<Box<Expr>>> = Vec::new();
        loop {
            let none = self.is(":") || self.is("]") || self.is(",");
            parts.push(if none {
                None
            } else {
                Some(Box::new(self.deeper(Self::expression)?))
            });
            if !self.eat(":") {
                break;
            }
        }
        let kind = match (parts.len(), parts.pop().flatten(), parts.pop(), parts.pop()) {
            (1, Some(only), ..) => return Ok(*only),
            (2, stop, Some(start), _) => ExprKind::Range([start, None, stop]),
            (3, stop, Some(step), Some(start)) => ExprKind::Range([start, step, stop]),
            _ => return Err(place.error("an index or a range expected")),
        };
        Ok(Expr { kind, place })
    }

    /// What a loop goes over: `[a:b]`, `{1, 2}`, or an expression.
    pub(super) fn range_or_set(&mut self) -> Result<Expr, Error> {
        let place = self.place();
        if self.eat("[") {
            let range = self.range()?;
            self.expect("]")?;
            return Ok(range);
        }
        if self.eat("{") {
            let kind = ExprKind::Set(self.list("}", Self::expression)?);
            return Ok(Expr { kind, place });
        }
        self.expression()
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let place = self.place();
        let kind = match self.kind().clone() {
            Kind::Symbol("(") => {
                self.next();
                let inner = self.deeper(Self::expression)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Kind::Integer(value) => {
                self.next();
                ExprKind::Integer(value)
            }
            Kind::Large(digits) => {
                return Err(place.error(format!("{digits} is out of range")));
            }
            Kind::Float(value) => {
                self.next();
                ExprKind::Float(value)
            }
            Kind::Duration => {
                self.next();
                ExprKind::Duration
            }
            Kind::Text(text) => {
                self.next();
                if !text.chars().all(|c| matches!(c, '0' | '1' | '_')) {
                    return Err(place.error("a string of bits expected"));
                }
                ExprKind::Bits(text.replace('_', ""))
            }
            Kind::Name(word) if word.starts_with('$') => {
                let number: u64 = word[1..]
                    .parse()
                    .map_err(|_| place.error(format!("`{word}`: a number expected behind $")))?;
                let highest = self.hardware.map_or(number, |(n, _)| n.max(number));
                self.hardware = Some((highest, place));
                self.next();
                // `$01` and `$1` are the same qubit.
                ExprKind::Name(format!("${number}"))
            }
            Kind::Name(word) => {
                if self.version == 3 && super::type_kind(&word).is_some() {
                    let ty = self.type_name()?;
                    self.expect("(")?;
                    let inner = self.deeper(Self::expression)?;
                    self.expect(")")?;
                    ExprKind::Cast(ty, Box::new(inner))
                } else {
                    self.next();
                    match word.as_str() {
                        "true" | "false" => ExprKind::Bool(word == "true"),
                        "measure" => ExprKind::Measure(Box::new(self.deeper(Self::operand)?)),
                        _ if self.eat("(") => {
                            ExprKind::Call(word, self.list(")", |p| p.deeper(Self::expression))?)
                        }
                        _ => ExprKind::Name(word),
                    }
                }
            }
            _ => return Err(self.wanted("an expression")),
        };
        Ok(Expr { kind, place })
    }
}
