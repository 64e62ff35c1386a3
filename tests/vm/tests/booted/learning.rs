//! The model in a guest that is used: it learns some scripted hours, then lives through more of them (false positives)
//! and through attacks that no rule speaks of (detections). The hours and attacks are in `tests/vm/day`; the figures
//! are printed, and are those of a guest that learned for a few hours, not of a host that did for weeks.
//! It takes minutes, so it runs when asked for: `QUANTUMOS_LEARN_HOURS` says how many hours to learn (12 are enough),
//! `QUANTUMOS_DAY_HOURS` how many to live through then.

use quantumos_dbus::{bus_name, path};
use quantumos_harness::guest::Guest;
use quantumos_vm::{Bus, Outcome, ensure};
use serde_json::Value;
use std::error::Error;

use crate::GUEST;

const DAY: &[u8] = include_bytes!("../../day");
const PLACE: &str = "/run/day-of-a-host";
const STATE: &str = "/var/lib/quantumos/ai-learnd";
const RULE: &str = "quantumos-model-windows";
/// Short windows, since an hour takes seconds; the stated share of ordinary windows that are called strange.
const SECURITY: &str = "[windows]\nseconds = 3\n";
const LEARN: &str = "[windows]\nevery-seconds = 1\n[training]\nwindows-needed = 200\nevery-hours = 0\n\
    false-positive-rate = 0.01\n";
const CONFIGURATION: [(&str, &str); 2] = [
    ("/etc/quantumos/security-ai.toml.d/day.toml", SECURITY),
    ("/etc/quantumos/ai-learnd.toml.d/day.toml", LEARN),
];
/// The first hour that is lived through after the learning; none is the same as one that was learned.
const LATER: u32 = 101;

fn hours(name: &str, usual: u32) -> u32 {
    let set = std::env::var(name).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn an_ordinary_day_and_attacks_that_no_rule_knows() {
    if std::env::var_os("QUANTUMOS_LEARN_HOURS").is_none() {
        println!("skipped: QUANTUMOS_LEARN_HOURS does not say how many hours to learn");
        return;
    }
    GUEST.scenario(|guest| {
        guest.put(PLACE, "0755", DAY)?;
        for (file, text) in CONFIGURATION {
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            guest.shell(&format!("mkdir -p {folder}"))?;
            guest.put(file, "0644", text.as_bytes())?;
        }
        let fresh = format!(
            "systemctl stop ai-learnd security-ai
             rm -rf {STATE}/windows.jsonl {STATE}/models
             systemctl start security-ai ai-learnd"
        );
        guest.shell(&fresh)?;
        guest.shell(&format!("{PLACE} setup"))?;
        let outcome = live(guest);
        let files = CONFIGURATION.map(|(file, _)| file).join(" ");
        guest.shell(&format!("{PLACE} clean; rm -f {files} {PLACE}; {fresh}"))?;
        guest.shell("quantumctl security clear")?;
        outcome
    });
}

fn live(guest: &Guest) -> Outcome {
    let mut learned = hours("QUANTUMOS_LEARN_HOURS", 12);
    run(guest, 1, learned)?;
    let bus = Bus::of(guest);
    let learn = |method| {
        bus.call(
            bus_name::LEARN,
            path::LEARN,
            "org.quantumos.Learn1",
            method,
            &[],
        )
    };
    // A faster guest makes fewer windows of an hour, and of too few no model comes that is good enough to be used.
    let mut trained = Value::Null;
    for _ in 0..4 {
        if closed(guest)? >= 240 {
            trained = learn("Train")?;
            if trained[1] == true {
                break;
            }
            println!("after {learned} hours: {}", trained[2]);
        }
        run(guest, learned + 1, 6)?;
        learned += 6;
    }
    ensure(trained[1] == true, || format!("no model: {trained}"))?;
    let models = learn("ListModels")?;
    println!(
        "learned {learned} hours; the model and its figures: {}",
        models[0]
    );

    let before = closed(guest)?;
    let later = hours("QUANTUMOS_DAY_HOURS", 6);
    run(guest, LATER, 1)?;
    guest.eventually(&format!(
        "busctl call {} {} org.quantumos.Service1 Describe | grep -q 'model.*serial'",
        bus_name::SECURITY,
        path::SECURITY
    ))?;
    guest.shell("quantumctl security clear")?;
    run(guest, LATER + 1, later)?;
    let mut false_alerts = alerts(guest, "", "of-the-day")?;
    // The test's own hand in the guest: it does what it never did while the model learned.
    false_alerts.retain(|alert| alert["unit"] != "quantumos-agent.service");
    let judged = closed(guest)? - before;
    println!(
        "ordinary: {} strange of {judged} windows in {later} hours; {:.1} false positives per host and day",
        false_alerts.len(),
        false_alerts.len() as f64 * 24.0 / f64::from(later)
    );
    for alert in &false_alerts {
        println!("  false: {}: {}", alert["unit"], alert["explanation"]);
    }

    let list = guest.shell(&format!("{PLACE} attacks"))?;
    let (mut found, mut of) = (0, 0);
    for line in list.lines() {
        let Some((unit, name)) = line.split_once(' ') else {
            continue;
        };
        guest.shell("quantumctl security clear")?;
        guest.shell(&format!("{PLACE} attack {name}"))?;
        let raised = alerts(guest, &format!("day-{unit}"), name)?;
        of += 1;
        found += usize::from(!raised.is_empty());
        let by_rules = rules(guest)?;
        match raised.first() {
            Some(alert) => println!("  {name} in {unit}: found; {}", alert["explanation"]),
            None => println!("  {name} in {unit}: not found"),
        }
        if !by_rules.is_empty() {
            println!("    rules saw it too: {by_rules:?}");
        }
        for alert in &raised {
            let explanation = alert["explanation"].as_str().unwrap_or_default();
            let parts = ["strange above", "compared with", "spreads"];
            ensure(parts.iter().all(|part| explanation.contains(part)), || {
                format!("not explained: {alert}")
            })?;
            ensure(alert["tags"] == Value::Array(Vec::new()), || {
                format!("a technique was invented: {alert}")
            })?;
        }
    }
    println!(
        "attacks: {found} of {of} found, at 1 % of ordinary windows as the stated false positives"
    );
    ensure(judged > 0 && found > 0, || {
        format!("{judged} windows judged, {found} of {of} attacks found")
    })
}

fn run(guest: &Guest, from: u32, hours: u32) -> Outcome {
    // In parts, so that none takes long where the machine is slow.
    for start in (from..from + hours).step_by(6) {
        let count = 6.min(from + hours - start);
        guest.shell(&format!("{PLACE} run {start} {count}"))?;
    }
    Ok(())
}

/// How many windows have ended.
fn closed(guest: &Guest) -> Result<u64, Box<dyn Error>> {
    let closed = Bus::of(guest).get(
        bus_name::SECURITY,
        path::WINDOWS,
        "org.quantumos.Windows1",
        "Closed",
    )?;
    closed.as_u64().ok_or_else(|| format!("{closed}").into())
}

fn raised(guest: &Guest) -> Result<Vec<Value>, Box<dyn Error>> {
    let text = guest.shell("quantumctl --json security alerts")?;
    let mut all: Value = serde_json::from_str(&text)?;
    match all["alerts"].take() {
        Value::Array(alerts) => Ok(alerts),
        other => Err(format!("no list of alerts: {other}").into()),
    }
}

/// The model's alerts about units whose names start so, once all windows that are open now have ended: those of a unit
/// that starts now end after them, and then ai-learnd has them. `mark` is in letters, and no other's.
fn alerts(guest: &Guest, unit: &str, mark: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let mark = format!("mark-{mark}.service");
    guest.shell(&format!(
        "systemd-run --quiet --wait --collect --unit={mark} true"
    ))?;
    guest.eventually(&format!(
        "grep -q '\"subject\":\"{mark}\"' {STATE}/windows.jsonl"
    ))?;
    let mut alerts = raised(guest)?;
    alerts.retain(|alert| {
        let own = alert["unit"].as_str().unwrap_or_default();
        alert["rule_id"] == RULE && own.starts_with(unit) && !own.starts_with("mark-")
    });
    Ok(alerts)
}

/// The titles of the rules' alerts.
fn rules(guest: &Guest) -> Result<Vec<String>, Box<dyn Error>> {
    let mut alerts = raised(guest)?;
    alerts.retain(|alert| alert["rule_id"] != RULE);
    Ok(alerts
        .iter()
        .map(|alert| alert["title"].to_string())
        .collect())
}
