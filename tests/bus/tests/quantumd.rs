//! quantumd over a private bus: the life of its keys and of what protects them, with a software
//! TPM of each test's own.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/quantumd.rs"]
mod support;

use futures_util::StreamExt;
use quantumos_dbus::{Entropy1Proxy, Error, Quantum1Proxy, bus_name, path};
use quantumos_harness::{Swtpm, contract, eventually};
use support::{ALGORITHM, House, context, key, none, with_tpm, without_tpm};

#[tokio::test]
async fn keys_are_made_listed_used_and_revoked() {
    let (house, tpm) = (House::build().await, Swtpm::start().unwrap());
    let _running = house.serve(with_tpm(&tpm)).await;
    let keys = house.keys().await;
    assert_eq!(keys.protection().await.unwrap(), "tpm");
    assert_eq!(keys.algorithms().await.unwrap()[0], ALGORITHM);
    let quantum = Quantum1Proxy::new(&house.client).await.unwrap();
    assert_eq!(quantum.protection().await.unwrap(), "tpm");
    assert!(!quantum.tpm_vendor().await.unwrap().is_empty());
    assert_eq!(quantum.engines().await.unwrap()[0].1, "ready");
    let entropy = Entropy1Proxy::new(&house.client).await.unwrap();
    let sources = entropy.sources().await.unwrap();
    let state = |name: &str| sources.iter().find(|s| s.0 == name).unwrap().1.clone();
    assert_eq!(
        (state("getrandom"), state("tpm")),
        ("ok".into(), "ok".into()),
        "{sources:?}"
    );
    for bytes in [0, 4097] {
        assert!(matches!(
            entropy.draw(bytes).await,
            Err(Error::InvalidArgument(_))
        ));
    }
    let drawn = std::fs::File::from(std::os::fd::OwnedFd::from(entropy.draw(100).await.unwrap()));
    assert_eq!(drawn.metadata().unwrap().len(), 100);
    assert_eq!(house.service().await.state().await.unwrap(), "ready");

    let manager = zbus::fdo::ObjectManagerProxy::new(&house.client, bus_name::QUANTUM, path::KEYS)
        .await
        .unwrap();
    let mut added = manager.receive_interfaces_added().await.unwrap();
    let made = house.create("release signing").await;
    let signal = added.next().await.unwrap();
    assert_eq!(
        signal.args().unwrap().object_path.as_str(),
        made.inner().path().as_str()
    );
    let listed = manager.get_managed_objects().await.unwrap();
    assert_eq!(listed.len(), 1);

    assert_eq!(made.label().await.unwrap(), "release signing");
    assert_eq!(made.algorithm().await.unwrap(), ALGORITHM);
    assert_eq!(made.owner().await.unwrap(), nix::unistd::geteuid().as_raw());
    assert_eq!(made.version().await.unwrap(), 1);
    assert_eq!(made.protection().await.unwrap(), "tpm");
    assert_eq!(made.state().await.unwrap(), "active");
    assert_eq!(made.revoked_at().await.unwrap(), 0);
    assert!(made.created_at().await.unwrap() > 1_700_000_000_000_000);
    assert!(made.inner().path().ends_with(&made.id().await.unwrap()));

    let signature = made.sign(b"message", context(b"ctx")).await.unwrap();
    assert_eq!(signature.len(), 4627);
    let public = made.public_key().await.unwrap();
    let ok = async |message: &[u8], ctx: &[u8]| {
        let one = made
            .verify(message, &signature, context(ctx))
            .await
            .unwrap();
        let two = keys
            .verify(ALGORITHM, &public, message, &signature, context(ctx))
            .await
            .unwrap();
        assert_eq!(one, two);
        one
    };
    assert!(ok(b"message", b"ctx").await);
    assert!(!ok(b"message", b"").await);
    assert!(!ok(b"messagf", b"ctx").await);
    assert!(!made.verify(b"message", b"short", none()).await.unwrap());

    let mut states = made.receive_state_changed().await;
    assert_eq!(states.next().await.unwrap().get().await.unwrap(), "active");
    made.revoke("lost laptop").await.unwrap();
    assert_eq!(states.next().await.unwrap().get().await.unwrap(), "revoked");
    assert!(matches!(
        made.sign(b"message", none()).await,
        Err(Error::KeyRevoked(text)) if text.contains("lost laptop")
    ));
    assert!(matches!(
        made.revoke("again").await,
        Err(Error::KeyRevoked(_))
    ));
    assert!(
        ok(b"message", b"ctx").await,
        "what it signed still verifies"
    );
    eventually("RevocationReason follows", async || {
        (made.revocation_reason().await.unwrap() == "lost laptop").then_some(())
    })
    .await;
    assert!(made.revoked_at().await.unwrap() >= made.created_at().await.unwrap());

    let live = [
        (
            path::QUANTUM,
            vec![
                "org.quantumos.Service1",
                "org.quantumos.Quantum1",
                "org.quantumos.RootKey1",
                "org.quantumos.Crypto1",
                "org.quantumos.Circuits1",
                "org.quantumos.Resonance1",
                "org.quantumos.Wavelength1",
                "org.quantumos.Entropy1",
            ],
        ),
        (path::JOBS, vec!["org.quantumos.Jobs1"]),
        (path::LEDGER, vec!["org.quantumos.Ledger1"]),
        (
            path::KEYS,
            vec!["org.quantumos.Keys1", "org.quantumos.Backup1"],
        ),
        (made.inner().path().as_str(), vec!["org.quantumos.Key1"]),
    ];
    for (path, interfaces) in live {
        let lines = contract::differences(&house.client, bus_name::QUANTUM, path, &interfaces);
        assert_eq!(lines.await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn keys_survive_a_restart_of_daemon_and_tpm() {
    let (house, mut tpm) = (House::build().await, Swtpm::start().unwrap());
    let running = house.serve(with_tpm(&tpm)).await;
    let (kept, gone) = (house.create("kept").await, house.create("gone").await);
    let signature = kept.sign(b"before", none()).await.unwrap();
    gone.revoke("").await.unwrap();
    let (kept, gone) = (
        kept.inner().path().to_string(),
        gone.inner().path().to_string(),
    );
    running.stop().await;
    tpm.power_on().unwrap();

    let _running = house.serve(with_tpm(&tpm)).await;
    let (kept, gone) = (
        key(&house.client, &kept).await,
        key(&house.client, &gone).await,
    );
    assert_eq!(kept.label().await.unwrap(), "kept");
    assert!(kept.verify(b"before", &signature, none()).await.unwrap());
    let again = kept.sign(b"after", none()).await.unwrap();
    assert!(kept.verify(b"after", &again, none()).await.unwrap());
    assert_eq!(gone.state().await.unwrap(), "revoked");
    assert!(matches!(
        gone.sign(b"m", none()).await,
        Err(Error::KeyRevoked(_))
    ));
}

#[tokio::test]
async fn another_tpm_is_refused_and_the_old_one_welcome_again() {
    let (house, tpm) = (House::build().await, Swtpm::start().unwrap());
    let running = house.serve(with_tpm(&tpm)).await;
    let made = house.create("mine").await.inner().path().to_string();
    running.stop().await;

    // Also with leave to use software: what was enrolled with a TPM stays so.
    let other = Swtpm::start().unwrap();
    let mut settings = with_tpm(&other);
    settings.protection.allow_software = true;
    let running = house.serve(settings).await;
    assert_eq!(house.service().await.state().await.unwrap(), "degraded");
    let problem = house.only_problem().await;
    assert!(
        problem.contains("not the one that this store was enrolled with"),
        "{problem}"
    );
    let made_again = key(&house.client, &made).await;
    assert_eq!(made_again.label().await.unwrap(), "mine", "still listed");
    let error = made_again.sign(b"m", none()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable(text) if text.contains("enrolled")),
        "{error}"
    );
    let keys = house.keys().await;
    assert!(matches!(
        keys.create(ALGORITHM, "", none()).await,
        Err(Error::Unavailable(_))
    ));
    assert_eq!(keys.protection().await.unwrap(), "none");
    running.stop().await;

    let _running = house.serve(with_tpm(&tpm)).await;
    key(&house.client, &made)
        .await
        .sign(b"m", none())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_tpm_that_vanishes_is_said_and_one_that_comes_back_taken() {
    let (house, mut tpm) = (House::build().await, Swtpm::start().unwrap());
    let running = house.serve(with_tpm(&tpm)).await;
    let (one, two) = (house.create("one").await, house.create("two").await);
    one.sign(b"m", none()).await.unwrap();
    let service = house.service().await;
    tpm.kill();
    let problems = eventually("the loss is a problem", async || {
        let problems = service.problems().await.unwrap();
        (!problems.is_empty()).then_some(problems)
    })
    .await;
    let lost = ["the TPM stopped answering", "no TPM at swtpm:"];
    assert!(
        lost.iter().any(|words| problems[0].contains(words)),
        "{problems:?}"
    );
    // The root key is open: keys go on working, loaded before or not.
    one.sign(b"m", none()).await.unwrap();
    two.sign(b"m", none()).await.unwrap();
    tpm.power_on().unwrap();
    eventually("the return ends it", async || {
        (service.state().await.unwrap() == "ready").then_some(())
    })
    .await;
    let made = one.inner().path().to_string();
    running.stop().await;

    // Started without the TPM it serves what it can, and signs as soon as the TPM is there.
    tpm.kill();
    let _running = house.serve(with_tpm(&tpm)).await;
    let made = key(&house.client, &made).await;
    assert_eq!(made.label().await.unwrap(), "one");
    assert!(matches!(
        made.sign(b"m", none()).await,
        Err(Error::Unavailable(_))
    ));
    tpm.power_on().unwrap();
    eventually("it signs again", async || {
        made.sign(b"m", none()).await.ok()
    })
    .await;
    eventually("and says so", async || {
        (service.state().await.unwrap() == "ready").then_some(())
    })
    .await;
    assert_eq!(house.keys().await.protection().await.unwrap(), "tpm");
}

#[tokio::test]
async fn a_silent_tpm_holds_nobody_up() {
    let (house, tpm) = (House::build().await, Swtpm::start().unwrap());
    let settings = house.root.path().join("etc/quantumos");
    std::fs::create_dir_all(&settings).unwrap();
    let text = format!("[tpm]\ntcti = \"{}\"\n", tpm.tcti());
    std::fs::write(settings.join("quantumd.toml"), text).unwrap();
    let mut running = house.serve(with_tpm(&tpm)).await;
    let made = house.create("").await;
    tpm.pause().unwrap();
    let signing = async {
        // Each of these ends while the look at the TPM, which the reload waits for, does not.
        for _ in 0..3 {
            let signature = made.sign(b"m", none()).await.unwrap();
            assert!(made.verify(b"m", &signature, none()).await.unwrap());
        }
        house
            .create("another")
            .await
            .sign(b"m", none())
            .await
            .unwrap();
        tpm.resume().unwrap();
    };
    tokio::join!(running.reload(), signing);
    let service = house.service().await;
    assert_eq!(service.problems().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn software_protection_only_when_allowed_and_never_hidden() {
    let house = House::build().await;
    let running = house.serve(without_tpm(false)).await;
    let keys = house.keys().await;
    let error = keys.create(ALGORITHM, "", none()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable(text) if text.contains("no TPM at device:/nonexistent/tpm")),
        "{error}"
    );
    assert_eq!(keys.protection().await.unwrap(), "none");
    assert_eq!(house.service().await.state().await.unwrap(), "degraded");
    running.stop().await;

    let running = house.serve(without_tpm(true)).await;
    let made = house.create("soft").await;
    assert_eq!(made.protection().await.unwrap(), "software");
    let quantum = Quantum1Proxy::new(&house.client).await.unwrap();
    assert_eq!(quantum.protection().await.unwrap(), "software");
    made.sign(b"m", none()).await.unwrap();
    running.stop().await;

    let _running = house.serve(without_tpm(false)).await;
    let problem = house.only_problem().await;
    assert!(problem.contains("protection.allow-software"), "{problem}");
    assert!(matches!(
        made.sign(b"m", none()).await,
        Err(Error::Unavailable(_))
    ));
}
