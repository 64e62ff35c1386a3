//! Quantum circuits: what they are, how they are written, and how they are simulated.
//!
//! A [`Circuit`] comes from text (OpenQASM, JSON) or from a builder and goes to a method. No disk,
//! no clock, no bus, no environment: text and numbers in, numbers out; memory, threads and seeds are
//! the caller's to give. Qubit 0 is the least significant bit everywhere, as in Qiskit.

pub mod dense;
pub mod draw;
mod error;
pub mod frames;
pub mod gradient;
pub mod ir;
pub mod json;
mod kept;
pub mod method;
pub mod mps;
pub mod qasm;
pub mod rng;
pub mod run;
pub mod sparse;
pub mod stabilizer;
pub mod stim;
pub mod task;
mod watch;
pub mod workload;

pub use error::Error;
pub use ir::Circuit;
pub use watch::Watch;

/// A complex number in double precision.
pub type C64 = num_complex::Complex<f64>;
