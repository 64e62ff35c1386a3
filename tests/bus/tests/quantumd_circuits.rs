//! Circuits as jobs of quantumd over a private bus: results, refusals, cancelling, who may. No systemd is
//! here, so a circuit is a child process with resource limits.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/ctl.rs"]
mod ctl;
#[path = "support/quantumd.rs"]
mod support;

use quantumd::Settings;
use quantumos_dbus::{Circuits1Proxy, Error, Job1Proxy};
use quantumos_harness::{FakePolkit, eventually};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use support::{House, NOBODY, is_root, none, without_tpm};
use zbus::{Connection, Fd, OwnedObjectPath, Variant};

const BELL: &str = "OPENQASM 2.0; include \"qelib1.inc\"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;";
/// No method ends soon: each shot goes round and round until chance lets it out.
const LONG: &str = "OPENQASM 3.0; include \"stdgates.inc\"; qubit[20] q; bit d;\n\
    for int i in [0:2000] { for int j in [0:18] { rx(0.1) q[j]; cx q[j], q[j+1]; } d = measure q[0]; }";

fn settings() -> Settings {
    let mut settings = without_tpm(true);
    settings.circuits.socket = "/nonexistent/circuits.sock".into();
    settings.circuits.runner = env!("CARGO_BIN_EXE_quantum-circuit-under-test").into();
    settings
}

fn options<const N: usize>(
    list: [(&'static str, Variant<'static>); N],
) -> HashMap<&'static str, Variant<'static>> {
    HashMap::from(list)
}

async fn job(client: &Connection, path: &OwnedObjectPath) -> Job1Proxy<'static> {
    let job = Job1Proxy::builder(client).path(path.clone());
    job.build().await.unwrap()
}

async fn end(client: &Connection, path: OwnedObjectPath) -> Result<(Vec<u8>, String), Error> {
    let job = job(client, &path).await;
    job.wait().await?;
    let (result, kind) = job.result().await?;
    let mut bytes = Vec::new();
    File::from(std::os::fd::OwnedFd::from(result))
        .read_to_end(&mut bytes)
        .unwrap();
    Ok((bytes, kind))
}

async fn document(client: &Connection, path: OwnedObjectPath) -> serde_json::Value {
    let (bytes, kind) = end(client, path).await.unwrap();
    assert_eq!(kind, "application/json");
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn circuits_run_as_jobs_in_processes_of_their_own() {
    let house = House::build().await;
    let _running = house.serve(settings()).await;
    let client = &house.client;
    let circuits = Circuits1Proxy::new(client).await.unwrap();
    assert_eq!(circuits.isolation().await.unwrap(), "process");

    let asked = || {
        options([
            ("shots", 500u64.into()),
            ("seed", 9u64.into()),
            ("observables", vec!["ZZ"].into()),
        ])
    };
    let first = circuits.submit(BELL, asked()).await.unwrap();
    assert_eq!(job(client, &first).await.kind().await.unwrap(), "circuit");
    let first = document(client, first).await;
    let count = |key: &str| first["counts"][key].as_u64().unwrap();
    assert_eq!(count("00") + count("11"), 500);
    assert!((first["expectations"][0].as_f64().unwrap() - 1.0).abs() < 1e-12);

    // From a pipe, the same seed gives the same.
    let (from, mut to) = std::io::pipe().unwrap();
    to.write_all(BELL.as_bytes()).unwrap();
    drop(to);
    let again = circuits
        .submit_file(Fd::from(from.as_fd()), asked())
        .await
        .unwrap();
    assert_eq!(document(client, again).await["counts"], first["counts"]);

    let all = circuits
        .submit(BELL, options([("statevector", true.into())]))
        .await;
    let (bytes, kind) = end(client, all.unwrap()).await.unwrap();
    assert_eq!(
        (bytes.len(), kind.as_str()),
        (64, "application/octet-stream")
    );
    let number = |i: usize| f64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap());
    for (i, wanted) in [(0, 0.5f64.sqrt()), (1, 0.0), (2, 0.0), (6, 0.5f64.sqrt())] {
        assert!((number(i) - wanted).abs() < 1e-12);
    }

    let stim = options([("format", "stim".into()), ("shots", 3000u64.into())]);
    let sampled = circuits
        .submit("X_ERROR(0.5) 0\nM 0\nDETECTOR rec[-1]", stim)
        .await
        .unwrap();
    let sampled = document(client, sampled).await;
    assert_eq!(sampled["detected"], sampled["ones"][0]);
    assert!((1300..1700).contains(&sampled["detected"].as_u64().unwrap()));

    let timed = document(client, circuits.benchmark(5, none()).await.unwrap()).await;
    let timed = timed["results"].as_array().unwrap();
    assert!(timed.len() >= 8 && timed.iter().all(|t| t["milliseconds"].as_f64() > Some(0.0)));

    // quantumctl has the service run it, and prints what its own run prints.
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(BELL.as_bytes()).unwrap();
    let file = file.path().to_str().unwrap();
    let arguments = [
        "circuit",
        "run",
        file,
        "--service",
        "--shots",
        "500",
        "--seed",
        "9",
    ];
    let (code, printed) = ctl::ctl(&house.bus, &arguments).await;
    assert_eq!(
        (code, &printed["counts"]),
        (0, &first["counts"]),
        "{printed}"
    );
    let (code, printed) = ctl::ctl(
        &house.bus,
        &["circuit", "run", file, "--service", "--statevector"],
    )
    .await;
    assert_eq!(
        (code, printed["statevector"].as_array().map(Vec::len)),
        (0, Some(4))
    );
    let (code, printed) = ctl::ctl(
        &house.bus,
        &["circuit", "run", file, "--service", "--detach"],
    )
    .await;
    let detached = printed["job"].as_str().unwrap();
    assert_eq!(code, 0);
    let detached = OwnedObjectPath::try_from(detached).unwrap();
    assert_eq!(document(client, detached).await["shots"], 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_are_swept_and_derived_by() {
    const TURN: &str = "OPENQASM 3.0; include \"stdgates.inc\"; input float t; qubit q; ry(t) q;";
    let house = House::build().await;
    let _running = house.serve(settings()).await;
    let client = &house.client;
    let circuits = Circuits1Proxy::new(client).await.unwrap();
    let values = [0.0f64, 0.3, 2.0];
    let swept = options([
        ("sweep", HashMap::from([("t", values.to_vec())]).into()),
        ("gradient", true.into()),
        ("shots", 200u64.into()),
        ("seed", 5u64.into()),
        ("observables", vec!["Z"].into()),
    ]);
    let path = circuits.submit(TURN, swept).await.unwrap();
    let swept = document(client, path).await;
    assert_eq!(swept["points"].as_array().map(Vec::len), Some(3));
    for (point, t) in swept["points"].as_array().unwrap().iter().zip(values) {
        let number = |value: &serde_json::Value| value.as_f64().unwrap();
        assert!((number(&point["expectations"][0]) - t.cos()).abs() < 1e-12);
        assert!((number(&point["gradients"][0]["t"]) + t.sin()).abs() < 1e-12);
        let single = options([
            ("inputs", HashMap::from([("t", t)]).into()),
            ("shots", 200u64.into()),
            ("seed", 5u64.into()),
        ]);
        let path = circuits.submit(TURN, single).await.unwrap();
        assert_eq!(document(client, path).await["counts"], point["counts"]);
    }

    // quantumctl asks for the same, and prints the same.
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(TURN.as_bytes()).unwrap();
    let file = file.path().to_str().unwrap();
    let arguments = [
        "circuit",
        "run",
        file,
        "--sweep=t=0:2:3",
        "--gradient",
        "--observable=Z",
    ];
    let (code, here) = ctl::ctl(&house.bus, &arguments).await;
    let (also, there) = ctl::ctl(&house.bus, &[&arguments[..], &["--service"]].concat()).await;
    assert_eq!((code, also), (0, 0), "{here} {there}");
    assert_eq!(here["points"], there["points"]);

    let measured = format!("{TURN} bit m = measure q;");
    for (text, name, value, words) in [
        (
            TURN,
            "sweep",
            HashMap::from([("u", vec![1.0])]).into(),
            "no input u",
        ),
        (
            TURN,
            "sweep",
            HashMap::from([("t", vec![0.0; 10_001])]).into(),
            "points of the sweep",
        ),
        (
            TURN,
            "inputs",
            HashMap::from([("t", 0.1)]).into(),
            "which observable",
        ),
        (
            &measured,
            "observables",
            vec!["Z"].into(),
            "through a measurement",
        ),
    ] {
        let mut asked = options([("gradient", true.into()), (name, value)]);
        if name == "observables" {
            asked.insert("inputs", HashMap::from([("t", 0.1)]).into());
        }
        let path = circuits.submit(text, asked).await.unwrap();
        let error = end(client, path).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_is_refused_with_the_reason() {
    let house = House::build().await;
    let mut settings = settings();
    settings.circuits.memory_max = 256 << 20;
    let _running = house.serve(settings).await;
    let client = &house.client;
    let circuits = Circuits1Proxy::new(client).await.unwrap();
    let mut large = String::from("OPENQASM 3.0; include \"stdgates.inc\"; qubit[150] q;\n");
    for layer in 0..20 {
        for qubit in 0..150 {
            large += &format!(
                "u({}, 0.3, 0.7) q[{qubit}];",
                f64::from(layer + qubit + 1) / 7.0
            );
        }
        for qubit in (0..149).filter(|q| q % 2 == layer % 2) {
            large += &format!("cx q[{qubit}], q[{}];\n", (qubit + 1 + 37 * layer) % 150);
        }
    }
    type Kind = fn(&Error) -> bool;
    let cases: [(&str, HashMap<&str, Variant<'_>>, Kind, &str); 5] = [
        (
            "OPENQASM 3.0;\nqubit q; hop q;",
            none(),
            |e| matches!(e, Error::InvalidArgument(_)),
            "line 2",
        ),
        (
            &large,
            none(),
            |e| matches!(e, Error::LimitExceeded(_)),
            "What could be done",
        ),
        (
            &large,
            options([("method", "stabilizer".into())]),
            |e| matches!(e, Error::LimitExceeded(_) | Error::NotSupported(_)),
            "Clifford",
        ),
        (
            BELL,
            options([("shots", u64::MAX.into())]),
            |e| matches!(e, Error::LimitExceeded(_)),
            "shots",
        ),
        (
            "REPEAT 2 {",
            options([("format", "stim".into())]),
            |e| matches!(e, Error::InvalidArgument(_)),
            "line 1",
        ),
    ];
    for (text, options, kind, words) in cases {
        let path = circuits.submit(text, options).await.unwrap();
        let error = end(client, path).await.unwrap_err();
        assert!(
            kind(&error) && error.to_string().contains(words),
            "{words}: {error}"
        );
    }
    let odd = circuits
        .submit(BELL, options([("speed", "fast".into())]))
        .await;
    assert!(matches!(odd, Err(Error::InvalidArgument(text)) if text.contains("option speed")));
    let path = circuits.benchmark(1, none()).await.unwrap();
    let error = end(client, path).await.unwrap_err().to_string();
    assert!(error.contains("from 2 to 10000"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_and_ends_with_who_started_it() {
    let house = House::build().await;
    let _running = house.serve(settings()).await;
    let circuits = Circuits1Proxy::new(&house.client).await.unwrap();
    let path = circuits.submit(LONG, none()).await.unwrap();
    let running = job(&house.client, &path).await;
    eventually("it runs and says how far it is", async || {
        (running.progress().await.unwrap() > 0.0).then_some(())
    })
    .await;
    running.cancel().await.unwrap();
    assert_eq!(running.wait().await.unwrap(), "cancelled");

    let other = house.bus.connect().await.unwrap();
    let theirs = Circuits1Proxy::new(&other).await.unwrap();
    let path = theirs.submit(LONG, none()).await.unwrap();
    drop((theirs, other));
    let left = job(&house.client, &path).await;
    eventually("it is gone", async || {
        left.wait().await.is_err().then_some(())
    })
    .await;

    // A time that is over ends it, too.
    let mut hasty = settings();
    hasty.circuits.run_seconds = 1;
    let house = House::build().await;
    let _running = house.serve(hasty).await;
    let circuits = Circuits1Proxy::new(&house.client).await.unwrap();
    let path = circuits.submit(LONG, none()).await.unwrap();
    let error = end(&house.client, path).await.unwrap_err();
    assert!(
        matches!(&error, Error::LimitExceeded(text) if text.contains("longer")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn polkit_decides_who_may() {
    if !is_root() {
        return;
    }
    let house = House::build().await;
    let _running = house.serve(settings()).await;
    let polkit = FakePolkit::start(&house.bus).await.unwrap();
    let client = house.bus.connect_as(NOBODY).await.unwrap();
    let circuits = Circuits1Proxy::new(&client).await.unwrap();
    assert!(matches!(
        circuits.submit(BELL, none()).await,
        Err(Error::NotAuthorized(_))
    ));
    assert!(circuits.benchmark(4, none()).await.is_err());
    polkit.allow("org.quantumos.circuits.run");
    let path = circuits.submit(BELL, none()).await.unwrap();
    let done = document(&client, path).await;
    assert_eq!(done["shots"], 1024);
    let asked = polkit.asked();
    assert!(
        asked
            .iter()
            .all(|q| q.action == "org.quantumos.circuits.run")
    );
    assert_eq!(asked.len(), 3);
}
