//! Pressure, latency, forecasts and cgroup weights over D-Bus.
//!
//! `daemon` is what the service crate runs; `governor` owns all state; the rest reads the
//! kernel, talks to systemd or loads the model. What is decided, and why, is computed by
//! `quantumos-resource`, which does no I/O.

mod daemon;
pub mod decision;
mod error;
pub mod forecaster;
pub mod foreground;
pub mod governor;
pub mod interface;
pub mod latency;
pub mod model;
pub mod sampler;
pub mod settings;
pub mod sources;
pub mod store;
pub mod systemd;
pub mod triggers;

pub use daemon::ResourceAi;
pub use error::Error;
