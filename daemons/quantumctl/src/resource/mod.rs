//! `quantumctl resource`: pressure, forecasts and decisions of resource-ai.

pub mod model;
pub mod render;

use clap::{Subcommand, ValueEnum};
use quantumos_dbus::{
    Resource1Proxy,
    bus_name::RESOURCE,
    path::{DECISIONS, RESOURCE as ROOT},
};
use serde_json::{Value as Json, json};
use zbus::Variant;

use self::model::{Decision, Forecast, Latency};
use crate::{
    bus::{Bus, child, explain},
    error::Error,
    output::Output,
    status::collect,
    text::{escape::escape, time::now, tree::tree},
};

/// Interface of a decision.
pub const DECISION: &str = "org.quantumos.Decision1";

/// What to look at or to change.
#[derive(Debug, Subcommand)]
pub enum ResourceCommand {
    /// Show the mode, the model and the pressure
    Status,
    /// Say what is known of a unit, what was decided for it and why
    Explain {
        /// systemd unit, such as cron.service
        unit: String,
    },
    /// Show the forecast of CPU pressure by unit
    Forecast,
    /// Show how long tasks wait for a CPU, by cgroup
    Latency,
    /// List the decisions
    Decisions,
    /// Revert decisions
    Undo {
        /// Decisions to revert
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Show the mode, or set it
    Mode {
        /// The mode to set
        #[arg(value_enum)]
        mode: Option<Mode>,
    },
}

/// What resource-ai may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Mode {
    /// Watch and learn, change nothing
    Observe,
    /// Propose decisions, change nothing
    Advise,
    /// Apply decisions
    Act,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Advise => "advise",
            Self::Act => "act",
        }
    }
}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, command: &ResourceCommand) -> Result<(), Error> {
    match command {
        ResourceCommand::Status => {
            let resource = collect::resource(bus)
                .await
                .map_err(|error| explain(RESOURCE, error))?;
            output.document(&resource, render::status)
        }
        ResourceCommand::Explain { unit } => {
            let text = proxy(bus).await?.explain(unit).await;
            let text = text.map_err(|error| explain(RESOURCE, error))?;
            let json: Json = serde_json::from_str(&text)
                .map_err(|error| Error::Answer(format!("Explain: {error}")))?;
            output.document(&json, |json| tree(json, 0))
        }
        ResourceCommand::Forecast => {
            let rows = proxy(bus).await?.forecast().await;
            let mut rows: Vec<Forecast> = rows
                .map_err(|error| explain(RESOURCE, error))?
                .into_iter()
                .map(Forecast::from)
                .collect();
            rows.sort_by(|a, b| b.in_30s.total_cmp(&a.in_30s));
            output.document(&json!({ "forecast": rows }), |_| render::forecast(&rows))
        }
        ResourceCommand::Latency => {
            let rows = proxy(bus).await?.latency().await;
            let mut rows: Vec<Latency> = rows
                .map_err(|error| explain(RESOURCE, error))?
                .into_iter()
                .map(Latency::from)
                .collect();
            rows.sort_by_key(|row| std::cmp::Reverse(row.p99_ns));
            output.document(&json!({ "latency": rows }), |_| render::latency(&rows))
        }
        ResourceCommand::Decisions => {
            let rows = decisions(bus).await?;
            output.document(&json!({ "decisions": rows }), |_| {
                render::decisions(&rows, output.style, &output.zone, now())
            })
        }
        ResourceCommand::Undo { ids } => {
            for id in ids {
                undo(bus, id).await?;
            }
            output.document(&json!({ "undone": ids }), |_| String::new())
        }
        ResourceCommand::Mode { mode: Some(mode) } => {
            let properties = bus
                .proxy(RESOURCE, ROOT, "org.freedesktop.DBus.Properties")
                .await?;
            let body = (RESOURCE, "Mode", Variant::from(mode.name()));
            bus.authorised::<_, ()>(&properties, "Set", &body).await?;
            show_mode(output, mode.name())
        }
        ResourceCommand::Mode { mode: None } => {
            let mode = proxy(bus).await?.mode().await;
            show_mode(output, &mode.map_err(|error| explain(RESOURCE, error))?)
        }
    }
}

fn show_mode(output: &Output, mode: &str) -> Result<(), Error> {
    output.document(&json!({ "mode": mode }), |_| format!("{}\n", escape(mode)))
}

async fn undo(bus: &Bus, id: &str) -> Result<(), Error> {
    let path = child(DECISIONS, id)
        .ok_or_else(|| Error::Usage(format!("{id:?} is not the id of a decision")))?;
    let proxy = bus.proxy(RESOURCE, &path, DECISION).await?;
    bus.authorised::<_, ()>(&proxy, "Undo", &())
        .await
        .map_err(|error| {
            if error.is_unknown_object() {
                Error::NotFound(format!(
                    "no decision has the id {id:?}; see: quantumctl resource decisions"
                ))
            } else {
                error
            }
        })
}

/// The decisions, newest first.
pub async fn decisions(bus: &Bus) -> Result<Vec<Decision>, Error> {
    let mut decisions: Vec<Decision> = bus
        .objects(RESOURCE, DECISIONS, DECISION)
        .await?
        .iter()
        .map(|(path, properties)| Decision::new(path, properties))
        .collect::<Result<_, _>>()?;
    decisions.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
    Ok(decisions)
}

async fn proxy(bus: &Bus) -> Result<Resource1Proxy<'_>, Error> {
    Ok(Resource1Proxy::builder(bus.connection())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?)
}
