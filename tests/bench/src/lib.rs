//! Every measurement: one module a set, each a function that takes a place to put its figures.
//! A new set is a module and a line in [`SETS`].

pub mod alerts;
pub mod boot;
pub mod bus;
pub mod circuits;
pub mod crypto;
pub mod events;
pub mod idle;
pub mod learn;
pub mod ledger;
mod process;
pub mod security;

use std::error::Error;

/// Why a set could not be measured.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Takes a figure: name, value, unit, peer (empty for none) and how many times better than it.
pub type Print<'a> = &'a mut dyn FnMut(&str, f64, &str, &str, Option<f64>);

/// Measures a set.
pub type Measure = fn(Print<'_>) -> Result<(), Failure>;

/// The sets by name, in the order in which all of them run. Those with a dot in their name belong together: what is before
/// it asks for all of them. A measure is called by its set, or what is before the dot, and its own name in kebab case.
pub const SETS: &[(&str, Measure)] = &[
    ("idle.host", idle::host::measure),
    ("idle.guest", idle::guest::measure),
    ("boot", boot::measure),
    ("bus", bus::measure),
    ("crypto", crypto::measure),
    ("events", measure_events),
    ("learn", learn::measure),
    ("ledger", ledger::measure),
    ("security.rules", security::rules::measure),
    ("security.probes", security::probes),
    ("security.deny", security::deny::measure),
    ("security.latency", security::latency),
    ("security.memory", security::everything::on_this_machine),
    ("security.storm", security::storm::measure),
    ("security.compile", security::compile::measure),
    ("security.guest", security::guest::measure),
    ("circuits", circuits::measure),
];

fn measure_events(print: Print<'_>) -> Result<(), Failure> {
    let mut alone = |name: &str, value: f64, unit: &str| print(name, value, unit, "", None);
    let text = |error: Box<dyn Error>| Failure::from(error.to_string());
    events::measure(&mut alone).map_err(text)?;
    alerts::measure(&mut alone).map_err(text)
}

/// The image that is measured: `QUANTUMOS_IMAGE`, as `make bench` sets it.
pub(crate) fn image() -> Result<std::path::PathBuf, Failure> {
    std::env::var_os("QUANTUMOS_IMAGE")
        .map(Into::into)
        .ok_or_else(|| "QUANTUMOS_IMAGE does not say where the image is; use make bench".into())
}
