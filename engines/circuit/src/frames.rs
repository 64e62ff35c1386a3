//! Pauli frames: Clifford circuits with measurement and Pauli noise, sampled by the million. One noiseless
//! run gives a reference; each shot then follows only the Pauli operator by which it differs from it,
//! 1024 shots at a time, a bit each.

mod clifford;
mod program;
mod rare;
mod reference;
mod sample;
mod step;

pub use clifford::Clifford;
pub use program::{Basis, Noise, Program, Step};
pub use sample::{Block, Request, SHOTS, Summary, by_shots, bytes_needed, sample, summary};
pub use step::Row;

/// The most measurements, detectors and observables of a shot.
pub const RECORD_MAX: u64 = 1 << 24;
/// The most targets of all instructions of a shot, repetitions counted.
pub const TARGETS_MAX: u64 = 1 << 32;
