//! Tests of the daemons over a real private bus. Each daemon's own tests are in `tests/`, a file
//! each; this crate has no code of its own.
