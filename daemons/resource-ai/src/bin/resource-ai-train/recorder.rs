//! Records a run: starts the workers of a seed as transient services, reads all units
//! once a second, and writes what was read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use quantumos_resource::record::{MAX_GROUPS, Round, Run};
use resource_ai::sampler::{Sampler, cpus, monotonic_us};
use resource_ai::sources::Sources;

use crate::scenario::{Worker, workers};
use crate::{Outcome, named};

const SECOND_US: u64 = 1_000_000;

/// What to record.
#[derive(Debug, Args)]
pub struct Options {
    /// Seed of the load; 0 records what the machine does by itself
    #[arg(long)]
    seed: u64,
    /// How long, in seconds
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// What kind of machine this is, in words, for the manifest
    #[arg(long)]
    machine: String,
    /// Where to write the run
    #[arg(long)]
    out: PathBuf,
}

/// Records one run.
pub fn record(options: &Options) -> Outcome {
    let sources = Sources::default();
    if let Some(problem) = sources
        .pressure_problem()
        .or_else(|| sources.cgroup_problem())
    {
        return Err(problem.into());
    }
    let workers = if options.seed == 0 {
        Vec::new()
    } else {
        workers(options.seed, cpus())
    };
    for worker in &workers {
        start(worker, options.seconds)?;
    }
    let run = watch(sources, options);
    for worker in &workers {
        let unit = format!("{}.service", worker.unit);
        let _ = Command::new("systemctl")
            .args(["stop", &unit])
            .stderr(Stdio::null())
            .status();
    }
    let mut run = run?;
    run.meta = describe(options, &workers);
    let text = run.to_text();
    std::fs::write(&options.out, &text).map_err(named(&options.out))?;
    eprintln!(
        "{}: {} rounds, {} units, {} bytes",
        options.out.display(),
        run.rounds.len(),
        run.groups.len(),
        text.len()
    );
    Ok(())
}

fn start(worker: &Worker, seconds: u64) -> Outcome {
    let program = std::env::current_exe()?;
    let status = Command::new("systemd-run")
        .args([
            "--quiet",
            "--collect",
            "--unit",
            &worker.unit,
            "--slice",
            worker.slice,
        ])
        .arg("--property=CPUAccounting=yes")
        .arg("--property=MemoryAccounting=yes")
        .arg("--property=IOAccounting=yes")
        .arg("--")
        .arg(program)
        .arg("load")
        .args(&worker.arguments)
        .args(["--seconds", &seconds.to_string()])
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("systemd-run for {}: {status}", worker.unit).into())
    }
}

fn watch(sources: Sources, options: &Options) -> Result<Run, Box<dyn std::error::Error>> {
    let mut sampler = Sampler::new(sources, MAX_GROUPS - 1);
    let mut places: BTreeMap<String, usize> = BTreeMap::from([("/".into(), 0)]);
    let mut run = Run {
        groups: vec!["/".into()],
        ..Run::default()
    };
    let begin = monotonic_us();
    for second in 0..=options.seconds {
        let due = begin + second * SECOND_US;
        std::thread::sleep(Duration::from_micros(due.saturating_sub(monotonic_us())));
        if second % 2 == 0 {
            sampler.discover();
        }
        let time_us = monotonic_us() - begin + 1;
        let mut round = Round {
            time_us,
            samples: vec![None; run.groups.len()],
        };
        round.samples[0] = Some(sampler.sample_system(time_us)?);
        for (path, sample) in sampler.sample(time_us).0 {
            let place = match places.get(&path) {
                Some(place) => *place,
                None if run.groups.len() < MAX_GROUPS => {
                    run.groups.push(path.clone());
                    round.samples.push(None);
                    places.insert(path, run.groups.len() - 1);
                    run.groups.len() - 1
                }
                None => continue,
            };
            round.samples[place] = Some(sample);
        }
        run.rounds.push(round);
    }
    let count = run.groups.len();
    for round in &mut run.rounds {
        round.samples.resize(count, None);
    }
    Ok(run)
}

fn describe(options: &Options, workers: &[Worker]) -> BTreeMap<String, String> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load: Vec<String> = workers
        .iter()
        .map(|worker| {
            format!(
                "{}/{} {}",
                worker.slice,
                worker.unit,
                worker.arguments.join(" ")
            )
        })
        .collect();
    BTreeMap::from([
        ("seed".into(), options.seed.to_string()),
        ("cpus".into(), cpus().to_string()),
        ("kernel".into(), kernel.trim().into()),
        ("machine".into(), options.machine.replace('\n', " ")),
        ("load".into(), load.join("; ")),
    ])
}
