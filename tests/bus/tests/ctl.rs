//! quantumctl against the daemons themselves, each served on a private bus.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

use std::process::Stdio;

use quantumd::Quantumd;
use quantumos_dbus::DIMENSIONS;
use quantumos_harness::{PrivateBus, Swtpm};
use serde_json::Value as Json;
use steppps_mgr::StepppsMgr;
use tokio::process::Command;

/// Runs quantumctl to its end: exit code and the document it printed.
async fn ctl(bus: &PrivateBus, arguments: &[&str]) -> (i32, Json) {
    let output = Command::new(env!("CARGO_BIN_EXE_quantumctl-under-test"))
        .arg("--json")
        .args(arguments)
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let json = match text.as_str() {
        "" => serde_json::from_str(&errors),
        text => serde_json::from_str(text),
    };
    let json = json.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}{errors}"));
    (output.status.code().unwrap_or(-1), json)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dimensions_of_this_host() {
    let bus = PrivateBus::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let settings = steppps_mgr::Settings::default();
    let _running = bus
        .serve::<StepppsMgr>(root.path(), settings)
        .await
        .unwrap();
    let (code, status) = ctl(&bus, &["status"]).await;
    assert_eq!(code, 3, "the other three are not there");
    let service = &status["services"][1];
    assert_eq!(
        (&service["name"], &service["running"]),
        (&"steppps-mgr".into(), &true.into())
    );
    let (code, overview) = ctl(&bus, &["steppps"]).await;
    assert_eq!(code, 0);
    let names: Vec<&str> = overview["dimensions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|dimension| dimension["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, DIMENSIONS);
    for name in DIMENSIONS {
        let (code, dimension) = ctl(&bus, &["steppps", name]).await;
        assert_eq!((code, &dimension["name"]), (0, &name.into()));
        let told = dimension["available"] == true || dimension["reason"] != "";
        assert!(told, "{dimension}");
    }
    let (_, space) = ctl(&bus, &["steppps", "space"]).await;
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert!(
        space["state"]["CpusOnline"].as_u64().unwrap() >= cpus as u64,
        "{space}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_tpm_seals_sign_and_verify() {
    let bus = PrivateBus::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let tpm = Swtpm::start().unwrap();
    let mut settings = quantumd::Settings::default();
    settings.tpm.tcti = tpm.tcti();
    let _running = bus.serve::<Quantumd>(root.path(), settings).await.unwrap();
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let (message, other) = (path("message"), path("other"));
    std::fs::write(&message, "message").unwrap();
    std::fs::write(&other, "massage").unwrap();
    let (signature, public) = (path("signature"), path("public"));

    let (code, key) = ctl(&bus, &["keys", "create", "release"]).await;
    assert_eq!((code, &key["protection"]), (0, &"tpm".into()), "{key}");
    let sign = ["keys", "sign", "release", &message, "--output", &signature];
    assert_eq!(ctl(&bus, &sign).await.0, 0);
    let export = [
        "keys", "public", "release", "--output", &public, "--format", "hex",
    ];
    assert_eq!(ctl(&bus, &export).await.0, 0);
    for who in [&["release"][..], &["--public-key", &public]] {
        for (file, code) in [(&message, 0), (&other, 7)] {
            let verify = [&["keys", "verify", "--signature", &signature], who, &[file]].concat();
            let (got, answer) = ctl(&bus, &verify).await;
            assert_eq!(
                (got, &answer["valid"]),
                (code, &(code == 0).into()),
                "{verify:?}"
            );
        }
    }
    // More than travels in a call goes as a descriptor.
    let mut large = vec![7_u8; 3 << 20];
    std::fs::write(&message, &large).unwrap();
    assert_eq!(ctl(&bus, &sign).await.0, 0);
    large[1 << 20] ^= 1;
    std::fs::write(&other, &large).unwrap();
    for who in [&["release"][..], &["--public-key", &public]] {
        for (file, code) in [(&message, 0), (&other, 7)] {
            let verify = [&["keys", "verify", "--signature", &signature], who, &[file]].concat();
            assert_eq!(ctl(&bus, &verify).await.0, code, "{verify:?}");
        }
    }

    let (code, key) = ctl(&bus, &["keys", "revoke", "release", "--reason", "lost"]).await;
    assert_eq!((code, &key["state"]), (0, &"revoked".into()));
    let (code, error) = ctl(&bus, &sign).await;
    let name = &error["error"]["name"];
    assert_eq!(
        (code, name),
        (1, &"org.quantumos.Error.KeyRevoked".into()),
        "{error}"
    );
    let (code, error) = ctl(&bus, &["keys", "create", "x", "--algorithm", "RSA"]).await;
    assert_eq!(code, 6, "{error}");
}
