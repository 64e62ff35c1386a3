//! Values of classical expressions: known now, or computed by the circuit from its bits.

use std::rc::Rc;

use super::super::ast::TypeKind;
use super::Scalar;
use crate::ir::{Angle, Binary, Expression, Unary};

/// A value.
#[derive(Debug, Clone)]
pub enum Value {
    Int(i128),
    Float(f64),
    Bool(bool),
    /// Linear in a parameter of the circuit.
    Angle(Angle),
    /// Bits of the circuit, the least significant first.
    Bits(Rc<[u32]>),
    /// Computed while the circuit runs; signed or not.
    Live(Expression, bool),
    Qubits(Rc<[u32]>),
}

type Outcome = Result<Value, String>;

impl Value {
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Bits(_) | Self::Live(..))
    }

    fn what(&self) -> &'static str {
        match self {
            Self::Int(_) => "a whole number",
            Self::Float(_) | Self::Angle(_) => "a float or an angle",
            Self::Bool(_) => "a boolean",
            Self::Bits(_) => "a register",
            Self::Live(..) => "a value that depends on a measurement",
            Self::Qubits(_) => "qubits",
        }
    }

    pub fn number(&self) -> Result<f64, String> {
        match self {
            Self::Int(v) => Ok(*v as f64),
            Self::Float(v) => Ok(*v),
            Self::Bool(v) => Ok(f64::from(u8::from(*v))),
            Self::Angle(_) => {
                Err("a number that depends on an input cannot be used here".to_owned())
            }
            Self::Bits(_) | Self::Live(..) => {
                Err("a number that depends on a measurement cannot be used here".to_owned())
            }
            Self::Qubits(_) => Err("a number expected, not qubits".to_owned()),
        }
    }

    /// A known number as a real one.
    pub fn real(self) -> Outcome {
        match self {
            Self::Int(_) | Self::Bool(_) => self.number().map(Self::Float),
            other => Ok(other),
        }
    }

    pub fn integer(&self) -> Result<i128, String> {
        match self {
            Self::Int(v) => Ok(*v),
            Self::Bool(v) => Ok(i128::from(*v)),
            Self::Float(v) if v.fract() == 0.0 && v.abs() < 1e18 => Ok(*v as i128),
            Self::Float(v) => Err(format!("a whole number expected, not {v}")),
            other => other.number().map(|v| v as i128),
        }
    }

    /// Whether a known value is true; `None` for one that is not known.
    pub fn truth(&self) -> Result<Option<bool>, String> {
        match self {
            Self::Bits(_) | Self::Live(..) => Ok(None),
            other => other.number().map(|v| Some(v != 0.0)),
        }
    }

    pub fn angle(&self) -> Result<Angle, String> {
        let angle = match self {
            Self::Angle(angle) => *angle,
            other => Angle::Value(other.number()?),
        };
        match angle {
            Angle::Value(v) if !v.is_finite() => Err(format!("the angle is {v}, no finite number")),
            angle => Ok(angle),
        }
    }

    /// As an expression of the circuit.
    pub fn expression(&self) -> Result<Expression, String> {
        match self {
            Self::Live(expression, _) => Ok(expression.clone()),
            Self::Int(v) => Ok(Expression::Value(*v as u64)),
            Self::Bool(v) => Ok(Expression::Value(u64::from(*v))),
            Self::Bits(bits) => gathered(bits),
            Self::Float(_) | Self::Angle(_) => Err(
                "a float cannot be combined with a value that depends on a measurement".to_owned(),
            ),
            Self::Qubits(_) => Err("a classical value expected, not qubits".to_owned()),
        }
    }

    fn is_signed(&self) -> bool {
        match self {
            Self::Live(_, signed) => *signed,
            Self::Int(v) => *v < 0,
            _ => false,
        }
    }

    /// As a value of this type.
    pub fn converted(self, to: Scalar) -> Outcome {
        let mask = if to.width >= 64 {
            u64::MAX
        } else {
            (1 << to.width) - 1
        };
        let wrapped = |v: i128| {
            let low = i128::from(v as u64 & mask);
            let negative = to.kind == TypeKind::Int && low >> (to.width - 1) == 1;
            if negative {
                low - (1i128 << to.width)
            } else {
                low
            }
        };
        Ok(match (to.kind, self) {
            (_, Self::Qubits(_)) => return Err("a classical value expected, not qubits".to_owned()),
            (TypeKind::Bool, Self::Live(e, _)) => Self::Live(not(not(e)), false),
            (TypeKind::Bool, Self::Bits(bits)) => Self::Live(not(not(gathered(&bits)?)), false),
            (TypeKind::Bool, value) => Self::Bool(value.number()? != 0.0),
            (TypeKind::Float | TypeKind::Angle, value @ Self::Angle(_)) => value,
            (TypeKind::Float | TypeKind::Angle | TypeKind::Duration, value) => {
                Self::Float(value.number()?)
            }
            (_, Self::Float(v)) if !v.is_finite() => {
                return Err(format!("{v} cannot become a whole number"));
            }
            (_, Self::Float(v)) => Self::Int(wrapped(v.trunc().clamp(-1e37, 1e37) as i128)),
            (_, Self::Int(v)) => Self::Int(wrapped(v)),
            (_, Self::Bool(v)) => Self::Int(v.into()),
            (_, Self::Angle(_)) => return Err("an input cannot become a whole number".to_owned()),
            (kind, Self::Bits(bits)) => Self::Live(gathered(&bits)?, kind == TypeKind::Int),
            (kind, Self::Live(e, _)) => Self::Live(e, kind == TypeKind::Int),
        })
    }

    pub fn unary(operator: &str, value: Self) -> Outcome {
        Ok(match (operator, value) {
            ("+", value) => value,
            ("-", Self::Int(v)) => Self::Int(v.checked_neg().ok_or("out of range")?),
            ("-", Self::Angle(angle)) => Self::Angle(angle.scaled(-1.0)),
            ("!", value) if value.is_known() => Self::Bool(value.number()? == 0.0),
            ("~", Self::Int(v)) => Self::Int(!v),
            ("~", Self::Bool(v)) => Self::Bool(!v),
            ("-", value) if value.is_known() => Self::Float(-value.number()?),
            ("!", value) => Self::Live(not(value.any()?), false),
            ("~", Self::Bits(bits)) => {
                let ones = if bits.len() >= 64 {
                    u64::MAX
                } else {
                    (1 << bits.len()) - 1
                };
                let flipped =
                    Expression::binary(Binary::BitXor, gathered(&bits)?, Expression::Value(ones));
                Self::Live(flipped, false)
            }
            ("~", Self::Live(e, s)) => Self::Live(Expression::Unary(Unary::Invert, Box::new(e)), s),
            ("-", Self::Live(e, _)) => {
                Self::Live(Expression::Unary(Unary::Negate, Box::new(e)), true)
            }
            (other, value) => {
                return Err(format!("`{other}` cannot be applied to {}", value.what()));
            }
        })
    }

    /// Not zero where any bit is set, however many there are.
    pub fn any(&self) -> Result<Expression, String> {
        match self {
            Self::Bits(bits) if bits.len() > 64 => {
                let parts = bits.chunks(64).map(gathered).collect::<Result<_, _>>()?;
                Ok(Expression::all(Binary::Or, parts))
            }
            other => other.expression(),
        }
    }

    pub fn binary(operator: &str, left: Self, right: Self) -> Outcome {
        if left.is_known() && right.is_known() {
            return known(operator, &left, &right);
        }
        if let (Self::Bits(bits), Self::Int(v), "==" | "!=") = (&left, &right, operator)
            && *v >= 0
            && contiguous(bits)
        {
            let words = [*v as u64, (*v >> 64) as u64];
            let equal = Expression::equals(bits[0], bits.len() as u32, &words);
            return Ok(Self::Live(
                if operator == "==" { equal } else { not(equal) },
                false,
            ));
        }
        let signed = left.is_signed() || right.is_signed();
        let (mut x, mut y) = match operator {
            "&&" | "||" => (left.any()?, right.any()?),
            _ => (left.expression()?, right.expression()?),
        };
        let operation = match operator {
            "&&" => Binary::And,
            "||" => Binary::Or,
            "&" => Binary::BitAnd,
            "|" => Binary::BitOr,
            "^" => Binary::BitXor,
            "+" => Binary::Add,
            "-" => Binary::Subtract,
            "*" => Binary::Multiply,
            "/" if signed => Binary::SignedDivide,
            "%" if signed => Binary::SignedRemainder,
            "/" => Binary::Divide,
            "%" => Binary::Remainder,
            "<<" => Binary::ShiftLeft,
            ">>" => Binary::ShiftRight,
            "==" => Binary::Equal,
            "!=" => Binary::NotEqual,
            "<" | ">" => {
                if operator == ">" {
                    std::mem::swap(&mut x, &mut y);
                }
                if signed {
                    Binary::SignedLess
                } else {
                    Binary::Less
                }
            }
            "<=" | ">=" => {
                if operator == ">=" {
                    std::mem::swap(&mut x, &mut y);
                }
                if signed {
                    Binary::SignedLessOrEqual
                } else {
                    Binary::LessOrEqual
                }
            }
            other => {
                return Err(format!(
                    "`{other}` of a value that depends on a measurement"
                ));
            }
        };
        Ok(Self::Live(Expression::binary(operation, x, y), signed))
    }
}

fn not(e: Expression) -> Expression {
    Expression::Unary(Unary::Not, Box::new(e))
}

pub fn contiguous(bits: &[u32]) -> bool {
    !bits.is_empty() && bits.windows(2).all(|w| w[1] == w[0] + 1)
}

/// Bits, wherever they are, as one number.
fn gathered(bits: &[u32]) -> Result<Expression, String> {
    if bits.len() > 64 {
        return Err(format!(
            "{} bits are too many for arithmetic, 64 are possible",
            bits.len()
        ));
    }
    if contiguous(bits) {
        return Ok(Expression::Bits {
            start: bits[0],
            width: bits.len() as u32,
        });
    }
    Ok(bits
        .iter()
        .enumerate()
        .fold(Expression::Value(0), |all, (i, &bit)| {
            let one = Expression::Bits {
                start: bit,
                width: 1,
            };
            let moved = Expression::binary(Binary::ShiftLeft, one, Expression::Value(i as u64));
            Expression::binary(Binary::BitOr, all, moved)
        }))
}

fn known(operator: &str, left: &Value, right: &Value) -> Outcome {
    use Value::{Angle as Parameter, Bool, Float, Int};
    let zero = || "division by zero".to_owned();
    let range = || format!("`{operator}` leaves the range of numbers");
    match (left, right) {
        (Parameter(a), _) | (_, Parameter(a)) => linear(operator, left, right, *a),
        (Int(_) | Bool(_), Int(_) | Bool(_)) => {
            let (x, y) = (left.integer()?, right.integer()?);
            let shift = || u32::try_from(y).ok().filter(|&y| y < 128).ok_or_else(range);
            Ok(match operator {
                "+" => Int(x.checked_add(y).ok_or_else(range)?),
                "-" => Int(x.checked_sub(y).ok_or_else(range)?),
                "*" => Int(x.checked_mul(y).ok_or_else(range)?),
                "/" => Int(x.checked_div(y).ok_or_else(zero)?),
                "%" => Int(x.checked_rem(y).ok_or_else(zero)?),
                "**" if y < 0 => Float((x as f64).powf(y as f64)),
                "**" => match u32::try_from(y).ok().and_then(|y| x.checked_pow(y)) {
                    Some(v) => Int(v),
                    None => Float((x as f64).powf(y as f64)),
                },
                "<<" => Int(x.checked_shl(shift()?).ok_or_else(range)?),
                ">>" => Int(x.checked_shr(shift()?).ok_or_else(range)?),
                "&" => Int(x & y),
                "|" => Int(x | y),
                "^" => Int(x ^ y),
                _ => Bool(compared(operator, x.partial_cmp(&y), x != 0, y != 0)?),
            })
        }
        _ => {
            let (x, y) = (left.number()?, right.number()?);
            Ok(match operator {
                "+" => Float(x + y),
                "-" => Float(x - y),
                "*" => Float(x * y),
                "/" if y == 0.0 => return Err(zero()),
                "/" => Float(x / y),
                "%" => Float(x % y),
                "**" => Float(x.powf(y)),
                _ => Bool(compared(operator, x.partial_cmp(&y), x != 0.0, y != 0.0)?),
            })
        }
    }
}

fn compared(
    operator: &str,
    order: Option<std::cmp::Ordering>,
    x: bool,
    y: bool,
) -> Result<bool, String> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    Ok(match operator {
        "==" => order == Some(Equal),
        "!=" => order != Some(Equal),
        "<" => order == Some(Less),
        "<=" => matches!(order, Some(Less | Equal)),
        ">" => order == Some(Greater),
        ">=" => matches!(order, Some(Greater | Equal)),
        "&&" => x && y,
        "||" => x || y,
        other => return Err(format!("`{other}` of these values")),
    })
}

/// Arithmetic with a parameter, as far as it stays linear.
fn linear(operator: &str, left: &Value, right: &Value, a: Angle) -> Outcome {
    let only_linear =
        || "inputs may be added to numbers and multiplied by them, no more".to_owned();
    let Angle::Parameter {
        index,
        factor,
        offset,
    } = a
    else {
        return Err(only_linear());
    };
    let first = matches!(left, Value::Angle(_));
    let other = if first { right } else { left }
        .number()
        .map_err(|_| only_linear())?;
    let (factor, offset) = match (operator, first) {
        ("+", _) => (factor, offset + other),
        ("-", true) => (factor, offset - other),
        ("-", false) => (-factor, other - offset),
        ("*", _) => (factor * other, offset * other),
        ("/", true) if other != 0.0 => (factor / other, offset / other),
        _ => return Err(only_linear()),
    };
    Ok(Value::Angle(Angle::Parameter {
        index,
        factor,
        offset,
    }))
}
