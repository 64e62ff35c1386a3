//! `quantumctl security`: alerts, responses, rules and coverage of security-ai.
//! What needs no daemon (checking rule files) runs without a bus.

mod capture;
mod check;
mod explain;
#[cfg(test)]
mod looks;
mod manifest;
pub mod model;
mod record;
mod render;
mod replay;
mod respond;
mod statistics;
mod watch;

use std::collections::BTreeMap;

use clap::{Args, Subcommand, ValueEnum};
use quantumos_dbus::{
    Security1Proxy,
    bus_name::SECURITY,
    path::{ALERTS, SECURITY as ROOT},
};
use serde_json::json;

use self::model::{Alert, Coverage, Rule, level_rank};
use crate::{
    bus::{Bus, explain},
    error::Error,
    output::Output,
    status::model::Security,
};

/// Interface of an alert.
pub const ALERT: &str = "org.quantumos.Alert1";

/// What to do with alerts and rules.
#[derive(Debug, Subcommand)]
pub enum SecurityCommand {
    /// Print alerts as they are raised
    Watch {
        /// Only alerts of at least this level
        #[arg(long, value_enum, default_value_t = Level::Informational)]
        level: Level,
        /// End after this many alerts
        #[arg(long, short = 'n')]
        count: Option<u64>,
    },
    /// List the alerts, or show one
    Alerts {
        /// Show everything about this alert
        id: Option<String>,
        /// Only alerts of at least this level
        #[arg(long, value_enum, default_value_t = Level::Informational)]
        level: Level,
    },
    /// Explain an alert: what was seen, why, and who is behind it
    Explain {
        /// Which one, as `alerts` lists it
        id: String,
    },
    /// Do something about an alert, a process or a unit, or say what would be done
    Respond(respond::RespondArgs),
    /// Undo responses
    Undo(respond::UndoArgs),
    /// List the responses, or show one
    Responses(respond::ResponsesArgs),
    /// Write the events of a time span to a file, signed
    Record(record::RecordArgs),
    /// Replay captures through rules and tell what would be raised; needs no daemon
    Test(replay::TestArgs),
    /// Replay two captures, or one through two sets of rules, and tell the difference; needs no daemon
    Compare(replay::CompareArgs),
    /// List the rules, or do something with them
    Rules(RulesArgs),
    /// Show which classes of event are seen, and how
    Coverage,
    /// Show the counters
    Statistics,
    /// Forget alerts that have been dealt with
    Ack {
        /// Alerts to forget
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Forget all alerts
    Clear,
}

/// Which rules to list, or what to do with them.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RulesArgs {
    /// Only rules with this fate
    #[arg(long, value_enum)]
    fate: Option<Fate>,
    #[command(subcommand)]
    command: Option<RulesCommand>,
}

/// What to do with the rules.
#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Read the rule files anew and put them in force
    Reload,
    /// Tell what would become of rule files here; needs no daemon
    Check(check::CheckArgs),
}

/// A Sigma level.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Level {
    /// Everything
    Informational,
    /// Low and above
    Low,
    /// Medium and above
    Medium,
    /// High and above
    High,
    /// Critical only
    Critical,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Fate {
    /// In force
    Loaded,
    /// Valid, but no source of its events here
    NotApplicable,
    /// Refused
    Failed,
}

impl Fate {
    fn name(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::NotApplicable => "not-applicable",
            Self::Failed => "failed",
        }
    }
}

/// Runs a command that needs no daemon; none where this one does.
pub fn run_alone(output: &Output, command: &SecurityCommand) -> Option<Result<(), Error>> {
    match command {
        SecurityCommand::Rules(RulesArgs {
            command: Some(RulesCommand::Check(args)),
            ..
        }) => Some(check::run(output, args)),
        SecurityCommand::Test(args) => Some(replay::test(output, args)),
        SecurityCommand::Compare(args) => Some(replay::compare(output, args)),
        _ => None,
    }
}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, command: &SecurityCommand) -> Result<(), Error> {
    match command {
        SecurityCommand::Watch { level, count } => {
            watch::run(bus, output, level.name(), *count).await
        }
        SecurityCommand::Explain { id } => {
            let alert = alert(bus, id).await?;
            // What the rule's author says is a help where it can be had.
            let rules = capture::RulesFrom::default().load();
            let rules = rules.map(|set| set.rules).unwrap_or_default();
            let explained = explain::Explained::new(alert, &rules);
            output.document(&explained, |explained| {
                explain::render(explained, output.style, &output.zone, output.columns())
            })
        }
        SecurityCommand::Record(args) => record::run(bus, output, args).await,
        // These need no bus and have run before.
        SecurityCommand::Test(_) | SecurityCommand::Compare(_) => Ok(()),
        SecurityCommand::Alerts { id: Some(id), .. } => {
            let alert = alert(bus, id).await?;
            output.document(&alert, |alert| {
                render::details(alert, output.style, &output.zone, output.columns())
            })
        }
        SecurityCommand::Alerts { id: None, level } => {
            let mut alerts = alerts(bus).await?;
            alerts.retain(|alert| level_rank(&alert.level) >= level_rank(level.name()));
            output.document(&json!({ "alerts": alerts }), |_| {
                render::alerts(&alerts, output.style, &output.zone, output.columns())
            })
        }
        SecurityCommand::Respond(args) => respond::respond(bus, output, args).await,
        SecurityCommand::Undo(args) => respond::undo(bus, output, args).await,
        SecurityCommand::Responses(args) => respond::responses(bus, output, args).await,
        SecurityCommand::Rules(args) => rules(bus, output, args).await,
        SecurityCommand::Coverage => {
            let security: Security = bus.record(SECURITY, ROOT, SECURITY).await?;
            let coverage: Vec<Coverage> =
                security.coverage.into_iter().map(Coverage::from).collect();
            output.document(&json!({ "coverage": coverage }), |_| {
                render::coverage(&coverage, output.style, output.columns())
            })
        }
        SecurityCommand::Statistics => {
            let counters = proxy(bus).await?.statistics().await;
            let counters: BTreeMap<String, u64> = counters
                .map_err(|error| explain(SECURITY, error))?
                .into_iter()
                .collect();
            output.document(&counters, statistics::render)
        }
        SecurityCommand::Ack { ids } => {
            for id in ids {
                let proxy = bus.proxy(SECURITY, &alert_path(id)?, ALERT).await?;
                bus.authorised::<_, ()>(&proxy, "Acknowledge", &())
                    .await
                    .map_err(|error| missing(id, error))?;
            }
            output.document(&json!({ "acknowledged": ids }), |_| String::new())
        }
        SecurityCommand::Clear => {
            let proxy = bus.proxy(SECURITY, ALERTS, "org.quantumos.Alerts1").await?;
            let removed: u32 = bus.authorised(&proxy, "Clear", &()).await?;
            output.document(&json!({ "removed": removed }), |_| {
                format!("{removed} alerts forgotten\n")
            })
        }
    }
}

async fn rules(bus: &Bus, output: &Output, args: &RulesArgs) -> Result<(), Error> {
    if let Some(RulesCommand::Reload) = args.command {
        let proxy = bus.proxy(SECURITY, ROOT, SECURITY).await?;
        let (loaded, not_applicable, failed): (u32, u32, u32) =
            bus.authorised(&proxy, "ReloadRules", &()).await?;
        return output.document(
            &json!({ "loaded": loaded, "not_applicable": not_applicable, "failed": failed }),
            |_| render::reloaded(loaded, not_applicable, failed, output.style),
        );
    }
    let listed = proxy(bus).await?.list_rules().await;
    let rules: Vec<Rule> = listed
        .map_err(|error| explain(SECURITY, error))?
        .into_iter()
        .map(Rule::from)
        .filter(|rule| args.fate.is_none_or(|fate| rule.fate == fate.name()))
        .collect();
    output.document(&json!({ "rules": rules }), |_| {
        render::rules(&rules, output.style, output.columns())
    })
}

async fn alert(bus: &Bus, id: &str) -> Result<Alert, Error> {
    let path = alert_path(id)?;
    let properties = bus.properties(SECURITY, &path, ALERT).await;
    Alert::new(&path, &properties.map_err(|error| missing(id, error))?)
}

/// The alerts that stand, oldest first.
pub async fn alerts(bus: &Bus) -> Result<Vec<Alert>, Error> {
    let mut alerts: Vec<Alert> = bus
        .objects(SECURITY, ALERTS, ALERT)
        .await?
        .iter()
        .map(|(path, properties)| Alert::new(path, properties))
        .collect::<Result<_, _>>()?;
    alerts.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    Ok(alerts)
}

async fn proxy(bus: &Bus) -> Result<Security1Proxy<'_>, Error> {
    Ok(Security1Proxy::builder(bus.connection())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?)
}

/// The object of an alert.
fn alert_path(id: &str) -> Result<String, Error> {
    crate::bus::child(ALERTS, id)
        .ok_or_else(|| Error::Usage(format!("{id:?} is not the id of an alert")))
}

/// "No such object" in words.
fn missing(id: &str, error: Error) -> Error {
    if error.is_unknown_object() {
        Error::NotFound(format!(
            "no alert has the id {id:?}; see: quantumctl security alerts"
        ))
    } else {
        error
    }
}
