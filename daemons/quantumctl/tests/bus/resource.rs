//! `quantumctl resource`.

use quantumos_harness::PrivateBus;
use serde_json::json;

use crate::{ctl, services};

#[tokio::test(flavor = "multi_thread")]
async fn state_and_decisions() {
    let bus = PrivateBus::start().unwrap();
    let _resource = services::resource(&bus).await;
    let run = ctl::run(&bus, &["resource", "status"]).await;
    assert!(
        run.out
            .starts_with("Mode:  observe\nModel:\n  Loaded: yes\n"),
        "{run:?}"
    );
    let json = ctl::run(&bus, &["resource", "latency", "--json"])
        .await
        .json();
    assert_eq!(
        json["latency"][0]["cgroup"], "/user.slice",
        "the worst first"
    );
    let run = ctl::run(&bus, &["resource", "forecast"]).await;
    assert!(run.out.contains("a.service"), "{run:?}");
    let json = ctl::run(&bus, &["resource", "decisions", "--json"])
        .await
        .json();
    let decision = &json["decisions"][0];
    assert_eq!(decision["from"], u64::MAX);
    assert_eq!(decision["evidence"], json!({"forecast": 62.5}));
    let run = ctl::run(&bus, &["resource", "explain", "a.service"]).await;
    assert_eq!(run.out, "class: build\nunit: a.service\n");
    let run = ctl::run(&bus, &["resource", "explain", "b.service"]).await;
    assert_eq!(
        (run.code, run.err.as_str()),
        (5, "quantumctl: not found: no unit b.service\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mode_and_undo() {
    let bus = PrivateBus::start().unwrap();
    let _resource = services::resource(&bus).await;
    assert_eq!(ctl::run(&bus, &["resource", "mode"]).await.out, "observe\n");
    assert_eq!(
        ctl::run(&bus, &["resource", "mode", "act"]).await.out,
        "act\n"
    );
    let json = ctl::run(&bus, &["resource", "mode", "--json"]).await.json();
    assert_eq!(json, json!({"mode": "act"}));
    assert_eq!(ctl::run(&bus, &["resource", "undo", "5"]).await.code, 0);
    assert_eq!(ctl::run(&bus, &["resource", "undo", "6"]).await.code, 5);
}
