//! What is normal on a host, as pure functions: windows of events, their features, a density that is learned from
//! normal windows only, its ONNX file, its figures, and the reasons for a score.
//!
//! Nothing here reads a clock, a disk or the environment; the same windows and seed give the same model. Fitting is
//! behind the feature `train`, so that who only scores links no library for machine learning.

pub mod baseline;
pub mod density;
mod error;
pub mod evaluate;
pub mod explain;
pub mod features;
pub mod manifest;
pub mod onnx;
pub mod profile;
pub mod subject;
pub mod token;
pub mod trace;
#[cfg(feature = "train")]
pub mod train;
pub mod window;

pub use density::Density;
pub use error::Error;
pub use features::Feature;
pub use manifest::Manifest;
pub use profile::Profile;
pub use window::{Item, Kind, Window};
