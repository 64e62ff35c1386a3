//! From events to alerts, without a kernel.

use super::*;
use quantumos_detect::Source;
use quantumos_ebpf::{ExecEvent, ForkEvent, OpenEvent};

const RULES: &str = r"
title: Shell below a server
id: shell
logsource: {category: process_creation}
detection:
  s: {AncestorImages|endswith: /nginx, Image|endswith: /sh, CommandLine|contains: secret}
  condition: s
level: high
---
title: Low
id: low
logsource: {category: process_creation}
detection: {s: {Image|endswith: /low}, condition: s}
level: low
---
title: Off
id: off
logsource: {category: process_creation}
detection: {s: {Image|endswith: /off}, condition: s}
---
title: Shadow
id: shadow
logsource: {category: file_access}
detection: {s: {TargetFilename: /etc/shadow}, f: {Image: /usr/bin/su}, condition: s and not f}
";

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_time: 1 }
}

fn exec(pid: u32, path: &str, argv: &[u8]) -> Event {
    Event::Exec(Box::new(ExecEvent {
        context: Context {
            process: key(pid),
            uid: 0,
            ..Context::default()
        },
        filename: path.as_bytes().to_vec(),
        executable: path.as_bytes().to_vec(),
        argv: argv.to_vec(),
        ..ExecEvent::default()
    }))
}

fn detector(folder: &std::path::Path) -> Detector {
    let settings = Rules {
        minimum_level: "medium".into(),
        disabled: vec!["off".into()],
        ..Rules::default()
    };
    let ruling = Ruling::new(
        RuleSet::compile([Source {
            name: "r.yml",
            text: RULES,
        }]),
        &settings,
    );
    Detector::new(Arc::new(ruling), Proc::new(folder), 1000).unwrap()
}

fn alerts(detector: &mut Detector, events: &[Event]) -> Vec<Alert> {
    let mut out = Vec::new();
    for event in events {
        detector.take(event, &mut |alert| out.push(alert));
    }
    out
}

#[test]
fn an_alert_has_its_surroundings_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut detector = detector(folder.path());
    let fork = Event::Fork(ForkEvent {
        context: Context {
            process: key(10),
            comm: b"nginx".to_vec(),
            ..Context::default()
        },
        child: key(11),
        child_parent: 10,
        new_namespaces: false,
    });
    let argv = b"sh\0-c\0curl --password=hunter2 secret\n\xff\0";
    let raised = alerts(
        &mut detector,
        &[
            exec(10, "/usr/sbin/nginx", b"nginx\0"),
            fork,
            exec(11, "/usr/bin/sh", argv),
        ],
    );
    assert_eq!(raised.len(), 1, "{raised:?}");
    let alert = &raised[0];
    assert_eq!(
        (alert.rule.as_str(), alert.pid, alert.user.as_str()),
        ("shell", 11, "root")
    );
    assert_eq!(
        alert.command_line,
        "sh -c curl --password=*** secret\\u{a}\\xff"
    );
    assert_eq!(
        alert.ancestors,
        [(10, String::new(), "/usr/sbin/nginx".to_string())]
    );
    assert!(
        alert
            .explanation
            .contains("AncestorImages ends with \"/nginx\""),
        "{}",
        alert.explanation
    );
    assert_eq!(alert.fields["ParentImage"], "/usr/sbin/nginx");
}

#[test]
fn levels_and_ids_can_be_silenced() {
    let folder = tempfile::tempdir().unwrap();
    let mut detector = detector(folder.path());
    assert!(
        alerts(
            &mut detector,
            &[exec(1, "/bin/low", b""), exec(2, "/bin/off", b"")]
        )
        .is_empty()
    );
    assert_eq!(detector.statistics()["rules.matches"], 2);
    assert_eq!(detector.statistics()["events.exec"], 2);
}

#[test]
fn opens_are_judged_by_their_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut detector = detector(folder.path());
    let open = |pid: u32, read: bool| {
        Event::Open(OpenEvent {
            context: Context {
                process: key(pid),
                ..Context::default()
            },
            path: b"/etc/shadow".to_vec(),
            read,
            write: !read,
            ..OpenEvent::default()
        })
    };
    let events = [
        exec(1, "/usr/bin/su", b"su\0"),
        open(1, true),
        exec(2, "/usr/bin/cat", b"cat\0"),
        open(2, true),
        open(2, false),
    ];
    let raised = alerts(&mut detector, &events);
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!(
        (
            raised[0].executable.as_str(),
            raised[0].fields["TargetFilename"].as_str()
        ),
        ("/usr/bin/cat", "/etc/shadow")
    );
}

#[test]
fn rules_for_auditd_see_kernel_events() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "title: World-writable\nid: mode\nlogsource: {product: linux, service: auditd}\ndetection:\n  s: {type: EXECVE, a0: chmod, a1: 777}\n  condition: s\n---\ntitle: Preload\nid: preload\nlogsource: {product: linux, service: auditd}\ndetection:\n  s: {type: PATH, name: /etc/ld.so.preload}\n  condition: s\n";
    let set = RuleSet::compile([Source {
        name: "r.yml",
        text: rules,
    }]);
    let ruling = Ruling::new(set, &Rules::default());
    let mut detector = Detector::new(Arc::new(ruling), Proc::new(folder.path()), 100).unwrap();
    let open = |read: bool| {
        Event::Open(OpenEvent {
            path: b"/etc/ld.so.preload".to_vec(),
            read,
            write: !read,
            ..OpenEvent::default()
        })
    };
    let events = [
        exec(1, "/usr/bin/chmod", b"chmod\x00777\0/x\0"),
        exec(1, "/usr/bin/chmod", b"chmod\x00755\0/777\0"),
        open(true),
        open(false),
    ];
    let raised = alerts(&mut detector, &events);
    let rules: Vec<_> = raised.iter().map(|alert| alert.rule.as_str()).collect();
    assert_eq!(rules, ["mode", "preload"], "{raised:?}");
    assert!(raised[0].explanation.contains("a1 is \"777\""));
}

#[test]
fn a_correlation_raises_one_alert_in_place_of_its_rules() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "title: Gone\nid: gone\nname: gone\nlogsource: {category: process_creation}\ndetection: {s: {Image|endswith: /rm}, condition: s}\n---\ntitle: Many\nid: many\ncorrelation: {type: event_count, rules: gone, group-by: [Uid], timespan: 1h, condition: {gte: 3}}\nlevel: high\n";
    let set = RuleSet::compile([Source {
        name: "r.yml",
        text: rules,
    }]);
    let ruling = Ruling::new(set, &Rules::default());
    let mut detector = Detector::new(Arc::new(ruling), Proc::new(folder.path()), 100).unwrap();
    let events: Vec<_> = (1..=4)
        .map(|n| exec(n, "/usr/bin/rm", b"rm\0x\0"))
        .collect();
    let raised = alerts(&mut detector, &events);
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!(
        (
            raised[0].rule.as_str(),
            raised[0].pid,
            raised[0].explanation.as_str()
        ),
        ("many", 3, "3 matches within 3600 s")
    );
}

#[test]
fn a_correlation_counts_in_time_that_nobody_sets() {
    thread_local!(static AHEAD: std::cell::Cell<i128> = const { std::cell::Cell::new(0) });
    const SECOND: i128 = 1_000_000;
    const HOUR: i128 = 3600 * SECOND;
    let folder = tempfile::tempdir().unwrap();
    let rules = "title: Failed\nid: failed\nname: failed\nlogsource: {product: linux, service: sshd}\ndetection: {k: [Failed], condition: k}\n---\ntitle: Many\nid: many\ncorrelation: {type: event_count, rules: failed, group-by: [SYSLOG_IDENTIFIER], timespan: 10s, condition: {gte: 3}}\nlevel: high\n";
    // How many seconds pass before each message, and by how much the clock was set before it.
    for (steps, fires) in [
        ([(0, 0), (4, 0), (4, 0)], true),
        ([(0, 0), (4, HOUR), (4, -HOUR)], true),
        ([(0, 0), (4, -HOUR), (4, 0)], true),
        ([(0, 0), (20, 0), (20, 0)], false),
        ([(0, 0), (20, -20 * SECOND), (20, -20 * SECOND)], false),
        ([(0, 0), (1800, -HOUR), (1800, 0)], false),
    ] {
        let set = RuleSet::compile([Source {
            name: "r.yml",
            text: rules,
        }]);
        let ruling = Ruling::new(set, &Rules::default());
        let mut detector = Detector::new(Arc::new(ruling), Proc::new(folder.path()), 100).unwrap();
        AHEAD.set(1_700_000_000 * SECOND);
        detector.steady = crate::clock::Steady::with(|| AHEAD.get());
        let (mut boot, mut raised) = (100 * SECOND, 0);
        for (seconds, set) in steps {
            boot += seconds * SECOND;
            AHEAD.set(AHEAD.get() + set);
            let line = serde_json::json!({
                "__CURSOR": "c",
                "SYSLOG_IDENTIFIER": "sshd",
                "MESSAGE": "Failed password",
                "__REALTIME_TIMESTAMP": (boot + AHEAD.get()).to_string(),
            });
            let message = Message::read(line.to_string().as_bytes()).unwrap();
            detector.take_message(&message, &mut |alert| {
                raised += usize::from(alert.rule == "many");
            });
        }
        assert_eq!(raised == 1, fires, "{steps:?}");
    }
}

#[test]
fn hostile_events_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut detector = detector(folder.path());
    let mut argv = b"x\0".repeat(5000);
    argv.extend_from_slice(b"secret");
    let parent = exec(5, "/x/nginx", b"nginx");
    let fork = Event::Fork(ForkEvent {
        context: Context {
            process: key(5),
            ..Context::default()
        },
        child: key(6),
        child_parent: 5,
        new_namespaces: false,
    });
    let raised = alerts(&mut detector, &[parent, fork, exec(6, "/x/sh", &argv)]);
    assert!(
        raised[0].command_line.len() < 2100,
        "{}",
        raised[0].command_line.len()
    );
}
