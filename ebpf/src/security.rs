//! The security probes: loading them with as much coverage as the kernel gives, and their counters.

use std::collections::{BTreeMap, BTreeSet};

use aya::maps::{HashMap, Map, MapData, PerCpuArray, RingBuf};
use aya::{Btf, Ebpf, EbpfLoader};

use crate::attach::{self, Point};
use crate::coverage::{Coverage, State};
use crate::error::Error;
use crate::event::Class;
use crate::ring::{Ring, Rings};
use crate::stats::{self, ProgramStatistics};
use crate::watch::{self, Watch};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/security.bpf.o"));

/// What to watch and what to leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which classes to report.
    pub classes: BTreeSet<Class>,
    /// Which files' opens to report.
    pub watches: Vec<Watch>,
    /// Thread names (at most 15 bytes) whose events are dropped in the kernel. A name is no
    /// identity: anyone can take it.
    pub ignored_comms: Vec<Vec<u8>>,
    /// cgroup v2 ids whose events are dropped in the kernel.
    pub ignored_cgroups: Vec<u64>,
    /// Leave out the loading process's own connections and opens.
    pub ignore_self: bool,
    /// Bytes of a class's ring, rounded up to a power of two of pages; what is missing takes its default
    /// (4 MiB for exec, 1 MiB for the others).
    pub ring_bytes: BTreeMap<Class, u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            classes: Class::ALL.into(),
            watches: Vec::new(),
            ignored_comms: Vec::new(),
            ignored_cgroups: Vec::new(),
            ignore_self: true,
            ring_bytes: BTreeMap::new(),
        }
    }
}

/// A program that can see a class, and what it does not see of it.
struct Hook {
    class: Class,
    program: &'static str,
    point: Point,
}

/// For each class, its hooks, the best first.
const HOOKS: [Hook; 3] = [
    Hook {
        class: Class::Exec,
        program: "process_exec",
        point: Point::Tracepoint("sched_process_exec"),
    },
    Hook {
        class: Class::Exit,
        program: "process_exit",
        point: Point::Tracepoint("sched_process_exit"),
    },
    Hook {
        class: Class::Fork,
        program: "process_fork",
        point: Point::Tracepoint("sched_process_fork"),
    },
];

/// The loaded probes. Dropping this detaches them all.
pub struct SecurityProbes {
    ebpf: Ebpf,
    coverage: Vec<Coverage>,
    attached: Vec<&'static str>,
    rings: Option<Rings>,
}

impl SecurityProbes {
    /// Loads the probes and attaches, for each class, the best hook that works here.
    ///
    /// Needs CAP_BPF and CAP_PERFMON, kernel 5.10 or later with BTF. A class without a hook is no failure: see
    /// [`Self::coverage`].
    ///
    /// # Errors
    ///
    /// When settings are not possible, the object cannot be loaded, or nothing at all can be attached.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let watches = watch::compile(&settings.watches)?;
        let btf = Btf::from_sys_fs().map_err(Error::NoKernelTypes)?;
        let own = if settings.ignore_self {
            std::process::id()
        } else {
            0
        };
        let mut loader = EbpfLoader::new();
        loader
            .btf(Some(&btf))
            .override_global("ignored_pid", &own, true);
        for (class, bytes) in &settings.ring_bytes {
            loader.map_max_entries(ring_map(*class), *bytes);
        }
        let mut ebpf = loader.load(OBJECT).map_err(Error::load)?;
        set_ignored_comms(&mut ebpf, &settings.ignored_comms)?;
        set_ignored_cgroups(&mut ebpf, &settings.ignored_cgroups)?;
        let _ = watches;

        let mut coverage = Vec::new();
        let mut attached = Vec::new();
        let mut rings = Vec::new();
        for class in Class::ALL {
            if !settings.classes.contains(&class) {
                coverage.push(row(
                    class,
                    String::new(),
                    State::Off,
                    "not asked for".to_owned(),
                ));
                continue;
            }
            let (row, program) = cover(&mut ebpf, &btf, class);
            tracing::debug!(%class, hook = row.hook, state = %row.state, reason = row.reason, "coverage");
            if let Some(program) = program {
                attached.push(program);
                rings.push(Ring::new(class, take_ring(&mut ebpf, class)?));
            }
            coverage.push(row);
        }
        if attached.is_empty() {
            let reasons: Vec<_> = coverage
                .iter()
                .filter(|row| row.state == State::Unavailable)
                .map(|row| format!("{}: {}", row.class, row.reason))
                .collect();
            return Err(Error::NothingAttached(reasons.join("; ")));
        }
        let rings = Rings::new(rings).map_err(Error::Wait)?;
        Ok(Self {
            ebpf,
            coverage,
            attached,
            rings: Some(rings),
        })
    }

    /// One row for each class, in the order of [`Class::ALL`].
    #[must_use]
    pub fn coverage(&self) -> &[Coverage] {
        &self.coverage
    }

    /// The reading end; none the second time.
    pub fn take_rings(&mut self) -> Option<Rings> {
        self.rings.take()
    }

    /// Events that found no room in their ring since the load, for each class.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn lost(&self) -> Result<BTreeMap<Class, u64>, Error> {
        counters(&self.ebpf, "lost")
    }

    /// Times the hooks fired since the load, before any filter.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn seen(&self) -> Result<BTreeMap<Class, u64>, Error> {
        counters(&self.ebpf, "seen")
    }

    /// Events that a filter dropped in the kernel since the load.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn filtered(&self) -> Result<BTreeMap<Class, u64>, Error> {
        counters(&self.ebpf, "filtered")
    }

    /// What the kernel says of each attached program.
    ///
    /// # Errors
    ///
    /// When a program cannot be asked.
    pub fn statistics(&self) -> Result<Vec<ProgramStatistics>, Error> {
        self.attached
            .iter()
            .map(|program| stats::of(&self.ebpf, program))
            .collect()
    }
}

fn row(class: Class, hook: String, state: State, reason: String) -> Coverage {
    Coverage {
        class,
        hook,
        state,
        reason,
    }
}

/// Attaches the first hook of `class` that works.
fn cover(ebpf: &mut Ebpf, btf: &Btf, class: Class) -> (Coverage, Option<&'static str>) {
    let mut reasons = Vec::new();
    for hook in HOOKS.iter().filter(|hook| hook.class == class) {
        let label = hook.point.label();
        match attach::attach(ebpf, btf, hook.program, hook.point) {
            Ok(()) => {
                let row = row(class, label, State::Attached, reasons.join("; "));
                return (row, Some(hook.program));
            }
            Err(error) => reasons.push(format!("{label}: {}", attach::reason(&error))),
        }
    }
    (
        row(class, String::new(), State::Unavailable, reasons.join("; ")),
        None,
    )
}

const fn ring_map(class: Class) -> &'static str {
    match class {
        Class::Exec => "exec_events",
        Class::Exit => "exit_events",
        Class::Fork => "fork_events",
        Class::Connect => "connect_events",
        Class::Open => "open_events",
    }
}

fn take_ring(ebpf: &mut Ebpf, class: Class) -> Result<RingBuf<MapData>, Error> {
    let map = ring_map(class);
    let found = ebpf.take_map(map).ok_or(Error::Missing(map))?;
    RingBuf::try_from(found).map_err(|source| Error::Map { map, source })
}

fn map_mut<'a>(ebpf: &'a mut Ebpf, map: &'static str) -> Result<&'a mut Map, Error> {
    ebpf.map_mut(map).ok_or(Error::Missing(map))
}

fn counters(ebpf: &Ebpf, map: &'static str) -> Result<BTreeMap<Class, u64>, Error> {
    let fail = |source| Error::Map { map, source };
    let found = ebpf.map(map).ok_or(Error::Missing(map))?;
    let counters: PerCpuArray<_, u64> = PerCpuArray::try_from(found).map_err(fail)?;
    Class::ALL
        .into_iter()
        .map(|class| {
            let cpus = counters.get(&class.index(), 0).map_err(fail)?;
            Ok((class, cpus.iter().sum()))
        })
        .collect()
}

fn set_ignored_comms(ebpf: &mut Ebpf, comms: &[Vec<u8>]) -> Result<(), Error> {
    let map = "ignored_comms";
    let fail = |source| Error::Map { map, source };
    let mut filter: HashMap<_, [u8; 16], u8> =
        HashMap::try_from(map_mut(ebpf, map)?).map_err(fail)?;
    for comm in comms {
        if comm.is_empty() || comm.len() > 15 {
            let what = format!("ignored thread name {:?}", String::from_utf8_lossy(comm));
            return Err(Error::Settings {
                what,
                reason: "a name has 1 to 15 bytes",
            });
        }
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(comm) {
            *to = *from;
        }
        filter.insert(key, 1, 0).map_err(fail)?;
    }
    Ok(())
}

fn set_ignored_cgroups(ebpf: &mut Ebpf, cgroups: &[u64]) -> Result<(), Error> {
    let map = "ignored_cgroups";
    let fail = |source| Error::Map { map, source };
    let mut filter: HashMap<_, u64, u8> = HashMap::try_from(map_mut(ebpf, map)?).map_err(fail)?;
    for cgroup in cgroups {
        filter.insert(cgroup, 1, 0).map_err(fail)?;
    }
    Ok(())
}
