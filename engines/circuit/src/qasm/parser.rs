//! Tokens to statements, by recursive descent with a bound on the depth.

mod expression;
mod statement;

use std::rc::Rc;

use super::ast::{Expr, GateDef, Modifier, Program, Stmt, StmtKind, Subroutine, Type, TypeKind};
use super::lexer::{Kind, Place, Token};
use crate::Error;
use crate::ir::DEPTH_MAX;

/// Reads a program.
pub fn program(tokens: Vec<Token>) -> Result<Program, Error> {
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        terms: 0,
        version: 3,
        hardware: None,
    };
    if parser.eat_name("OPENQASM") {
        let place = parser.place();
        parser.version = match parser.next().kind {
            Kind::Integer(2) => 2,
            Kind::Integer(3) => 3,
            Kind::Float(2.0) => 2,
            Kind::Float(3.0 | 3.1) => 3,
            other => {
                return Err(place.error(format!(
                    "version 2.0, 3.0 or 3.1 expected, not {}",
                    other.shown()
                )));
            }
        };
        parser.expect(";")?;
    }
    let mut statements = Vec::new();
    while parser.kind() != &Kind::End {
        statements.push(parser.statement()?);
    }
    Ok(Program {
        version: parser.version,
        hardware: parser.hardware,
        statements,
    })
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Operators in the statement that is being read.
    terms: usize,
    version: u32,
    /// The highest qubit of the machine that is named, and where.
    hardware: Option<(u64, Place)>,
}

impl Parser {
    fn token(&self) -> &Token {
        // The last token is the end, which is never passed.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn kind(&self) -> &Kind {
        &self.token().kind
    }

    fn place(&self) -> Place {
        self.token().place
    }

    fn next(&mut self) -> Token {
        let token = self.token().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.kind(), Kind::Symbol(s) if *s == symbol)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.kind(), Kind::Name(n) if n == name)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let there = self.is(symbol);
        if there {
            self.next();
        }
        there
    }

    fn eat_name(&mut self, name: &str) -> bool {
        let there = self.is_name(name);
        if there {
            self.next();
        }
        there
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Error> {
        if self.eat(symbol) {
            return Ok(());
        }
        Err(self.wanted(&format!("`{symbol}`")))
    }

    fn wanted(&self, what: &str) -> Error {
        self.place()
            .error(format!("{what} expected, not {}", self.kind().shown()))
    }

    fn name(&mut self) -> Result<String, Error> {
        match self.kind() {
            Kind::Name(name) if !name.starts_with('$') => {
                let name = name.clone();
                self.next();
                Ok(name)
            }
            _ => Err(self.wanted("a name")),
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= DEPTH_MAX {
            return Err(self
                .place()
                .error(format!("nested more than {DEPTH_MAX} deep")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn list<T>(
        &mut self,
        end: &str,
        mut read: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        while !self.eat(end) {
            items.push(read(self)?);
            if !self.is(end) {
                self.expect(",")?;
                // Version 3 lets a list end with a comma.
                if self.version == 2 && self.is(end) {
                    return Err(self.wanted("one more after the comma"));
                }
            }
        }
        Ok(items)
    }

    fn block(&mut self) -> Result<Vec<Stmt>, Error> {
        if !self.eat("{") {
            return Ok(vec![self.deeper(Self::statement)?]);
        }
        let mut statements = Vec::new();
        while !self.eat("}") {
            if self.kind() == &Kind::End {
                return Err(self.wanted("`}`"));
            }
            statements.push(self.deeper(Self::statement)?);
        }
        Ok(statements)
    }

    fn statement(&mut self) -> Result<Stmt, Error> {
        while self.eat("@") {
            // An annotation goes to the end of its line.
            let line = self.place().line;
            while self.place().line == line && self.kind() != &Kind::End {
                self.next();
            }
        }
        let place = self.place();
        self.terms = 0;
        let kind = self.statement_kind()?;
        Ok(Stmt { kind, place })
    }

    fn statement_kind(&mut self) -> Result<StmtKind, Error> {
        if self.eat(";") {
            return Ok(StmtKind::Nothing);
        }
        if self.is("{") {
            return Ok(StmtKind::Block(self.block()?));
        }
        let Kind::Name(word) = self.kind().clone() else {
            return if self.version == 3 && (self.is("(") || self.is("-") || self.is("!")) {
                self.expression_statement()
            } else {
                Err(self.wanted("a statement"))
            };
        };
        if word == "OPENQASM" {
            return Err(self.place().error("the version has to come first"));
        }
        let known = match self.version {
            2 => self.statement_2(&word)?,
            _ => self.statement_3(&word)?,
        };
        match known {
            Some(kind) => Ok(kind),
            None => self.call_or_assignment(),
        }
    }

    fn switch(&mut self) -> Result<StmtKind, Error> {
        self.expect("(")?;
        let on = self.expression()?;
        self.expect(")")?;
        self.expect("{")?;
        let mut cases = Vec::new();
        let mut other = None;
        while !self.eat("}") {
            if self.eat_name("case") {
                let mut values = vec![self.expression()?];
                while self.eat(",") {
                    values.push(self.expression()?);
                }
                if cases.len() >= DEPTH_MAX / 2 {
                    return Err(self.place().error("too many cases"));
                }
                cases.push((values, self.block()?));
            } else if self.eat_name("default") {
                other = Some(self.block()?);
            } else {
                return Err(self.wanted("`case`, `default` or `}`"));
            }
        }
        Ok(StmtKind::Switch(on, cases, other))
    }

    fn declaration(&mut self, kind: TypeKind) -> Result<StmtKind, Error> {
        let place = self.place();
        let ty = self.type_name()?;
        // `bit[2](x)` and the like start an expression.
        if self.is("(") {
            return Err(place.error("a declaration expected, not a conversion"));
        }
        let name = self.name()?;
        if kind == TypeKind::Qubit {
            self.expect(";")?;
            return Ok(StmtKind::Qubits(name, ty.size.map(|s| *s)));
        }
        let value = if self.eat("=") {
            Some(self.expression()?)
        } else {
            None
        };
        self.expect(";")?;
        Ok(StmtKind::Declare {
            ty,
            name,
            value,
            constant: false,
            input: false,
            output: false,
        })
    }

    fn type_name(&mut self) -> Result<Type, Error> {
        let kind = match self.kind() {
            Kind::Name(word) => type_kind(word),
            _ => None,
        };
        let Some(kind) = kind else {
            return Err(self.wanted("a type"));
        };
        self.next();
        Ok(Type {
            kind,
            size: self.size()?.map(Box::new),
        })
    }

    fn size(&mut self) -> Result<Option<Expr>, Error> {
        if !self.eat("[") {
            return Ok(None);
        }
        let size = self.expression()?;
        self.expect("]")?;
        Ok(Some(size))
    }

    fn gate_definition(&mut self) -> Result<StmtKind, Error> {
        let name = self.name()?;
        let angles = if self.eat("(") {
            self.list(")", Self::name)?
        } else {
            Vec::new()
        };
        if self.is("{") {
            return Err(self.wanted("the gate's qubits"));
        }
        let qubits = self.list("{", Self::name)?;
        let mut body = Vec::new();
        while !self.eat("}") {
            if self.kind() == &Kind::End {
                return Err(self.wanted("`}`"));
            }
            body.push(self.deeper(Self::statement)?);
        }
        Ok(StmtKind::Gate(Rc::new(GateDef {
            name,
            angles,
            qubits,
            body,
        })))
    }

    fn subroutine(&mut self) -> Result<StmtKind, Error> {
        let name = self.name()?;
        self.expect("(")?;
        let parameters = self.list(")", |p| Ok((p.type_name()?, p.name()?)))?;
        let returns = if self.eat("->") {
            Some(self.type_name()?)
        } else {
            None
        };
        if !self.is("{") {
            return Err(self.wanted("`{`"));
        }
        let body = self.block()?;
        Ok(StmtKind::Subroutine(Rc::new(Subroutine {
            name,
            parameters,
            returns,
            body,
        })))
    }

    fn modifiers(&mut self) -> Result<Vec<Modifier>, Error> {
        let mut modifiers = Vec::new();
        loop {
            let Kind::Name(word) = self.kind().clone() else {
                return Ok(modifiers);
            };
            let on = match word.as_str() {
                "inv" | "pow" | "ctrl" | "negctrl" if self.version == 3 => word,
                _ => return Ok(modifiers),
            };
            self.next();
            let argument = if self.eat("(") {
                let argument = self.expression()?;
                self.expect(")")?;
                Some(argument)
            } else {
                None
            };
            let place = self.place();
            self.expect("@")?;
            modifiers.push(match (on.as_str(), argument) {
                ("inv", None) => Modifier::Inverse,
                ("pow", Some(power)) => Modifier::Power(power),
                ("ctrl", count) => Modifier::Control(true, count),
                ("negctrl", count) => Modifier::Control(false, count),
                _ => return Err(place.error("`inv` takes no argument and `pow` takes one")),
            });
        }
    }

    fn call_or_assignment(&mut self) -> Result<StmtKind, Error> {
        let start = self.at;
        let modifiers = self.modifiers()?;
        let name = self.name()?;
        if self.version == 3 && modifiers.is_empty() && name != "gphase" {
            let assigns = match self.kind() {
                Kind::Symbol(s) => *s == "[" || *s == "=" || s.ends_with('=') || *s == ";",
                _ => false,
            };
            if assigns {
                self.at = start;
                return self.expression_statement();
            }
        }
        let called = self.is("(");
        let arguments = if self.eat("(") {
            self.list(")", Self::expression)?
        } else {
            Vec::new()
        };
        // A subroutine's call is a name and arguments, and nothing (or an operator) behind.
        if self.version == 3 && called && modifiers.is_empty() && name != "gphase" && self.is(";") {
            self.at = start;
            return self.expression_statement();
        }
        let operands = self.operands_to(";")?;
        Ok(StmtKind::Call {
            modifiers,
            name,
            arguments,
            operands,
        })
    }

    fn operands_to(&mut self, end: &str) -> Result<Vec<Expr>, Error> {
        self.list(end, |p| p.deeper(Self::operand))
    }

    fn expression_statement(&mut self) -> Result<StmtKind, Error> {
        let left = self.expression()?;
        let operator = match self.kind() {
            Kind::Symbol("=") => Some(None),
            Kind::Symbol(s) if s.ends_with('=') => Some(Some(&s[..s.len() - 1])),
            _ => None,
        };
        let Some(operator) = operator else {
            self.expect(";")?;
            return Ok(StmtKind::Expression(left));
        };
        self.next();
        let right = self.expression()?;
        self.expect(";")?;
        Ok(StmtKind::Assign(left, operator, right))
    }
}

fn type_kind(word: &str) -> Option<TypeKind> {
    Some(match word {
        "bool" => TypeKind::Bool,
        "bit" => TypeKind::Bit,
        "int" => TypeKind::Int,
        "uint" => TypeKind::Uint,
        "float" => TypeKind::Float,
        "angle" => TypeKind::Angle,
        "duration" => TypeKind::Duration,
        "qubit" => TypeKind::Qubit,
        _ => return None,
    })
}
