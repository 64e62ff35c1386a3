//! `quantumctl steppps`: the seven dimensions of the host.

mod render;

use clap::Args;
use futures_util::StreamExt;
use quantumos_dbus::{DIMENSIONS, Steppps1Proxy, bus_name::STEPPPS, path::STEPPPS as ROOT};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::{
    bus::{Bus, child, explain},
    error::Error,
    output::Output,
    status::collect,
    text::{time::now, value},
};

/// Interface of a dimension.
const DIMENSION: &str = "org.quantumos.Dimension1";

/// Which dimension, once or again and again.
#[derive(Args, Debug)]
pub struct StepppsArgs {
    /// Show everything about this dimension
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(DIMENSIONS))]
    dimension: Option<String>,
    /// Go on and print changes as they happen
    #[arg(long, short)]
    watch: bool,
}

/// A dimension. Times are microseconds of the real-time clock.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all(deserialize = "PascalCase"))]
pub struct Dimension {
    /// `space`, `time`, …
    pub name: String,
    /// Whether the host has a source for it.
    pub available: bool,
    /// `ok`, `attention`, `critical` or `unknown`.
    pub health: String,
    /// Where the state is from.
    pub source: Vec<String>,
    /// Why not available or not ok.
    pub reason: String,
    /// The state itself.
    pub state: Map<String, Json>,
    /// When the state last changed.
    pub updated_at: u64,
}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, args: &StepppsArgs) -> Result<(), Error> {
    if args.watch {
        return watch(bus, output, args.dimension.as_deref()).await;
    }
    match &args.dimension {
        Some(name) => {
            let path = child(ROOT, name).unwrap_or_default();
            let dimension: Dimension = bus.record(STEPPPS, &path, DIMENSION).await?;
            output.document(&dimension, |dimension| {
                render::details(dimension, output.style, &output.zone)
            })
        }
        None => {
            let steppps = collect::steppps(bus)
                .await
                .map_err(|error| explain(STEPPPS, error))?;
            output.document(&steppps, |steppps| {
                render::overview(&steppps.dimensions, output.style)
            })
        }
    }
}

async fn watch(bus: &Bus, output: &Output, only: Option<&str>) -> Result<(), Error> {
    let proxy = Steppps1Proxy::builder(bus.connection())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?;
    let mut changes = proxy.receive_changed().await?;
    let mut owner = proxy.inner().receive_owner_changed().await?;
    if bus.owner(STEPPPS).await?.is_none() {
        eprintln!("steppps-mgr is not running; waiting for it");
    }
    loop {
        tokio::select! {
            Some(signal) = changes.next() => {
                let arguments = signal.args()?;
                let dimension = *arguments.dimension();
                if only.is_some_and(|only| only != dimension) {
                    continue;
                }
                let changed: Map<String, Json> = arguments
                    .changed()
                    .iter()
                    .map(|(key, value)| (key.clone(), value::json(value)))
                    .collect();
                let time = now();
                let item = json!({ "time": time, "dimension": dimension, "changed": changed });
                output.item(&item, |_| {
                    render::change(time, dimension, &changed, &output.zone)
                })?;
            }
            Some(owner) = owner.next() => match owner {
                Some(_) => eprintln!("steppps-mgr started"),
                None => eprintln!("steppps-mgr stopped; waiting for it"),
            },
            else => return Err(Error::Bus("the connection was closed".to_owned())),
        }
    }
}
