//! What holds for every command: exit codes, errors, JSON, a bus that is not there.

use std::sync::{Arc, Mutex};

use quantumos_harness::PrivateBus;
use serde_json::{Value as Json, json};

use crate::{ctl, learner, services};

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_every_daemon() {
    let bus = PrivateBus::start().unwrap();
    let _services = (
        services::quantum(&bus, Vec::new()).await,
        services::steppps(&bus).await,
        services::open_security(&bus).await,
        services::resource(&bus).await,
        learner::learn(&bus).await,
    );
    let run = ctl::run(&bus, &["status"]).await;
    assert_eq!(
        (run.code, run.out.as_str(), run.err.as_str()),
        (
            0,
            "\
SERVICE      STATE  VERSION  DETAIL
quantumd     ready  0.1.0    protection tpm (SW)
steppps-mgr  ready  0.1.0    dimensions 2/3, time attention
security-ai  ready  0.1.0    coverage 1/1, 107 rules (1 failed), 0 events lost
resource-ai  ready  0.1.0    mode observe, pressure cpu 1.5%
ai-learnd    ready  0.1.0    model 2, 1200 windows
",
            ""
        )
    );
    let json = ctl::run(&bus, &["--json", "status"]).await.json();
    assert_eq!(json["running"], true);
    assert_eq!(
        json["services"][1]["detail"]["dimensions"][0]["name"],
        "space"
    );
    assert_eq!(json["services"][3]["detail"]["pressure"][0]["avg10"], 1.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_not_there_is_said_so() {
    let bus = PrivateBus::start().unwrap();
    let main = services::Security1 {
        allow: true,
        interactive: Arc::default(),
    };
    let _security = services::security(&bus, main, &["no BTF\x1b[2J"]).await;
    let run = ctl::run(&bus, &["status"]).await;
    assert_eq!(run.code, 3);
    assert!(run.out.contains("security-ai  degraded"), "{run:?}");
    assert!(run.out.contains("security-ai: no BTF\\x1b[2J"), "{run:?}");
    let start = "quantumd: not running; start it with: systemctl start quantumd";
    assert!(run.out.contains(start), "{run:?}");
    assert_eq!(
        run.err,
        "quantumctl: not running: quantumd, steppps-mgr, resource-ai, ai-learnd\n"
    );
    let run = ctl::run(&bus, &["status", "--json"]).await;
    assert_eq!((run.code, &run.json()["running"]), (3, &Json::Bool(false)));
    let error: Json = serde_json::from_str(&run.err).unwrap();
    assert_eq!(
        (&error["error"]["name"], &error["error"]["code"]),
        (&json!("not-running"), &json!(3))
    );
}

/// Owns a daemon's name and implements nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_breaks_the_contract_is_reported() {
    let bus = PrivateBus::start().unwrap();
    let impostor = bus.connect().await.unwrap();
    impostor
        .request_name("org.quantumos.Quantum1")
        .await
        .unwrap();
    // An object server, with nothing of the contract on it.
    impostor
        .object_server()
        .at("/", services::Service1::default())
        .await
        .unwrap();
    let run = ctl::run(&bus, &["status", "--json"]).await;
    let service = run.json()["services"][0].clone();
    assert_eq!(run.code, 3);
    assert_eq!(
        (&service["state"], &service["running"]),
        (&json!("unreachable"), &json!(false))
    );
    assert!(
        service["error"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{service}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_exit_code_3_everywhere() {
    let bus = PrivateBus::start().unwrap();
    for (arguments, unit) in [
        (&["keys", "list"][..], "quantumd"),
        (&["keys", "create", "x"], "quantumd"),
        (&["security", "alerts"], "security-ai"),
        (&["security", "rules"], "security-ai"),
        (&["security", "rules", "reload"], "security-ai"),
        (&["security", "coverage"], "security-ai"),
        (&["resource", "status"], "resource-ai"),
        (&["resource", "mode", "act"], "resource-ai"),
        (&["resource", "explain", "a.service"], "resource-ai"),
        (&["steppps"], "steppps-mgr"),
        (&["steppps", "space"], "steppps-mgr"),
    ] {
        let run = ctl::run(&bus, arguments).await;
        assert_eq!(run.code, 3, "{arguments:?}: {run:?}");
        let advice = format!("start it with: systemctl start {unit}\n");
        assert!(run.err.ends_with(&advice), "{arguments:?}: {run:?}");
        assert_eq!(run.out, "", "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_is_not_there_is_exit_code_3() {
    let bus = PrivateBus::start().unwrap();
    let run = ctl::run(&bus, &["--bus", "unix:path=/nonexistent/bus", "status"]).await;
    assert_eq!(run.code, 3);
    assert!(
        run.err.starts_with("quantumctl: cannot reach the bus: "),
        "{run:?}"
    );
    let run = ctl::run(&bus, &["--bus", "nonsense", "status"]).await;
    assert_eq!(run.code, 3, "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn polkit_may_ask_unless_told_not_to() {
    let bus = PrivateBus::start().unwrap();
    let interactive = Arc::<Mutex<Vec<bool>>>::default();
    let main = services::Security1 {
        allow: false,
        interactive: interactive.clone(),
    };
    let _security = services::security(&bus, main, &[]).await;
    let run = ctl::run(&bus, &["security", "rules", "reload"]).await;
    assert_eq!(
        (run.code, run.err.as_str()),
        (
            4,
            "quantumctl: not authorised: org.quantumos.security.manage\n"
        )
    );
    let run = ctl::run(&bus, &["--no-ask-password", "security", "rules", "reload"]).await;
    assert_eq!(run.code, 4);
    assert_eq!(*interactive.lock().unwrap(), [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_exit_code_2() {
    let bus = PrivateBus::start().unwrap();
    for arguments in [
        &["nonsense"][..],
        &["resource", "mode", "yolo"],
        &["keys", "verify", "--signature", "x"],
        &["security", "ack"],
        &["security", "alerts", "../etc"],
        &["security", "explain", "../etc"],
        &["steppps", "gravity"],
    ] {
        assert_eq!(ctl::run(&bus, arguments).await.code, 2, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_daemon_needs_no_bus() {
    let bus = PrivateBus::start().unwrap();
    let nowhere = "unix:path=/nonexistent/bus";
    let run = ctl::run(&bus, &["--bus", nowhere, "completions", "bash"]).await;
    assert!(run.code == 0 && run.out.contains("_quantumctl"), "{run:?}");
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    let run = ctl::run(&bus, &["--bus", nowhere, "man", pages.to_str().unwrap()]).await;
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{run:?}");
    assert!(pages.join("quantumctl-keys-verify.1").exists());
    let page = std::fs::read_to_string(pages.join("quantumctl.1")).unwrap();
    assert!(page.contains(".TH QUANTUMCTL 1"), "{page}");
}
