//! From messages of the journal to alerts, with a program in journalctl's place that the test writes.

use crate::stage::{Stage, alert, alerts, exec, put};
use quantumos_dbus::Security1Proxy;
use quantumos_harness::eventually;
use security_ai::Settings;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const RULES: &str = r"
title: Corrupted MAC
id: mac
logsource: {product: linux, service: sshd}
detection: {keywords: ['Corrupted MAC'], condition: keywords}
level: high
---
title: Firewall stopped
id: firewall
logsource: {product: linux, service: auditd}
detection: {s: {type: SERVICE_STOP, unit: firewalld}, condition: s}
---
title: Anywhere
id: anywhere
logsource: {product: linux}
detection: {keywords: ['history -c'], condition: keywords}
";

/// A journalctl that tells its arguments, writes the given lines once each start, and stays or ends.
fn journalctl(root: &Path, lines: &[String], stays: Option<u32>) {
    let mut script = format!(
        "#!/bin/sh\necho \"$*\" >> {}\n",
        root.join("calls").display()
    );
    for line in lines {
        script.push_str(&format!("printf '%s\\n' '{line}'\n"));
    }
    if let Some(seconds) = stays {
        script.push_str(&format!("exec sleep {seconds}\n"));
    }
    put(root, "journalctl.new", &script);
    let new = root.join("journalctl.new");
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(new, root.join("journalctl")).unwrap();
}

fn line(cursor: u32, identifier: &str, more: &str) -> String {
    format!(
        r#"{{"__CURSOR":"s=x;i={cursor}","__REALTIME_TIMESTAMP":"1700000000000000","SYSLOG_IDENTIFIER":"{identifier}",{more}}}"#
    )
}

#[tokio::test]
async fn messages_become_alerts_while_a_rule_needs_them() {
    let stage = Stage::new(&[("rules.yml", RULES)]);
    let stopped = r#""MESSAGE":"Stopped","MESSAGE_ID":"9d1aaa27d60140bd96365438aad20286","UNIT":"firewalld.service""#;
    let text = r#""MESSAGE":"Corrupted MAC on input. password=hunter2","_PID":"77","_UID":"0","_SYSTEMD_UNIT":"ssh.service""#;
    let own = r#""MESSAGE":"Corrupted MAC","_SYSTEMD_UNIT":"security-ai.service""#;
    journalctl(
        stage.root.path(),
        &[
            "not JSON".into(),
            line(1, "sshd", own),
            line(2, "somebody", text),
            line(3, "sshd", text),
            line(4, "x", &format!(r#"{stopped},"_PID":"4711""#)),
            line(5, "systemd", &format!(r#"{stopped},"_PID":"1""#)),
        ],
        Some(3601),
    );
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    count(&client, 2).await;
    let paths = alerts(&client).await;
    let first = alert(&client, &paths[0]).await;
    assert_eq!(first.rule_id().await.unwrap(), "mac");
    assert_eq!(first.class().await.unwrap(), "log");
    assert_eq!(first.pid().await.unwrap(), 77);
    assert_eq!(first.unit().await.unwrap(), "ssh.service");
    assert_eq!(
        first.fields().await.unwrap()["MESSAGE"],
        "Corrupted MAC on input. password=***"
    );
    let second = alert(&client, &paths[1]).await;
    assert_eq!(second.rule_id().await.unwrap(), "firewall");

    // A rule about logs of any kind sees command lines as well.
    stage
        .source
        .give([exec(8, "/usr/bin/bash", b"bash\0-c\0history -c\0")]);
    count(&client, 3).await;

    // Without a rule that needs it nothing follows the journal.
    put(
        stage.root.path(),
        "usr/lib/quantumos/security-ai/rules.d/rules.yml",
        "title: x\nlogsource: {category: process_creation}\ndetection: {s: {Image: /x}, condition: s}\n",
    );
    let security = Security1Proxy::new(&client).await.unwrap();
    security.reload_rules().await.unwrap();
    eventually("an end of following", || async {
        (!followed()).then_some(())
    })
    .await;
    running.stop().await;
    let calls = std::fs::read_to_string(stage.root.path().join("calls")).unwrap();
    assert_eq!(calls.lines().count(), 1, "{calls}");
    assert!(calls.contains("--lines=0"), "{calls}");
}

async fn count(client: &zbus::Connection, wanted: usize) {
    eventually("so many alerts", || async {
        (alerts(client).await.len() == wanted).then_some(())
    })
    .await;
}

/// Whether a child of this process stands in for journalctl: after `exec sleep` it is told by its pipe's end.
fn followed() -> bool {
    let own = std::process::id();
    let tasks = std::fs::read_dir(format!("/proc/{own}/task")).unwrap();
    let children = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let mut pids: Vec<String> = Vec::new();
    for line in children {
        pids.extend(line.split_whitespace().map(str::to_owned));
    }
    pids.iter().any(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.starts_with("sleep\x003601"))
    })
}

#[tokio::test]
async fn a_reader_that_ends_goes_on_where_it_was() {
    let stage = Stage::new(&[("rules.yml", RULES)]);
    let text = |n: &str| format!(r#""MESSAGE":"Corrupted MAC {n}","_UID":"0""#);
    journalctl(stage.root.path(), &[line(7, "sshd", &text("a"))], None);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    count(&client, 1).await;
    journalctl(
        stage.root.path(),
        &[line(8, "sshd", &text("b"))],
        Some(3602),
    );
    count(&client, 2).await;
    let calls = std::fs::read_to_string(stage.root.path().join("calls")).unwrap();
    let last = calls.lines().last().unwrap();
    assert!(last.contains("--after-cursor=s=x;i=7"), "{calls}");
    running.stop().await;
}
