//! What a circuit is: gates with controls and angles, measurement, reset, noise, and classical
//! control over bits. Front ends make one of these, methods run it.

mod build;
mod channel;
mod circuit;
mod expression;
mod gate;
mod library;
mod matrix;

pub use channel::Channel;
pub use circuit::{Circuit, Op, Register};
pub use expression::{Binary, Expression, Unary};
pub use gate::{Angle, Base, Gate};
pub use library::{Standard, standard, standard_names};
pub use matrix::Matrix;

/// The most qubits of a circuit.
pub const QUBITS_MAX: u64 = 100_000;
/// The most classical bits of a circuit.
pub const BITS_MAX: u64 = 4_000_000;
/// The most operations of a circuit, loops and subroutines unrolled.
pub const OPERATIONS_MAX: u64 = 2_000_000;
/// The deepest nesting of blocks and of expressions.
pub const DEPTH_MAX: usize = 128;
/// The most qubits of a gate that is given by its matrix.
pub const MATRIX_QUBITS_MAX: usize = 6;
