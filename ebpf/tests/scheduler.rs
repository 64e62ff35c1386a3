//! Run-queue latency on the running kernel.

#![allow(clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use quantumos_ebpf::{SchedulerLatency, SchedulerSettings};

fn load(settings: &SchedulerSettings) -> Option<SchedulerLatency> {
    if !support::privileged() {
        println!("skipped: CAP_BPF and CAP_PERFMON, or BTF, are not here");
        return None;
    }
    Some(SchedulerLatency::load_with(settings).expect("the probes load"))
}

/// A cgroup of our own, removed with the value.
struct Cgroup(PathBuf);

impl Cgroup {
    fn create() -> Option<Self> {
        let root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            .into_iter()
            .find(|root| Path::new(root).join("cgroup.controllers").exists())?;
        let path = Path::new(root).join(format!("quantumos-test-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    fn id(&self) -> u64 {
        fs::metadata(&self.0).expect("cgroup").ino()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }
}

#[test]
fn wakeups_are_counted_to_their_cgroup() {
    let Some(mut latency) = load(&SchedulerSettings::default()) else {
        return;
    };
    let Some(cgroup) = Cgroup::create() else {
        println!("skipped: no cgroup v2 that can be written");
        return;
    };
    let id = cgroup.id();
    let mut cat = Command::new("/bin/cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cat");
    fs::write(cgroup.0.join("cgroup.procs"), cat.id().to_string()).expect("move");
    let before = latency
        .read()
        .expect("read")
        .get(&id)
        .copied()
        .unwrap_or_default();
    let mut input = cat.stdin.take().expect("stdin");
    let mut output = std::io::BufReader::new(cat.stdout.take().expect("stdout"));
    // A line that comes while cat still runs wakes nobody: go on until enough did.
    let deadline = Instant::now() + Duration::from_secs(60);
    let after = loop {
        for _ in 0..20 {
            input.write_all(b"x\n").expect("write");
            let mut line = String::new();
            std::io::BufRead::read_line(&mut output, &mut line).expect("read");
        }
        let now = latency
            .read()
            .expect("read")
            .get(&id)
            .copied()
            .unwrap_or_default();
        if now.since(&before).count() >= 200 {
            break now;
        }
        assert!(Instant::now() < deadline, "{now:?}");
    };
    drop(input);
    cat.wait().expect("wait");
    let between = after.since(&before);
    assert_eq!(between.slots().iter().sum::<u64>(), between.count());
    assert!(between.percentile(500) > 0 && between.percentile(500) <= between.percentile(990));
    assert!(between.percentile(990) <= between.max());
    assert_eq!(latency.missed().expect("missed"), 0);

    drop(cgroup);
    latency.retain(&mut |other| other != id).expect("retain");
    assert!(!latency.read().expect("read").contains_key(&id));
}

#[test]
fn short_waits_can_be_left_out() {
    let settings = SchedulerSettings {
        min_latency: u64::MAX,
        ..SchedulerSettings::default()
    };
    let Some(latency) = load(&settings) else {
        return;
    };
    Command::new("/bin/true").status().expect("true");
    assert!(latency.read().expect("read").is_empty());
}

#[test]
fn what_cannot_be_timed_is_counted() {
    let settings = SchedulerSettings {
        max_waiting: 1,
        ..SchedulerSettings::default()
    };
    let Some(latency) = load(&settings) else {
        return;
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while latency.missed().expect("missed") == 0 {
        assert!(Instant::now() < deadline, "nothing was missed");
        let threads: Vec<_> = (0..64)
            .map(|_| std::thread::spawn(std::thread::yield_now))
            .collect();
        for thread in threads {
            thread.join().expect("thread");
        }
    }
}

#[test]
fn the_verifier_stays_within_budget() {
    let Some(latency) = load(&SchedulerSettings::default()) else {
        return;
    };
    for program in latency.statistics().expect("statistics") {
        println!(
            "{}: {:?} instructions verified",
            program.program, program.verified_instructions
        );
        assert!(
            program
                .verified_instructions
                .is_none_or(|count| count < 20_000),
            "{}",
            program.program
        );
    }
}
