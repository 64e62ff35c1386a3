//! A compile of a fixed tree on all processors with and without the daemon, and with its peers. All take turns, each turn
//! in another order, with two compiles that nobody watches in it: how far those are from each other tells what a
//! difference is worth on this machine. What counts is the time on the clock and the processor time of the compile itself,
//! hooks and all; what the daemon needs meanwhile is said as well.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use quantumos_dbus::Security1Proxy;
use quantumos_ebpf::RunTime;
use quantumos_harness::PrivateBus;
use quantumos_service::Running;
use security_ai::{SecurityAi, Settings};

use super::peers::{Auditd, Bpftrace};
use crate::{Failure, Print};

/// Files of the tree, and functions of each.
const FILES: usize = 64;
const FUNCTIONS: usize = 40;
/// Turns.
const TURNS: usize = 11;

/// Who watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Nobody,
    NobodyAgain,
    Us,
    Auditd,
    Bpftrace,
}

const ALL: [By; 5] = [
    By::Nobody,
    By::Us,
    By::NobodyAgain,
    By::Auditd,
    By::Bpftrace,
];

/// What one compile took: on the clock, of processors, and of processors in this process, where the daemon is.
#[derive(Clone, Copy)]
struct Took {
    clock: f64,
    processor: f64,
    own: f64,
}

/// Measures, and prints the overhead of each in per cent.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    let tree = tempfile::tempdir()?;
    let files = plant(tree.path())?;
    if let Err(error) = compile(&files) {
        eprintln!("skipped: no compile: {error}");
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let root = tempfile::tempdir()?;
    let rules = root.path().join("usr/lib/quantumos/security-ai");
    std::fs::create_dir_all(&rules)?;
    std::os::unix::fs::symlink(super::pack().canonicalize()?, rules.join("rules.d"))?;

    let mut turns: Vec<Turn> = Vec::new();
    for turn in 0..TURNS {
        eprintln!("security.compile: turn {} of {TURNS}", turn + 1);
        let mut took = [None; ALL.len()];
        for step in 0..ALL.len() {
            let place = (turn + step) % ALL.len();
            took[place] = match ALL[place] {
                By::Nobody | By::NobodyAgain => Some(settled(&files)?),
                By::Us => Some(runtime.block_on(watched(root.path(), &files))?),
                By::Auditd => match Auditd::start(turn == 0)? {
                    Some(_peer) => Some(settled(&files)?),
                    None => None,
                },
                By::Bpftrace => match Bpftrace::start(turn == 0)? {
                    Some(_peer) => Some(settled(&files)?),
                    None => None,
                },
            };
        }
        turns.push(took);
    }
    report(&turns, print);
    match RunTime::measure() {
        Ok(counting) => {
            let starting = turns.iter().filter_map(|took| of(took, By::Nobody));
            let starting = super::median(starting.map(|took| took.own).collect());
            let share = runtime.block_on(accounted(root.path(), &files, starting))?;
            drop(counting);
            print("security.compile.accounted", share, "%", "", None);
        }
        Err(error) => eprintln!("skipped: no time in probes: {error}"),
    }
    Ok(())
}

/// What is known of the cost without a comparison: the probes' own time and the daemon's, per cent of the compile's. Not
/// in it is what the kernel does to get to the probes, nor what this process needs to start the compilers.
async fn accounted(root: &Path, files: &[PathBuf], starting: f64) -> Result<f64, Failure> {
    let (bus, daemon) = serve(root).await?;
    let client = bus.connect().await?;
    let security = Security1Proxy::new(&client).await?;
    let mut shares = Vec::new();
    for _ in 0..TURNS {
        let before = in_probes(&security.statistics().await?);
        let files = files.to_vec();
        let took = tokio::task::spawn_blocking(move || settled(&files)).await??;
        let probes = in_probes(&security.statistics().await?) - before;
        shares.push(100.0 * (probes + took.own - starting) / took.processor);
    }
    daemon.stop().await;
    Ok(super::median(shares))
}

/// What a turn took, in the order of [`ALL`].
type Turn = [Option<Took>; ALL.len()];

fn of(turn: &Turn, by: By) -> Option<Took> {
    let place = ALL.iter().position(|one| *one == by)?;
    turn[place]
}

fn report(turns: &[Turn], print: Print<'_>) {
    type Kind = fn(&Took) -> f64;
    let kinds: [(&str, Kind); 2] = [
        ("clock", |took| took.clock),
        ("processor", |took| took.processor),
    ];
    for (kind, value) in kinds {
        let name = format!("security.compile.{kind}-overhead");
        // Against the mean of the two compiles of the same turn that nobody watched.
        let overhead = |by: By| {
            let mut each = Vec::new();
            for took in turns {
                let bare = [of(took, By::Nobody), of(took, By::NobodyAgain)];
                if let ([Some(one), Some(other)], Some(with)) = (bare, of(took, by)) {
                    let bare = (value(&one) + value(&other)) / 2.0;
                    each.push((value(&with) / bare - 1.0) * 100.0);
                }
            }
            each.sort_by(f64::total_cmp);
            let quarter = |n: usize| each.get(each.len() * n / 4).copied();
            let (low, high) = (quarter(1)?, quarter(3)?);
            let middle = super::median(each);
            eprintln!("{name}: {by:?} {middle:.2} %, half of the turns {low:.2} to {high:.2} %");
            Some(middle)
        };
        overhead(By::NobodyAgain);
        let Some(own) = overhead(By::Us) else {
            continue;
        };
        print(&name, own, "%", "", None);
        for (peer, by) in [("auditd", By::Auditd), ("bpftrace", By::Bpftrace)] {
            if let Some(theirs) = overhead(by) {
                // No ratio of what is not more than nothing.
                let ratio = (own > 0.0 && theirs > 0.0).then(|| theirs / own);
                print(&name, own, "%", peer, ratio);
            }
        }
    }
    let daemon = turns.iter().filter_map(|took| {
        // Starting compilers is this process's work, too, in each of them.
        let bare = [of(took, By::Nobody)?, of(took, By::NobodyAgain)?];
        let bare = (bare[0].own + bare[1].own) / 2.0;
        let with = of(took, By::Us)?;
        Some(100.0 * (with.own - bare) / with.processor)
    });
    let daemon = super::median(daemon.collect());
    print("security.compile.daemon", daemon, "%", "", None);
}

/// Seconds in all programs.
fn in_probes(statistics: &HashMap<String, u64>) -> f64 {
    let times = statistics
        .iter()
        .filter(|(name, _)| name.starts_with("program.") && name.ends_with(".ns"));
    times.map(|(_, nanos)| *nanos as f64 * 1e-9).sum()
}

/// The daemon on a bus of its own.
async fn serve(root: &Path) -> Result<(PrivateBus, Running<SecurityAi>), Failure> {
    let bus = PrivateBus::start()?;
    let daemon = bus.serve(root, Settings::default()).await;
    let daemon = daemon.map_err(|error| error.to_string())?;
    Ok((bus, daemon))
}

async fn watched(root: &Path, files: &[PathBuf]) -> Result<Took, Failure> {
    let (_bus, daemon) = serve(root).await?;
    let files = files.to_vec();
    let took = tokio::task::spawn_blocking(move || settled(&files)).await?;
    daemon.stop().await;
    took
}

/// Compiles once nothing is left to do of what was started or stopped before.
fn settled(files: &[PathBuf]) -> Result<Took, Failure> {
    const REST: Duration = Duration::from_millis(500);
    const QUIET: Duration = Duration::from_millis(5);
    loop {
        let before = used(UsageWho::RUSAGE_SELF)?;
        std::thread::sleep(REST);
        if used(UsageWho::RUSAGE_SELF)? < before + QUIET {
            return compile(files);
        }
    }
}

/// Writes the tree.
fn plant(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for file in 0..FILES {
        let mut text =
            String::from("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n");
        for function in 0..FUNCTIONS {
            text.push_str(&format!(
                "int f{file}_{function}(const char *s, int n) {{ char b[64]; \
                 snprintf(b, sizeof b, \"%s %d\", s, n * {function}); return (int)strlen(b) + atoi(s); }}\n"
            ));
        }
        let path = folder.join(format!("{file}.c"));
        std::fs::write(&path, text)?;
        files.push(path);
    }
    Ok(files)
}

/// Compiles each file by itself, as many at a time as there are processors.
fn compile(files: &[PathBuf]) -> Result<Took, Failure> {
    let jobs = std::thread::available_parallelism()?.get();
    let next = AtomicUsize::new(0);
    let children = used(UsageWho::RUSAGE_CHILDREN)?;
    let own = used(UsageWho::RUSAGE_SELF)?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let take = || -> Result<(), String> {
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut command = Command::new("cc");
                command
                    .args(["-O1", "-c", "-o"])
                    .arg(file.with_extension("o"))
                    .arg(file);
                let status = command.stdin(Stdio::null()).status();
                let status = status.map_err(|error| format!("cc: {error}"))?;
                if !status.success() {
                    return Err(format!("cc {}: {status}", file.display()));
                }
            }
            Ok(())
        };
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(take)).collect();
        let mut ended = workers.into_iter().map(|worker| worker.join());
        ended.try_for_each(|worker| worker.unwrap_or_else(|_| Err("a worker failed".to_owned())))
    })?;
    Ok(Took {
        clock: start.elapsed().as_secs_f64(),
        processor: (used(UsageWho::RUSAGE_CHILDREN)? - children).as_secs_f64(),
        own: (used(UsageWho::RUSAGE_SELF)? - own).as_secs_f64(),
    })
}

/// Processor time of this process, or of its children that have ended.
fn used(who: UsageWho) -> Result<Duration, Failure> {
    let usage = getrusage(who)?;
    let of = |time: nix::sys::time::TimeVal| -> Result<Duration, Failure> {
        Ok(Duration::from_secs(u64::try_from(time.tv_sec())?)
            + Duration::from_micros(u64::try_from(time.tv_usec())?))
    };
    Ok(of(usage.user_time())? + of(usage.system_time())?)
}
