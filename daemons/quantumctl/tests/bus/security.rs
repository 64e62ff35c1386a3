//! `quantumctl security`.

use quantumos_harness::PrivateBus;
use serde_json::json;

use crate::{ctl, services};

#[tokio::test(flavor = "multi_thread")]
async fn alerts_rules_and_counters() {
    let bus = PrivateBus::start().unwrap();
    let _security = services::open_security(&bus).await;
    let run = ctl::run(&bus, &["security", "alerts"]).await;
    assert!(
        run.out.contains("sh -c \\x1b]0;owned\\x07\\x1b[2Jx\\nfake"),
        "{run:?}"
    );
    let json = ctl::run(&bus, &["security", "alerts", "--json"])
        .await
        .json();
    assert_eq!(json["alerts"][0]["id"], "7");
    assert_eq!(json["alerts"][0]["command_line"], services::HOSTILE);
    let json = ctl::run(
        &bus,
        &["security", "alerts", "--json", "--level", "critical"],
    )
    .await
    .json();
    assert_eq!(json, json!({"alerts": []}));
    let run = ctl::run(&bus, &["security", "alerts", "7"]).await;
    assert!(
        run.out
            .contains("Ancestors:  systemd[1] /usr/lib/systemd/systemd\n"),
        "{run:?}"
    );
    let run = ctl::run(&bus, &["security", "alerts", "8"]).await;
    assert_eq!(run.code, 5, "{run:?}");

    let run = ctl::run(&bus, &["security", "rules", "--fate", "failed"]).await;
    assert_eq!(
        run.out,
        "FATE    LEVEL  TITLE    ID  REASON\nfailed  high   Rule r2  r2  r2.yml:7: no selection\n"
    );
    let run = ctl::run(&bus, &["security", "rules", "reload"]).await;
    assert_eq!(
        run.out,
        "107 rules loaded, 103 not applicable here, \
         1 failed (see: quantumctl security rules --fate failed)\n"
    );
    let json = ctl::run(&bus, &["security", "coverage", "--json"])
        .await
        .json();
    assert_eq!(json["coverage"][0]["state"], "attached");
    let json = ctl::run(&bus, &["security", "statistics", "--json"])
        .await
        .json();
    assert_eq!(json, json!({"events": 1200, "lost": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_acknowledged_and_cleared() {
    let bus = PrivateBus::start().unwrap();
    let _security = services::open_security(&bus).await;
    assert_eq!(ctl::run(&bus, &["security", "ack", "7"]).await.code, 0);
    let run = ctl::run(&bus, &["security", "ack", "8"]).await;
    assert_eq!(
        (run.code, run.err.as_str()),
        (
            5,
            "quantumctl: no alert has the id \"8\"; see: quantumctl security alerts\n"
        )
    );
    let run = ctl::run(&bus, &["security", "clear"]).await;
    assert_eq!(run.out, "1 alerts forgotten\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_explained_and_events_are_recorded() {
    let bus = PrivateBus::start().unwrap();
    let _security = services::open_security(&bus).await;
    let run = ctl::run(&bus, &["security", "explain", "7"]).await;
    assert!(run.out.contains("\nWhat ran\n"), "{run:?}");
    assert!(!run.out.contains('\x1b'), "{run:?}");
    let json = ctl::run(&bus, &["security", "explain", "7", "--json"])
        .await
        .json();
    assert_eq!(json["id"], "7");
    assert_eq!(ctl::run(&bus, &["security", "explain", "8"]).await.code, 5);

    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("capture").to_str().unwrap().to_owned();
    let run = ctl::run(
        &bus,
        &["security", "record", &capture, "--seconds", "9", "--json"],
    )
    .await;
    let manifest = run.json();
    assert_eq!(
        (&manifest["events"], &manifest["key"]),
        (&json!(1), &json!(""))
    );
    assert_eq!(manifest["ended_at"], 9);
    let text = std::fs::read_to_string(&capture).unwrap();
    assert_eq!(text.lines().count(), 1);
    let kept = std::fs::read_to_string(format!("{capture}.manifest")).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&kept).unwrap(),
        manifest
    );
    // What is there is never written over.
    let run = ctl::run(&bus, &["security", "record", &capture]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(std::fs::read_to_string(&capture).unwrap(), text);
}
