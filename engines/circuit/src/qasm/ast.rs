//! What a program says, before anything is looked up: statements and expressions with their places.

use std::rc::Rc;

use super::lexer::Place;

/// An expression.
#[derive(Debug, Clone)]
pub struct Expr {
    pub kind: ExprKind,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub enum ExprKind {
    Integer(u128),
    Float(f64),
    Bool(bool),
    /// A bit string in quotes.
    Bits(String),
    Name(String),
    Index(Box<Expr>, Vec<Expr>),
    /// `start:step:stop`, each may be left out.
    Range([Option<Box<Expr>>; 3]),
    Set(Vec<Expr>),
    Unary(&'static str, Box<Expr>),
    Binary(&'static str, Box<[Expr; 2]>),
    /// A function, a subroutine, or a conversion.
    Call(String, Vec<Expr>),
    Cast(Type, Box<Expr>),
    Measure(Box<Expr>),
    Duration,
}

/// A classical type, or a quantum one for parameters of subroutines.
#[derive(Debug, Clone)]
pub struct Type {
    pub kind: TypeKind,
    pub size: Option<Box<Expr>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeKind {
    Bool,
    Bit,
    Int,
    Uint,
    Float,
    Angle,
    Duration,
    Qubit,
}

/// A modifier of a gate call.
#[derive(Debug, Clone)]
pub enum Modifier {
    Inverse,
    Power(Expr),
    /// Controls on 1 (true) or on 0, and how many (one if not said).
    Control(bool, Option<Expr>),
}

/// A statement.
#[derive(Debug, Clone)]
pub struct Stmt {
    pub kind: StmtKind,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub enum StmtKind {
    Include(String),
    Qubits(String, Option<Expr>),
    Declare {
        ty: Type,
        name: String,
        value: Option<Expr>,
        constant: bool,
        input: bool,
        output: bool,
    },
    Alias(String, Expr),
    Gate(Rc<GateDef>),
    Opaque(String),
    Subroutine(Rc<Subroutine>),
    Call {
        modifiers: Vec<Modifier>,
        name: String,
        arguments: Vec<Expr>,
        operands: Vec<Expr>,
    },
    /// `measure q -> c`, or `c = measure q`.
    Measure(Expr, Option<Expr>),
    Reset(Expr),
    Barrier(Vec<Expr>),
    Assign(Expr, Option<&'static str>, Expr),
    Expression(Expr),
    /// Version 2: a register equals a number, given as 64-bit words, the least first.
    IfEquals(Expr, Vec<u64>, Box<Stmt>),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    While(Expr, Vec<Stmt>),
    For(Type, String, Expr, Vec<Stmt>),
    Switch(Expr, Vec<(Vec<Expr>, Vec<Stmt>)>, Option<Vec<Stmt>>),
    Block(Vec<Stmt>),
    Return(Option<Expr>),
    Break,
    Continue,
    End,
    /// A delay, an empty statement: nothing to simulate.
    Nothing,
}

/// A gate's definition.
#[derive(Debug)]
pub struct GateDef {
    pub name: String,
    pub angles: Vec<String>,
    pub qubits: Vec<String>,
    pub body: Vec<Stmt>,
}

/// A subroutine.
#[derive(Debug)]
pub struct Subroutine {
    pub name: String,
    pub parameters: Vec<(Type, String)>,
    pub returns: Option<Type>,
    pub body: Vec<Stmt>,
}

/// A program.
#[derive(Debug)]
pub struct Program {
    pub version: u32,
    /// The highest qubit of the machine (`$3`) that is named, and where.
    pub hardware: Option<(u64, Place)>,
    pub statements: Vec<Stmt>,
}
