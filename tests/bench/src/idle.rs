//! The sets `idle.guest` and `idle.host`: what the daemons cost while nothing happens, in the booted image and on this
//! machine's own kernel.

pub mod guest;
pub mod host;
