//! A compile of a fixed tree with and without the daemon, and with its peers, run by turns so that whatever else the
//! machine does meets all of them. What counts is the processor time of the compile itself, hooks and all, and the
//! time on the clock.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use quantumos_harness::PrivateBus;
use security_ai::{SecurityAi, Settings};

use super::peers::{Auditd, Bpftrace};
use crate::{Failure, Print};

/// Files of the tree, and functions of each.
const FILES: usize = 16;
const FUNCTIONS: usize = 40;
/// Turns.
const TURNS: usize = 7;

/// What one compile took: on the clock, and of processors.
#[derive(Clone, Copy)]
struct Took {
    clock: f64,
    processor: f64,
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

    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let (mut audited, mut traced) = (Vec::new(), Vec::new());
    for turn in 1..=TURNS {
        eprintln!("security.compile: turn {turn} of {TURNS}");
        bare.push(compile(&files)?);
        ours.push(runtime.block_on(watched(root.path(), &files))?);
        if let Some(peer) = Auditd::start(turn == 1)? {
            audited.push(compile(&files)?);
            drop(peer);
        }
        if let Some(peer) = Bpftrace::start(turn == 1)? {
            traced.push(compile(&files)?);
            drop(peer);
        }
    }
    type Of = fn(&Took) -> f64;
    let kinds: [(&str, Of); 2] = [
        ("clock", |took| took.clock),
        ("processor", |took| took.processor),
    ];
    for (kind, of) in kinds {
        let overhead = |with: &[Took]| {
            let each = with.iter().zip(&bare);
            super::median(
                each.map(|(with, bare)| (of(with) / of(bare) - 1.0) * 100.0)
                    .collect(),
            )
        };
        let own = overhead(&ours);
        let name = format!("security.compile.{kind}-overhead");
        print(&name, own, "%", "", None);
        for (peer, took) in [("auditd", &audited), ("bpftrace", &traced)] {
            if !took.is_empty() {
                let theirs = overhead(took);
                eprintln!("{name}: {peer} {theirs:.2} %");
                // No ratio of what is not more than nothing.
                let ratio = (own > 0.0 && theirs > 0.0).then(|| theirs / own);
                print(&name, own, "%", peer, ratio);
            }
        }
    }
    Ok(())
}

async fn watched(root: &Path, files: &[PathBuf]) -> Result<Took, Failure> {
    let bus = PrivateBus::start()?;
    let daemon = bus
        .serve::<SecurityAi>(root, Settings::default())
        .await
        .map_err(|error| error.to_string())?;
    let files = files.to_vec();
    let took = tokio::task::spawn_blocking(move || compile(&files)).await?;
    daemon.stop().await;
    took
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

/// Compiles each file by itself.
fn compile(files: &[PathBuf]) -> Result<Took, Failure> {
    let before = children()?;
    let start = Instant::now();
    for file in files {
        let mut command = Command::new("cc");
        command
            .args(["-O1", "-c", "-o"])
            .arg(file.with_extension("o"))
            .arg(file);
        let status = command.stdin(Stdio::null()).status()?;
        if !status.success() {
            return Err(format!("cc {}: {status}", file.display()).into());
        }
    }
    Ok(Took {
        clock: start.elapsed().as_secs_f64(),
        processor: (children()? - before).as_secs_f64(),
    })
}

/// Processor time of the children that have ended.
fn children() -> Result<Duration, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let of = |time: nix::sys::time::TimeVal| -> Result<Duration, Failure> {
        Ok(Duration::from_secs(u64::try_from(time.tv_sec())?)
            + Duration::from_micros(u64::try_from(time.tv_usec())?))
    };
    Ok(of(usage.user_time())? + of(usage.system_time())?)
}
