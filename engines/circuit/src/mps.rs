//! The method of matrix product states: a chain of tensors, one a qubit, whose bonds grow with
//! entanglement. Circuits that are shallow or one-dimensional run on hundreds of qubits; bonds may be
//! bounded, and what that cuts off is added up and reported.

mod chain;
mod decompose;
mod eigen;
mod factor;
mod real;

pub use chain::{Chain, bytes_needed};
