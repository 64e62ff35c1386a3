//! What the tests of quantumd share: a house with a bus, a client and the daemon.

#![allow(dead_code)] // each test file uses a part of it

use quantumd::{Quantumd, Settings};
use quantumos_dbus::{Key1Proxy, Keys1Proxy, Service1Proxy, bus_name, path};
use quantumos_harness::{PrivateBus, Swtpm};
use quantumos_service::Running;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use zbus::{Connection, Fd, Variant};

pub const NOBODY: u32 = 65_534;
// The bus knows users of the password file only: this one is `daemon`.
pub const SOMEBODY: u32 = 1;
pub const ALGORITHM: &str = "ML-DSA-87";

pub fn with_tpm(tpm: &Swtpm) -> Settings {
    let mut settings = Settings::default();
    settings.tpm.tcti = tpm.tcti();
    settings.tpm.check_seconds = 1;
    settings
}

pub fn without_tpm(allow_software: bool) -> Settings {
    let mut settings = Settings::default();
    settings.tpm.tcti = "device:/nonexistent/tpm".into();
    settings.tpm.check_seconds = 1;
    settings.protection.allow_software = allow_software;
    settings
}

pub struct House {
    pub bus: PrivateBus,
    pub root: tempfile::TempDir,
    pub client: Connection,
}

impl House {
    pub async fn build() -> Self {
        let bus = PrivateBus::start().unwrap();
        let client = bus.connect().await.unwrap();
        let root = tempfile::tempdir().unwrap();
        Self { bus, root, client }
    }

    pub async fn serve(&self, settings: Settings) -> Running<Quantumd> {
        let root = self.root.path();
        self.bus.serve::<Quantumd>(root, settings).await.unwrap()
    }

    pub async fn keys(&self) -> Keys1Proxy<'static> {
        Keys1Proxy::new(&self.client).await.unwrap()
    }

    pub async fn create(&self, label: &str) -> Key1Proxy<'static> {
        let path = self.keys().await.create(ALGORITHM, label, none()).await;
        key(&self.client, path.unwrap().as_str()).await
    }

    pub async fn service(&self) -> Service1Proxy<'static> {
        Service1Proxy::new(&self.client, bus_name::QUANTUM, path::QUANTUM)
            .await
            .unwrap()
    }

    pub async fn only_problem(&self) -> String {
        let problems = self.service().await.problems().await.unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.into_iter().next().unwrap()
    }
}

pub async fn key(connection: &Connection, path: &str) -> Key1Proxy<'static> {
    Key1Proxy::builder(connection)
        .path(path.to_owned())
        .build()
        .await
        .unwrap()
}

pub fn none() -> HashMap<&'static str, Variant<'static>> {
    HashMap::new()
}

pub fn context(bytes: &[u8]) -> HashMap<&'static str, Variant<'static>> {
    HashMap::from([("context", bytes.to_vec().into())])
}

pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: needs root");
    }
    root
}

/// Options of a method.
pub type Options<'a> = HashMap<&'a str, Variant<'a>>;

pub fn with<'a>(
    mut options: Options<'a>,
    name: &'a str,
    value: impl Into<Variant<'a>>,
) -> Options<'a> {
    options.insert(name, value.into());
    options
}

/// A file without a name that holds this.
pub fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file
}

/// What a file holds, wherever its offset is.
pub fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

pub fn fd(file: &impl AsFd) -> Fd<'_> {
    Fd::from(file.as_fd())
}
