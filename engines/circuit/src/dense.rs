//! The dense method: every amplitude in memory, gates fused into blocks, blocks run tile by tile in
//! the second-level cache, so that memory is swept as rarely as can be.
//!
//! Amplitudes lie in cells of one vector of real and one of imaginary parts. A pass chooses the wires
//! of its tiles (the lowest always among them), copies a tile, does all blocks that mix only those
//! wires, and writes it back; phases and controls may be on any wire.

mod algebra;
mod buffer;
mod fuse;
mod group;
mod kernel;
pub(crate) mod lanes;
mod left;
mod matrix;
mod observe;
mod pass;
mod phases;
mod rotate;
mod state;
mod tile;
mod turn;
mod turns;

pub use lanes::Real;
pub use state::{State, Traffic, bytes_needed};
