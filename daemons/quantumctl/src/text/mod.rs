//! Text for people: escaping, columns, durations, local times and colour.
//! Everything here is a pure function of its arguments, so that what a command prints can be
//! asserted exactly.

pub mod escape;
pub mod fit;
pub mod style;
pub mod table;
pub mod time;
pub mod tree;
pub mod value;
