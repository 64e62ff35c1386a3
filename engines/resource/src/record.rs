//! Recorded runs: the counters of every cgroup, second by second, while a seeded load
//! ran. Text, so that a run can be read, and sparse, so that it stays small: a cgroup
//! whose counters did not move has no line.
//!
//! ```text
//! # quantumos-run 1
//! # scenario=compile seed=7 cpus=4 ...
//! g,0,/
//! g,1,/system.slice
//! t,1000123                      one line a round, microseconds since the start
//! 0,52311,0,0,812345,1048576     cgroup, cpu.some, memory.some, io.some, usage (all
//!                                microseconds since the line before), memory (KiB)
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Error;
use crate::history::Sample;

/// First line of every recorded run.
pub const HEADER: &str = "# quantumos-run 1";
/// Most cgroups in one run.
pub const MAX_GROUPS: usize = 256;
/// Most lines in one run.
pub const MAX_LINES: usize = 1_000_000;

/// The readings of one round; index is the cgroup's, `None` where it did not exist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Round {
    /// Microseconds since the start of the run.
    pub time_us: u64,
    /// One place for each cgroup of the run.
    pub samples: Vec<Option<Sample>>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// What was recorded, where and how: `name=value`.
    pub meta: BTreeMap<String, String>,
    /// Paths of the cgroups, `/` first.
    pub groups: Vec<String>,
    /// The rounds in order of time.
    pub rounds: Vec<Round>,
}

impl Run {
    /// The number of CPUs of the machine the run was recorded on.
    ///
    /// # Errors
    /// `Error::Record` when the run does not say.
    pub fn cpus(&self) -> Result<u32, Error> {
        self.meta
            .get("cpus")
            .and_then(|value| value.parse().ok())
            .filter(|cpus| (1..=4096).contains(cpus))
            .ok_or_else(|| Error::Record {
                line: 2,
                reason: "no cpus=1..4096".into(),
            })
    }

    /// Writes the run as text.
    pub fn to_text(&self) -> String {
        let mut out = format!("{HEADER}\n");
        for (name, value) in &self.meta {
            let _ = writeln!(out, "# {name}={value}");
        }
        for (index, path) in self.groups.iter().enumerate() {
            let _ = writeln!(out, "g,{index},{path}");
        }
        let mut before: Vec<Option<Sample>> = vec![None; self.groups.len()];
        for round in &self.rounds {
            let _ = writeln!(out, "t,{}", round.time_us);
            for (index, (sample, last)) in round.samples.iter().zip(&mut before).enumerate() {
                let Some(sample) = sample else { continue };
                let base = last.unwrap_or_default();
                let memory_kib = sample.memory_bytes / 1024;
                let new = [
                    sample.cpu_some_us.saturating_sub(base.cpu_some_us),
                    sample.memory_some_us.saturating_sub(base.memory_some_us),
                    sample.io_some_us.saturating_sub(base.io_some_us),
                    sample.usage_us.saturating_sub(base.usage_us),
                ];
                if last.is_some() && new == [0; 4] && memory_kib == base.memory_bytes / 1024 {
                    continue;
                }
                let _ = writeln!(
                    out,
                    "{index},{},{},{},{},{memory_kib}",
                    new[0], new[1], new[2], new[3]
                );
                *last = Some(*sample);
            }
        }
        out
    }

    /// Reads a run back.
    ///
    /// # Errors
    /// `Error::Record` with the line that has another form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut run = Self::default();
        let mut now: Vec<Option<Sample>> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let fail = |reason: &str| Error::Record {
                line: number,
                reason: reason.into(),
            };
            if number > MAX_LINES {
                return Err(fail("too many lines"));
            }
            if number == 1 {
                if line != HEADER {
                    return Err(fail("does not begin with `# quantumos-run 1`"));
                }
            } else if let Some(meta) = line.strip_prefix("# ") {
                let (name, value) = meta
                    .split_once('=')
                    .ok_or_else(|| fail("not `# name=value`"))?;
                run.meta.insert(name.into(), value.into());
            } else if let Some(group) = line.strip_prefix("g,") {
                let (place, path) = group
                    .split_once(',')
                    .ok_or_else(|| fail("not `g,index,path`"))?;
                if place.parse() != Ok(run.groups.len())
                    || run.groups.len() >= MAX_GROUPS
                    || !run.rounds.is_empty()
                {
                    return Err(fail("cgroup out of order or too many"));
                }
                run.groups.push(path.into());
                now.push(None);
            } else if let Some(time) = line.strip_prefix("t,") {
                let time_us = time.parse().map_err(|_| fail("not a time"))?;
                if let Some(last) = run.rounds.last_mut() {
                    if time_us <= last.time_us {
                        return Err(fail("time does not advance"));
                    }
                    last.samples = now.clone();
                }
                for sample in now.iter_mut().flatten() {
                    sample.time_us = time_us;
                }
                run.rounds.push(Round {
                    time_us,
                    samples: Vec::new(),
                });
            } else {
                let time_us = run
                    .rounds
                    .last()
                    .ok_or_else(|| fail("a reading before the first time"))?
                    .time_us;
                apply(line, time_us, &mut now)
                    .ok_or_else(|| fail("not `cgroup,cpu,memory,io,usage,KiB`"))?;
            }
        }
        if let Some(last) = run.rounds.last_mut() {
            last.samples = now;
        }
        Ok(run)
    }
}

fn apply(line: &str, time_us: u64, now: &mut [Option<Sample>]) -> Option<()> {
    let mut words = line.split(',').map(|word| word.parse::<u64>().ok());
    let group = usize::try_from(words.next()??).ok()?;
    let slot = now.get_mut(group)?;
    let base = slot.unwrap_or_default();
    let mut next = |before: u64| before.checked_add(words.next()??);
    let sample = Sample {
        time_us,
        cpu_some_us: next(base.cpu_some_us)?,
        memory_some_us: next(base.memory_some_us)?,
        io_some_us: next(base.io_some_us)?,
        usage_us: next(base.usage_us)?,
        memory_bytes: next(0)?.checked_mul(1024)?,
    };
    if words.next().is_some() {
        return None;
    }
    *slot = Some(sample);
    Some(())
}
