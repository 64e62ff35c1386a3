//! Pressure features, forecasts and the weight controller as pure functions.
//!
//! Text of the kernel's files, counters and times come in as values; forecasts,
//! decisions and model files go out as values. Nothing here reads a clock, a disk
//! or the environment, so that every step can be replayed and tested.

pub mod class;
pub mod controller;
pub mod counters;
pub mod dataset;
mod error;
pub mod features;
pub mod history;
pub mod manifest;
pub mod network;
pub mod onnx;
pub mod psi;
pub mod record;
mod ridge;
pub mod rng;
pub mod score;
pub mod simple;
pub mod train;
pub mod trigger;
pub mod units;

pub use error::Error;
