//! `quantumctl learn`: the models that ai-learnd trains on this host.

use clap::Subcommand;
use quantumos_dbus::{Learn1Proxy, bus_name::LEARN, path::LEARN as ROOT};
use serde::Serialize;
use serde_json::json;

use crate::{
    bus::{Bus, explain},
    error::Error,
    output::Output,
    status::model::Learn,
    text::{
        escape::escape,
        table::{Table, pairs},
        time::{ago, now},
    },
};

/// What to look at or to do.
#[derive(Debug, Subcommand)]
pub enum LearnCommand {
    /// Show how many windows are kept, and which model is in force
    Status,
    /// Train now, and publish the model when it is better
    Train,
    /// List the models with their figures
    Models,
    /// Put the model before the one in force in force again
    Rollback {
        /// Put this one in force instead
        #[arg(value_name = "SERIAL", value_parser = clap::value_parser!(u64).range(1..))]
        serial: Option<u64>,
    },
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Model {
    serial: u64,
    trained_at: u64,
    state: String,
    windows: u32,
    auc: f64,
    detected: f64,
    false_positives: f64,
    reason: String,
}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, command: &LearnCommand) -> Result<(), Error> {
    match command {
        LearnCommand::Status => {
            let status: Learn = bus.record(LEARN, ROOT, LEARN).await?;
            output.document(&status, overview)
        }
        LearnCommand::Train => {
            let proxy = bus.proxy(LEARN, ROOT, LEARN).await?;
            let (serial, published, reason): (u64, bool, String) =
                bus.authorised(&proxy, "Train", &()).await?;
            let outcome = json!({"serial": serial, "published": published, "reason": reason});
            output.document(&outcome, |_| {
                if published {
                    format!("model {serial} is in force: {}\n", escape(&reason))
                } else {
                    format!("the new model is not used: {}\n", escape(&reason))
                }
            })
        }
        LearnCommand::Models => {
            let proxy = Learn1Proxy::builder(bus.connection())
                .cache_properties(zbus::proxy::CacheProperties::No)
                .build()
                .await?;
            let rows = proxy.list_models().await;
            let rows = rows.map_err(|error| explain(LEARN, error))?;
            let rows: Vec<Model> = rows
                .into_iter()
                .map(
                    |(
                        serial,
                        trained_at,
                        state,
                        windows,
                        auc,
                        detected,
                        false_positives,
                        reason,
                    )| {
                        Model {
                            serial,
                            trained_at,
                            state,
                            windows,
                            auc,
                            detected,
                            false_positives,
                            reason,
                        }
                    },
                )
                .collect();
            output.document(&json!({ "models": rows }), |_| table(&rows))
        }
        LearnCommand::Rollback { serial } => {
            let proxy = bus.proxy(LEARN, ROOT, LEARN).await?;
            let published: u64 = bus
                .authorised(&proxy, "Rollback", &(serial.unwrap_or(0),))
                .await?;
            output.document(&json!({ "published": published }), |_| {
                format!("model {published} is in force\n")
            })
        }
    }
}

/// What `status` shows, also beside the other daemons.
pub fn summary(learn: &Learn) -> String {
    let model = match learn.published {
        0 => "no model yet".to_owned(),
        serial => format!("model {serial}"),
    };
    let training = if learn.training { ", training" } else { "" };
    format!("{model}, {} windows{training}", learn.windows)
}

fn overview(learn: &Learn) -> String {
    let model = match learn.published {
        0 => "none".to_owned(),
        serial => serial.to_string(),
    };
    let windows = format!("{} ({} needed)", learn.windows, learn.needed);
    let signer = if learn.signer.is_empty() {
        "none yet".to_owned()
    } else {
        escape(&learn.signer)
    };
    let training = if learn.training { "under way" } else { "no" };
    pairs(&[
        ("Model in force", model),
        ("Windows", windows),
        ("Training", training.to_owned()),
        ("Key", signer),
    ])
}

fn table(rows: &[Model]) -> String {
    if rows.is_empty() {
        return "no models yet\n".to_owned();
    }
    let head = [
        "MODEL", "TRAINED", "WINDOWS", "AUC", "DETECTED", "FALSE", "STATE",
    ];
    let mut table = Table::new(&head).right(&[0, 2, 3, 4, 5]);
    let now = now();
    for row in rows {
        let state = match row.reason.as_str() {
            "" => escape(&row.state),
            reason => format!("{}: {}", escape(&row.state), escape(reason)),
        };
        table.row([
            row.serial.to_string(),
            ago(row.trained_at.saturating_mul(1_000_000), now),
            row.windows.to_string(),
            format!("{:.3}", row.auc),
            format!("{:.1}%", 100.0 * row.detected),
            format!("{:.2}%", 100.0 * row.false_positives),
            state,
        ]);
    }
    table.plain()
}
