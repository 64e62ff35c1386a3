//! Pressure, latencies, forecasts and decisions as text.

use jiff::tz::TimeZone;

use super::model::{Decision, Forecast, Latency, UNSET};
use crate::{
    status::model::Resource,
    text::{
        escape::{escape, shorten},
        style::Style,
        table::{Table, pairs},
        time::{ago, clock, coarse, nanoseconds},
        value::line,
    },
};

/// Mode, model and pressure.
pub fn status(resource: &Resource) -> String {
    let mut text = pairs(&[("Mode", escape(&resource.mode))]);
    if !resource.model.is_empty() {
        text.push_str("Model:\n");
        for (name, value) in &resource.model {
            text.push_str(&format!("  {}: {}\n", escape(name), line(value)));
        }
    }
    if !resource.pressure.is_empty() {
        let mut table = Table::new(&["PRESSURE", "10 S", "60 S", "300 S", "RECENT", "TOTAL"])
            .right(&[1, 2, 3, 4, 5]);
        for pressure in &resource.pressure {
            table.row([
                escape(&pressure.resource),
                format!("{:.2}%", pressure.avg10),
                format!("{:.2}%", pressure.avg60),
                format!("{:.2}%", pressure.avg300),
                format!("{:.2}%", pressure.recent),
                coarse(pressure.total_usec / 1_000_000),
            ]);
        }
        text.push('\n');
        text.push_str(&table.plain());
    }
    text
}

/// Run-queue latency by cgroup, the worst first.
pub fn latency(rows: &[Latency]) -> String {
    if rows.is_empty() {
        return "no wake-ups seen yet\n".to_owned();
    }
    let mut table = Table::new(&["P50", "P99", "MAX", "WAKE-UPS", "CGROUP"]).right(&[0, 1, 2, 3]);
    for row in rows {
        table.row([
            nanoseconds(row.p50_ns),
            nanoseconds(row.p99_ns),
            nanoseconds(row.max_ns),
            row.wakeups.to_string(),
            escape(&row.cgroup),
        ]);
    }
    table.plain()
}

/// CPU pressure now and to come.
pub fn forecast(rows: &[Forecast]) -> String {
    if rows.is_empty() {
        return "no forecast yet\n".to_owned();
    }
    let mut table =
        Table::new(&["NOW", "IN 5 S", "IN 30 S", "BASIS", "UNIT", "CGROUP"]).right(&[0, 1, 2]);
    for row in rows {
        table.row([
            format!("{:.1}%", row.now),
            format!("{:.1}%", row.in_5s),
            format!("{:.1}%", row.in_30s),
            escape(&row.basis),
            escape(&row.unit),
            escape(&row.cgroup),
        ]);
    }
    table.plain()
}

/// The decisions, newest first.
pub fn decisions(decisions: &[Decision], style: Style, zone: &TimeZone, now: u64) -> String {
    if decisions.is_empty() {
        return "no decisions\n".to_owned();
    }
    let mut table = Table::new(&["ID", "TIME", "STATE", "EXPIRES", "UNIT", "CHANGE", "REASON"]);
    for decision in decisions {
        table.row([
            escape(&decision.id),
            clock(decision.time, zone),
            escape(&decision.state),
            expiry(decision, now),
            escape(&decision.unit),
            change(decision),
            shorten(&escape(&decision.reason), 80),
        ]);
    }
    table.render(|column, cell, aligned| match column {
        2 => style.severity(cell, aligned),
        _ => aligned.to_owned(),
    })
}

/// When a decision reverts; nothing for those that have.
fn expiry(decision: &Decision, now: u64) -> String {
    match decision.state.as_str() {
        "applied" | "proposed" if decision.expires != 0 => ago(decision.expires, now),
        _ => "-".to_owned(),
    }
}

/// `CPUWeight 100 → 400`.
pub fn change(decision: &Decision) -> String {
    let value = |value: u64| match value {
        UNSET => "unset".to_owned(),
        value => value.to_string(),
    };
    format!(
        "{} {} → {}",
        escape(&decision.property),
        value(decision.from),
        value(decision.to)
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    const NOON: u64 = 1_763_726_400_000_000;

    /// A decision for tests.
    pub fn decision() -> Decision {
        Decision {
            id: "5".into(),
            unit: "build.service".into(),
            property: "CPUWeight".into(),
            from: UNSET,
            to: 20,
            reason: "cpu.some is forecast at 62 % in 30 s".into(),
            evidence: serde_json::Map::new(),
            state: "applied".into(),
            time: NOON,
            expires: NOON + 120_000_000,
            path: "/org/quantumos/resource/decisions/5".into(),
        }
    }

    #[test]
    fn a_table_of_decisions() {
        assert_eq!(
            decisions(&[decision()], Style::PLAIN, &TimeZone::UTC, NOON),
            "\
ID  TIME      STATE    EXPIRES   UNIT           CHANGE                REASON
5   12:00:00  applied  in 2 min  build.service  CPUWeight unset → 20  cpu.some is forecast at 62 % in 30 s
"
        );
        assert_eq!(
            decisions(&[], Style::PLAIN, &TimeZone::UTC, NOON),
            "no decisions\n"
        );
    }

    #[test]
    fn pressure_and_latency() {
        let resource = Resource {
            mode: "observe".into(),
            model: json!({"loaded": true, "mae": 1.25})
                .as_object()
                .cloned()
                .unwrap(),
            pressure: vec![("cpu.some".to_owned(), 1.5, 0.25, 0.0, 12.0, 90_000_000).into()],
        };
        assert_eq!(
            status(&resource),
            "\
Mode:  observe
Model:
  loaded: yes
  mae: 1.25

PRESSURE   10 S   60 S  300 S  RECENT  TOTAL
cpu.some  1.50%  0.25%  0.00%  12.00%  1 min
"
        );
        let row: Latency = (
            "/system.slice/\x1b".to_owned(),
            12,
            4_000,
            800_000,
            2_000_000,
        )
            .into();
        assert_eq!(
            latency(&[row]),
            "    P50     P99      MAX  WAKE-UPS  CGROUP\n4.00 µs  800 µs  2.00 ms        12  /system.slice/\\x1b\n"
        );
        let row: Forecast = (
            "/a".to_owned(),
            "a.service".to_owned(),
            1.0,
            2.0,
            30.25,
            "model".to_owned(),
        )
            .into();
        assert_eq!(
            forecast(&[row]),
            " NOW  IN 5 S  IN 30 S  BASIS  UNIT       CGROUP\n1.0%    2.0%    30.2%  model  a.service  /a\n"
        );
    }
}
