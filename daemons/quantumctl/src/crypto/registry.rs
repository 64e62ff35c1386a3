//! `crypto algorithms`: what this host's cryptography is made of.

use quantumos_dbus::{bus_name::QUANTUM, path::QUANTUM as ROOT};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    bus::Bus,
    error::Error,
    output::Output,
    text::{escape::escape, table::Table},
};

/// A line of the registry.
#[derive(Debug, Serialize)]
struct Algorithm {
    name: String,
    version: u32,
    kind: String,
    standard: String,
    library: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Registry {
    algorithms: Vec<(String, u32, String, String, String)>,
}

/// Lists the algorithms that quantumd knows.
pub async fn algorithms(bus: &Bus, output: &Output) -> Result<(), Error> {
    let registry: Registry = bus.record(QUANTUM, ROOT, "org.quantumos.Crypto1").await?;
    let lines: Vec<Algorithm> = registry
        .algorithms
        .into_iter()
        .map(|(name, version, kind, standard, library)| Algorithm {
            name,
            version,
            kind,
            standard,
            library,
        })
        .collect();
    output.document(&json!({ "algorithms": lines }), |_| render(&lines))
}

fn render(lines: &[Algorithm]) -> String {
    let mut table = Table::new(&["NAME", "VERSION", "KIND", "LIBRARY", "STANDARD"]).right(&[1]);
    for line in lines {
        table.row([
            escape(&line.name),
            line.version.to_string(),
            escape(&line.kind),
            escape(&line.library),
            escape(&line.standard),
        ]);
    }
    table.render(|_, _, aligned| aligned.to_owned())
}
