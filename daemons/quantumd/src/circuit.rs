//! Circuits run in a process of their own, apart from the keys: `runner` is that process, `host` is
//! quantumd's side of it, `wire` what they say to each other.

mod host;
mod keeper;
pub mod runner;
pub mod wire;

pub(crate) use host::{Host, Work};
