//! security-ai on a real private bus, with events that the test gives, and once with the kernel's own.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

mod alerts;
mod captures;
mod disk;
mod hostile;
mod manager;
mod messages;
mod names;
mod on_record;
mod outputs;
mod policy;
mod responses;
mod responses_ends;
mod responses_units;
mod service;
mod stage;
#[path = "../support/quantumd.rs"]
mod support;
mod windows;
