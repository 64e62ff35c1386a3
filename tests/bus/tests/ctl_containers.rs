//! Containers by quantumctl and a real quantumd, and what is left of them when nothing runs.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/ctl.rs"]
mod support;

use quantumd::Quantumd;
use quantumos_dbus::Containers1Proxy;
use quantumos_harness::{PrivateBus, Swtpm};
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;
use support::ctl;
use zbus::{Fd, OwnedObjectPath, Variant};

/// Sealed under a new waveform, signed by a key that the TPM seals, and read without any service.
#[tokio::test(flavor = "multi_thread")]
async fn containers_have_a_history_that_verifies_offline() {
    let bus = PrivateBus::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let tpm = Swtpm::start().unwrap();
    let mut settings = quantumd::Settings::default();
    settings.tpm.tcti = tpm.tcti();
    let running = bus.serve::<Quantumd>(root.path(), settings).await.unwrap();
    let (code, _) = ctl(&bus, &["keys", "create", "author"]).await;
    assert_eq!(code, 0);
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("data"), vec![7; 300_000]).unwrap();
    let (data, wave) = (path("data"), path("wave"));
    let (first, second) = (path("first"), path("second"));
    let create = [
        "container",
        "create",
        &data,
        "--key",
        "author",
        "--memory",
        "1",
    ];
    let new = [
        "--new-waveform",
        &wave,
        "--output",
        &first,
        "--author",
        "Ada",
    ];
    let (code, made) = ctl(&bus, &[&create[..], &new].concat()).await;
    assert_eq!((code, &made["signed"]), (0, &true.into()), "{made}");
    let child = ["--waveform", &wave, "--parent", &first, "--output", &second];
    let (code, child) = ctl(&bus, &[&create[..], &child].concat()).await;
    assert_eq!((code, &child["parent"]), (0, &made["id"]), "{child}");
    // A waveform like the manual's example is refused, unless insisted on.
    std::fs::write(path("weak"), "0.1 0.5 0.9 0.5 0.1").unwrap();
    let (weak, third) = (path("weak"), path("third"));
    let by_weak = ["--waveform", &weak, "--output", &third];
    let (code, error) = ctl(&bus, &[&create[..], &by_weak].concat()).await;
    assert_eq!((code, &error["error"]["name"]), (2, &"weak".into()));
    let (code, marked) = ctl(&bus, &[&create[..], &by_weak, &["--insist"]].concat()).await;
    assert_eq!((code, &marked["weak"]), (0, &true.into()));
    // The five numbers of a signature, made there and checked here.
    let (signature, public) = (path("signature"), path("public"));
    let sign = [
        "wave", "sign5d", &data, "--key", "author", "--output", &signature,
    ];
    let (code, five) = ctl(&bus, &sign).await;
    assert_eq!(code, 0, "{five}");
    let (code, _) = ctl(&bus, &["keys", "public", "author", "--output", &public]).await;
    assert_eq!(code, 0);
    registered(&bus, &first, &second, &wave).await;
    jobs(&bus, &second).await;
    running.stop().await;

    let open = ["container", "open", &second, "--waveform", &wave];
    let back = path("back");
    let (code, _) = ctl(&bus, &[&open[..], &["--output", &back]].concat()).await;
    assert_eq!(code, 0);
    assert_eq!(std::fs::read(&back).unwrap(), vec![7; 300_000]);
    let (code, verified) = ctl(&bus, &["container", "verify", &second, "--waveform", &wave]).await;
    assert_eq!((code, &verified["coherent"]), (0, &true.into()));
    let chain = serde_json::json!([child["id"], made["id"]]);
    assert_eq!(verified["chain"], chain);
    let (_, list) = ctl(&bus, &["container", "list", place.path().to_str().unwrap()]).await;
    assert_eq!(list["containers"].as_array().unwrap().len(), 3);
    let check = [
        "wave",
        "sign5d",
        &data,
        "--signature",
        &signature,
        "--public-key",
        &public,
    ];
    let (code, checked) = ctl(&bus, &check).await;
    assert_eq!((code, &checked["digest"]), (0, &five["digest"]));

    // Every kind of wrong has a name, and nothing comes out.
    let whole = std::fs::read(&second).unwrap();
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1;
    let mut forged = whole.clone();
    forged[12] ^= 1;
    let refused = path("refused");
    for (bytes, waveform, name) in [
        (&whole, &weak, "wrong-key"),
        (&altered, &wave, "cut-or-altered"),
        (&whole[..whole.len() - 1].to_vec(), &wave, "cut-or-altered"),
        (&whole[..100].to_vec(), &wave, "truncated"),
        (&forged, &wave, "bad-signature"),
        (&b"something else".to_vec(), &wave, "foreign"),
    ] {
        std::fs::write(&refused, bytes).unwrap();
        let open = ["container", "open", &refused, "--waveform", waveform];
        let (code, error) = ctl(&bus, &open).await;
        assert_eq!(
            (code, &error["error"]["name"]),
            (7, &name.into()),
            "{error}"
        );
        let (code, _) = ctl(&bus, &[&open[..], &["--output", &path("none")]].concat()).await;
        assert_eq!(code, 7);
        assert!(!std::fs::exists(path("none")).unwrap());
    }
    std::fs::write(&refused, &altered).unwrap();
    let (code, error) = ctl(&bus, &["container", "verify", &refused]).await;
    assert_eq!((code, &error["error"]["name"]), (7, &"damaged".into()));
    // Without the parent the history can't be shown.
    let lone = tempfile::tempdir().unwrap();
    std::fs::copy(&second, lone.path().join("second")).unwrap();
    let lone = lone.path().join("second");
    let (code, error) = ctl(&bus, &["container", "verify", lone.to_str().unwrap()]).await;
    assert_eq!((code, &error["error"]["name"]), (5, &"chain".into()));
}

/// The register of quantumd: what is in it verifies without the ancestors' files.
async fn registered(bus: &PrivateBus, first: &str, second: &str, wave: &str) {
    let (code, list) = ctl(bus, &["container", "registered"]).await;
    assert_eq!((code, &list["containers"]), (0, &serde_json::json!([])));
    let verify = ["container", "verify", "--registered", second];
    let (code, error) = ctl(bus, &verify).await;
    assert_eq!(code, 5, "the parent is not registered: {error}");
    let (code, ids) = ctl(bus, &["container", "register", first, second]).await;
    assert_eq!(code, 0, "{ids}");
    let (parent, id) = (&ids["registered"][0], &ids["registered"][1]);
    let (_, list) = ctl(bus, &["container", "registered"]).await;
    let found = list["containers"].as_array().unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|one| (&one["id"], &one["parent"]))
        .collect();
    assert_eq!(found, [(parent, &serde_json::Value::Null), (id, parent)]);
    let chain = serde_json::json!([id, parent]);
    let (code, history) = ctl(bus, &["container", "history", &id.as_str().unwrap()[..12]]).await;
    assert_eq!((code, &history["chain"]), (0, &chain));
    let (code, verified) = ctl(bus, &[&verify[..], &["--waveform", wave]].concat()).await;
    assert_eq!((code, &verified["chain"]), (0, &chain), "{verified}");
    assert_eq!(verified["coherent"], true);
    // A waveform of another container's, and what isn't a container.
    let (code, error) = ctl(bus, &[&verify[..], &["--waveform", "/dev/null"]].concat()).await;
    assert_eq!(code, 2, "{error}");
    let (code, _) = ctl(bus, &["container", "register", wave]).await;
    assert_ne!(code, 0);
    let (code, _) = ctl(bus, &["container", "forget", parent.as_str().unwrap()]).await;
    assert_eq!(code, 0);
    let (code, _) = ctl(bus, &["container", "history", id.as_str().unwrap()]).await;
    assert_eq!(code, 5, "its parent was forgotten");
    let (code, _) = ctl(bus, &["container", "forget", "nothing"]).await;
    assert_eq!(code, 5);
    let (code, _) = ctl(bus, &["container", "register", first]).await;
    assert_eq!(code, 0);
}

/// A job that was left behind is found, waited for, fetched, cancelled and removed from the command line.
async fn jobs(bus: &PrivateBus, container: &str) {
    let (code, none) = ctl(bus, &["job", "list"]).await;
    assert_eq!(code, 0, "{none}");
    let before = none["jobs"].as_array().unwrap().len();
    let client = bus.connect().await.unwrap();
    let containers = Containers1Proxy::new(&client).await.unwrap();
    let detached = || HashMap::from([("detach", Variant::from(true))]);
    let file = File::open(container).unwrap();
    let whole = containers.verify(Fd::from(file.as_fd()), detached());
    let whole = whole.await.unwrap();
    // One that reads a pipe to which nobody writes waits until it is cancelled.
    let (pipe, _open) = std::io::pipe().unwrap();
    let stuck = containers.verify(Fd::from(pipe.as_fd()), detached());
    let stuck = stuck.await.unwrap();
    client.close().await.unwrap();
    let id = |path: &OwnedObjectPath| path.as_str().rsplit('/').next().unwrap().to_owned();
    let (whole, stuck) = (id(&whole), id(&stuck));

    let (code, ended) = ctl(bus, &["job", "watch", &whole]).await;
    assert_eq!((code, &ended["state"]), (0, &"done".into()), "{ended}");
    assert_eq!(
        (&ended["kind"], &ended["progress"]),
        (&"verify-container".into(), &1.0.into())
    );
    let (code, result) = ctl(bus, &["job", "result", &whole[..16]]).await;
    assert_eq!((code, result["chain"].as_array().unwrap().len()), (0, 2));
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("result");
    let output = output.to_str().unwrap();
    let (code, written) = ctl(bus, &["job", "result", &whole, "--output", output]).await;
    assert_eq!(
        (code, &written["media_type"]),
        (0, &"application/json".into())
    );
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(output).unwrap()).unwrap();
    assert_eq!(written, result);

    let (code, busy) = ctl(bus, &["job", "result", &stuck]).await;
    assert_eq!(
        (code, &busy["error"]["name"]),
        (1, &"org.quantumos.Error.Busy".into())
    );
    let (code, _) = ctl(bus, &["job", "cancel", &stuck]).await;
    assert_eq!(code, 0);
    let mut watched = tokio::process::Command::new(env!("CARGO_BIN_EXE_quantumctl-under-test"));
    watched.args(["--json", "job", "watch", &stuck]);
    watched.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
    let watched = watched.output().await.unwrap();
    assert_eq!(
        watched.status.code(),
        Some(1),
        "a cancelled job is no success"
    );
    let shown: serde_json::Value = serde_json::from_slice(&watched.stdout).unwrap();
    assert_eq!(shown["state"], "cancelled");
    let (code, shown) = ctl(bus, &["job", "show", &stuck]).await;
    assert_eq!((code, &shown["state"]), (0, &"cancelled".into()));
    let (_, list) = ctl(bus, &["job", "list"]).await;
    assert_eq!(list["jobs"].as_array().unwrap().len(), before + 2);
    for id in [&whole, &stuck] {
        let (code, _) = ctl(bus, &["job", "remove", id]).await;
        assert_eq!(code, 0);
        let (code, _) = ctl(bus, &["job", "show", id]).await;
        assert_eq!(code, 5);
    }
}
