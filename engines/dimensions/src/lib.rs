//! The seven STEPPPS dimensions as pure state, parsed from kernel text.
//!
//! Each dimension takes facts that its caller has read (text from `/proc` and `/sys`, rows
//! from a bus) and gives back a [`Report`]: state, health and the reason for it. Nothing here
//! reads a file, a clock or a bus, and nothing trusts its input: every text is clipped and
//! every collection is capped (see [`limits`]).

pub mod change;
pub mod event;
pub mod health;
pub mod history;
pub mod limits;
pub mod pixel;
pub mod prompt;
pub mod psychology;
pub mod script;
pub mod space;
pub mod text;
pub mod time;
pub mod unit;
pub mod value;

mod report;

pub use change::{Change, Deadband};
pub use health::Health;
pub use report::{Dimension, Report};
pub use value::{State, Value};
