//! The stabilizer method: Clifford circuits on thousands of qubits. A tableau of Pauli operators, bits
//! packed 64 to a word; by columns for gates, by rows for measurement, transposed in between.

mod action;
mod support;
mod tableau;

pub use action::Action;
pub(crate) use tableau::product;
pub use tableau::{Tableau, bytes_needed};
