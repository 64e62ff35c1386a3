//! Alerts outside of the bus: a file of lines, figures for Prometheus, a collector that is slow, refuses or is away.

use crate::stage::{RULE, Stage, Tested, alerts, exec};
use futures_util::StreamExt;
use quantumos_dbus::{Service1Proxy, path};
use quantumos_harness::{SmallDisk, eventually};
use quantumos_service::Running;
use security_ai::Settings;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use zbus::Connection;
use zbus::fdo::PropertiesProxy;

/// Reads one request, answers it, and gives its head and its body; none where the other end is gone.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &str,
) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    let end = loop {
        let at = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(at) = at {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines();
        let line = lines.find(|line| line.to_ascii_lowercase().starts_with(name));
        line.unwrap().split_once(':').unwrap().1.trim().to_owned()
    };
    let length: usize = header("content-length").parse().unwrap();
    assert_eq!(header("content-type"), "application/json");
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()?;
    Some((head, serde_json::from_slice(&bytes[end..]).unwrap()))
}

fn answer(status: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{more}\r\n{body}")
}

/// The name of each record and, where it has one, the command line or the count.
fn records(body: &Value) -> Vec<(String, String)> {
    let records = &body["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    let record = |record: &Value| {
        let attributes = record["attributes"].as_array().unwrap();
        let find = |key: &str| {
            let found = attributes.iter().find(|one| one["key"] == key)?;
            let value = &found["value"];
            let value = value["stringValue"].as_str().or(value["intValue"].as_str());
            value.map(str::to_owned)
        };
        let what = find("process.command_line").or_else(|| find("quantumos.dropped"));
        (
            record["eventName"].as_str().unwrap().to_owned(),
            what.unwrap_or_default(),
        )
    };
    records.as_array().unwrap().iter().map(record).collect()
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

async fn problems(client: &Connection) -> Vec<String> {
    let service = Service1Proxy::builder(client)
        .destination("org.quantumos.Security1")
        .path(path::SECURITY)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap();
    service.problems().await.unwrap()
}

async fn started(stage: &Stage, settings: Settings) -> (Running<Tested>, Connection) {
    let running = stage.serve(settings).await;
    (running, stage.bus.connect().await.unwrap())
}

fn run(stage: &Stage, argument: &str) {
    let argv = format!("nc\0{argument}\0");
    stage.source.give([exec(9, "/bin/nc", argv.as_bytes())]);
}

#[tokio::test]
async fn each_output_has_each_alert_once_and_no_secret() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = Settings::default();
    settings.otlp.endpoint = format!("http://{}/v1/logs", listener.local_addr().unwrap());
    settings.file.enabled = true;
    settings.metrics.enabled = true;
    settings.metrics.path = "/metrics.prom".into();
    settings.metrics.seconds = 1;
    let (running, client) = started(&stage, settings.clone()).await;
    let (told, mut requests) = mpsc::channel(16);
    tokio::spawn(async move {
        // Overloaded at first: what it was sent comes again.
        let answers = ["503 Busy", "200 OK"];
        for status in answers.into_iter().chain(std::iter::repeat("200 OK")) {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer(status, "retry-after: 0\r\n", "{}");
            let request = serve(stream, &answer).await.unwrap();
            told.send((status, request)).await.unwrap();
        }
    });

    run(&stage, "--password=hunter2");
    let expected = (
        "quantumos.security.alert".to_owned(),
        "nc --password=***".to_owned(),
    );
    let (status, (head, body)) = requests.recv().await.unwrap();
    assert!(head.starts_with("POST /v1/logs HTTP/1.1\r\n"), "{head}");
    assert_eq!(
        (status, records(&body)),
        ("503 Busy", vec![expected.clone()])
    );
    let (status, (_, body)) = requests.recv().await.unwrap();
    assert_eq!((status, records(&body)), ("200 OK", vec![expected]));
    assert!(!body.to_string().contains("hunter2"));
    *stage.source.lost.lock().unwrap() = 4;
    run(&stage, "other");
    let mut names = Vec::new();
    while names.len() < 2 {
        let (_, (_, body)) = requests.recv().await.unwrap();
        names.extend(records(&body).into_iter().map(|(name, _)| name));
    }
    names.sort();
    assert_eq!(
        names,
        ["quantumos.security.alert", "quantumos.security.lost"]
    );

    let root = stage.root.path();
    let lines = read(&root.join("var/log/quantumos/security-ai/alerts.jsonl"));
    let event = |line: &Value| line["event"].as_str().unwrap().to_owned();
    let mut events: Vec<_> = lines.iter().map(event).collect();
    events.sort();
    assert_eq!(events, ["lost", "raised", "raised"]);
    assert_eq!(lines[0]["command_line"], "nc --password=***");
    assert_eq!(lines[0]["techniques"], serde_json::json!(["T1095"]));

    eventually("the figures", async || {
        let text = std::fs::read_to_string(root.join("metrics.prom")).ok()?;
        let has = |line: &str| text.lines().any(|one| one == line);
        (has(r#"quantumos_security_alerts_total{rule="netcat",title="Netcat",level="high"} 2"#)
            && has(r#"quantumos_security_output_sent_total{output="otlp"} 3"#)
            && has(r#"quantumos_security_events_total{class="exec"} 2"#)
            && has("quantumos_security_alerts_standing 2"))
        .then_some(())
    })
    .await;
    assert_eq!(problems(&client).await, [""; 0]);
    running.stop().await;
    assert!(
        !root.join("metrics.prom").exists(),
        "figures of a daemon that is gone"
    );
}

#[tokio::test]
async fn a_collector_that_is_stuck_holds_nobody_up_and_drops_are_told() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let socket = stage.root.path().join("collector");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut settings = Settings::default();
    settings.otlp.endpoint = format!("unix:{}", socket.display());
    settings.otlp.queue = 4;
    settings.otlp.timeout_seconds = 1;
    settings.alerts.distinct_per_minute = 1000;
    let (running, client) = started(&stage, settings).await;
    for n in 0..50 {
        run(&stage, &n.to_string());
    }
    // Nobody answers, and all alerts are there.
    eventually("fifty alerts", async || {
        (alerts(&client).await.len() == 50).then_some(())
    })
    .await;
    eventually("the problem", async || {
        let problems = problems(&client).await;
        problems
            .iter()
            .any(|one| one.contains("no answer in time"))
            .then_some(())
    })
    .await;
    let (mut seen, mut dropped) = (BTreeSet::new(), 0);
    while seen.len() + dropped < 50 {
        let (stream, _) = listener.accept().await.unwrap();
        // The other end has closed those that were not answered in time.
        let Some((_, body)) = serve(stream, &answer("200 OK", "", "{}")).await else {
            continue;
        };
        for (name, what) in records(&body) {
            match name.as_str() {
                "quantumos.security.dropped" => dropped += what.parse::<usize>().unwrap(),
                _ => drop(seen.insert(what)),
            }
        }
    }
    assert!(dropped > 0);
    assert_eq!(seen.len() + dropped, 50);
    eventually("no problem", async || {
        let problems = problems(&client).await;
        (!problems.iter().any(|one| one.contains("collector"))).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn figures_stay_whole_on_a_full_disk_and_that_is_said_once() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let folder = stage.root.path().join("figures");
    let Some(disk) = SmallDisk::mount(&folder, 64).unwrap() else {
        return;
    };
    let mut settings = Settings::default();
    settings.metrics.enabled = true;
    settings.metrics.seconds = 1;
    settings.metrics.path = "/figures/metrics.prom".into();
    let (running, client) = started(&stage, settings).await;
    let path = folder.join("metrics.prom");
    let alerts_in = |text: &str| {
        let name = "quantumos_security_alerts_standing ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|number| number.parse::<u32>().ok())
    };
    let now = || std::fs::read_to_string(&path).unwrap_or_default();
    eventually("figures", async || {
        (alerts_in(&now()) == Some(0)).then_some(())
    })
    .await;

    let properties = PropertiesProxy::builder(&client)
        .destination("org.quantumos.Security1")
        .path(path::SECURITY)
        .build()
        .await
        .unwrap();
    let mut changes = properties.receive_properties_changed().await.unwrap();
    let about = |problems: &[String]| problems.iter().any(|one| one.contains("metrics.prom"));
    disk.fill().unwrap();
    run(&stage, "unseen");
    eventually("the full disk is told", async || {
        about(&problems(&client).await).then_some(())
    })
    .await;
    // Each try makes a draft and takes it away again, which the folder shows.
    for _ in 0..2 {
        let before = std::fs::metadata(&folder).unwrap().modified().unwrap();
        eventually("another try", async || {
            let now = std::fs::metadata(&folder).unwrap().modified().unwrap();
            (now != before).then_some(())
        })
        .await;
    }
    let kept = now();
    assert_eq!(alerts_in(&kept), Some(0), "the old file: {kept}");
    assert!(kept.ends_with('\n'), "whole: {kept}");

    disk.empty().unwrap();
    eventually("the figures go on", async || {
        (alerts_in(&now()) == Some(1)).then_some(())
    })
    .await;
    let mut told = Vec::new();
    while told.last() != Some(&false) {
        let change = changes.next().await.unwrap();
        let arguments = change.args().unwrap();
        if let Some(problems) = arguments.changed_properties().get("Problems") {
            let problems = Vec::<String>::try_from(problems.try_clone().unwrap()).unwrap();
            told.push(about(&problems));
        }
    }
    assert_eq!(told, [true, false], "once, and its end");
    running.stop().await;
}

#[tokio::test]
async fn lines_wait_for_a_full_disk() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let log = stage.root.path().join("log");
    let Some(disk) = SmallDisk::mount(&log, 64).unwrap() else {
        return;
    };
    let mut settings = Settings::default();
    settings.file.enabled = true;
    settings.file.path = "/log/alerts.jsonl".into();
    settings.alerts.distinct_per_minute = 10_000;
    settings.alerts.keep = 10_000;
    let (running, client) = started(&stage, settings).await;
    run(&stage, "first");
    let path = log.join("alerts.jsonl");
    eventually("a line", async || (read(&path).len() == 1).then_some(())).await;
    disk.fill().unwrap();
    let mut given = 1;
    while !problems(&client)
        .await
        .iter()
        .any(|one| one.contains("JSON lines"))
    {
        given += 1;
        run(&stage, &format!("number-{given}"));
        eventually("the alert", async || {
            (alerts(&client).await.len() == given).then_some(())
        })
        .await;
    }
    assert!(read(&path).len() < given);
    disk.empty().unwrap();
    eventually("all lines", async || {
        (read(&path).len() == given).then_some(())
    })
    .await;
    eventually("no problem", async || {
        problems(&client).await.is_empty().then_some(())
    })
    .await;
    running.stop().await;
}
