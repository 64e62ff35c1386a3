//! Run-queue latency of each cgroup, counted in the kernel: user space only reads totals, whatever the rate
//! of switches.

use std::collections::BTreeMap;

use aya::maps::{MapError, PerCpuArray, PerCpuHashMap};
use aya::{Btf, Ebpf, EbpfLoader, Pod};

use crate::attach::{self, Point};
use crate::error::Error;
use crate::histogram::{Histogram, SLOTS};
use crate::stats::{self, ProgramStatistics};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/scheduler.bpf.o"));

const LATENCIES: &str = "latencies";

const PROGRAMS: [(&str, Point); 3] = [
    ("latency_switch", Point::Tracepoint("sched_switch")),
    ("latency_wakeup", Point::Tracepoint("sched_wakeup")),
    ("latency_wakeup_new", Point::Tracepoint("sched_wakeup_new")),
];

/// `struct latency` of the probes.
#[repr(C)]
#[derive(Clone, Copy)]
struct Latency {
    count: u64,
    sum: u64,
    max: u64,
    slots: [u64; SLOTS],
}

// The layout that the compiler was made to assert on the C side, asserted here too.
const _: () = assert!(size_of::<Latency>() == crate::layout::latency::SIZE);

#[allow(unsafe_code)]
// SAFETY: `repr(C)` and made of `u64` only: every byte pattern is a value, and nothing is padding.
unsafe impl Pod for Latency {}

/// Limits of the kernel's maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulerSettings {
    /// Cgroups that are counted at the same time; the least recently used one makes room for another.
    /// Each takes 536 bytes a possible CPU.
    pub max_cgroups: u32,
    /// Tasks that can be waiting at the same time; waits beyond are not timed, but counted
    /// ([`SchedulerLatency::missed`]).
    pub max_waiting: u32,
    /// Waits below this are left out, in nanoseconds.
    pub min_latency: u64,
}

impl Default for SchedulerSettings {
    fn default() -> Self {
        Self {
            max_cgroups: 512,
            max_waiting: 16_384,
            min_latency: 0,
        }
    }
}

/// The loaded probes. Dropping this detaches them.
pub struct SchedulerLatency {
    ebpf: Ebpf,
}

impl SchedulerLatency {
    /// Loads and attaches the probes with default limits. Needs CAP_BPF and CAP_PERFMON, kernel 5.10 or later with
    /// BTF.
    ///
    /// # Errors
    ///
    /// When the kernel has no BTF, or refuses the object or one of its programs.
    pub fn load() -> Result<Self, Error> {
        Self::load_with(&SchedulerSettings::default())
    }

    /// Loads and attaches the probes.
    ///
    /// # Errors
    ///
    /// When the kernel has no BTF, or refuses the object or one of its programs.
    pub fn load_with(settings: &SchedulerSettings) -> Result<Self, Error> {
        let btf = Btf::from_sys_fs().map_err(Error::NoKernelTypes)?;
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .map_max_entries(LATENCIES, settings.max_cgroups.max(1))
            .map_max_entries("runnable", settings.max_waiting.max(1))
            .override_global("min_latency_ns", &settings.min_latency, true)
            .load(OBJECT)
            .map_err(Error::load)?;
        for (program, point) in PROGRAMS {
            attach::attach(&mut ebpf, &btf, program, point)?;
        }
        Ok(Self { ebpf })
    }

    /// The latencies counted since the load, for each cgroup v2 id (its directory's inode number).
    ///
    /// A wait is counted to the cgroup that the task is in when it gets to run. Take the difference of
    /// two readings with [`Histogram::since`].
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn read(&self) -> Result<BTreeMap<u64, Histogram>, Error> {
        let found = self.ebpf.map(LATENCIES).ok_or(Error::Missing(LATENCIES))?;
        let map: PerCpuHashMap<_, u64, Latency> = PerCpuHashMap::try_from(found).map_err(fail)?;
        let mut all = BTreeMap::new();
        for entry in map.iter() {
            // An entry that is evicted during the walk is simply not there.
            let (cgroup, cpus) = match entry {
                Ok(entry) => entry,
                Err(MapError::KeyNotFound) => continue,
                Err(error) => return Err(fail(error)),
            };
            let mut sum = Histogram::default();
            for cpu in cpus.iter() {
                sum.merge(&Histogram::from_parts(
                    cpu.count, cpu.sum, cpu.max, cpu.slots,
                ));
            }
            all.insert(cgroup, sum);
        }
        Ok(all)
    }

    /// Drops the counts of every cgroup for which `keep` is false: those that are gone.
    ///
    /// # Errors
    ///
    /// When the map cannot be read or changed.
    pub fn retain(&mut self, keep: &mut dyn FnMut(u64) -> bool) -> Result<(), Error> {
        let found = self
            .ebpf
            .map_mut(LATENCIES)
            .ok_or(Error::Missing(LATENCIES))?;
        let mut map: PerCpuHashMap<_, u64, Latency> =
            PerCpuHashMap::try_from(found).map_err(fail)?;
        let keys: Vec<u64> = map.keys().filter_map(Result::ok).collect();
        for key in keys {
            if keep(key) {
                continue;
            }
            match map.remove(&key) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(MapError::SyscallError(error))
                    if error.io_error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(())
    }

    /// Waits since the load that could not be timed because too many tasks waited at the same time.
    ///
    /// # Errors
    ///
    /// When the counter cannot be read.
    pub fn missed(&self) -> Result<u64, Error> {
        let map = "missed";
        let fail = |source| Error::Map { map, source };
        let found = self.ebpf.map(map).ok_or(Error::Missing(map))?;
        let counter: PerCpuArray<_, u64> = PerCpuArray::try_from(found).map_err(fail)?;
        Ok(counter.get(&0, 0).map_err(fail)?.iter().sum())
    }

    /// What the kernel says of each program.
    ///
    /// # Errors
    ///
    /// When a program cannot be asked.
    pub fn statistics(&self) -> Result<Vec<ProgramStatistics>, Error> {
        PROGRAMS
            .iter()
            .map(|(program, _)| stats::of(&self.ebpf, program))
            .collect()
    }
}

const fn fail(source: MapError) -> Error {
    Error::Map {
        map: LATENCIES,
        source,
    }
}
