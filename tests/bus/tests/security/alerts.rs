//! From events to alerts.

use crate::stage::{RULE, Stage, alert, alerts, exec};
use futures_util::StreamExt;
use quantumos_dbus::{Security1Proxy, Service1Proxy, path};
use quantumos_ebpf::{
    Action, ActionEvent, ConnectEvent, Context as EventContext, Event, ProcessKey, Tampering,
};
use quantumos_harness::{contract, eventually};
use security_ai::Settings;
use std::path::Path;

#[tokio::test]
async fn an_event_becomes_a_signal_and_an_object() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let security = Security1Proxy::new(&client).await.unwrap();
    let mut raised = security.receive_alert_raised().await.unwrap();

    stage.source.give([
        exec(7, "/usr/bin/ls", b"ls\0"),
        exec(8, "/usr/bin/nc", b"nc\0--password=hunter2\0a\nb\x1b\xff\0"),
    ]);
    let signal = raised.next().await.unwrap();
    let arguments = signal.args().unwrap();
    assert_eq!(arguments.alert.as_str(), format!("{}/1", path::ALERTS));
    assert_eq!(
        <&str>::try_from(&arguments.details["Title"]).unwrap(),
        "Netcat"
    );
    assert_eq!(u32::try_from(&arguments.details["Count"]).unwrap(), 1);

    let one = alert(&client, arguments.alert.as_str()).await;
    assert_eq!(one.rule_id().await.unwrap(), "netcat");
    assert_eq!(one.level().await.unwrap(), "high");
    assert_eq!(one.pid().await.unwrap(), 8);
    assert_eq!(one.user().await.unwrap(), "root");
    assert_eq!(
        one.command_line().await.unwrap(),
        "nc --password=*** a\\u{a}b\\u{1b}\\xff"
    );
    assert_eq!(one.explanation().await.unwrap(), "Image ends with \"/nc\"");
    assert_eq!(one.tags().await.unwrap(), ["attack.t1095"]);
    assert_eq!(security.statistics().await.unwrap()["events.exec"], 2);
    for (object, interfaces) in [
        (
            path::SECURITY,
            &["org.quantumos.Security1", "org.quantumos.Service1"][..],
        ),
        (path::ALERTS, &["org.quantumos.Alerts1"][..]),
        (arguments.alert.as_str(), &["org.quantumos.Alert1"][..]),
    ] {
        let lines = contract::differences(&client, "org.quantumos.Security1", object, interfaces)
            .await
            .unwrap();
        assert!(lines.is_empty(), "{lines:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_daemon_that_was_not_stopped_is_an_alert_of_the_next() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let running = stage.serve(Settings::default()).await;
    let mark = stage.root.path().join("runtime/running");
    let text = std::fs::read_to_string(&mark).unwrap();
    assert_eq!(text.trim(), std::process::id().to_string());
    running.stop().await;
    assert!(!mark.exists(), "a daemon that is stopped takes it away");

    // As one leaves it that is killed.
    std::fs::write(&mark, "4711\n").unwrap();
    let stage = stage.moved();
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let path = eventually("an alert", async || alerts(&client).await.pop()).await;
    let one = alert(&client, &path).await;
    assert_eq!(
        one.title().await.unwrap(),
        "Detection Ended Without Being Stopped"
    );
    assert_eq!(one.level().await.unwrap(), "high");
    assert_eq!(one.class().await.unwrap(), "tampering");
    assert!(one.explanation().await.unwrap().contains("process 4711"));
    assert!(
        one.tags()
            .await
            .unwrap()
            .contains(&"attack.t1562.001".into())
    );
    running.stop().await;

    let stage = stage.moved();
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let one = alert(&client, &path).await;
    assert_eq!(one.count().await.unwrap(), 1, "told once");
    running.stop().await;
}

/// Somebody takes hold of a map by its number: BPF_MAP_GET_FD_BY_ID.
fn reaching_for_a_map() -> Event {
    let event = ActionEvent::bare(EventContext::default(), Action::Bpf, [14, 0, 0, 0]);
    Event::Action(Box::new(event))
}

#[tokio::test]
async fn probes_that_somebody_changed_are_an_alert_and_a_problem() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let what = "the map config was changed";
    stage.source.changed.lock().unwrap().push(Tampering {
        what: what.into(),
        is_mended: false,
    });
    stage.source.give([reaching_for_a_map()]);
    let path = eventually("an alert", async || alerts(&client).await.pop()).await;
    let one = alert(&client, &path).await;
    assert_eq!(one.title().await.unwrap(), "Probes Tampered With");
    assert_eq!(one.level().await.unwrap(), "critical");
    assert_eq!(one.explanation().await.unwrap(), what);
    assert_eq!(one.unit().await.unwrap(), "security-ai.service");
    // Whoever looks at the state must not read that all is well.
    let service = Service1Proxy::builder(&client)
        .destination("org.quantumos.Security1")
        .path(path::SECURITY)
        .build()
        .await
        .unwrap();
    assert_eq!(service.state().await.unwrap(), "degraded");
    let problems = service.problems().await.unwrap();
    assert_eq!(problems, [format!("{what}: restart security-ai")]);
    running.stop().await;
}

#[tokio::test]
async fn equal_alerts_are_one_with_a_count_and_the_oldest_leave() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let mut settings = Settings::default();
    settings.alerts.keep = 2;
    let running = stage.serve(settings).await;
    let client = stage.bus.connect().await.unwrap();
    stage
        .source
        .give((0..100).map(|n| exec(n, "/usr/bin/nc", b"nc\0same\0")));
    eventually("one alert counts them all", async || {
        let paths = alerts(&client).await;
        let [path] = paths.as_slice() else {
            return None;
        };
        (alert(&client, path).await.count().await.unwrap() == 100).then_some(())
    })
    .await;
    stage
        .source
        .give(["b", "c"].map(|argument| exec(5, "/usr/bin/nc", argument.as_bytes())));
    eventually("the oldest leaves", async || {
        let expected = [format!("{}/2", path::ALERTS), format!("{}/3", path::ALERTS)];
        (alerts(&client).await == expected).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_restart_loses_nothing_and_numbers_go_on() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let client = stage.bus.connect().await.unwrap();
    let running = stage.serve(Settings::default()).await;
    stage
        .source
        .give(["a", "b", "b"].map(|argument| exec(5, "/usr/bin/nc", argument.as_bytes())));
    eventually("both are there", async || {
        (alerts(&client).await.len() == 2).then_some(())
    })
    .await;
    eventually("b counts two", async || {
        (alert(&client, &format!("{}/2", path::ALERTS))
            .await
            .count()
            .await
            .unwrap()
            == 2)
            .then_some(())
    })
    .await;
    alert(&client, &format!("{}/1", path::ALERTS))
        .await
        .acknowledge()
        .await
        .unwrap();
    running.stop().await;

    // A power cut tears the last line.
    let file = stage.root.path().join("state/alerts.jsonl");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"raised\":{\"id\":9");
    std::fs::write(&file, bytes).unwrap();

    let second = stage.moved();
    let client = second.bus.connect().await.unwrap();
    let running = second.serve(Settings::default()).await;
    assert_eq!(alerts(&client).await, [format!("{}/2", path::ALERTS)]);
    assert_eq!(
        alert(&client, &format!("{}/2", path::ALERTS))
            .await
            .count()
            .await
            .unwrap(),
        2
    );
    second.source.give([exec(5, "/usr/bin/nc", b"c")]);
    eventually("the next number is new", async || {
        alerts(&client)
            .await
            .contains(&format!("{}/3", path::ALERTS))
            .then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn the_kernels_own_events_raise_alerts() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../daemons/security-ai/rules");
    let rules: Vec<(String, String)> = std::fs::read_dir(rules)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| name.ends_with(".yml"))
        .map(|(name, path)| (name, std::fs::read_to_string(path).unwrap()))
        .collect();
    let rules: Vec<(&str, &str)> = rules
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    let stage = Stage::new(&rules);
    let Some(running) = stage.serve_on_this_kernel().await else {
        return;
    };
    let client = stage.bus.connect().await.unwrap();
    let security = Security1Proxy::new(&client).await.unwrap();
    let mut raised = security.receive_alert_raised().await.unwrap();
    let program = format!("/dev/shm/quantumos-test-{}", std::process::id());
    std::fs::copy("/bin/true", &program).unwrap();
    let status = tokio::process::Command::new(&program)
        .arg("--token=abc")
        .status()
        .await;
    std::fs::remove_file(&program).unwrap();
    assert!(status.unwrap().success());
    // Other programs of this host may raise alerts of their own.
    let path = loop {
        let signal = raised.next().await.unwrap();
        let arguments = signal.args().unwrap();
        if <&str>::try_from(&arguments.details["Executable"]).unwrap() == program {
            break arguments.alert.to_string();
        }
    };
    let one = alert(&client, &path).await;
    assert_eq!(one.title().await.unwrap(), "Program Run From Shared Memory");
    assert_eq!(
        one.command_line().await.unwrap(),
        format!("{program} --token=***")
    );
    assert_eq!(one.uid().await.unwrap(), nix::unistd::getuid().as_raw());
    let this = std::env::current_exe().unwrap().display().to_string();
    let ancestors = one.ancestors().await.unwrap();
    assert!(
        ancestors
            .iter()
            .any(|(pid, _, executable)| *pid == std::process::id() && *executable == this),
        "{ancestors:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn connections_are_matched_by_network_and_port() {
    let rule = "title: Pool\nid: pool\nlogsource: {category: network_connection}\ndetection:\n  s: {DestinationPort: 3333}\n  \
        f: {DestinationIp|cidr: 10.0.0.0/8}\n  condition: s and not f\n";
    let stage = Stage::new(&[("pool.yml", rule)]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let connect = |address: &str, port| {
        let context = EventContext {
            process: ProcessKey {
                pid: 7,
                start_time: 1,
            },
            ..EventContext::default()
        };
        Event::Connect(ConnectEvent {
            context,
            address: address.parse().unwrap(),
            port,
            protocol: 6,
        })
    };
    stage.source.give([
        connect("10.1.1.1", 3333),
        connect("203.0.113.9", 443),
        connect("::ffff:203.0.113.9", 3333),
    ]);
    let path = eventually("one alert", async || {
        let mut paths = alerts(&client).await;
        (paths.len() == 1).then(|| paths.remove(0))
    })
    .await;
    assert_eq!(
        alert(&client, &path).await.fields().await.unwrap()["DestinationIp"],
        "203.0.113.9"
    );
    running.stop().await;
}
