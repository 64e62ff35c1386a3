//! Stim's circuit format: Clifford circuits with Pauli noise, detectors and observables, as error
//! correction writes them. All of stim's instructions but sweep bits; limits where stim has none.

mod gates;
mod surface;
mod targets;
mod text;

pub use gates::{gate, gate_names};
pub use surface::surface_code;
pub use text::{TEXT_MAX, parse};
