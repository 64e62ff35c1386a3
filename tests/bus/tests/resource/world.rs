//! A made-up machine: pressure files and a cgroup tree whose counters a thread moves, so
//! that a daemon reads them as it reads the kernel's.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How fast a unit's counters move, as shares of time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rate {
    /// Pressure of the CPU.
    pub pressure: f64,
    /// CPUs in use.
    pub usage: f64,
}

/// The machine; its counters stop with it.
pub struct World {
    directory: tempfile::TempDir,
    rates: Arc<Mutex<BTreeMap<String, Rate>>>,
    ended: Arc<AtomicBool>,
    mover: Option<JoinHandle<()>>,
}

/// A file and its text for the time stalled and the CPU time used.
type Counter = (File, fn(u64, u64) -> String);

struct Unit {
    files: Vec<Counter>,
    pressure: f64,
    usage: f64,
}

fn pressure(stalled: u64, _: u64) -> String {
    // One width, so that a reader never sees the half of two texts.
    format!("some avg10=0.00 avg60=0.00 avg300=0.00 total={stalled:020}\n")
}

fn stat(_: u64, used: u64) -> String {
    format!("usage_usec {used:020}\n")
}

impl World {
    /// A machine with these units, by path from the root of the cgroups, none of them busy.
    pub fn new(paths: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (proc, cgroup) = (
            directory.path().join("proc"),
            directory.path().join("cgroup"),
        );
        fs::create_dir_all(proc.join("pressure")).unwrap();
        fs::create_dir_all(&cgroup).unwrap();
        fs::write(cgroup.join("cgroup.controllers"), "cpu memory\n").unwrap();
        let mut units = BTreeMap::from([("/".to_owned(), machine(&proc, &cgroup))]);
        for path in paths {
            units.insert((*path).to_owned(), unit(&cgroup.join(&path[1..])));
        }
        let rates: Arc<Mutex<BTreeMap<String, Rate>>> = Arc::default();
        let ended = Arc::new(AtomicBool::new(false));
        for unit in units.values() {
            unit.write();
        }
        let mover = std::thread::spawn({
            let (rates, ended) = (rates.clone(), ended.clone());
            move || run(units, &rates, &ended)
        });
        Self {
            directory,
            rates,
            ended,
            mover: Some(mover),
        }
    }

    /// From now on a unit's counters move like this.
    pub fn set(&self, path: &str, pressure: f64, usage: f64) {
        self.rates
            .lock()
            .unwrap()
            .insert(path.into(), Rate { pressure, usage });
    }

    /// Its `/proc`.
    pub fn proc(&self) -> PathBuf {
        self.directory.path().join("proc")
    }

    /// Its cgroups.
    pub fn cgroup(&self) -> PathBuf {
        self.directory.path().join("cgroup")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(mover) = self.mover.take() {
            let _ = mover.join();
        }
    }
}

impl Unit {
    fn write(&self) {
        for (file, text) in &self.files {
            file.write_all_at(text(self.pressure as u64, self.usage as u64).as_bytes(), 0)
                .unwrap();
        }
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)
        .unwrap()
}

fn machine(proc: &Path, cgroup: &Path) -> Unit {
    let mut files: Vec<Counter> = vec![(open(&cgroup.join("cpu.stat")), stat)];
    for resource in ["cpu", "memory", "io"] {
        files.push((open(&proc.join("pressure").join(resource)), pressure));
    }
    Unit {
        files,
        pressure: 0.0,
        usage: 0.0,
    }
}

fn unit(directory: &Path) -> Unit {
    fs::create_dir_all(directory).unwrap();
    let files: Vec<Counter> = vec![
        (open(&directory.join("cpu.pressure")), pressure),
        (open(&directory.join("cpu.stat")), stat),
    ];
    Unit {
        files,
        pressure: 0.0,
        usage: 0.0,
    }
}

fn run(
    mut units: BTreeMap<String, Unit>,
    rates: &Mutex<BTreeMap<String, Rate>>,
    ended: &AtomicBool,
) {
    let mut before = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
        let passed = before.elapsed().as_micros() as f64;
        before = Instant::now();
        for (path, unit) in &mut units {
            let rate = rates.lock().unwrap().get(path).copied().unwrap_or_default();
            unit.pressure += passed * rate.pressure;
            unit.usage += passed * rate.usage;
            unit.write();
        }
    }
}
