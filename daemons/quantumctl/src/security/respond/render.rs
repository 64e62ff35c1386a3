//! Responses and plans as the commands see them, and as text.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use quantumos_dbus::Dictionary;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    security::render::fields,
    text::{
        escape::escape,
        fit::{Columns, paragraph},
        style::Style,
        table::{Table, pairs_within},
        time::{ago, coarse, local},
        value,
    },
};

/// A response. Times are microseconds of the real-time clock.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all(deserialize = "PascalCase"))]
pub(super) struct Response {
    pub(super) id: String,
    pub(super) grade: String,
    pub(super) scope: String,
    pub(super) effect: String,
    pub(super) pid: u32,
    pub(super) start: u64,
    pub(super) executable: String,
    pub(super) unit: String,
    pub(super) reason: String,
    pub(super) evidence: BTreeMap<String, String>,
    pub(super) by: String,
    pub(super) state: String,
    pub(super) detail: String,
    /// Entries of quantumd's ledger, by event.
    pub(super) ledger: BTreeMap<String, u64>,
    pub(super) time: u64,
    pub(super) expires: u64,
    #[serde(skip_deserializing)]
    pub(super) path: String,
}

/// What would be done.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all(deserialize = "PascalCase"))]
pub(super) struct Plan {
    allowed: bool,
    grade: String,
    action: String,
    pid: u32,
    start: u64,
    executable: String,
    unit: String,
    scope: String,
    effect: String,
    seconds: u32,
    refusal: String,
}

impl Response {
    /// From the properties of the object at `path`.
    pub(super) fn new(path: &str, properties: &Dictionary) -> Result<Self, Error> {
        let mut response: Self = value::record(path, properties)?;
        response.path = path.to_owned();
        Ok(response)
    }

    /// Whether it is in force.
    pub(super) fn holds(&self) -> bool {
        matches!(self.state.as_str(), "applying" | "applied")
    }
}

/// What would be done, in words.
pub(super) fn planned(plan: &Plan, style: Style, columns: Columns) -> String {
    let process = match plan.pid {
        0 => String::new(),
        pid => format!("{pid} {}", escape(&plan.executable)),
    };
    let answer = if plan.allowed {
        style.bold(&escape(&plan.effect))
    } else {
        style.bad(&format!("nothing: {}", escape(&plan.refusal)))
    };
    let mut rows = vec![
        ("Grade", escape(&plan.grade)),
        ("Process", process.trim_end().to_owned()),
        ("Unit", escape(&plan.unit)),
        ("Would do", answer),
    ];
    if plan.allowed {
        let time = match plan.seconds {
            0 => "never by itself".to_owned(),
            seconds => format!("after {}", coarse(seconds.into())),
        };
        rows.push(("Undone", time));
        rows.push(("Asks for", escape(&plan.action)));
    }
    rows.retain(|(_, text)| !text.is_empty());
    pairs_within(&rows, columns)
}

/// What was done, in one line.
pub(super) fn done(response: &Response, columns: Columns) -> String {
    let mut text = format!(
        "{}: {} {}: {}",
        escape(&response.id),
        escape(&response.grade),
        escape(&response.state),
        escape(&response.effect)
    );
    if !response.detail.is_empty() {
        text.push_str(&format!(" ({})", escape(&response.detail)));
    }
    let mut text = paragraph(&text, columns, 4);
    if response.holds() {
        text.push_str(&format!(
            "undo: quantumctl security undo {}\n",
            escape(&response.id)
        ));
    }
    text
}

/// The responses, one line each.
pub(super) fn table(
    responses: &[Response],
    style: Style,
    zone: &TimeZone,
    now: u64,
    columns: Columns,
) -> String {
    if responses.is_empty() {
        return "no responses\n".to_owned();
    }
    let mut table = Table::new(&["ID", "TIME", "GRADE", "STATE", "EXPIRES", "BY", "EFFECT"])
        .within(columns)
        .cut(&[(5, 8)])
        .below();
    for response in responses {
        let expires = match response.expires {
            0 => "-".to_owned(),
            _ if !response.holds() => "-".to_owned(),
            expires => ago(expires, now),
        };
        table.row([
            escape(&response.id),
            local(response.time, zone),
            escape(&response.grade),
            escape(&response.state),
            expires,
            escape(&response.by),
            escape(&response.effect),
        ]);
    }
    table.render(|column, cell, aligned| match column {
        3 => style.severity(cell, aligned),
        _ => aligned.to_owned(),
    })
}

/// Everything about one response.
pub(super) fn details(
    response: &Response,
    style: Style,
    zone: &TimeZone,
    columns: Columns,
) -> String {
    let expires = match response.expires {
        0 => "never".to_owned(),
        expires => local(expires, zone),
    };
    let mut rows = vec![
        ("Id", escape(&response.id)),
        ("Grade", escape(&response.grade)),
        ("Effect", style.bold(&escape(&response.effect))),
        ("State", escape(&response.state)),
        ("Detail", escape(&response.detail)),
        (
            "Process",
            match response.pid {
                0 => String::new(),
                pid => format!("{pid} {}", escape(&response.executable)),
            },
        ),
        ("Unit", escape(&response.unit)),
        ("Time", local(response.time, zone)),
        ("Expires", expires),
        ("By", escape(&response.by)),
        ("Reason", escape(&response.reason)),
    ];
    rows.push(("Ledger", ledger(&response.ledger)));
    rows.retain(|(_, text)| !text.is_empty());
    let mut text = pairs_within(&rows, columns);
    if !response.evidence.is_empty() {
        text.push_str("Evidence:\n");
        text.push_str(&fields(&response.evidence, columns));
    }
    text
}

/// Where each event is in quantumd's ledger, in the order of the entries.
fn ledger(entries: &BTreeMap<String, u64>) -> String {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(_, entry)| **entry);
    let entries = entries.into_iter();
    let entries = entries.map(|(event, entry)| format!("{} as entry {entry}", escape(event)));
    entries.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> Response {
        Response {
            id: "3".into(),
            grade: "freeze".into(),
            scope: "process".into(),
            effect: "process 7 (/dev/shm/\x1b[2Jx) is stopped".into(),
            pid: 7,
            executable: "/dev/shm/\x1b[2Jx".into(),
            by: "root".into(),
            state: "applied".into(),
            time: 1_763_726_400_000_000,
            expires: 1_763_727_300_000_000,
            evidence: BTreeMap::from([("Title".into(), "Odd".into())]),
            ledger: BTreeMap::from([("applied".into(), 12), ("planned".into(), 9)]),
            ..Response::default()
        }
    }

    #[test]
    fn responses_as_text() {
        let (plain, zone) = (Style::PLAIN, TimeZone::UTC);
        let one = response();
        assert_eq!(
            done(&one, None),
            "3: freeze applied: process 7 (/dev/shm/\\x1b[2Jx) is stopped\n\
             undo: quantumctl security undo 3\n"
        );
        let listed = table(std::slice::from_ref(&one), plain, &zone, one.time, None);
        assert_eq!(
            listed,
            "\
ID  TIME                 GRADE   STATE    EXPIRES    BY    EFFECT
3   2025-11-21 12:00:00  freeze  applied  in 15 min  root  process 7 (/dev/shm/\\x1b[2Jx) is stopped
"
        );
        let all = details(&one, plain, &zone, None);
        assert!(all.contains("Expires:  2025-11-21 12:15:00\n"), "{all}");
        assert!(
            all.contains("Ledger:   planned as entry 9, applied as entry 12\n"),
            "{all}"
        );
        assert!(all.ends_with("Evidence:\n  Title: Odd\n"), "{all}");
        assert!(!all.contains('\x1b'));
        assert_eq!(table(&[], plain, &zone, 0, None), "no responses\n");
    }

    #[test]
    fn responses_fit() {
        let (plain, zone) = (Style::PLAIN, TimeZone::UTC);
        let one = response();
        let listed = |columns| table(std::slice::from_ref(&one), plain, &zone, one.time, columns);
        assert_eq!(
            listed(Some(80)),
            "\
ID  TIME                 GRADE   STATE    EXPIRES    BY
3   2025-11-21 12:00:00  freeze  applied  in 15 min  root
      process 7 (/dev/shm/\\x1b[2Jx) is stopped
"
        );
        assert_eq!(listed(Some(120)), listed(None));
        let long = Response {
            reason: "it was seen ".repeat(20),
            ..response()
        };
        let all = details(&long, plain, &zone, Some(80));
        assert!(all.contains("\n          was seen it"), "{all}");
        for line in all.lines() {
            assert!(crate::text::escape::width(line) <= 80, "{line}");
        }
    }

    #[test]
    fn a_plan_says_what_or_why_not() {
        let mut plan = Plan {
            allowed: true,
            grade: "freeze".into(),
            action: "org.example.contain".into(),
            pid: 7,
            executable: "/x".into(),
            effect: "process 7 (/x) is stopped".into(),
            seconds: 900,
            ..Plan::default()
        };
        assert_eq!(
            planned(&plan, Style::PLAIN, None),
            "\
Grade:     freeze
Process:   7 /x
Would do:  process 7 (/x) is stopped
Undone:    after 15 min
Asks for:  org.example.contain
"
        );
        plan.allowed = false;
        plan.refusal = "process 1 is the host's init".into();
        assert_eq!(
            planned(&plan, Style::PLAIN, None),
            "Grade:     freeze\nProcess:   7 /x\nWould do:  nothing: process 1 is the host's init\n"
        );
    }
}
