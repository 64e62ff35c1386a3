//! A capture from the daemon's events, signed by a real quantumd, replayed and checked by quantumctl alone.

#[path = "../support/ctl.rs"]
mod ctl;

use crate::stage::{NOBODY, RULE, Stage, exec};
use ctl::ctl;
use quantumd::Quantumd;
use quantumos_dbus::Security1Proxy;
use quantumos_harness::eventually;
use security_ai::Settings;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_is_signed_and_replays_the_same() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let running = stage.serve(Settings::default()).await;
    let root = tempfile::tempdir().unwrap();
    let mut settings = quantumd::Settings::default();
    settings.tpm.tcti = "device:/nonexistent/tpm".into();
    settings.protection.allow_software = true;
    let keys = stage
        .bus
        .serve::<Quantumd>(root.path(), settings)
        .await
        .unwrap();
    let bus = &stage.bus;
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let (capture, public, other) = (path("capture"), path("public"), path("other"));
    for (label, file) in [("recorder", &public), ("stranger", &other)] {
        assert_eq!(ctl(bus, &["keys", "create", label]).await.0, 0);
        let arguments = ["keys", "public", label, "--output", file];
        assert_eq!(ctl(bus, &arguments).await.0, 0);
    }

    let record = [
        "security",
        "record",
        &capture,
        "--seconds",
        "1",
        "--key",
        "recorder",
    ];
    let recording = ctl(bus, &record);
    tokio::pin!(recording);
    // Events go on until the recording is over: some of them fall into it.
    let (code, manifest) = loop {
        stage.source.give([
            exec(7, "/usr/bin/ls", b"ls\0"),
            exec(8, "/usr/bin/nc", b"nc\0--password=hunter2\0"),
        ]);
        tokio::select! {
            done = &mut recording => break done,
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    };
    assert_eq!(code, 0, "{manifest}");
    let events = manifest["events"].as_u64().unwrap();
    assert!(events > 0 && manifest["dropped"] == 0, "{manifest}");
    running.stop().await;
    keys.stop().await;

    // Nothing runs any more.
    let rules = path("rules.yml");
    std::fs::write(&rules, RULE).unwrap();
    let test = [
        "security",
        "test",
        &capture,
        "--rules",
        &rules,
        "--public-key",
    ];
    let (code, first) = ctl(bus, &[&test[..], &[&public]].concat()).await;
    assert_eq!(code, 0, "{first}");
    let result = &first["captures"][0];
    assert_eq!(result["events"], events);
    assert_eq!(result["signed_by"], manifest["key"]);
    let alerts = result["alerts"].as_array().unwrap();
    assert!(!alerts.is_empty());
    assert_eq!(alerts[0]["rule_id"], "netcat");
    assert!(!first.to_string().contains("hunter2"));
    let (_, again) = ctl(bus, &[&test[..], &[&public]].concat()).await;
    assert_eq!(again, first);

    let none = path("none.yml");
    std::fs::write(
        &none,
        RULE.replace("/nc", "/never")
            .replace("id: netcat", "id: never"),
    )
    .unwrap();
    let compare = [
        "security",
        "compare",
        &capture,
        "--rules",
        &rules,
        "--against",
        &none,
    ];
    let (code, compared) = ctl(bus, &compare).await;
    assert_eq!(
        (code, compared["alerts"][1].as_u64()),
        (1, Some(0)),
        "{compared}"
    );
    assert_eq!(compared["differences"][0]["a"], alerts.len());
    let same = ["security", "compare", &capture, &capture, "--rules", &rules];
    let (code, compared) = ctl(bus, &same).await;
    assert_eq!(
        (code, &compared["differences"]),
        (0, &serde_json::json!([])),
        "{compared}"
    );

    let (code, error) = ctl(bus, &[&test[..], &[&other]].concat()).await;
    assert_eq!(
        (code, &error["error"]["name"]),
        (7, &"bad-signature".into())
    );
    let mut text = std::fs::read(&capture).unwrap();
    text.extend_from_slice(b"{\"class\":\"log\"}\n");
    std::fs::write(&capture, text).unwrap();
    let (code, error) = ctl(bus, &[&test[..], &[&public]].concat()).await;
    assert_eq!((code, &error["error"]["name"]), (1, &"capture".into()));
}

#[tokio::test]
async fn recording_needs_leave_and_is_one_at_a_time() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let security = Security1Proxy::new(&client).await.unwrap();
    let (_reader, writer) = std::io::pipe().unwrap();
    let fd = || zbus::Fd::from(&writer);
    for seconds in [0, 86_401] {
        let refused = security.record(fd(), seconds).await.unwrap_err();
        assert!(
            matches!(refused, quantumos_dbus::Error::InvalidArgument(_)),
            "{refused}"
        );
    }
    security.record(fd(), 60).await.unwrap();
    let refused = security.record(fd(), 60).await.unwrap_err();
    assert!(
        refused.to_string().contains("another recording"),
        "{refused}"
    );
    let nobody = stage.bus.connect_as(NOBODY).await.unwrap();
    let refused = Security1Proxy::new(&nobody)
        .await
        .unwrap()
        .record(fd(), 60)
        .await;
    assert!(
        matches!(refused, Err(quantumos_dbus::Error::NotAuthorized(_))),
        "{refused:?}"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_interrupted_is_a_part_and_its_replay_says_so() {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    let running = stage.serve(Settings::default()).await;
    let bus = &stage.bus;
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULE).unwrap();
    let rules = rules.to_str().unwrap();
    let capture = folder.path().join("capture").to_str().unwrap().to_owned();
    let recording = Command::new(env!("CARGO_BIN_EXE_quantumctl-under-test"))
        .args(["--json", "security", "record", &capture])
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // So many that some reach the file before the end.
    eventually("events in the file", async || {
        let events = (0..100).map(|n| exec(n + 8, "/usr/bin/nc", &[b'x'; 1000]));
        stage.source.give(events);
        let written = std::fs::metadata(&capture).map(|found| found.len());
        written.is_ok_and(|length| length > 0).then_some(())
    })
    .await;
    // It has not ended: until it has, that is what its manifest says.
    let (_, early) = ctl(bus, &["security", "test", &capture, "--rules", rules]).await;
    let part = early["captures"][0]["part"].as_str().unwrap();
    assert!(part.contains("did not end"), "{early}");

    let pid = i32::try_from(recording.id().unwrap()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGTERM).unwrap();
    let ended = recording.wait_with_output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let manifest: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(manifest["complete"], false);
    assert_eq!(manifest["dropped"], serde_json::Value::Null);
    let (code, replayed) = ctl(bus, &["security", "test", &capture, "--rules", rules]).await;
    assert_eq!(code, 0, "{replayed}");
    let replayed = &replayed["captures"][0];
    assert_eq!(replayed["events"], manifest["events"]);
    let part = replayed["part"].as_str().unwrap();
    assert!(part.starts_with("it was interrupted; "), "{part}");

    running.stop().await;
}
