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
pub mod security;

use std::error::Error;

/// Why a set could not be measured.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Takes a figure: name, value, unit, peer (empty for none) and how many times better than it.
pub type Print<'a> = &'a mut dyn FnMut(&str, f64, &str, &str, Option<f64>);

/// Measures a set.
pub type Measure = fn(Print<'_>) -> Result<(), Failure>;

/// The sets by name, in the order in which all of them run. A measure is called `SET.measure-in-kebab-case`.
pub const SETS: &[(&str, Measure)] = &[
    ("idle", idle::measure),
    ("boot", boot::measure),
    ("bus", bus::measure),
    ("crypto", crypto::measure),
    ("events", measure_events),
    ("learn", learn::measure),
    ("ledger", ledger::measure),
    ("security", security::measure),
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
