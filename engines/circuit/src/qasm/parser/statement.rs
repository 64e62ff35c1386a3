//! Statements by the word that they start with, of either version.

use super::super::ast::{StmtKind, Type, TypeKind};
use super::super::lexer::Kind;
use super::{Parser, type_kind};
use crate::Error;

impl Parser {
    /// What both versions have.
    pub(super) fn shared(&mut self, word: &str) -> Result<Option<StmtKind>, Error> {
        let kind = match word {
            "include" => {
                self.next();
                let Kind::Text(file) = self.kind().clone() else {
                    return Err(self.wanted("a file name in quotes"));
                };
                self.next();
                StmtKind::Include(file)
            }
            "qreg" | "creg" => {
                self.next();
                let name = self.name()?;
                let place = self.place();
                let size = self.size()?;
                if self.version == 2 && size.is_none() {
                    return Err(place.error("a size in brackets expected"));
                }
                if word == "qreg" {
                    StmtKind::Qubits(name, size)
                } else {
                    let size = size.map(Box::new);
                    StmtKind::Declare {
                        ty: Type {
                            kind: TypeKind::Bit,
                            size,
                        },
                        name,
                        value: None,
                        constant: false,
                        input: false,
                        output: false,
                    }
                }
            }
            "gate" => {
                self.next();
                return Ok(Some(self.gate_definition()?));
            }
            "measure" => {
                self.next();
                let from = self.deeper(Self::operand)?;
                let to = if self.eat("->") {
                    Some(self.deeper(Self::operand)?)
                } else if self.version == 2 {
                    return Err(self.wanted("`->`"));
                } else {
                    None
                };
                StmtKind::Measure(from, to)
            }
            "reset" => {
                self.next();
                StmtKind::Reset(self.deeper(Self::operand)?)
            }
            "barrier" => {
                self.next();
                let operands = self.operands_to(";")?;
                return Ok(Some(StmtKind::Barrier(operands)));
            }
            _ => return Ok(None),
        };
        self.expect(";")?;
        Ok(Some(kind))
    }

    pub(super) fn statement_2(&mut self, word: &str) -> Result<Option<StmtKind>, Error> {
        match word {
            "opaque" => {
                self.next();
                let name = self.name()?;
                if self.eat("(") {
                    self.list(")", Self::name)?;
                }
                if self.is(";") {
                    return Err(self.wanted("the gate's qubits"));
                }
                self.list(";", Self::name)?;
                Ok(Some(StmtKind::Opaque(name)))
            }
            "if" => {
                self.next();
                self.expect("(")?;
                let register = self.deeper(Self::operand)?;
                self.expect("==")?;
                let value = match self.kind() {
                    Kind::Integer(value) => vec![*value as u64, (*value >> 64) as u64],
                    Kind::Large(digits) => words(digits),
                    _ => return Err(self.wanted("a whole number")),
                };
                self.next();
                self.expect(")")?;
                let then = self.deeper(Self::statement)?;
                let operation = matches!(
                    then.kind,
                    StmtKind::Call { .. } | StmtKind::Measure(..) | StmtKind::Reset(_)
                );
                if !operation {
                    let what = "a gate, a measurement or a reset expected";
                    return Err(then.place.error(what));
                }
                Ok(Some(StmtKind::IfEquals(register, value, Box::new(then))))
            }
            _ => self.shared(word),
        }
    }

    pub(super) fn statement_3(&mut self, word: &str) -> Result<Option<StmtKind>, Error> {
        if let Some(kind) = type_kind(word) {
            return self.declaration(kind).map(Some);
        }
        let kind = match word {
            "const" | "input" => {
                self.next();
                let is_input = word == "input";
                let Kind::Name(word) = self.kind().clone() else {
                    return Err(self.wanted("a type"));
                };
                let Some(kind) = type_kind(&word) else {
                    return Err(self.wanted("a type"));
                };
                let mut declared = self.declaration(kind)?;
                if let StmtKind::Declare {
                    constant, input, ..
                } = &mut declared
                {
                    *constant = true;
                    *input = is_input;
                }
                return Ok(Some(declared));
            }
            "output" => {
                self.next();
                let kind = match self.kind() {
                    Kind::Name(word) => type_kind(word),
                    _ => None,
                };
                let mut declared = self.declaration(kind.ok_or_else(|| self.wanted("a type"))?)?;
                if let StmtKind::Declare { output, .. } = &mut declared {
                    *output = true;
                }
                return Ok(Some(declared));
            }
            "let" => {
                self.next();
                let name = self.name()?;
                self.expect("=")?;
                StmtKind::Alias(name, self.expression()?)
            }
            "def" => {
                self.next();
                return self.subroutine().map(Some);
            }
            "if" => {
                self.next();
                self.expect("(")?;
                let condition = self.expression()?;
                self.expect(")")?;
                let then = self.block()?;
                let otherwise = if self.eat_name("else") {
                    self.block()?
                } else {
                    Vec::new()
                };
                return Ok(Some(StmtKind::If(condition, then, otherwise)));
            }
            "while" => {
                self.next();
                self.expect("(")?;
                let condition = self.expression()?;
                self.expect(")")?;
                return Ok(Some(StmtKind::While(condition, self.block()?)));
            }
            "for" => {
                self.next();
                let ty = self.type_name()?;
                let name = self.name()?;
                if !self.eat_name("in") {
                    return Err(self.wanted("`in`"));
                }
                let over = self.range_or_set()?;
                return Ok(Some(StmtKind::For(ty, name, over, self.block()?)));
            }
            "switch" => {
                self.next();
                return self.switch().map(Some);
            }
            "return" => {
                self.next();
                let value = if self.is(";") {
                    None
                } else {
                    Some(self.expression()?)
                };
                StmtKind::Return(value)
            }
            "break" | "continue" | "end" => {
                self.next();
                match word {
                    "break" => StmtKind::Break,
                    "continue" => StmtKind::Continue,
                    _ => StmtKind::End,
                }
            }
            "box" => {
                self.next();
                if self.eat("[") {
                    self.expression()?;
                    self.expect("]")?;
                }
                return Ok(Some(StmtKind::Block(self.block()?)));
            }
            "delay" => {
                self.next();
                self.expect("[")?;
                self.expression()?;
                self.expect("]")?;
                self.operands_to(";")?;
                return Ok(Some(StmtKind::Nothing));
            }
            "nop" => {
                self.next();
                self.operands_to(";")?;
                return Ok(Some(StmtKind::Nothing));
            }
            "array" | "complex" | "extern" | "cal" | "defcal" | "defcalgrammar" | "stretch" => {
                return Err(self
                    .place()
                    .error(format!("`{word}` is not supported by this simulator")));
            }
            _ => return self.shared(word),
        };
        self.expect(";")?;
        Ok(Some(kind))
    }
}

/// Decimal digits as 64-bit words, the least first.
fn words(digits: &str) -> Vec<u64> {
    let mut words = vec![0u64];
    for digit in digits.bytes() {
        let mut carry = u128::from(digit.wrapping_sub(b'0'));
        for word in &mut words {
            carry += u128::from(*word) * 10;
            *word = carry as u64;
            carry >>= 64;
        }
        if carry > 0 {
            words.push(carry as u64);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn long_numbers_become_words() {
        assert_eq!(words("0"), [0]);
        assert_eq!(words("18446744073709551616"), [0, 1]);
        // 2^150.
        let power = "1427247692705959881058285969449495136382746624";
        assert_eq!(words(power), [0, 0, 1 << 22]);
    }
}
