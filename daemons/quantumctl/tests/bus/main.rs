//! The quantumctl binary against services on a private bus. The services here answer as the
//! contract says with values that the tests choose, hostile ones among them, and remember how
//! they were called.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

mod crypto;
mod ctl;
mod general;
mod keys;
mod learn;
mod learner;
mod resource;
mod responses;
mod security;
mod services;
mod steppps;
mod terminal;
mod watch;
