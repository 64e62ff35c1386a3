//! What holds in an image that has booted. One guest serves all of these; each scenario leaves it
//! as it found it.

mod bus_methods;
mod circuits;
mod configuration;
mod credentials;
mod dimensions;
mod intrusions;
mod keys;
mod learning;
mod ledger;
mod outputs;
mod resource;
mod responses;
mod security;
mod services;

use quantumos_vm::Shared;

static GUEST: Shared = Shared::new();
