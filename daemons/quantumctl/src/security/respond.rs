//! `quantumctl security respond`, `undo` and `responses`: what is done about alerts, and undone again.

mod render;

use clap::{Args, ValueEnum};
use quantumos_dbus::{Dictionary, bus_name::SECURITY, path::RESPONSES};
use serde_json::json;
use zbus::{OwnedObjectPath, OwnedVariant, Str};

use self::render::{Plan, Response, details, done, planned, table};
use crate::{
    bus::{Bus, child},
    error::Error,
    output::Output,
    text::{time::now, value},
};

const COLLECTION: &str = "org.quantumos.Responses1";
const RESPONSE: &str = "org.quantumos.Response1";

/// How hard, how far, to what.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("target").required(true))]
pub struct RespondArgs {
    /// How hard
    #[arg(value_enum)]
    grade: Grade,
    /// To what this alert is about
    #[arg(long, value_name = "ID", group = "target")]
    alert: Option<String>,
    /// To this process
    #[arg(long, group = "target")]
    pid: Option<u32>,
    /// Only if that process started then, in clock ticks since boot (field 22 of /proc/PID/stat)
    #[arg(long, value_name = "TICKS", requires = "pid")]
    start: Option<u64>,
    /// To this unit; a name without a type means a service
    #[arg(long, group = "target")]
    unit: Option<String>,
    /// How far: the process, its unit, or (deny) the whole host
    #[arg(long, value_enum)]
    scope: Option<Scope>,
    /// Undo it after this time: 90s, 15m, 2h, 1d, or never
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    seconds: Option<u32>,
    /// Why, for the journal
    #[arg(long)]
    reason: Option<String>,
    /// Say what would be done, to whom, or why not; do nothing
    #[arg(long)]
    dry_run: bool,
}

/// A grade of response.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Grade {
    /// Write down that somebody looks at it
    Observe,
    /// Signal and warn in the journal
    Notify,
    /// Little processor time, the last place at the disks
    Throttle,
    /// Run no further
    Freeze,
    /// No network
    Isolate,
    /// Execute the file no more, or nothing in the unit
    Deny,
    /// End it
    Kill,
}

/// How far.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Scope {
    /// One process; for a denial, its file in its unit
    Process,
    /// The unit with all that is in it
    Unit,
    /// The host: denials only
    Host,
}

/// Which responses to undo.
#[derive(Args, Debug)]
pub struct UndoArgs {
    /// Responses to undo
    #[arg(required_unless_present = "all", value_name = "ID")]
    ids: Vec<String>,
    /// Undo all that are in force
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

/// Which responses to show.
#[derive(Args, Debug)]
pub struct ResponsesArgs {
    /// Show everything about this response
    id: Option<String>,
    /// Only those in force
    #[arg(long)]
    in_force: bool,
}

/// The word that clap shows for a value.
fn word(value: &impl ValueEnum) -> String {
    let shown = value.to_possible_value();
    shown
        .map(|shown| shown.get_name().to_owned())
        .unwrap_or_default()
}

/// Seconds of a time such as `15m`; `never` is 0.
pub(super) fn seconds(text: &str) -> Result<u32, String> {
    if text == "never" {
        return Ok(0);
    }
    let wrong = || format!("{text:?} is no time such as 90s, 15m, 2h, 1d or never");
    let split = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(split.ok_or_else(wrong)?);
    let factor = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    match number.checked_mul(factor) {
        None | Some(0) => Err(wrong()),
        Some(seconds) => Ok(seconds),
    }
}

/// The name of a unit as systemd has it: `web` is `web.service`, as for systemctl.
fn whole(unit: &str) -> String {
    const TYPES: [&str; 11] = [
        "service",
        "socket",
        "device",
        "mount",
        "automount",
        "swap",
        "target",
        "path",
        "timer",
        "slice",
        "scope",
    ];
    match unit.rsplit_once('.') {
        Some((_, kind)) if TYPES.contains(&kind) => unit.to_owned(),
        _ if unit.is_empty() => String::new(),
        _ => format!("{unit}.service"),
    }
}

/// `security respond`.
pub async fn respond(bus: &Bus, output: &Output, args: &RespondArgs) -> Result<(), Error> {
    let text = |text: &str| OwnedVariant::from(Str::from(text.to_owned()));
    let mut target = Dictionary::new();
    let mut options = Dictionary::new();
    if let Some(id) = &args.alert {
        target.insert("alert".into(), text(id));
    }
    if let Some(pid) = args.pid {
        target.insert("pid".into(), pid.into());
    }
    if let Some(start) = args.start {
        target.insert("start".into(), start.into());
    }
    if let Some(unit) = &args.unit {
        target.insert("unit".into(), text(&whole(unit)));
    }
    if let Some(scope) = &args.scope {
        options.insert("scope".into(), text(&word(scope)));
    }
    if let Some(seconds) = args.seconds {
        options.insert("seconds".into(), seconds.into());
    }
    if let Some(reason) = &args.reason {
        options.insert("reason".into(), text(reason));
    }
    let proxy = bus.proxy(SECURITY, RESPONSES, COLLECTION).await?;
    let body = (target, word(&args.grade), options);
    if args.dry_run {
        let plan: Dictionary = bus.authorised(&proxy, "Plan", &body).await?;
        let plan: Plan = value::record(RESPONSES, &plan)?;
        return output.document(&plan, |plan| planned(plan, output.style, output.columns()));
    }
    let path: OwnedObjectPath = bus.authorised(&proxy, "Respond", &body).await?;
    let properties = bus.properties(SECURITY, path.as_str(), RESPONSE).await?;
    let response = Response::new(path.as_str(), &properties)?;
    output.document(&response, |response| done(response, output.columns()))
}

/// `security undo`.
pub async fn undo(bus: &Bus, output: &Output, args: &UndoArgs) -> Result<(), Error> {
    if args.all {
        let proxy = bus.proxy(SECURITY, RESPONSES, COLLECTION).await?;
        let (undone, failed): (u32, u32) = bus.authorised(&proxy, "UndoAll", &()).await?;
        output.document(&json!({ "undone": undone, "failed": failed }), |_| {
            format!("{undone} undone, {failed} could not be\n")
        })?;
        return match failed {
            0 => Ok(()),
            _ => Err(Error::Answer(
                "some could not be undone; see: quantumctl security responses --in-force".into(),
            )),
        };
    }
    for id in &args.ids {
        let proxy = bus.proxy(SECURITY, &response_path(id)?, RESPONSE).await?;
        bus.authorised::<_, ()>(&proxy, "Undo", &())
            .await
            .map_err(|error| missing(id, error))?;
    }
    output.document(&json!({ "undone": args.ids }), |_| String::new())
}

/// `security responses`.
pub async fn responses(bus: &Bus, output: &Output, args: &ResponsesArgs) -> Result<(), Error> {
    if let Some(id) = &args.id {
        let path = response_path(id)?;
        let properties = bus.properties(SECURITY, &path, RESPONSE).await;
        let properties = properties.map_err(|error| missing(id, error))?;
        let response = Response::new(&path, &properties)?;
        return output.document(&response, |response| {
            details(response, output.style, &output.zone, output.columns())
        });
    }
    let objects = bus.objects(SECURITY, RESPONSES, RESPONSE).await?;
    let mut all = Vec::new();
    for (path, properties) in &objects {
        all.push(Response::new(path, properties)?);
    }
    all.retain(|response| !args.in_force || response.holds());
    all.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    output.document(&json!({ "responses": all }), |_| {
        table(&all, output.style, &output.zone, now(), output.columns())
    })
}

fn response_path(id: &str) -> Result<String, Error> {
    child(RESPONSES, id).ok_or_else(|| Error::Usage(format!("{id:?} is not the id of a response")))
}

fn missing(id: &str, error: Error) -> Error {
    if error.is_unknown_object() {
        Error::NotFound(format!(
            "no response has the id {id:?}; see: quantumctl security responses"
        ))
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_without_a_type_is_a_service() {
        for (unit, wanted) in [
            ("web", "web.service"),
            ("web.service", "web.service"),
            ("user-1000.slice", "user-1000.slice"),
            ("run-r1.scope", "run-r1.scope"),
            ("my.app", "my.app.service"),
            ("web@a.b", "web@a.b.service"),
            ("", ""),
        ] {
            assert_eq!(whole(unit), wanted);
        }
    }

    #[test]
    fn times_have_a_unit() {
        for (text, wanted) in [
            ("90s", Ok(90)),
            ("15m", Ok(900)),
            ("2h", Ok(7200)),
            ("1d", Ok(86_400)),
            ("never", Ok(0)),
            ("0s", Err(())),
            ("15", Err(())),
            ("m", Err(())),
            ("-1s", Err(())),
            ("99999999999d", Err(())),
            ("1é", Err(())),
        ] {
            assert_eq!(seconds(text).map_err(drop), wanted, "{text}");
        }
    }
}
