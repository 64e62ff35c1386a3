//! Every measurement, one line each.

pub mod alerts;
pub mod bus;
pub mod events;
