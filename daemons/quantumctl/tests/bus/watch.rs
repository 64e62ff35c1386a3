//! What goes on across restarts, and believes only the owner of a name.

use quantumos_harness::{PrivateBus, eventually};
use serde_json::Value as Json;
use tokio::io::{BufReader, Lines};
use zbus::{Connection, ObjectPath};

use crate::{ctl, services};

type Reader = Lines<BufReader<tokio::process::ChildStdout>>;

/// Raises alert `id` again and again until the watcher, which subscribes at its own pace, has
/// printed a line; gives that line.
async fn first_seen(lines: &mut Reader, connection: &Connection, id: &str, level: &str) -> Json {
    let connection = connection.clone();
    let (id, level) = (id.to_owned(), level.to_owned());
    let raising = tokio::spawn(async move {
        eventually::<(), _, _>("the alert is printed", || async {
            services::raise(&connection, &id, &level).await;
            None
        })
        .await;
    });
    let line = lines.next_line().await.unwrap().unwrap();
    raising.abort();
    serde_json::from_str(&line).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_watched_across_a_restart() {
    let bus = PrivateBus::start().unwrap();
    let first = services::open_security(&bus).await;
    let (_child, mut lines) = ctl::start(&bus, &["security", "watch", "--json"]);
    let alert = first_seen(&mut lines, &first, "1", "low").await;
    assert_eq!(alert["command_line"], services::HOSTILE);
    first.close().await.unwrap();
    let second = services::open_security(&bus).await;
    services::raise(&second, "2", "high").await;
    loop {
        let line = lines.next_line().await.unwrap().unwrap();
        let alert: Json = serde_json::from_str(&line).unwrap();
        match alert["id"].as_str().unwrap() {
            "1" => {} // raised more than once before it was seen
            id => {
                assert_eq!(id, "2");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_are_filtered_and_the_count_ends_it() {
    let bus = PrivateBus::start().unwrap();
    let security = services::open_security(&bus).await;
    let arguments = ["security", "watch", "--level", "high", "-n", "2"];
    let (mut child, mut lines) = ctl::start(&bus, &arguments);
    let raising = tokio::spawn(async move {
        eventually::<(), _, _>("the watcher ends", || async {
            services::raise(&security, "1", "low").await;
            services::raise(&security, "2", "critical").await;
            None
        })
        .await;
    });
    for _ in 0..2 {
        let line = lines.next_line().await.unwrap().unwrap();
        assert_eq!(
            line,
            "12:00:00  critical       Rule r1  sh[42] by root: \
             sh -c \\x1b]0;owned\\x07\\x1b[2Jx\\nfake"
        );
    }
    assert!(child.wait().await.unwrap().success());
    raising.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_of_others_are_not_believed() {
    let bus = PrivateBus::start().unwrap();
    let security = services::open_security(&bus).await;
    let (_child, mut lines) = ctl::start(&bus, &["security", "watch", "--json"]);
    first_seen(&mut lines, &security, "1", "low").await;

    let forger = bus.connect().await.unwrap();
    let names = zbus::fdo::DBusProxy::new(&forger).await.unwrap();
    for name in names.list_names().await.unwrap() {
        let path = ObjectPath::try_from("/org/quantumos/security/alerts/666").unwrap();
        let body = (path, services::details("666", "critical"));
        let interface = "org.quantumos.Security1";
        let object = "/org/quantumos/security";
        // To everybody, and to each connection by its own name, which no match rule keeps out.
        for destination in [None, Some(name.as_str())] {
            forger
                .emit_signal(destination, object, interface, "AlertRaised", &body)
                .await
                .unwrap();
        }
    }
    services::raise(&security, "2", "low").await;
    loop {
        let line = lines.next_line().await.unwrap().unwrap();
        let alert: Json = serde_json::from_str(&line).unwrap();
        assert_ne!(alert["id"], "666");
        if alert["id"] == "2" {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_alerts_does_not_stop_the_view() {
    let bus = PrivateBus::start().unwrap();
    let security = services::open_security(&bus).await;
    let (_child, mut lines) = ctl::start(&bus, &["status", "--watch", "--json"]);
    let first: Json = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(first["services"][2]["state"], "ready");
    for n in 0..2_000 {
        services::raise(&security, &n.to_string(), "low").await;
    }
    let resource = services::resource(&bus).await;
    loop {
        let line = lines.next_line().await.unwrap().unwrap();
        let status: Json = serde_json::from_str(&line).unwrap();
        if status["services"][3]["state"] == "ready" {
            break;
        }
    }
    drop(resource);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_followed_across_a_restart() {
    let bus = PrivateBus::start().unwrap();
    let mut resource = Some(services::resource(&bus).await);
    let (_child, mut lines) = ctl::start(&bus, &["status", "--watch", "--json"]);
    for expected in ["ready", "not running", "ready"] {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            let status: Json = serde_json::from_str(&line).unwrap();
            if status["services"][3]["state"] == expected {
                break;
            }
        }
        match resource.take() {
            Some(connection) => connection.close().await.unwrap(),
            None => resource = Some(services::resource(&bus).await),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_it_quietly() {
    let bus = PrivateBus::start().unwrap();
    let _security = services::open_security(&bus).await;
    let (mut child, lines) = ctl::start(&bus, &["status", "--watch", "--json"]);
    drop(lines);
    let resource = services::resource(&bus).await; // something to print
    assert!(child.wait().await.unwrap().success());
    drop(resource);
}
