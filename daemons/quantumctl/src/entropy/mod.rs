//! `quantumctl entropy`: where the randomness of keys comes from, and some of it.

use std::{fs::File, io::Read, os::fd::OwnedFd};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use quantumos_dbus::{bus_name::QUANTUM, path::QUANTUM as ROOT};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    bus::Bus,
    error::Error,
    output::Output,
    text::{escape::escape, table::Table},
};

const INTERFACE: &str = "org.quantumos.Entropy1";

/// What to show.
#[derive(Args, Debug)]
pub struct EntropyArgs {
    /// Print so many random bytes (at most 4096) in base64 instead of the sources
    #[arg(long, value_name = "COUNT")]
    bytes: Option<u32>,
}

/// A source of randomness.
#[derive(Debug, Serialize)]
struct Source {
    name: String,
    state: String,
    bytes: u64,
    detail: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    sources: Vec<(String, String, u64, String)>,
}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, args: &EntropyArgs) -> Result<(), Error> {
    if let Some(count) = args.bytes {
        let proxy = bus.proxy(QUANTUM, ROOT, INTERFACE).await?;
        let memory: zbus::OwnedFd = bus.authorised(&proxy, "Draw", &(count,)).await?;
        let mut bytes = Vec::new();
        File::from(OwnedFd::from(memory))
            .take(4096)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::Answer(error.to_string()))?;
        let text = STANDARD.encode(bytes);
        return output.document(&json!({ "random": text }), |_| format!("{text}\n"));
    }
    let properties: Properties = bus.record(QUANTUM, ROOT, INTERFACE).await?;
    let sources: Vec<Source> = properties
        .sources
        .into_iter()
        .map(|(name, state, bytes, detail)| Source {
            name,
            state,
            bytes,
            detail,
        })
        .collect();
    output.document(&json!({ "sources": sources }), |_| render(&sources, output))
}

fn render(sources: &[Source], output: &Output) -> String {
    let mut table = Table::new(&["SOURCE", "STATE", "BYTES", "DETAIL"]).right(&[2]);
    for source in sources {
        table.row([
            escape(&source.name),
            escape(&source.state),
            source.bytes.to_string(),
            escape(&source.detail),
        ]);
    }
    table.render(|column, cell, aligned| match column {
        1 => output.style.severity(cell, aligned),
        _ => aligned.to_owned(),
    })
}
