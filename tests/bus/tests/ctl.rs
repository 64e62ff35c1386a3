//! quantumctl against the daemons themselves, each served on a private bus.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/ctl.rs"]
mod support;

use quantumd::Quantumd;
use quantumos_dbus::DIMENSIONS;
use quantumos_harness::{PrivateBus, Swtpm};
use steppps_mgr::StepppsMgr;
use support::ctl;
use tokio::process::Command;

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

    let (code, entropy) = ctl(&bus, &["entropy"]).await;
    let sources = entropy["sources"].as_array().unwrap();
    assert_eq!((code, sources.len()), (0, 3));
    for source in [&sources[0], &sources[2]] {
        assert_eq!(source["state"], "ok", "{entropy}");
    }
    let draw = ["entropy", "--bytes", "48"];
    let (one, two) = (ctl(&bus, &draw).await.1, ctl(&bus, &draw).await.1);
    assert_eq!(one["random"].as_str().unwrap().len(), 64);
    assert_ne!(one, two);
    assert_eq!(ctl(&bus, &["entropy", "--bytes", "5000"]).await.0, 2);

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

#[tokio::test(flavor = "multi_thread")]
async fn keys_encrypt_are_rotated_and_granted() {
    let bus = PrivateBus::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let mut settings = quantumd::Settings::default();
    settings.tpm.tcti = "device:/nonexistent/tpm".into();
    settings.protection.allow_software = true;
    let _running = bus.serve::<Quantumd>(root.path(), settings).await.unwrap();
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let done = async |arguments: &[&str]| {
        let (code, json) = ctl(&bus, arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {json}");
        json
    };
    let (plain, sealed, back) = (path("plain"), path("sealed"), path("back"));
    std::fs::write(&plain, vec![7; 200_000]).unwrap();
    done(&["keys", "create", "data", "--algorithm", "AES-256-GCM"]).await;
    let file = done(&["keys", "encrypt", "data", &plain, "-o", &sealed]).await;
    assert!(file["bytes"].as_u64().unwrap() > 200_000, "{file}");
    let key = done(&["keys", "rotate", "data"]).await;
    assert_eq!(
        (&key["version"], key["versions"].as_array().unwrap().len()),
        (&2.into(), 2)
    );
    assert_eq!(done(&["keys", "rewrap"]).await["kek_version"], 2);
    done(&["keys", "decrypt", "data", &sealed, "-o", &back]).await;
    assert_eq!(std::fs::read(&back).unwrap(), vec![7; 200_000]);
    let (code, error) = ctl(
        &bus,
        &["keys", "decrypt", "data", &plain, "-o", &path("no")],
    )
    .await;
    assert_eq!((code, &error["error"]["code"]), (2, &2.into()), "{error}");
    assert!(!std::fs::exists(path("no")).unwrap() && !std::fs::exists(path("no.new")).unwrap());

    done(&[
        "keys",
        "create",
        "mail",
        "--algorithm",
        "X25519+ML-KEM-1024",
    ])
    .await;
    let (one, two, carried) = (path("one"), path("two"), path("ciphertext"));
    let sent = done(&["keys", "encapsulate", "mail", "--secret", &one]).await;
    std::fs::write(&carried, sent["ciphertext"].as_str().unwrap()).unwrap();
    done(&["keys", "decapsulate", "mail", &carried, "--secret", &two]).await;
    assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&two).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let key = done(&["keys", "grant", "data", "--user", "daemon", "encrypt"]).await;
    assert_eq!(
        key["grants"],
        serde_json::json!([["user", "1", ["encrypt"]]])
    );
    let key = done(&["keys", "ungrant", "data", "--user", "1"]).await;
    assert_eq!(key["grants"], serde_json::json!([]));
    let (code, _) = ctl(
        &bus,
        &["keys", "grant", "data", "--user", "no such user", "sign"],
    )
    .await;
    assert_eq!(code, 2);
    let registry = done(&["crypto", "algorithms"]).await;
    assert_eq!(registry["algorithms"][0]["name"], "ML-DSA-87");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_move_from_one_host_to_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (one, two) = (PrivateBus::start().unwrap(), PrivateBus::start().unwrap());
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (tpm, other_tpm) = (Swtpm::start().unwrap(), Swtpm::start().unwrap());
    let settings = |tpm: &Swtpm| {
        let mut settings = quantumd::Settings::default();
        settings.tpm.tcti = tpm.tcti();
        settings
    };
    let _one = one
        .serve::<Quantumd>(root.path(), settings(&tpm))
        .await
        .unwrap();
    let _two = two
        .serve::<Quantumd>(other.path(), settings(&other_tpm))
        .await
        .unwrap();
    async fn done(bus: &PrivateBus, arguments: &[&str]) -> serde_json::Value {
        let (code, answer) = ctl(bus, arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {answer}");
        answer
    }
    let (to, signer, file) = (path("to"), path("signer"), path("backup"));
    let kem = "X25519+ML-KEM-1024";
    done(&two, &["keys", "create", "inbox", "--algorithm", kem]).await;
    done(&two, &["keys", "public", "inbox", "-o", &to]).await;
    done(&one, &["keys", "create", "backups"]).await;
    done(&one, &["keys", "public", "backups", "-o", &signer]).await;
    let key = done(&one, &["keys", "create", "mine"]).await;
    let backup = [
        "keys", "backup", "--to", &to, "--signer", "backups", "-o", &file, "mine",
    ];
    let made = done(&one, &backup).await;
    assert_eq!(made["keys"], 1);

    let told = done(&two, &["keys", "inspect", &file, "--signer", &signer]).await;
    assert_eq!(
        (&told["backup"], &told["signature_checked"]),
        (&made["backup"], &true.into())
    );
    let (code, error) = ctl(&two, &["keys", "inspect", &signer]).await;
    assert_eq!((code, &error["error"]["name"]), (7, &"malformed".into()));

    let restore = [
        "keys", "restore", &file, "--key", "inbox", "--signer", &signer, "--owner", "1",
    ];
    let restored = done(&two, &restore).await;
    assert_eq!(restored["restored"], serde_json::json!([key["id"]]));
    let here = done(&two, &["keys", "show", "mine"]).await;
    assert_eq!(
        (&here["owner"], &here["protection"]),
        (&1.into(), &"tpm".into())
    );
    let (code, error) = ctl(&two, &restore).await;
    let message = error["error"]["message"].as_str().unwrap();
    assert_eq!((code, message.contains("already")), (2, true), "{error}");
    // Signed there, verified here.
    let (message, signature) = (path("message"), path("signature"));
    std::fs::write(&message, "m").unwrap();
    done(&two, &["keys", "sign", "mine", &message, "-o", &signature]).await;
    let verify = [
        "keys",
        "verify",
        "mine",
        "--signature",
        &signature,
        &message,
    ];
    assert_eq!(done(&one, &verify).await["valid"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_the_pcrs_is_approved_without_a_bus() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (key, approvals) = (path("key.pem"), path("approvals.json"));
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-out", &key])
        .output()
        .await
        .unwrap();
    assert!(made.status.success());
    for pcr in ["7", "11"] {
        std::fs::write(path(pcr), "00".repeat(32) + "\n").unwrap();
    }
    let future = format!("11={}", "AB".repeat(32));
    let approve = async |more: &[&str]| {
        let fixed = ["--json", "keys", "approve", "--private-key", &key];
        Command::new(env!("CARGO_BIN_EXE_quantumctl-under-test"))
            .args(fixed)
            .args(["--values-from", directory.path().to_str().unwrap()])
            .args(more)
            .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
            .output()
            .await
            .unwrap()
    };
    for more in [
        &["-o", &approvals][..],
        &["-o", &approvals, "--value", &future],
    ] {
        let output = approve(more).await;
        assert!(output.status.success(), "{output:?}");
    }
    let text = std::fs::read(&approvals).unwrap();
    let read = quantumd::tpm::policy::approvals(&text).unwrap();
    assert_eq!(read.len(), 2);
    let values = |second| [(7, [0; 32]), (11, [second; 32])].into();
    for (approval, value) in read.iter().zip([0, 0xAB]) {
        let policy = quantumos_pqc::boot_policy::pcr_policy(&values(value)).unwrap();
        assert_eq!(
            (&approval.pcrs[..], approval.policy),
            (&[7, 11][..], policy)
        );
    }
    let output = approve(&["--pcr", "8"]).await;
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
}
