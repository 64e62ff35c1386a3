//! No output tells a secret: what one alert says, in every form in which it leaves the daemon.

use super::record::{Happened, Record, request};
use crate::alert::Alert;
use crate::book::Entry;
use crate::detector::{Detector, Ruling};
use crate::journal::Journal;
use crate::proc::Proc;
use proptest::prelude::*;
use quantumos_detect::{RuleSet, Source};
use quantumos_ebpf::{Context, Event, ExecEvent, ForkEvent, ProcessKey};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

/// The rule counts by the command line, so that the explanation has it, too.
const RULES: &str = r"
title: Run
id: run
logsource: {category: process_creation}
detection: {s: {Image: /bin/tool}, condition: s}
---
title: Again
id: again
correlation:
  type: event_count
  rules: [run]
  group-by: [CommandLine]
  timespan: 1m
  condition: {gte: 1}
";

fn exec(pid: u32, parent: u32, argv: &[u8]) -> Event {
    let key = |pid| ProcessKey { pid, start_time: 1 };
    Event::Exec(Box::new(ExecEvent {
        context: Context {
            process: key(pid),
            parent: key(parent),
            ..Context::default()
        },
        filename: b"/bin/tool".to_vec(),
        executable: b"/bin/tool".to_vec(),
        argv: argv.to_vec(),
        directory: b"/".to_vec(),
        ..ExecEvent::default()
    }))
}

/// Alerts of a program that was run by another, both with these arguments.
fn alerts(argv: &[u8]) -> Vec<Alert> {
    let source = Source {
        name: "r.yml",
        text: RULES,
    };
    let ruling = Ruling::new(RuleSet::compile([source]), &crate::Rules::default());
    let folder = std::path::Path::new("/nowhere");
    let mut detector = Detector::new(Arc::new(ruling), Proc::new(folder), 100).unwrap();
    let fork = ForkEvent {
        context: Context {
            process: ProcessKey {
                pid: 5,
                start_time: 1,
            },
            ..Context::default()
        },
        child: ProcessKey {
            pid: 6,
            start_time: 1,
        },
        child_parent: 5,
        new_namespaces: false,
    };
    let mut out = Vec::new();
    for event in [exec(5, 1, argv), Event::Fork(fork), exec(6, 5, argv)] {
        detector.take(&event, &mut |alert| out.push(alert));
    }
    out
}

/// The alert as each output has it.
fn told(alert: &Alert) -> Vec<(&'static str, String)> {
    let entry = Entry {
        id: 1,
        count: 1,
        key: String::new(),
        alert: alert.clone(),
    };
    let folder = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(folder.path().join("journal")).unwrap();
    let mut journal = Journal::new(folder.path().join("journal"));
    journal.alert(1, alert).unwrap();
    let mut bytes = vec![0; 1 << 18];
    let length = socket.recv(&mut bytes).unwrap();
    let record = Record::Alert(Happened::Raised, Box::new(entry.clone()));
    vec![
        (
            "journal",
            String::from_utf8_lossy(&bytes[..length]).into_owned(),
        ),
        ("bus", format!("{:?}", crate::objects::details(&entry))),
        ("line", record.line().unwrap()),
        ("otlp", request(&[record], "h", 1).to_string()),
        ("store", serde_json::to_string(&entry).unwrap()),
    ]
}

/// Command lines with a secret in them.
fn shapes(secret: &str) -> Vec<Vec<u8>> {
    let token = format!("ghp_{secret}");
    [
        vec!["tool", "--password", secret],
        vec!["tool", &format!("--db-password={secret}")],
        vec!["tool", &format!("PGPASSWORD={secret}")],
        vec!["tool", &format!("https://user:{secret}@host/path")],
        vec!["tool", &format!("postgres://user:{secret}@host:5432/db")],
        vec!["tool", &format!("https://host/?access_token={secret}&x=1")],
        vec!["tool", "-H", &format!("Authorization: Bearer {secret}")],
        vec!["tool", "-H", &format!("X-Api-Key: {secret}")],
        vec!["tool", &format!("{{\"client_secret\": \"{secret}\"}}")],
        vec!["curl", "-u", &format!("user:{secret}"), "https://host/"],
        vec!["mysql", &format!("-p{secret}")],
        vec!["sshpass", "-p", secret, "ssh", "host"],
        vec!["tool", &token],
        vec!["tool", &format!("--passphrase={secret} {secret} {secret}")],
        vec!["tool", "--passphrase", &format!("{secret} {secret}")],
    ]
    .iter()
    .map(|argv| {
        argv.iter()
            .flat_map(|one| [one.as_bytes(), b"\0"].concat())
            .collect()
    })
    .collect()
}

#[test]
fn no_output_tells_a_secret() {
    let secret = "Xq7ZsecretZ91kP";
    for argv in shapes(secret) {
        let shown = String::from_utf8_lossy(&argv).replace('\0', " ");
        let words = shown.matches(secret).count();
        let alerts = alerts(&argv);
        assert!(alerts.iter().any(|alert| alert.rule == "again"));
        for alert in &alerts {
            for (output, text) in told(alert) {
                assert!(text.contains("***"), "{output}: {shown}");
                // Of a parent it is not known which arguments it had, so only the first word of several is masked.
                if words == 1 {
                    assert!(!text.contains(secret), "{output}: {shown}: {text}");
                }
            }
            assert!(
                !alert.command_line.contains(secret),
                "{shown}: {}",
                alert.command_line
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn hostile_arguments_stay_in_their_place(argv in proptest::collection::vec(any::<u8>(), 0..300)) {
        for alert in alerts(&argv) {
            for (output, text) in told(&alert) {
                match output {
                    // A value without a newline is the only one on its line.
                    "journal" => prop_assert!(!text.contains("\nPRIORITY=0")),
                    "bus" => {}
                    _ => {
                        prop_assert!(!text.contains('\n'), "{}", output);
                        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
                    }
                }
            }
        }
    }
}
