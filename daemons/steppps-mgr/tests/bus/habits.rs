//! Habits outlive the daemon, however it ends.

use std::process::{Child, Command, Stdio};

use quantumos_dbus::Service1Proxy;
use quantumos_harness::{SmallDisk, eventually};

use crate::host::{Client, Host};

struct Process(Child);

impl Process {
    fn start(host: &Host) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_steppps-mgr"));
        command
            .args(["--bus", host.bus.address()])
            .arg("--config-root")
            .arg(host.path())
            .arg("--state-directory")
            .arg(host.path().join("state"))
            .arg("--runtime-directory")
            .arg(host.path().join("runtime"))
            .stdin(Stdio::null());
        quantumos_harness::bus::die_with_parent(&mut command);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Process {
    /// SIGKILL, as a crash would be.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn observations(client: &Client, at_least: u64) -> u64 {
    let connection = client.connection.clone();
    eventually("the daemon is there", async || {
        let bus = zbus::fdo::DBusProxy::new(&connection).await.unwrap();
        let name = zbus::names::BusName::try_from(quantumos_dbus::bus_name::STEPPPS).unwrap();
        bus.name_has_owner(name).await.unwrap().then_some(())
    })
    .await;
    let view = client
        .until("psychology", "enough samples", |view| {
            view.number("Observations").is_some_and(|n| n >= at_least)
        })
        .await;
    view.number("Observations").unwrap()
}

#[tokio::test]
async fn a_kill_loses_no_sample() {
    let host = Host::furnished();
    host.configure("sample-seconds = 1");
    std::fs::create_dir_all(host.path().join("state")).unwrap();
    let client = host.client().await;
    let mut before = 0;
    for _ in 0..3 {
        let process = Process::start(&host);
        before = observations(&client, before + 2).await;
        drop(process);
        eventually("the name is free again", async || {
            let bus = zbus::fdo::DBusProxy::new(&client.connection).await.unwrap();
            let name = zbus::names::BusName::try_from(quantumos_dbus::bus_name::STEPPPS).unwrap();
            (!bus.name_has_owner(name).await.unwrap()).then_some(())
        })
        .await;
    }
    assert!(before >= 6);
}

#[tokio::test]
async fn damaged_habits_are_a_problem_and_not_the_end() {
    let host = Host::furnished();
    host.write("state/habits.json", "{\"observations\": \"many\"}");
    host.write("state/present.json", "[[[[");
    let _running = host.serve().await;
    let client = host.client().await;
    let service = Service1Proxy::new(
        &client.connection,
        quantumos_dbus::bus_name::STEPPPS,
        quantumos_dbus::path::STEPPPS,
    )
    .await
    .unwrap();
    let problems = service.problems().await.unwrap();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("habits.json")),
        "{problems:?}"
    );
    assert_eq!(
        client.view("psychology").await.number("Observations"),
        Some(1)
    );
    assert!(host.path().join("state/habits.json.damaged").exists());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_a_problem_that_ends() {
    let host = Host::furnished();
    let mut running = host.serve().await;
    let client = host.client().await;
    // Nothing can be created in what is no directory.
    std::fs::remove_dir_all(host.path().join("state")).unwrap();
    host.write("state", "");
    running.reload().await;
    let problems = running.context().status.problems();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("present.json")),
        "{problems:?}"
    );
    assert!(client.view("psychology").await.available);
    std::fs::remove_file(host.path().join("state")).unwrap();
    std::fs::create_dir(host.path().join("state")).unwrap();
    running.reload().await;
    assert_eq!(running.context().status.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn habits_are_kept_again_when_the_disk_allows() {
    let host = Host::furnished();
    host.configure("sample-seconds = 1");
    let state = host.path().join("state");
    let Some(disk) = SmallDisk::mount(&state, 256).unwrap() else {
        return;
    };
    let running = host.serve().await;
    let client = host.client().await;
    observations(&client, 2).await;
    let problem = async |words: &str| {
        let service = Service1Proxy::builder(&client.connection)
            .destination(quantumos_dbus::bus_name::STEPPPS)
            .path(quantumos_dbus::path::STEPPPS)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
            .unwrap();
        eventually(words, async || {
            let problems = service.problems().await.unwrap();
            match words {
                "" => problems.is_empty().then_some(()),
                words => problems.iter().any(|one| one.contains(words)).then_some(()),
            }
        })
        .await;
    };
    let kept = || std::fs::read_to_string(state.join("present.json")).unwrap();
    let before = kept();
    disk.fill().unwrap();
    problem("present.json: No space left").await;
    let old: serde_json::Value = serde_json::from_str(&kept()).unwrap();
    assert!(old.is_object(), "the last one that was written: {before}");
    let seen = observations(&client, 0).await;
    observations(&client, seen + 1).await;
    disk.empty().unwrap();
    problem("").await;

    disk.set_read_only(true).unwrap();
    problem("present.json: Read-only file system").await;
    disk.set_read_only(false).unwrap();
    problem("").await;
    assert_ne!(kept(), before);
    running.stop().await;
}
