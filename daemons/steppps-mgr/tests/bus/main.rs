//! steppps-mgr over a private bus: the seven objects, their signals, and what happens when
//! sources come, go or lie. systemd, logind and the other daemons are test doubles on that
//! bus; proc and sysfs are a tree in a temporary directory; the daemon's code is the real one.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test says so by failing

mod dimensions;
mod events;
mod fake;
mod habits;
mod host;
mod hostile;
mod sources;
