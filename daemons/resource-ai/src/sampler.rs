//! Reads the counters of the machine and of each slice, service and scope.
//!
//! Files stay open between rounds: a reading is then one pread(2) a file. A cgroup that
//! went away is dropped; one that lacks a file (a controller is off) reads as zero there.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use quantumos_resource::counters;
use quantumos_resource::history::Sample;
use quantumos_resource::psi::Pressure;
use quantumos_resource::units::{holds_units, unit_of};

use crate::sources::{self, Sources};

/// How deep below the root slices are looked into.
const DEEPEST: usize = 6;
/// Most entries of one directory that are looked at.
const MOST_ENTRIES: usize = 4096;

/// One cgroup that is read.
#[derive(Debug)]
struct Group {
    inode: u64,
    cpu: Option<File>,
    memory: Option<File>,
    io: Option<File>,
    stat: Option<File>,
    current: Option<File>,
}

/// Reads counters.
#[derive(Debug)]
pub struct Sampler {
    sources: Sources,
    most: usize,
    groups: BTreeMap<String, Group>,
    left_out: usize,
}

impl Sampler {
    /// A sampler that reads at most `most` cgroups, the machine not counted.
    pub fn new(sources: Sources, most: usize) -> Self {
        Self {
            sources,
            most,
            groups: BTreeMap::new(),
            left_out: 0,
        }
    }

    /// Where it reads.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// How many units there are beyond the bound.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The paths that are read, the machine not among them.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// The path of a cgroup by its inode, which is its id in the kernel.
    pub fn path_of(&self, inode: u64) -> Option<&str> {
        let found = self.groups.iter().find(|(_, group)| group.inode == inode);
        found.map(|(path, _)| path.as_str())
    }

    /// Looks which cgroups there are now, from the top down, and opens the new ones.
    pub fn discover(&mut self) {
        let (mut found, mut left_out) = (BTreeMap::new(), 0);
        let mut next = VecDeque::from([(String::new(), 0)]);
        while let Some((parent, depth)) = next.pop_front() {
            for name in self.children(&parent) {
                let path = format!("{parent}/{name}");
                if unit_of(&path).is_none() {
                    continue;
                }
                if holds_units(&path) && depth < DEEPEST {
                    next.push_back((path.clone(), depth + 1));
                }
                if found.len() >= self.most {
                    left_out += 1;
                    continue;
                }
                let Ok(directory) = std::fs::metadata(self.sources.of_group(&path, "")) else {
                    continue;
                };
                let known = self
                    .groups
                    .remove(&path)
                    .filter(|known| known.inode == directory.ino());
                let group = known.unwrap_or_else(|| self.open(&path, directory.ino()));
                found.insert(path, group);
            }
        }
        self.groups = found;
        self.left_out = left_out;
    }

    fn children(&self, parent: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.sources.of_group(parent, "")) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .take(MOST_ENTRIES)
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    fn open(&self, path: &str, inode: u64) -> Group {
        let open = |file: &str| File::open(self.sources.of_group(path, file)).ok();
        Group {
            inode,
            cpu: open("cpu.pressure"),
            memory: open("memory.pressure"),
            io: open("io.pressure"),
            stat: open("cpu.stat"),
            current: open("memory.current"),
        }
    }

    /// Reads every known cgroup, and says whether all could be read. One that could not is
    /// forgotten until it is discovered again.
    pub fn sample(&mut self, time_us: u64) -> (Vec<(String, Sample)>, bool) {
        let known = self.groups.len();
        let mut readings = Vec::with_capacity(self.groups.len());
        self.groups
            .retain(|path, group| match read_group(group, time_us) {
                Ok(sample) => {
                    readings.push((path.clone(), sample));
                    true
                }
                Err(error) => {
                    tracing::debug!(path, %error, "cgroup is gone");
                    false
                }
            });
        let all = readings.len() == known;
        (readings, all)
    }

    /// Reads the machine as a whole.
    ///
    /// # Errors
    /// When the pressure of the CPU cannot be read; what else is missing reads as zero.
    pub fn sample_system(&self, time_us: u64) -> Result<Sample, crate::Error> {
        let total = |resource: &str| -> Result<u64, crate::Error> {
            let text = sources::read(&self.sources.pressure(resource))?;
            Ok(Pressure::parse(&text)?.some.map_or(0, |line| line.total))
        };
        let usage = match sources::read(&self.sources.of_group("/", "cpu.stat")) {
            Ok(text) => counters::cpu_stat(&text)?.usage_us,
            Err(_) => {
                let text = std::fs::read_to_string(self.sources.proc.join("stat"))?;
                counters::proc_stat_usage(&text, ticks_per_second())?
            }
        };
        Ok(Sample {
            time_us,
            cpu_some_us: total("cpu")?,
            memory_some_us: total("memory").unwrap_or(0),
            io_some_us: total("io").unwrap_or(0),
            usage_us: usage,
            memory_bytes: 0,
        })
    }
}

fn read_group(group: &Group, time_us: u64) -> Result<Sample, crate::Error> {
    // Nothing to read at all would make a history of zeros that looks calm.
    if group.cpu.is_none() && group.stat.is_none() {
        return Err(io::Error::from(io::ErrorKind::NotFound).into());
    }
    let total = |file: &Option<File>| -> Result<u64, crate::Error> {
        let Some(file) = file else { return Ok(0) };
        match sources::read_again(file) {
            Ok(text) => Ok(Pressure::parse(&text)?.some.map_or(0, |line| line.total)),
            // cgroup.pressure was set to 0 for this cgroup.
            Err(error) if error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => Ok(0),
            Err(error) => Err(error.into()),
        }
    };
    let usage_us = match &group.stat {
        Some(file) => counters::cpu_stat(&sources::read_again(file)?)?.usage_us,
        None => 0,
    };
    let memory_bytes = match &group.current {
        Some(file) => counters::single("memory.current", &sources::read_again(file)?)?,
        None => 0,
    };
    Ok(Sample {
        time_us,
        cpu_some_us: total(&group.cpu)?,
        memory_some_us: total(&group.memory)?,
        io_some_us: total(&group.io)?,
        usage_us,
        memory_bytes,
    })
}

fn ticks_per_second() -> u64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    ticks
        .ok()
        .flatten()
        .and_then(|ticks| u64::try_from(ticks).ok())
        .unwrap_or(100)
}

/// Microseconds of the monotonic clock.
pub fn monotonic_us() -> u64 {
    use nix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(std::time::Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

/// How many CPUs are online.
pub fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1))
}
