//! A long circuit whose process is killed, or whose submitter goes, goes on where it was: the same counts as
//! when it is left alone. In a file of its own, since it looks for children of this process.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/quantumd.rs"]
mod support;

use quantumd::Settings;
use quantumos_circuit::Watch;
use quantumos_circuit::task::{Answer, Task};
use quantumos_dbus::{Circuits1Proxy, Job1Proxy};
use quantumos_harness::eventually;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use support::{House, without_tpm};
use zbus::{OwnedObjectPath, Variant};

/// Every shot goes its own way, for some seconds altogether.
const SHOTS: u64 = 4000;

fn circuit() -> String {
    let mut text =
        String::from("OPENQASM 3.0; include \"stdgates.inc\"; qubit[13] q; bit[13] c; bit d;\n");
    text += "for int r in [0:5] { for int i in [0:11] { rx(0.4) q[i]; cx q[i], q[i + 1]; } d = measure q[r]; }\n";
    text + "c = measure q;"
}

fn settings() -> Settings {
    let mut settings = without_tpm(true);
    settings.circuits.socket = "/nonexistent/circuits.sock".into();
    settings.circuits.runner = env!("CARGO_BIN_EXE_quantum-circuit-under-test").into();
    settings.circuits.checkpoint_seconds = 1;
    settings
}

fn options() -> HashMap<&'static str, Variant<'static>> {
    HashMap::from([
        ("shots", Variant::from(SHOTS)),
        ("seed", 77u64.into()),
        ("method", "dense".into()),
        ("noise", vec!["depolarizing=0.01"].into()),
    ])
}

/// What the engine itself gives.
fn wanted() -> serde_json::Value {
    let task = Task {
        circuit: circuit(),
        method: quantumos_circuit::run::Choice::Dense,
        shots: Some(SHOTS),
        seed: 77,
        noise: vec!["depolarizing=0.01".into()],
        ..Task::default()
    };
    let Answer::Document(document) = task
        .ready(2, 1 << 30)
        .unwrap()
        .run(&Watch::default())
        .unwrap()
    else {
        panic!("no document");
    };
    document["counts"].clone()
}

/// The process of the circuit.
fn child() -> Option<i32> {
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc").unwrap().find_map(|entry| {
        let entry = entry.ok()?;
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        (name.starts_with("quantum-circuit") && rest.split(' ').nth(1)? == own).then_some(pid)
    })
}

/// The file of what is done, and its lines.
fn stored(state: &Path) -> Option<(PathBuf, usize)> {
    let mut all = vec![state.to_owned()];
    while let Some(place) = all.pop() {
        for entry in std::fs::read_dir(&place).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                all.push(path);
            } else if place.ends_with("circuits") {
                let lines = std::fs::read_to_string(&path)
                    .unwrap_or_default()
                    .lines()
                    .count();
                return Some((path, lines));
            }
        }
    }
    None
}

async fn counts(client: &zbus::Connection, path: OwnedObjectPath) -> serde_json::Value {
    let job = Job1Proxy::builder(client).path(path).build().await.unwrap();
    assert_eq!(job.wait().await.unwrap(), "done");
    let (result, _) = job.result().await.unwrap();
    let mut bytes = Vec::new();
    let mut file = File::from(std::os::fd::OwnedFd::from(result));
    file.read_to_end(&mut bytes).unwrap();
    serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["counts"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_killed_or_left_goes_on_later() {
    let wanted = wanted();
    let house = House::build().await;
    let running = house.serve(settings()).await;
    let root = house.root.path().to_owned();
    let circuits = Circuits1Proxy::new(&house.client).await.unwrap();

    // Killed: the same job goes on.
    let job = circuits.submit(&circuit(), options()).await.unwrap();
    let first = eventually("something is stored", async || {
        stored(&root)
            .filter(|(_, lines)| *lines > 1)
            .and_then(|_| child())
    })
    .await;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(first),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    eventually("another process runs, or it is through", async || {
        (child() != Some(first)).then_some(())
    })
    .await;
    assert_eq!(counts(&house.client, job).await, wanted);
    assert!(
        stored(&root).is_none(),
        "what is done is not kept any longer"
    );

    // Left by who submitted it, which cancels it; submitted again, also to another quantumd, it goes on.
    let other = house.bus.connect().await.unwrap();
    let theirs = Circuits1Proxy::new(&other).await.unwrap();
    theirs.submit(&circuit(), options()).await.unwrap();
    eventually("something is stored", async || {
        stored(&root).filter(|(_, lines)| *lines > 1)
    })
    .await;
    drop((theirs, other));
    eventually("the process ends", async || child().is_none().then_some(())).await;
    let (path, lines) = stored(&root).expect("the file stays");
    running.stop().await;

    let _running = house.serve(settings()).await;
    let circuits = Circuits1Proxy::new(&house.client).await.unwrap();
    let job = circuits.submit(&circuit(), options()).await.unwrap();
    eventually("it is taken up, or through", async || {
        let now = stored(&root).map(|(_, lines)| lines);
        (now.is_none() || now > Some(lines)).then_some(())
    })
    .await;
    assert_eq!(counts(&house.client, job).await, wanted);
    assert!(!path.exists());
}
