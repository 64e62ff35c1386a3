//! The ledger of what happened to keys: written by quantumd, read over the bus, and verified offline by
//! quantumctl from the files alone.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/quantumd.rs"]
mod support;

use std::io::{Read, Seek};
use std::path::Path;
use std::process::Stdio;

use quantumd::audit::Sink;
use quantumd::ledger::KeyLog;
use quantumos_dbus::{Error, Ledger1Proxy};
use quantumos_harness::{SmallDisk, Swtpm};
use quantumos_pqc::{RootKey, Secret};
use serde_json::Value as Json;
use support::{House, NOBODY, is_root, with_tpm};
use tokio::process::Command;

/// Runs `quantumctl ledger` where there is no bus: exit code and standard output,
/// or standard error when there is none.
async fn ctl(arguments: &[&str]) -> (i32, String) {
    ask("unix:path=/nonexistent", arguments).await
}

/// As [`ctl`], where a bus is.
async fn ask(bus: &str, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_quantumctl-under-test"))
        .arg("ledger")
        .args(arguments)
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    if text.is_empty() {
        text = String::from_utf8(output.stderr).unwrap();
    }
    (output.status.code().unwrap_or(-1), text)
}

fn document(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The directory of the ledger, wherever the harness put the daemon's state.
fn ledger_below(path: &Path) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(path).ok()?;
    entries.filter_map(Result::ok).find_map(|entry| {
        let path = entry.path();
        let found =
            path.file_name().is_some_and(|name| name == "ledger") && path.join("log").exists();
        match found {
            true => Some(path),
            false if path.is_dir() => ledger_below(&path),
            false => None,
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_of_keys_is_proved_to_somebody_else() {
    let (house, tpm) = (House::build().await, Swtpm::start().unwrap());
    let running = house.serve(with_tpm(&tpm)).await;
    let ledger = Ledger1Proxy::new(&house.client).await.unwrap();
    let (one, two) = (house.create("one").await, house.create("two").await);
    one.rotate().await.unwrap();
    two.grant("unit", "backup.service", &["sign"])
        .await
        .unwrap();
    two.ungrant("unit", "backup.service").await.unwrap();
    one.revoke("lost").await.unwrap();
    assert_eq!(ledger.size().await.unwrap(), 6);
    assert_eq!(ledger.signed_size().await.unwrap(), 6);
    assert_eq!(ledger.verify().await.unwrap(), []);
    let seal = ledger.seal().await.unwrap();
    let origin = ledger.origin().await.unwrap();
    let keys = ledger.verifier_keys().await.unwrap();
    assert_eq!(keys.len(), 2);

    let fd = ledger.entries(0, 7).await.unwrap();
    let mut file = std::fs::File::from(std::os::fd::OwnedFd::from(fd));
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    let mut types = Vec::new();
    let mut rest = &bytes[..];
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let (entry, tail) = tail.split_at(usize::from(u16::from_be_bytes(*length)));
        let entry: Json = serde_json::from_slice(entry).unwrap();
        types.push(entry["entry_type"].as_str().unwrap().to_owned());
        rest = tail;
    }
    assert_eq!(
        types,
        [
            "key_registration",
            "key_registration",
            "key_rotation",
            "capability_assignment",
            "capability_assignment",
            "revocation",
            "atomic_commit"
        ]
    );
    assert!(matches!(
        ledger.entries(0, 8).await,
        Err(Error::NotFound(_))
    ));
    assert!(matches!(
        ledger.inclusion_proof(7).await,
        Err(Error::NotFound(_))
    ));

    // Somebody else has the texts and the keys only.
    let elsewhere = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = elsewhere.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let trusted = put("keys", &keys.join("\n"));
    let revoked = ledger.inclusion_proof(5).await.unwrap();
    let added = ledger.consistency_proof(2).await.unwrap();
    let checkpoint = ledger.checkpoint().await.unwrap();
    for (name, text, what) in [
        ("seal.json", &seal, "seal"),
        ("revoked.tlog-proof", &revoked, "inclusion"),
        ("added", &added, "consistency"),
        ("checkpoint", &checkpoint, "checkpoint"),
    ] {
        let file = put(name, text);
        let (code, out) = ctl(&["--json", "verify", &file, "--key", &trusted]).await;
        let checked = document(&out);
        assert_eq!((code, &checked["valid"]), (0, &true.into()), "{out}");
        assert_eq!(checked["what"], what);
        assert_eq!(checked["origin"], origin.as_str());
        let other = put(name, &text.replacen("/keys", "/keyz", 1));
        let (code, out) = ctl(&["verify", &other, "--key", &trusted]).await;
        assert_eq!(code, 7, "{out}");
    }

    // What the service gives is what the files give.
    let bus = house.bus.address();
    for (arguments, wanted) in [
        (vec!["prove", "5"], &revoked),
        (vec!["consistency", "2"], &added),
        (vec!["checkpoint"], &checkpoint),
        (vec!["keys"], &(keys.join("\n") + "\n")),
    ] {
        assert_eq!(ask(bus, &arguments).await, (0, wanted.clone()));
    }
    let (code, out) = ask(bus, &["--json", "status", "--check"]).await;
    let status = document(&out);
    assert_eq!((code, &status["signedEntries"]), (0, &7.into()), "{out}");
    assert_eq!(status["findings"], serde_json::json!([]));
    let (code, out) = ask(bus, &["show", "--first", "3", "--count", "2"]).await;
    assert_eq!((code, out.lines().count()), (0, 2), "{out}");
    assert!(
        out.contains("granted=true") && out.contains("unit backup.service"),
        "{out}"
    );

    // The files themselves, while the daemon runs and after.
    let directory = ledger_below(house.root.path()).unwrap();
    let directory = directory.to_str().unwrap();
    let (code, out) = ctl(&["--json", "verify", directory, "--key", &trusted]).await;
    let checked = document(&out);
    assert_eq!((code, &checked["entries"]), (0, &7.into()), "{out}");
    assert_eq!(checked["sealedEntries"], 7);
    assert_eq!(checked["revokedKeys"], 1);
    running.stop().await;
    let export = elsewhere.path().join("export");
    let export = export.to_str().unwrap();
    assert_eq!(
        ctl(&["export", export, "--directory", directory]).await.0,
        0
    );
    let (code, out) = ctl(&["verify", export, "--key", &trusted]).await;
    assert!(code == 0 && out.contains("this ledger verifies"), "{out}");
    let (code, out) = ctl(&[
        "show",
        "--directory",
        export,
        "--first",
        "5",
        "--count",
        "1",
    ])
    .await;
    assert!(
        code == 0 && out.contains("revocation") && out.contains("reason=lost"),
        "{out}"
    );
    assert_eq!(
        ctl(&["prove", "5", "--directory", directory]).await.1,
        revoked
    );
    assert_eq!(
        ctl(&["consistency", "2", "--directory", export]).await.1,
        added
    );
    assert_eq!(
        ctl(&["checkpoint", "--directory", directory]).await.1,
        checkpoint
    );
    assert_eq!(ctl(&["prove", "7", "--directory", directory]).await.0, 5);

    // One byte of one record.
    let log = format!("{directory}/log");
    let good = std::fs::read(&log).unwrap();
    let mut bytes = good.clone();
    let at = bytes.windows(4).rposition(|four| four == b"lost").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let (code, out) = ctl(&["--json", "verify", directory]).await;
    let finding = &document(&out)["findings"][0];
    assert_eq!((code, &finding["firstRecord"]), (7, &5.into()), "{out}");
    let running = house.serve(with_tpm(&tpm)).await;
    let problem = house.only_problem().await;
    assert!(problem.contains("log, record 5"), "{problem}");
    let damaged = std::fs::read(&log).unwrap();
    // Keys serve on. What could not be recorded is not done; the end of a key is.
    let two = support::key(&house.client, two.inner().path().as_str()).await;
    let signature = two.sign(b"message", support::none()).await.unwrap();
    assert!(!signature.is_empty());
    let refused = [
        house
            .keys()
            .await
            .create(support::ALGORITHM, "three", support::none())
            .await
            .err(),
        two.rotate().await.err(),
        two.grant("user", "1", &["sign"]).await.err(),
        ledger.seal().await.err(),
    ];
    for error in refused {
        let Some(Error::Io(why)) = error else {
            panic!("{error:?}");
        };
        assert!(why.contains("log, record 5"), "{why}");
    }
    two.revoke("over").await.unwrap();
    assert_eq!(std::fs::read(&log).unwrap(), damaged);
    // Put right, it has what it missed.
    std::fs::remove_file(&log).unwrap();
    std::fs::write(&log, good).unwrap();
    let put_right = async || (ledger.size().await.ok()? == 8).then_some(());
    quantumos_harness::eventually("the ledger is opened again", put_right).await;
    assert_eq!(ledger.verify().await.unwrap(), []);
    let (_, out) = ask(bus, &["show", "--first", "7"]).await;
    assert!(
        out.contains("revocation") && out.contains("reason=over"),
        "{out}"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_root_key_keeps_the_ledger_and_strangers_do_not_seal() {
    let (house, tpm) = (House::build().await, Swtpm::start().unwrap());
    let running = house.serve(with_tpm(&tpm)).await;
    let ledger = Ledger1Proxy::new(&house.client).await.unwrap();
    house.create("one").await;
    let origin = ledger.origin().await.unwrap();
    let root = quantumos_dbus::RootKey1Proxy::new(&house.client)
        .await
        .unwrap();
    root.rotate_kek().await.unwrap();
    running.stop().await;
    let _running = house.serve(with_tpm(&tpm)).await;
    house.create("two").await;
    assert_eq!(ledger.origin().await.unwrap(), origin);
    assert_eq!(ledger.signed_size().await.unwrap(), 2);
    assert_eq!(ledger.verify().await.unwrap(), []);
    if is_root() {
        let nobody = house.bus.connect_as(NOBODY).await.unwrap();
        let ledger = Ledger1Proxy::new(&nobody).await.unwrap();
        assert!(ledger.checkpoint().await.is_ok());
        assert!(matches!(ledger.seal().await, Err(Error::NotAuthorized(_))));
        // Entries name users, units and credentials.
        let read = ledger.entries(0, 1).await;
        assert!(matches!(read, Err(Error::NotAuthorized(_))));
        let proof = ledger.inclusion_proof(0).await;
        assert!(matches!(proof, Err(Error::NotAuthorized(_))));
    }
}

/// Of a credential, so that no key is missing in a store that has none.
fn change(version: u32) -> quantumd::audit::Event {
    use quantumd::audit::{Action, Event, Who};
    let key = quantumd::record::KeyId([1; 16]);
    Event {
        object: "db.password".into(),
        ..Event::of_key(
            Action::CredentialSet,
            key,
            version,
            Who::User(0),
            String::new(),
        )
    }
}

/// The ledger alone on a disk of its own, with the key that opens its signers.
#[test]
fn a_full_or_read_only_disk_is_told_and_what_waited_is_recorded() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let Some(disk) = SmallDisk::mount(&state, 512).unwrap() else {
        return;
    };
    let root = Secret::from_slice("root", &[5; 32]).unwrap();
    let kek = RootKey::new(root).kek(1).unwrap();
    let keys = Some((&kek, &[] as &[quantumd::keyring::AtRest]));
    let log = KeyLog::new(&state).unwrap();
    assert_eq!(log.follow(keys), (vec![], None));
    log.record(&change(0)).unwrap();
    disk.fill().unwrap();
    let error = log.record(&change(1)).unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
    let problem = log.follow(keys).1.unwrap();
    assert!(problem.contains("No space left"), "{problem}");
    assert!(log.ready(&kek).is_err());
    disk.empty().unwrap();
    log.ready(&kek).unwrap();
    assert_eq!(log.head().1, 2);
    assert_eq!(log.head().2, 2);
    log.close();
    drop(log);

    disk.set_read_only(true).unwrap();
    let log = KeyLog::new(&state).unwrap();
    let problem = log.follow(keys).1.unwrap();
    assert!(problem.contains("Read-only"), "{problem}");
    let error = log.ready(&kek).unwrap_err().to_string();
    assert!(error.contains("Read-only"), "{error}");
    disk.set_read_only(false).unwrap();
    assert_eq!(log.follow(keys), (vec![], None));
    log.record(&change(2)).unwrap();
    assert_eq!((log.head().1, log.head().2), (3, 3));
    assert_eq!(log.verify().unwrap().findings, []);
    log.close();
}
