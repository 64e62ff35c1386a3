//! A host made of files: proc, sysfs and the configuration that points there.

use std::{collections::HashMap, fs, path::Path};

use quantumos_dbus::{Dictionary, Dimension1Proxy, Steppps1Proxy, bus_name, path};
use quantumos_harness::{PrivateBus, eventually};
use quantumos_service::Running;
use steppps_mgr::{Settings, StepppsMgr};
use tempfile::TempDir;
use zbus::Connection;

/// A bus, and a tree of files that looks like a host.
pub struct Host {
    pub bus: PrivateBus,
    pub root: TempDir,
}

impl Host {
    /// A host on which nothing is there.
    pub fn empty() -> Self {
        let host = Self {
            bus: PrivateBus::start().unwrap(),
            root: tempfile::tempdir().unwrap(),
        };
        host.configure("");
        host
    }

    /// A host with processors, memory, a disk, a sensor, a network and a display.
    pub fn furnished() -> Self {
        let host = Self::empty();
        for (file, text) in [
            (
                "proc/meminfo",
                "MemTotal: 1000000 kB\nMemAvailable: 800000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
            ),
            (
                "proc/cpuinfo",
                "processor\t: 0\nmodel name\t: Test Processor\n",
            ),
            ("proc/loadavg", "0.50 0.40 0.30 1/100 4242\n"),
            ("proc/uptime", "1000.00 2000.00\n"),
            (
                "proc/pressure/cpu",
                "some avg10=1.00 avg60=1.00 avg300=1.00 total=1\n",
            ),
            (
                "proc/pressure/memory",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
            ),
            (
                "proc/pressure/io",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
            ),
            ("proc/1/stat", "1 (init) S 0 1 1 0 -1 4194560 1 2\n"),
            ("proc/2/stat", "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0\n"),
            ("sys/devices/system/cpu/online", "0-1\n"),
            ("sys/devices/system/cpu/possible", "0-3\n"),
            (
                "sys/devices/system/cpu/cpu0/topology/physical_package_id",
                "0\n",
            ),
            ("sys/devices/system/cpu/cpu0/topology/core_id", "0\n"),
            ("sys/devices/system/node/node0/cpulist", "0-1\n"),
            (
                "sys/devices/system/node/node0/meminfo",
                "Node 0 MemTotal: 1000000 kB\n",
            ),
            (
                "sys/devices/system/clocksource/clocksource0/current_clocksource",
                "tsc\n",
            ),
            (
                "sys/devices/system/clocksource/clocksource0/available_clocksource",
                "tsc hpet\n",
            ),
            ("sys/block/vda/size", "2048\n"),
            ("sys/block/vda/queue/rotational", "0\n"),
            ("sys/class/hwmon/hwmon0/name", "chip\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "40000\n"),
            ("sys/class/hwmon/hwmon0/temp1_crit", "100000\n"),
            ("sys/class/net/eth0/operstate", "up\n"),
            ("sys/class/net/eth0/mtu", "1500\n"),
            ("sys/class/drm/card0-DP-1/status", "connected\n"),
            ("sys/class/drm/card0-DP-1/enabled", "enabled\n"),
            ("sys/class/drm/card0-DP-1/modes", "1920x1080\n800x600\n"),
            ("sys/class/backlight/panel/brightness", "50\n"),
            ("sys/class/backlight/panel/max_brightness", "100\n"),
        ] {
            host.write(file, text);
        }
        host
    }

    /// Writes a file below the host's root.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes the configuration: this host's roots, short gathering, and `more`.
    pub fn configure(&self, more: &str) {
        let root = self.root.path().display();
        self.write(
            "etc/quantumos/steppps-mgr.toml",
            &format!(
                "gather-milliseconds = 1\n{more}\n[roots]\nproc = \"{root}/proc\"\nsys = \"{root}/sys\"\nkmsg = \"{root}/kmsg\"\n"
            ),
        );
    }

    pub fn settings(&self) -> Settings {
        quantumos_service::load(self.root.path(), "steppps-mgr").unwrap()
    }

    /// Starts the daemon on this host.
    pub async fn serve(&self) -> Running<StepppsMgr> {
        self.bus
            .serve::<StepppsMgr>(self.root.path(), self.settings())
            .await
            .unwrap()
    }

    pub fn path(&self) -> &Path {
        self.root.path()
    }

    pub async fn client(&self) -> Client {
        Client {
            connection: self.bus.connect().await.unwrap(),
        }
    }
}

/// A caller.
pub struct Client {
    pub connection: Connection,
}

impl Client {
    pub async fn root(&self) -> Steppps1Proxy<'static> {
        Steppps1Proxy::new(&self.connection).await.unwrap()
    }

    /// A dimension, without a cache: each question goes to the daemon.
    pub async fn dimension(&self, name: &str) -> Dimension1Proxy<'static> {
        Dimension1Proxy::builder(&self.connection)
            .destination(bus_name::STEPPPS)
            .path(format!("{}/{name}", path::STEPPPS))
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
            .unwrap()
    }

    pub async fn snapshot(&self) -> HashMap<String, Dictionary> {
        self.root().await.snapshot().await.unwrap()
    }

    /// Waits until the dimension's state is as `is` wants it, and gives it.
    pub async fn until(&self, name: &str, what: &str, is: impl Fn(&View) -> bool) -> View {
        let proxy = self.dimension(name).await;
        eventually(what, async || {
            let view = View {
                available: proxy.available().await.unwrap(),
                health: proxy.health().await.unwrap(),
                reason: proxy.reason().await.unwrap(),
                source: proxy.source().await.unwrap(),
                state: proxy.state().await.unwrap(),
            };
            is(&view).then_some(view)
        })
        .await
    }

    pub async fn view(&self, name: &str) -> View {
        self.until(name, "an answer", |_| true).await
    }
}

/// What a dimension shows.
#[derive(Debug)]
pub struct View {
    pub available: bool,
    pub health: String,
    pub reason: String,
    pub source: Vec<String>,
    pub state: Dictionary,
}

impl View {
    pub fn number(&self, key: &str) -> Option<u64> {
        u64::try_from(&**self.state.get(key)?).ok()
    }

    pub fn text(&self, key: &str) -> Option<String> {
        String::try_from(self.state.get(key)?.clone()).ok()
    }

    pub fn texts(&self, key: &str) -> Vec<String> {
        self.state
            .get(key)
            .map(|value| value.clone().try_into().unwrap())
            .unwrap_or_default()
    }

    pub fn rows(&self, key: &str) -> Vec<Dictionary> {
        self.state
            .get(key)
            .map(|value| value.clone().try_into().unwrap())
            .unwrap_or_default()
    }

    /// One column of a table of texts.
    pub fn column(&self, key: &str, column: &str) -> Vec<String> {
        self.rows(key)
            .iter()
            .map(|row| row[column].clone().try_into().unwrap())
            .collect()
    }
}
