//! Bounds on what comes in from a kernel, a bus or a file.
//!
//! A host that is larger than a bound is shown up to it, and the state says how many rows were
//! left out; nothing grows with what somebody else can create.

/// Longest text kept from outside, in bytes.
pub const TEXT: usize = 128;
/// Rows of one table in a state (disks, interfaces, timers, …).
pub const ROWS: usize = 64;
/// Entries of one list of texts in a state.
pub const TEXTS: usize = 256;
/// Entries of one dimension's history.
pub const HISTORY: usize = 128;
/// Bytes of one dimension's history, as [`crate::Value::weight`] counts them.
pub const HISTORY_BYTES: usize = 64 * 1024;
/// Incidents kept, open and closed.
pub const INCIDENTS: usize = 32;
/// Events kept in one incident.
pub const INCIDENT_EVENTS: usize = 16;
/// Units and programs whose habits are learned.
pub const SUBJECTS: usize = 256;
