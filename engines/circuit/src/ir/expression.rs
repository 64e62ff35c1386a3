//! Classical expressions over bits that measurement has set: what `if`, `while` and assignments of a
//! circuit compute while it runs. Values are 64 bits wide and wrap.

/// An operation on one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// 1 for 0, else 0.
    Not,
    /// Every bit inverted.
    Invert,
    /// The two's complement.
    Negate,
    /// How many bits are 1.
    Ones,
}

/// An operation on two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // Named as in every language.
pub enum Binary {
    And,
    Or,
    BitAnd,
    BitOr,
    BitXor,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    /// Divide as two's complement, towards zero.
    SignedDivide,
    SignedRemainder,
    ShiftLeft,
    ShiftRight,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Compare as two's complement.
    SignedLess,
    SignedLessOrEqual,
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A number.
    Value(u64),
    /// Up to 64 bits from `start` on, the first the least significant.
    Bits {
        /// The first bit.
        start: u32,
        /// How many.
        width: u32,
    },
    /// The same, read as two's complement.
    Signed {
        /// The first bit.
        start: u32,
        /// How many.
        width: u32,
    },
    /// An operation on one value.
    Unary(Unary, Box<Expression>),
    /// An operation on two values.
    Binary(Binary, Box<[Expression; 2]>),
}

impl Expression {
    /// An operation on two expressions.
    #[must_use]
    pub fn binary(operation: Binary, left: Self, right: Self) -> Self {
        Self::Binary(operation, Box::new([left, right]))
    }

    /// The bits, read as one number, equal that number (given as 64-bit words, least first).
    #[must_use]
    pub fn equals(start: u32, width: u32, words: &[u64]) -> Self {
        let part = |i: u32| {
            let bits = (width - 64 * i).min(64);
            let value = words.get(i as usize).copied().unwrap_or_default();
            Self::binary(
                Binary::Equal,
                Self::Bits {
                    start: start + 64 * i,
                    width: bits,
                },
                Self::Value(value),
            )
        };
        let last = width.div_ceil(64).max(1);
        let all = Self::all(Binary::And, (0..last).map(part).collect());
        if words.iter().skip(last as usize).any(|&w| w != 0) {
            Self::Value(0)
        } else {
            all
        }
    }

    /// One operation over many expressions, as a tree that is as flat as can be.
    #[must_use]
    pub fn all(operation: Binary, mut parts: Vec<Self>) -> Self {
        while parts.len() > 1 {
            let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
            let mut rest = parts.into_iter();
            while let Some(left) = rest.next() {
                pairs.push(match rest.next() {
                    Some(right) => Self::binary(operation, left, right),
                    None => left,
                });
            }
            parts = pairs;
        }
        parts.pop().unwrap_or(Self::Value(0))
    }

    /// The value, with `bit` telling each classical bit. Division by zero gives zero.
    pub fn value(&self, bit: &dyn Fn(u32) -> bool) -> u64 {
        let read = |start: u32, width: u32| {
            (0..width.min(64)).fold(0, |v, i| v | (u64::from(bit(start + i)) << i))
        };
        match self {
            Self::Value(value) => *value,
            Self::Bits { start, width } => read(*start, *width),
            Self::Signed { start, width } => {
                let spare = 64 - (*width).clamp(1, 64);
                (((read(*start, *width) << spare) as i64) >> spare) as u64
            }
            Self::Unary(operation, inner) => {
                let x = inner.value(bit);
                match operation {
                    Unary::Not => u64::from(x == 0),
                    Unary::Invert => !x,
                    Unary::Negate => x.wrapping_neg(),
                    Unary::Ones => u64::from(x.count_ones()),
                }
            }
            Self::Binary(operation, sides) => {
                let (x, y) = (sides[0].value(bit), sides[1].value(bit));
                operation.apply(x, y)
            }
        }
    }

    /// Numbers, ranges of bits and operations that it is made of.
    #[must_use]
    pub fn parts(&self) -> u64 {
        1 + match self {
            Self::Value(_) | Self::Bits { .. } | Self::Signed { .. } => 0,
            Self::Unary(_, inner) => inner.parts(),
            Self::Binary(_, sides) => sides.iter().map(Self::parts).sum(),
        }
    }

    /// Calls `see` for every range of bits that is read.
    pub fn reads(&self, see: &mut dyn FnMut(u32, u32)) {
        match self {
            Self::Value(_) => {}
            Self::Bits { start, width } | Self::Signed { start, width } => see(*start, *width),
            Self::Unary(_, inner) => inner.reads(see),
            Self::Binary(_, sides) => sides.iter().for_each(|side| side.reads(see)),
        }
    }
}

impl Binary {
    /// What it gives for two values.
    #[must_use]
    pub fn apply(self, x: u64, y: u64) -> u64 {
        match self {
            Self::And => u64::from(x != 0 && y != 0),
            Self::Or => u64::from(x != 0 || y != 0),
            Self::BitAnd => x & y,
            Self::BitOr => x | y,
            Self::BitXor => x ^ y,
            Self::Add => x.wrapping_add(y),
            Self::Subtract => x.wrapping_sub(y),
            Self::Multiply => x.wrapping_mul(y),
            Self::Divide => x.checked_div(y).unwrap_or_default(),
            Self::Remainder => x.checked_rem(y).unwrap_or_default(),
            Self::SignedDivide if y == 0 => 0,
            Self::SignedDivide => (x as i64).wrapping_div(y as i64) as u64,
            Self::SignedRemainder if y == 0 => 0,
            Self::SignedRemainder => (x as i64).wrapping_rem(y as i64) as u64,
            Self::ShiftLeft => u32::try_from(y).map_or(0, |y| x.checked_shl(y).unwrap_or(0)),
            Self::ShiftRight => u32::try_from(y).map_or(0, |y| x.checked_shr(y).unwrap_or(0)),
            Self::Equal => u64::from(x == y),
            Self::NotEqual => u64::from(x != y),
            Self::Less => u64::from(x < y),
            Self::LessOrEqual => u64::from(x <= y),
            Self::Greater => u64::from(x > y),
            Self::GreaterOrEqual => u64::from(x >= y),
            Self::SignedLess => u64::from((x as i64) < y as i64),
            Self::SignedLessOrEqual => u64::from(x as i64 <= y as i64),
        }
    }
}
