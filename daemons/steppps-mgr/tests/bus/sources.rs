//! Sources that come and go: systemd, logind, resource-ai.

use futures_util::StreamExt;
use quantumos_dbus::bus_name;

use crate::{
    fake::{Login, Resource, Systemd},
    host::Host,
};

#[tokio::test]
async fn script_and_time_follow_systemd() {
    let host = Host::furnished();
    let _running = host.serve().await;
    let client = host.client().await;
    assert!(!client.view("script").await.available);

    let systemd = Systemd::start(&host).await;
    let script = client
        .until("script", "systemd is seen", |view| {
            view.available && view.number("Timers") == Some(1)
        })
        .await;
    assert_eq!(script.column("TransientUnits", "Name"), ["run-1.service"]);
    assert_eq!(script.health, "ok", "{}", script.reason);
    assert_eq!(systemd.world.lock().unwrap().subscribed, 1);
    let time = client
        .until("time", "timers are seen", |view| {
            view.text("NextTimer").is_some()
        })
        .await;
    assert_eq!(time.column("Timers", "Activates"), ["back.service"]);
    assert_eq!(time.number("BootUserspaceUSec"), Some(3_000_000));
    assert_eq!(time.number("BootTotalUSec"), Some(4_000_000));

    systemd
        .world
        .lock()
        .unwrap()
        .jobs
        .push((9, "slow.service".to_owned()));
    systemd.end_job(8, "other.service", "done").await;
    let script = client
        .until("script", "the job is seen", |view| {
            view.number("JobsQueued") == Some(1)
        })
        .await;
    assert_eq!(script.column("Jobs", "Unit"), ["slow.service"]);
    systemd.end_job(9, "slow.service", "done").await;
    client
        .until("script", "the job is gone", |view| {
            view.number("JobsQueued") == Some(0)
        })
        .await;

    // The unit of a timer fails.
    systemd.set_state("back.service", "failed", "failed").await;
    let script = client
        .until("script", "the timer's unit failed", |view| {
            view.health == "attention"
        })
        .await;
    assert_eq!(script.texts("FailedTimers"), ["back.timer"]);

    drop(systemd);
    let script = client
        .until("script", "systemd is gone", |view| !view.available)
        .await;
    assert!(script.state.is_empty());
    let time = client
        .until("time", "timers are gone", |view| {
            !view.state.contains_key("Timers")
        })
        .await;
    assert!(time.available);
}

#[tokio::test]
async fn pixel_follows_logind() {
    let host = Host::empty();
    let _running = host.serve().await;
    let client = host.client().await;
    let root = client.root().await;
    let mut changed = root.receive_changed().await.unwrap();

    let login = Login::start(&host).await;
    let pixel = client
        .until("pixel", "logind is seen", |view| view.available)
        .await;
    assert_eq!(pixel.column("Sessions", "User"), ["root"]);
    assert_eq!(pixel.column("Sessions", "Type"), ["tty"]);
    assert_eq!(pixel.source, ["org.freedesktop.login1"]);

    login.become_idle().await;
    client
        .until("pixel", "idle is seen", |view| {
            bool::try_from(&*view.state["Idle"]).unwrap()
        })
        .await;
    loop {
        let signal = changed.next().await.unwrap();
        let args = signal.args().unwrap();
        if *args.dimension() == "pixel" && !args.changed().contains_key("Available") {
            assert_eq!(args.changed().keys().collect::<Vec<_>>(), ["Idle"]);
            break;
        }
    }
    drop(login);
    client
        .until("pixel", "logind is gone", |view| !view.available)
        .await;
}

#[tokio::test]
async fn latency_comes_from_resource_ai_when_it_is_there() {
    let host = Host::furnished();
    let _running = host.serve().await;
    let client = host.client().await;
    let resource = Resource::start(&host).await;
    let time = client
        .until("time", "latency is seen", |view| {
            view.state.contains_key("RunQueueP99NSec")
        })
        .await;
    assert_eq!(time.text("RunQueueWorstCgroup").unwrap(), "/busy.slice");
    assert_eq!(time.number("RunQueueP99NSec"), Some(9_000_000));
    assert!(!time.state.contains_key("RunQueueReason"));
    let prompt = client
        .until("prompt", "its calls are found", |view| {
            view.texts("Services").len() == 2
        })
        .await;
    assert!(
        prompt
            .texts("Calls")
            .contains(&"org.quantumos.Resource1.Latency() -> (a(stttt))".to_owned())
    );
    assert!(
        !prompt
            .texts("MissingServices")
            .contains(&bus_name::RESOURCE.to_owned())
    );
    drop(resource);
    client
        .until("time", "latency is gone", |view| {
            view.state.contains_key("RunQueueReason")
        })
        .await;
    client
        .until("prompt", "its calls are gone", |view| {
            view.texts("Services").len() == 1
        })
        .await;
}

#[tokio::test]
async fn every_key_is_in_the_manual() {
    let manual =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/man/steppps-mgr.8");
    let manual = std::fs::read_to_string(manual).unwrap();
    let words: std::collections::BTreeSet<&str> =
        manual.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let host = Host::furnished();
    let _systemd = Systemd::start(&host).await;
    let _login = Login::start(&host).await;
    let _resource = Resource::start(&host).await;
    let mut running = host.serve().await;
    running.reload().await;
    let client = host.client().await;
    let mut tables = 0;
    for (name, state) in client.snapshot().await {
        for (key, value) in state {
            assert!(
                words.contains(key.as_str()),
                "{name}: {key} is not in steppps-mgr(8)"
            );
            let rows: Result<Vec<quantumos_dbus::Dictionary>, _> = value.try_into();
            for key in rows.unwrap_or_default().iter().flat_map(|row| row.keys()) {
                tables += 1;
                assert!(
                    words.contains(key.as_str()),
                    "{name}: {key} is not in steppps-mgr(8)"
                );
            }
        }
    }
    assert!(tables > 10, "{tables} keys of tables");
}
