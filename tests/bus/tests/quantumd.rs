//! quantumd over a private bus, with a software TPM of each test's own.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

use futures_util::StreamExt;
use quantumd::{Quantumd, Settings};
use quantumos_dbus::{Error, Key1Proxy, Keys1Proxy, Quantum1Proxy, Service1Proxy, bus_name, path};
use quantumos_harness::{FakePolkit, PrivateBus, Swtpm, contract, eventually};
use quantumos_service::Running;
use std::collections::HashMap;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use zbus::{Connection, Fd, Variant};

const NOBODY: u32 = 65_534;
// The bus knows users of the password file only: this one is `daemon`.
const SOMEBODY: u32 = 1;
const ALGORITHM: &str = "ML-DSA-87";

fn with_tpm(tpm: &Swtpm) -> Settings {
    let mut settings = Settings::default();
    settings.tpm.tcti = tpm.tcti();
    settings.tpm.check_seconds = 1;
    settings
}

fn without_tpm(allow_software: bool) -> Settings {
    let mut settings = Settings::default();
    settings.tpm.tcti = "device:/nonexistent/tpm".into();
    settings.tpm.check_seconds = 1;
    settings.protection.allow_software = allow_software;
    settings
}

struct House {
    bus: PrivateBus,
    root: tempfile::TempDir,
    client: Connection,
}

impl House {
    async fn build() -> Self {
        let bus = PrivateBus::start().unwrap();
        let client = bus.connect().await.unwrap();
        let root = tempfile::tempdir().unwrap();
        Self { bus, root, client }
    }

    async fn serve(&self, settings: Settings) -> Running<Quantumd> {
        let root = self.root.path();
        self.bus.serve::<Quantumd>(root, settings).await.unwrap()
    }

    async fn keys(&self) -> Keys1Proxy<'static> {
        Keys1Proxy::new(&self.client).await.unwrap()
    }

    async fn create(&self, label: &str) -> Key1Proxy<'static> {
        let path = self.keys().await.create(ALGORITHM, label, none()).await;
        key(&self.client, path.unwrap().as_str()).await
    }

    async fn service(&self) -> Service1Proxy<'static> {
        Service1Proxy::new(&self.client, bus_name::QUANTUM, path::QUANTUM)
            .await
            .unwrap()
    }

    async fn only_problem(&self) -> String {
        let problems = self.service().await.problems().await.unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.into_iter().next().unwrap()
    }
}

async fn key(connection: &Connection, path: &str) -> Key1Proxy<'static> {
    Key1Proxy::builder(connection)
        .path(path.to_owned())
        .build()
        .await
        .unwrap()
}

fn none() -> HashMap<&'static str, Variant<'static>> {
    HashMap::new()
}

fn context(bytes: &[u8]) -> HashMap<&'static str, Variant<'static>> {
    HashMap::from([("context", bytes.to_vec().into())])
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: needs root");
    }
    root
}

#[tokio::test]
async fn keys_are_made_listed_used_and_revoked() {
    let (house, tpm) = (House::build().await, Swtpm::start().unwrap());
    let _running = house.serve(with_tpm(&tpm)).await;
    let keys = house.keys().await;
    assert_eq!(keys.protection().await.unwrap(), "tpm");
    assert_eq!(keys.algorithms().await.unwrap(), [ALGORITHM]);
    let quantum = Quantum1Proxy::new(&house.client).await.unwrap();
    assert_eq!(quantum.protection().await.unwrap(), "tpm");
    assert!(!quantum.tpm_vendor().await.unwrap().is_empty());
    assert_eq!(quantum.engines().await.unwrap()[0].1, "ready");
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
            vec!["org.quantumos.Service1", "org.quantumos.Quantum1"],
        ),
        (path::KEYS, vec!["org.quantumos.Keys1"]),
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

#[tokio::test]
async fn callers_without_rights_are_refused_and_owners_are_not_asked() {
    if !is_root() {
        return;
    }
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let polkit = FakePolkit::start(&house.bus).await.unwrap();
    let nobody = house.bus.connect_as(NOBODY).await.unwrap();
    let somebody = house.bus.connect_as(SOMEBODY).await.unwrap();
    let keys = Keys1Proxy::new(&nobody).await.unwrap();

    let refused = keys.create(ALGORITHM, "", none()).await;
    assert!(
        matches!(refused, Err(Error::NotAuthorized(_))),
        "{refused:?}"
    );
    polkit.allow("org.quantumos.keys.create");
    let path = keys.create(ALGORITHM, "theirs", none()).await.unwrap();
    let own = key(&nobody, &path).await;
    assert_eq!(own.owner().await.unwrap(), NOBODY);
    let before = polkit.asked().len();
    let signature = own.sign(b"m", none()).await.unwrap();
    assert_eq!(polkit.asked().len(), before, "an owner is not asked about");

    let foreign = key(&somebody, &path).await;
    assert!(
        foreign.verify(b"m", &signature, none()).await.unwrap(),
        "anybody may verify"
    );
    assert!(matches!(
        foreign.sign(b"m", none()).await,
        Err(Error::NotAuthorized(_))
    ));
    let file = tempfile::tempfile().unwrap();
    let signed = foreign
        .sign_descriptor(Fd::from(file.as_fd()), none())
        .await;
    assert!(matches!(signed, Err(Error::NotAuthorized(_))));
    assert!(matches!(
        foreign.revoke("").await,
        Err(Error::NotAuthorized(_))
    ));
    assert_eq!(own.state().await.unwrap(), "active");
    let asked: Vec<_> = polkit.asked().split_off(before);
    let actions: Vec<_> = asked
        .iter()
        .map(|question| question.action.as_str())
        .collect();
    let expected = [
        "org.quantumos.keys.use",
        "org.quantumos.keys.use",
        "org.quantumos.keys.revoke",
    ];
    assert_eq!(actions, expected);
    polkit.allow("org.quantumos.keys.use");
    foreign.sign(b"m", none()).await.unwrap();
    assert!(matches!(
        foreign.revoke("").await,
        Err(Error::NotAuthorized(_))
    ));
    polkit.allow("org.quantumos.keys.revoke");
    foreign.revoke("by an administrator").await.unwrap();
    assert!(matches!(
        own.sign(b"m", none()).await,
        Err(Error::KeyRevoked(_))
    ));
}

#[tokio::test]
async fn bad_input_is_refused_by_name() {
    let house = House::build().await;
    let mut settings = without_tpm(true);
    settings.keys.per_owner = 2;
    let _running = house.serve(settings).await;
    let keys = house.keys().await;
    let made = house.create("").await;
    let option = |name, value: Variant<'static>| HashMap::from([(name, value)]);
    let long = "x".repeat(200);
    for (algorithm, label, options, words) in [
        ("ML-DSA-44", "", none(), "unknown algorithm \"ML-DSA-44\""),
        (ALGORITHM, "a\nb", none(), "label: character U+000A"),
        (ALGORITHM, &long, none(), "label: 200 bytes"),
        (
            ALGORITHM,
            "",
            option("size", 1u32.into()),
            "option size: not known",
        ),
    ] {
        let error = keys.create(algorithm, label, options).await.unwrap_err();
        let kind = matches!(error, Error::InvalidArgument(_) | Error::NotSupported(_));
        assert!(kind && error.to_string().contains(words), "{error:?}");
    }
    for (options, words) in [
        (
            option("contxt", vec![1u8].into()),
            "option contxt: not known",
        ),
        (
            option("context", "text".into()),
            "option context: has to be an array",
        ),
        (
            option("context", vec![1u8; 256].into()),
            "option context: 256 bytes",
        ),
    ] {
        let error = made.sign(b"m", options).await.unwrap_err();
        assert!(
            matches!(&error, Error::InvalidArgument(text) if text.contains(words)),
            "{error:?}"
        );
    }
    let large = vec![0u8; (1 << 20) + 1];
    made.sign(&large[1..], none()).await.unwrap();
    for error in [
        made.sign(&large, none()).await.unwrap_err(),
        made.verify(&large, b"", none())
            .await
            .map(drop)
            .map(|()| Vec::<u8>::new())
            .unwrap_err(),
    ] {
        assert!(
            matches!(&error, Error::LimitExceeded(text) if text.contains("1048577")),
            "{error:?}"
        );
    }
    let error = keys
        .verify(ALGORITHM, b"short", b"m", b"s", none())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::InvalidArgument(text) if text.contains("public key is 5 bytes long")),
        "{error:?}"
    );
    house.create("").await;
    let error = keys.create(ALGORITHM, "", none()).await.unwrap_err();
    assert!(
        matches!(&error, Error::LimitExceeded(text) if text.contains("2 active keys")),
        "{error:?}"
    );

    // Wrong types, an object that isn't there, a method that isn't there.
    let call = async |path: &str, method: &str, body: (u32,)| {
        let answer = house
            .client
            .call_method(
                Some(bus_name::QUANTUM),
                path,
                Some("org.quantumos.Key1"),
                method,
                &body,
            )
            .await;
        answer.unwrap_err().to_string()
    };
    let there = made.inner().path().to_string();
    let nowhere = format!("{}/{}", path::KEYS, "0".repeat(32));
    for (path, method, words) in [
        (there.as_str(), "Sign", "InvalidArgs"),
        (nowhere.as_str(), "Sign", "UnknownObject"),
        (there.as_str(), "Frobnicate", "UnknownMethod"),
    ] {
        let error = call(path, method, (7,)).await;
        assert!(error.contains(words), "{error}");
    }
    made.sign(b"it still works", none()).await.unwrap();
}

#[tokio::test]
async fn descriptors_are_signed_up_to_the_limit() {
    let house = House::build().await;
    let _running = house.serve(without_tpm(true)).await;
    let made = house.create("").await;
    let message = vec![7u8; 3 << 20];
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&message).unwrap();
    let signature = made
        .sign_descriptor(Fd::from(file.as_fd()), context(b"c"))
        .await
        .unwrap();
    let public = quantumos_pqc::PublicKey::from_bytes(&made.public_key().await.unwrap()).unwrap();
    let valid = |message: &[u8], signature: &[u8], context: &[u8]| {
        let signature = quantumos_pqc::Signature::from_bytes(signature).unwrap();
        public.verify(message, &signature, context).unwrap()
    };
    assert!(valid(&message, &signature, b"c"));
    assert!(!valid(&message[1..], &signature, b"c"));

    let (reader, mut writer) = std::io::pipe().unwrap();
    let piped = message.clone();
    let thread = std::thread::spawn(move || writer.write_all(&piped).unwrap());
    let signature = made
        .sign_descriptor(Fd::from(reader.as_fd()), none())
        .await
        .unwrap();
    thread.join().unwrap();
    assert!(valid(&message, &signature, b""));

    file.set_len((64 << 20) + 1).unwrap();
    let error = made
        .sign_descriptor(Fd::from(file.as_fd()), none())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::LimitExceeded(text) if text.contains("67108864")),
        "{error:?}"
    );
    let zero = std::fs::File::open("/dev/zero").unwrap();
    let error = made
        .sign_descriptor(Fd::from(zero.as_fd()), none())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::InvalidArgument(_)), "{error:?}");
}

/// A small file system of its own; gone with the value.
struct SmallDisk<'a>(&'a Path);

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing() {
    if !is_root() {
        return;
    }
    let house = House::build().await;
    let state = house.root.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let flags = nix::mount::MsFlags::empty();
    let options = Some("size=2m");
    if let Err(error) = nix::mount::mount(Some("tmpfs"), &state, Some("tmpfs"), flags, options) {
        println!("skipped: cannot mount a small file system: {error}");
        return;
    }
    let _disk = SmallDisk(&state);
    let running = house.serve(without_tpm(true)).await;
    let made = house.create("kept").await;
    let mut filler = std::fs::File::create(state.join("filler")).unwrap();
    while filler.write(&[0; 4096]).is_ok() {}

    let keys = house.keys().await;
    let mut more = Vec::new();
    let error = loop {
        // What is left in pages that the store has already may still take a few.
        match keys.create(ALGORITHM, "too many", none()).await {
            Ok(path) => more.push(path),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, Error::Io(text) if text.contains("keys.sqlite")),
        "{error:?}"
    );
    let signature = made.sign(b"m", none()).await.unwrap();
    assert!(made.verify(b"m", &signature, none()).await.unwrap());
    drop(filler);
    std::fs::remove_file(state.join("filler")).unwrap();
    more.push(keys.create(ALGORITHM, "again", none()).await.unwrap());
    running.stop().await;

    let _running = house.serve(without_tpm(true)).await;
    made.sign(b"m", none()).await.unwrap();
    for path in more {
        key(&house.client, &path)
            .await
            .sign(b"m", none())
            .await
            .unwrap();
    }
}
