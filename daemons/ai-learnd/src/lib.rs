//! ai-learnd: learns what is normal on this host.
//!
//! It takes windows of what units do from security-ai ([`collector`]), keeps a bounded number ([`archive`]), trains
//! on the older and measures on the newer ones ([`trainer`]), has the manifest signed by a key of its own in
//! quantumd ([`signer`]) and puts the model where security-ai reads it ([`shelf`]), when it is better than the one
//! there. The daemon ([`AiLearnd`]) needs no privilege.

pub mod archive;
pub mod collector;
mod daemon;
mod error;
pub mod interface;
mod learner;
mod lines;
mod settings;
pub mod shelf;
pub mod signer;
pub mod trainer;

pub use daemon::AiLearnd;
pub use error::Error;
pub use settings::Settings;
