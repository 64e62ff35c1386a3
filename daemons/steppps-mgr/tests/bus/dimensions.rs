//! The objects: all seven, as the contract says, with signals for what changed and no more.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use quantumos_dbus::{DIMENSIONS, bus_name, path};
use quantumos_harness::contract;

use crate::host::Host;

#[tokio::test]
async fn seven_objects_hold_the_contract() {
    let host = Host::furnished();
    let _running = host.serve().await;
    let client = host.client().await;
    let root = ["org.quantumos.Service1", "org.quantumos.Steppps1"];
    let differences = |path: String, expected: &'static [&str]| {
        let connection = client.connection.clone();
        async move {
            contract::differences(&connection, bus_name::STEPPPS, &path, expected)
                .await
                .unwrap()
        }
    };
    let lines = contract::differences(&client.connection, bus_name::STEPPPS, path::STEPPPS, &root)
        .await
        .unwrap();
    assert_eq!(lines, Vec::<String>::new());
    for name in DIMENSIONS {
        let lines = differences(
            format!("{}/{name}", path::STEPPPS),
            &["org.quantumos.Dimension1"],
        )
        .await;
        assert_eq!(lines, Vec::<String>::new());
        assert_eq!(client.dimension(name).await.name().await.unwrap(), name);
    }
    assert_eq!(client.root().await.dimensions().await.unwrap(), DIMENSIONS);
    let snapshot = client.snapshot().await;
    assert_eq!(
        snapshot.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        DIMENSIONS.into()
    );
    for (name, state) in snapshot {
        for key in ["Available", "Health", "Reason"] {
            assert!(state.contains_key(key), "{name} has no {key}");
        }
    }
}

#[tokio::test]
async fn a_dimension_without_a_source_says_so() {
    let host = Host::empty();
    let _running = host.serve().await;
    let client = host.client().await;
    for (name, words) in [
        ("space", "neither /proc nor /sys describes hardware here"),
        ("time", "no pressure, load, clock source or systemd"),
        ("psychology", "neither units nor processes can be listed"),
        ("pixel", "no DRM connector, no backlight and no logind"),
        ("script", "org.freedesktop.systemd1 is not on the bus"),
    ] {
        let view = client.view(name).await;
        assert!(!view.available, "{name}");
        assert!(view.reason.contains(words), "{name}: {}", view.reason);
        assert_eq!(view.health, "unknown", "{name}");
        assert!(
            view.state.is_empty() && view.source.is_empty(),
            "{name}: {view:?}"
        );
    }
    // The daemon itself is on the bus, so there is a vocabulary, if a small one.
    let prompt = client
        .until("prompt", "own calls are found", |view| view.available)
        .await;
    assert_eq!(prompt.texts("Services"), [bus_name::STEPPPS]);
    assert_eq!(prompt.health, "attention");
}

#[tokio::test]
async fn state_is_what_the_host_says() {
    let host = Host::furnished();
    let _running = host.serve().await;
    let client = host.client().await;

    let space = client.view("space").await;
    assert_eq!(space.health, "ok", "{}", space.reason);
    assert_eq!(space.text("CpuModel").unwrap(), "Test Processor");
    assert_eq!(space.number("CpusOnline"), Some(2));
    assert_eq!(space.number("CpusPossible"), Some(4));
    assert_eq!(space.number("MemoryTotal"), Some(1_024_000_000));
    assert_eq!(space.column("Disks", "Name"), ["vda"]);
    assert_eq!(space.column("Sensors", "Name"), ["chip temp1"]);
    assert_eq!(space.column("Interfaces", "State"), ["up"]);
    assert_eq!(space.column("NumaNodes", "Name"), ["node0"]);

    let time = client.view("time").await;
    assert_eq!(time.text("ClockSource").unwrap(), "tsc");
    assert_eq!(
        time.text("RunQueueReason").unwrap(),
        "org.quantumos.Resource1 is not on the bus"
    );
    assert_eq!(f64::try_from(&*time.state["CpuSomeAvg10"]).unwrap(), 1.0);
    assert!(time.number("BootedAt").is_some());

    let pixel = client.view("pixel").await;
    assert_eq!(pixel.number("DisplaysConnected"), Some(1));
    assert_eq!(pixel.column("Connectors", "PreferredMode"), ["1920x1080"]);

    let psychology = client.view("psychology").await;
    assert_eq!(psychology.text("Phase").unwrap(), "learning");
    assert_eq!(psychology.number("Observations"), Some(1));
}

#[tokio::test]
async fn signals_hold_what_changed_and_no_more() {
    let host = Host::furnished();
    let mut running = host.serve().await;
    let client = host.client().await;
    let root = client.root().await;
    let space = client.dimension("space").await;
    let mut changed = root.receive_changed().await.unwrap();
    let properties = zbus::fdo::PropertiesProxy::builder(&client.connection)
        .destination(bus_name::STEPPPS)
        .path(format!("{}/space", path::STEPPPS))
        .build()
        .await
        .unwrap();
    let mut property_changes = properties.receive_properties_changed().await.unwrap();
    let before = space.updated_at().await.unwrap();

    // Within the deadband: nobody is told. Then further, and a new disk.
    let meminfo = |available| {
        format!(
            "MemTotal: 1000000 kB\nMemAvailable: {available} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
        )
    };
    host.write("proc/meminfo", &meminfo(790_000));
    running.reload().await;
    assert_eq!(space.updated_at().await.unwrap(), before);
    host.write("proc/meminfo", &meminfo(300_000));
    running.reload().await;
    host.write("sys/block/vdb/size", "4096\n");
    running.reload().await;
    host.write("proc/meminfo", &meminfo(90_000));
    running.reload().await;

    for (keys, names) in [
        (vec!["MemoryAvailable"], vec!["State", "UpdatedAt"]),
        (vec!["Disks"], vec!["State", "UpdatedAt"]),
        (
            vec!["Health", "MemoryAvailable", "Reason"],
            vec!["Health", "Reason", "State", "UpdatedAt"],
        ),
    ] {
        let signal = loop {
            let signal = changed.next().await.unwrap();
            if *signal.args().unwrap().dimension() == "space" {
                break signal;
            }
        };
        let args = signal.args().unwrap();
        assert_eq!(
            args.changed()
                .keys()
                .map(String::as_str)
                .collect::<BTreeSet<_>>(),
            keys.into_iter().collect()
        );
        let signal = property_changes.next().await.unwrap();
        let args = signal.args().unwrap();
        assert_eq!(
            args.changed_properties()
                .keys()
                .copied()
                .collect::<BTreeSet<_>>(),
            names.into_iter().collect()
        );
    }
    assert_eq!(space.health().await.unwrap(), "attention");

    let history = space.history(0).await.unwrap();
    assert_eq!(history.len(), 4, "the first look and three changes");
    assert!(
        history.windows(2).all(|pair| pair[0].0 >= pair[1].0),
        "newest first"
    );
    assert_eq!(history[1].1.keys().collect::<Vec<_>>(), ["Disks"]);
    assert_eq!(space.history(2).await.unwrap().len(), 2);
    assert_eq!(space.history(u32::MAX).await.unwrap().len(), 4);
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_parsed_is_named_and_the_rest_stands() {
    let host = Host::furnished();
    host.write("proc/meminfo", "MemTotal: lots\n");
    host.write("proc/pressure/io", "none\n");
    let _running = host.serve().await;
    let client = host.client().await;
    let space = client.view("space").await;
    assert!(
        space.available && space.reason.contains("meminfo: line 1"),
        "{}",
        space.reason
    );
    assert_eq!(space.column("Disks", "Name"), ["vda"]);
    assert_eq!(space.health, "unknown");
    let time = client.view("time").await;
    assert!(
        time.available && time.reason.contains("pressure: line 1"),
        "{}",
        time.reason
    );
    assert!(time.state.contains_key("CpuSomeAvg10"));
}

#[tokio::test]
async fn wrong_calls_are_refused_and_harm_nothing() {
    let host = Host::furnished();
    let _running = host.serve().await;
    let client = host.client().await;
    let object = format!("{}/space", path::STEPPPS);
    let name = Some(bus_name::STEPPPS);
    let interface = Some("org.quantumos.Dimension1");
    let properties = Some("org.freedesktop.DBus.Properties");
    let set = (
        "org.quantumos.Dimension1",
        "Health",
        zbus::Variant::from("ok"),
    );
    let connection = &client.connection;
    for (call, want) in [
        (
            connection
                .call_method(name, object.as_str(), interface, "History", &("many",))
                .await,
            "InvalidArgs",
        ),
        (
            connection
                .call_method(name, object.as_str(), interface, "Forget", &())
                .await,
            "UnknownMethod",
        ),
        (
            connection
                .call_method(name, object.as_str(), properties, "Set", &set)
                .await,
            "UnknownProperty",
        ),
    ] {
        let error = format!("{:?}", call.unwrap_err());
        assert!(error.contains(want), "{want}: {error}");
    }
    assert_eq!(client.snapshot().await.len(), 7);
}
