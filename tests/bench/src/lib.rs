//! Every measurement, one line each.

pub mod bus;
pub mod events;
