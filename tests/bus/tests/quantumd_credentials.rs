//! Credentials for systemd units: managed over a private bus, read at the socket as systemd reads them.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/quantumd.rs"]
mod support;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, connect, socket};
use quantumos_dbus::{Credentials1Proxy, Error, RootKey1Proxy};
use quantumos_harness::{FakePolkit, contract};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use support::{House, NOBODY, is_root, without_tpm};
use zbus::Fd;

/// systemd reads at most this much, and fails with E2BIG when there is more.
const MOST: usize = 1 << 20;

/// Reads as systemd's executor does: bound to a name of the abstract kind, nothing to say.
fn load(socket_path: &Path, name: &str) -> Result<Vec<u8>, &'static str> {
    let (kind, flags) = (SockType::Stream, SockFlag::SOCK_CLOEXEC);
    let descriptor = socket(AddressFamily::Unix, kind, flags, None).unwrap();
    let own = UnixAddr::new_abstract(name.as_bytes()).unwrap();
    bind(descriptor.as_raw_fd(), &own).unwrap();
    connect(descriptor.as_raw_fd(), &UnixAddr::new(socket_path).unwrap()).unwrap();
    let mut stream = UnixStream::from(descriptor);
    stream.shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    (&mut stream)
        .take(MOST as u64 + 1)
        .read_to_end(&mut bytes)
        .unwrap();
    if bytes.len() > MOST {
        return Err("E2BIG");
    }
    Ok(bytes)
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file
}

fn every(seconds: u32) -> HashMap<&'static str, zbus::Variant<'static>> {
    HashMap::from([("every", seconds.into())])
}

struct Stage {
    house: House,
    credentials: Credentials1Proxy<'static>,
    socket: PathBuf,
}

impl Stage {
    async fn build() -> Self {
        let house = House::build().await;
        let credentials = Credentials1Proxy::new(&house.client).await.unwrap();
        let socket = house.root.path().join("runtime/credentials.sock");
        Self {
            house,
            credentials,
            socket,
        }
    }

    async fn set(&self, name: &str, value: &[u8]) -> Result<u32, Error> {
        let file = file(value);
        self.credentials.set(name, Fd::from(file.as_fd())).await
    }

    async fn load(&self, unit: &str, name: &str) -> Result<Vec<u8>, &'static str> {
        // Names of this kind are the host's, so each test run needs its own.
        let random: u64 = u64::from(std::process::id()) << 32 | u64::from(std::line!());
        let name = format!("{random:x}{}/unit/{unit}/{name}", nanos());
        let socket = self.socket.clone();
        tokio::task::spawn_blocking(move || load(&socket, &name))
            .await
            .unwrap()
    }
}

fn nanos() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("{:x}", now.unwrap().as_nanos())
}

#[tokio::test(flavor = "multi_thread")]
async fn units_get_what_they_were_granted_and_nothing_else() {
    if !is_root() {
        return;
    }
    let stage = Stage::build().await;
    let running = stage.house.serve(without_tpm(true)).await;
    let it = &stage.credentials;
    assert_eq!(stage.set("db.password", b"secret\n").await.unwrap(), 1);
    let load = async |unit: &str, name: &str| stage.load(unit, name).await;
    assert_eq!(load("web.service", "db.password").await, Err("E2BIG"));
    it.grant("db.password", "web.service").await.unwrap();
    it.grant("db.password", "web.service").await.unwrap();
    assert_eq!(
        load("web.service", "db.password").await.unwrap(),
        b"secret\n"
    );
    for (unit, name) in [
        ("other.service", "db.password"),
        ("web.service", "other"),
        ("web@1.service", "db.password"),
        ("web", "db.password"),
        ("web.service", "../db.password"),
    ] {
        assert_eq!(load(unit, name).await, Err("E2BIG"), "{unit} {name}");
    }
    // No name, or one that systemd does not give: nothing.
    let unnamed = UnixStream::connect(&stage.socket).unwrap();
    let refused = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        (&unnamed)
            .take(MOST as u64 + 1)
            .read_to_end(&mut bytes)
            .unwrap();
        bytes.len() > MOST && bytes.iter().all(|byte| *byte == 0)
    });
    assert!(refused.await.unwrap());

    // The next value goes to who had the first one; under another root key too, after a restart.
    assert_eq!(stage.set("db.password", &[7; 200_000]).await.unwrap(), 2);
    let root = RootKey1Proxy::new(&stage.house.client).await.unwrap();
    root.rotate_kek().await.unwrap();
    let empty = file(b"");
    root.reseal(Fd::from(empty.as_fd()), Fd::from(empty.as_fd()))
        .await
        .unwrap();
    running.stop().await;
    let _running = stage.house.serve(without_tpm(true)).await;
    assert_eq!(
        load("web.service", "db.password").await.unwrap(),
        vec![7; 200_000]
    );
    let line = it.list().await.unwrap().remove(0);
    assert_eq!(
        (line.0.as_str(), line.1, line.5),
        ("db.password", 2, vec!["web.service".into()])
    );

    it.ungrant("db.password", "web.service").await.unwrap();
    assert_eq!(load("web.service", "db.password").await, Err("E2BIG"));
    assert!(matches!(
        it.ungrant("db.password", "web.service").await,
        Err(Error::InvalidArgument(_))
    ));
    it.remove("db.password").await.unwrap();
    assert!(matches!(
        it.remove("db.password").await,
        Err(Error::NotFound(_))
    ));
    assert!(matches!(
        it.grant("db.password", "a.service").await,
        Err(Error::NotFound(_))
    ));
    let path = quantumos_dbus::path::CREDENTIALS;
    let name = quantumos_dbus::bus_name::QUANTUM;
    let expected = ["org.quantumos.Credentials1"];
    let lines = contract::differences(&stage.house.client, name, path, &expected);
    assert_eq!(lines.await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_values_are_replaced_by_hand_and_by_schedule() {
    if !is_root() {
        return;
    }
    use futures_util::StreamExt;
    let stage = Stage::build().await;
    let _running = stage.house.serve(without_tpm(true)).await;
    let it = &stage.credentials;
    let mut changed = it.receive_changed().await.unwrap();
    assert_eq!(it.generate("token", 32, every(0)).await.unwrap(), 1);
    it.grant("token", "web.service").await.unwrap();
    let first = stage.load("web.service", "token").await.unwrap();
    assert_eq!(first.len(), 44, "base64 of 32 bytes");
    assert_eq!(it.rotate("token").await.unwrap(), 2);
    let second = stage.load("web.service", "token").await.unwrap();
    assert_ne!(first, second);
    // By schedule: the daemon looks every second here.
    assert_eq!(it.generate("token", 32, every(1)).await.unwrap(), 3);
    for version in 1..=4 {
        let signal = changed.next().await.unwrap();
        let signal = signal.args().unwrap();
        assert_eq!((*signal.name(), *signal.version()), ("token", version));
    }
    stage.set("given", b"x").await.unwrap();
    let refused = it.rotate("given").await;
    assert!(
        matches!(refused, Err(Error::InvalidArgument(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_manages_and_what_is_refused() {
    if !is_root() {
        return;
    }
    let stage = Stage::build().await;
    let _running = stage.house.serve(without_tpm(true)).await;
    for name in ["", "../x", "a b", ".hidden"] {
        let refused = stage.set(name, b"x").await;
        assert!(
            matches!(refused, Err(Error::InvalidArgument(_))),
            "{name}: {refused:?}"
        );
    }
    let large = stage.set("large", &vec![0; (256 << 10) + 1]).await;
    assert!(matches!(large, Err(Error::LimitExceeded(_))), "{large:?}");
    let it = &stage.credentials;
    assert!(matches!(
        it.generate("short", 8, HashMap::new()).await,
        Err(Error::InvalidArgument(_))
    ));
    stage.set("kept", b"x").await.unwrap();
    assert!(matches!(
        it.grant("kept", "not a unit").await,
        Err(Error::InvalidArgument(_))
    ));
    let polkit = FakePolkit::start(&stage.house.bus).await.unwrap();
    let nobody = stage.house.bus.connect_as(NOBODY).await.unwrap();
    let theirs = Credentials1Proxy::new(&nobody).await.unwrap();
    let value = file(b"x");
    let refusals = [
        theirs.set("kept", Fd::from(value.as_fd())).await.map(drop),
        theirs.generate("kept", 32, HashMap::new()).await.map(drop),
        theirs.rotate("kept").await.map(drop),
        theirs.grant("kept", "web.service").await,
        theirs.ungrant("kept", "web.service").await,
        theirs.remove("kept").await,
        theirs.list().await.map(drop),
    ];
    let count = refusals.len();
    for refused in refusals {
        assert!(
            matches!(refused, Err(Error::NotAuthorized(_))),
            "{refused:?}"
        );
    }
    let asked: Vec<_> = polkit.asked().into_iter().map(|q| q.action).collect();
    assert_eq!(asked, vec!["org.quantumos.credentials.manage"; count]);
}
