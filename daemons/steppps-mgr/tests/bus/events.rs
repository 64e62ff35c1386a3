//! Events: units, alerts and the kernel's log, correlated; and impostors.

use std::io::Write;

use nix::{sys::stat::Mode, unistd::mkfifo};

use crate::{
    fake::{Security, Systemd, say_state},
    host::{Host, View},
};

fn texts(view: &View) -> Vec<Vec<String>> {
    view.rows("Incidents")
        .iter()
        .map(|row| row["Texts"].clone().try_into().unwrap())
        .collect()
}

#[tokio::test]
async fn an_alert_and_a_failure_of_one_unit_are_one_incident() {
    let host = Host::furnished();
    let systemd = Systemd::start(&host).await;
    let security = Security::start(&host).await;
    let _running = host.serve().await;
    let client = host.client().await;
    assert_eq!(client.view("event").await.health, "ok");

    security
        .alert("Shell started by a web server", "high", "web.service")
        .await;
    client
        .until("event", "the alert is seen", |view| {
            view.number("SecurityEvents") == Some(1)
        })
        .await;
    systemd.set_state("web.service", "failed", "failed").await;
    let event = client
        .until("event", "the failure is seen", |view| {
            view.number("UnitEvents") == Some(1)
        })
        .await;
    assert_eq!(
        texts(&event),
        [[
            "security: Shell started by a web server",
            "unit: web.service failed"
        ]]
    );
    assert_eq!(event.texts("FailedUnits"), ["web.service"]);
    assert_eq!(event.health, "attention");

    systemd.set_state("back.service", "failed", "failed").await;
    let event = client
        .until("event", "another unit is another incident", |view| {
            texts(view).len() == 2
        })
        .await;
    assert_eq!(event.number("IncidentsOpen"), Some(2));

    security.alert("Root key read", "critical", "").await;
    let event = client
        .until("event", "a critical alert", |view| {
            view.health == "critical"
        })
        .await;
    assert!(event.reason.contains("failed"), "{}", event.reason);
}

#[tokio::test]
async fn nobody_else_speaks_for_systemd() {
    let host = Host::furnished();
    let systemd = Systemd::start(&host).await;
    let _running = host.serve().await;
    let client = host.client().await;
    let impostor = host.bus.connect().await.unwrap();
    say_state(&impostor, "innocent.service", "failed", "failed").await;
    // To everybody does not reach the daemon; to the daemon alone does.
    let message = zbus::Message::signal(
        "/org/freedesktop/systemd1/unit/innocent_2eservice",
        "org.freedesktop.DBus.Properties",
        "PropertiesChanged",
    )
    .destination(quantumos_dbus::bus_name::STEPPPS)
    .build(&(
        "org.freedesktop.systemd1.Unit",
        std::collections::HashMap::from([("ActiveState", zbus::Variant::from("failed"))]),
        Vec::<String>::new(),
    ))
    .unwrap();
    impostor.send(&message).await.unwrap();
    // The bus keeps order for one sender only, so the impostor's own reply is the fence.
    let proxy = zbus::fdo::DBusProxy::new(&impostor).await.unwrap();
    proxy.get_id().await.unwrap();
    systemd.set_state("web.service", "failed", "failed").await;
    let event = client
        .until("event", "the true failure is seen", |view| {
            !texts(view).is_empty()
        })
        .await;
    assert_eq!(texts(&event), [["unit: web.service failed"]]);
    assert_eq!(event.number("UnitEvents"), Some(1));
}

#[tokio::test]
async fn an_out_of_memory_kill_joins_the_unit_it_hit() {
    let host = Host::furnished();
    let log = host.path().join("kmsg");
    mkfifo(&log, Mode::from_bits_truncate(0o600)).unwrap();
    // Open for reading too, so that the daemon may come and go.
    let mut log = std::fs::File::options()
        .read(true)
        .write(true)
        .open(log)
        .unwrap();
    let systemd = Systemd::start(&host).await;
    let _running = host.serve().await;
    let client = host.client().await;
    assert!(
        client
            .view("event")
            .await
            .source
            .contains(&"kernel log".to_owned())
    );

    log.write_all(b"6,1,1,-;oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/system.slice/web.service,task=hog,pid=9,uid=0\n").unwrap();
    client
        .until("event", "the kill is seen", |view| {
            view.health == "critical"
        })
        .await;
    systemd.set_state("web.service", "failed", "failed").await;
    let event = client
        .until("event", "the failure is seen", |view| {
            view.number("UnitEvents") == Some(1)
        })
        .await;
    assert_eq!(
        texts(&event),
        [[
            "kernel: out of memory: killed hog",
            "unit: web.service failed"
        ]]
    );
}

#[tokio::test]
async fn sources_that_are_missing_are_named() {
    let host = Host::furnished();
    let _running = host.serve().await;
    let client = host.client().await;
    let event = client.view("event").await;
    let missing = event.texts("MissingSources");
    for words in [
        "org.freedesktop.systemd1 is not on the bus",
        "org.quantumos.Security1 is not on the bus",
        "kernel log:",
    ] {
        assert!(
            missing.iter().any(|line| line.starts_with(words)),
            "{words}: {missing:?}"
        );
    }
}
