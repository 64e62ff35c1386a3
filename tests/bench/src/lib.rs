//! Every measurement, one line each.

pub mod events;
