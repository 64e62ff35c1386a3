//! The security probes: loading them with as much coverage as the kernel gives, and their counters.

use std::collections::{BTreeMap, BTreeSet};

use aya::{Btf, Ebpf, EbpfLoader};

use crate::action::Action;
use crate::actions::{self, Works};
use crate::attach;
use crate::coverage::{Coverage, State};
use crate::deny::{Denial, Policy};
use crate::error::Error;
use crate::event::Class;
use crate::expected::{Expected, Tampering};
use crate::hooks::{self, Hooked};
use crate::maps;
use crate::ring::{Ring, Rings};
use crate::stats::{self, ProgramStatistics};
use crate::watch::{self, Watch};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/security.bpf.o"));

/// What to watch and what to leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which classes to report.
    pub classes: BTreeSet<Class>,
    /// Which actions of these classes to report.
    pub actions: BTreeSet<Action>,
    /// Which actions on files to report whatever the path; the others where the watch list has the path.
    pub everywhere: BTreeSet<Action>,
    /// How many events of a class one cgroup may have reported in a second. The rest is counted as limited. Where
    /// there is only cgroup v1, all processes are in one.
    pub limits: BTreeMap<Class, u32>,
    /// Which files' opens to report.
    pub watches: Vec<Watch>,
    /// Thread names (at most 15 bytes) whose events are dropped in the kernel. A name is no
    /// identity: anyone can take it.
    pub ignored_comms: Vec<Vec<u8>>,
    /// cgroup v2 ids whose events are dropped in the kernel.
    pub ignored_cgroups: Vec<u64>,
    /// Leave out the loading process's own connections and opens.
    pub ignore_self: bool,
    /// Use security hooks where they fire.
    pub security_hooks: bool,
    /// Hook functions of the kernel where that works and nothing better does.
    pub function_hooks: bool,
    /// Bytes of a class's ring, rounded up to a power of two of pages; what is missing takes its default
    /// (4 MiB for exec, 1 MiB for the others).
    pub ring_bytes: BTreeMap<Class, u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            classes: Class::ALL.into(),
            actions: Action::ALL.iter().copied().collect(),
            everywhere: Action::of(Class::File)
                .filter(|action| *action != Action::Truncate)
                .collect(),
            limits: BTreeMap::new(),
            watches: Vec::new(),
            ignored_comms: Vec::new(),
            ignored_cgroups: Vec::new(),
            ignore_self: true,
            security_hooks: true,
            function_hooks: true,
            ring_bytes: BTreeMap::new(),
        }
    }
}

/// The loaded probes. Dropping this detaches them all.
pub struct SecurityProbes {
    ebpf: Ebpf,
    coverage: Vec<Coverage>,
    hooked: Hooked,
    works: Works,
    policy: Policy,
    expected: Expected,
    rings: Option<Rings>,
    looking: bool,
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
            loader.map_max_entries(maps::ring_name(*class), *bytes);
        }
        let mut ebpf = loader.load(OBJECT).map_err(Error::load)?;
        maps::set_ignored_comms(&mut ebpf, &settings.ignored_comms)?;
        maps::set_ignored_cgroups(&mut ebpf, &settings.ignored_cgroups)?;
        maps::set_watches(&mut ebpf, &watches)?;

        maps::set_everywhere(&mut ebpf, &settings.everywhere)?;
        maps::set_limits(&mut ebpf, &settings.limits)?;

        let mut hooked = Hooked::default();
        let wanted = [settings.security_hooks, settings.function_hooks];
        let works = hooks::find_out(&mut ebpf, &btf, wanted, &mut hooked)?;
        if !settings.classes.contains(&Class::Open) {
            hooks::uncover_opens(&mut ebpf, &mut hooked);
        }
        let mut ahead = Vec::new();
        for class in &settings.classes {
            let actions = Action::of(*class).filter(|action| settings.actions.contains(action));
            ahead.extend(hooks::likely(*class, &works));
            ahead.extend(actions.flat_map(|action| actions::likely(action, &works)));
        }
        attach::check(&mut ebpf, &btf, &ahead);
        let mut coverage = Vec::new();
        let mut rings = Vec::new();
        for class in Class::ALL {
            let wanted = settings.classes.contains(&class);
            let actions: Vec<_> = Action::of(class).collect();
            let rows = if actions.is_empty() {
                vec![if wanted {
                    hooks::cover(&mut ebpf, &btf, class, &works, &mut hooked)?
                } else {
                    off(class, None)
                }]
            } else {
                let cover = |action: Action| {
                    if wanted && settings.actions.contains(&action) {
                        actions::cover(&mut ebpf, &btf, action, &works, &mut hooked)
                    } else {
                        Ok(off(class, Some(action)))
                    }
                };
                actions.into_iter().map(cover).collect::<Result<_, _>>()?
            };
            for row in &rows {
                let (name, state) = (row.name(), row.state);
                tracing::debug!(name, hook = row.hook, %state, reason = row.reason, "coverage");
            }
            if rows.iter().any(|row| row.state.delivers()) {
                rings.push(Ring::new(class, maps::take_ring(&mut ebpf, class)?));
            }
            coverage.extend(rows);
        }
        attach::keep_only(&mut ebpf, &hooked.programs);
        if hooked.programs.is_empty() {
            let reasons: Vec<_> = coverage
                .iter()
                .filter(|row| row.state == State::Unavailable)
                .map(|row| format!("{}: {}", row.name(), row.reason))
                .collect();
            return Err(Error::NothingAttached(reasons.join("; ")));
        }
        let rings = Rings::new(rings).map_err(Error::Wait)?;
        let expected = Expected::of(&ebpf)?;
        Ok(Self {
            ebpf,
            coverage,
            hooked,
            works,
            policy: Policy::default(),
            expected,
            rings: Some(rings),
            looking: false,
        })
    }

    /// One row for each class in the order of [`Class::ALL`], or one for each of its actions.
    #[must_use]
    pub fn coverage(&self) -> &[Coverage] {
        &self.coverage
    }

    /// The reading end; none the second time.
    pub fn take_rings(&mut self) -> Option<Rings> {
        self.rings.take()
    }

    /// While `looks`, events wake nobody: the reader drains its rings every now and then. Waking costs several times what
    /// the event itself does. Once it is over, events from before may still lie in the rings: drain them.
    ///
    /// # Errors
    ///
    /// When the map cannot be changed.
    pub fn set_looking(&mut self, looks: bool) -> Result<(), Error> {
        maps::set_looking(&mut self.ebpf, looks)?;
        self.looking = looks;
        Ok(())
    }

    /// Events that found no room in their ring since the load, for each class.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn lost(&self) -> Result<BTreeMap<Class, u64>, Error> {
        maps::counters(&self.ebpf, "lost")
    }

    /// Times the hooks fired since the load, before any filter.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn seen(&self) -> Result<BTreeMap<Class, u64>, Error> {
        maps::counters(&self.ebpf, "seen")
    }

    /// Events that a filter dropped in the kernel since the load.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn filtered(&self) -> Result<BTreeMap<Class, u64>, Error> {
        maps::counters(&self.ebpf, "filtered")
    }

    /// Events beyond their cgroup's limit since the load.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn limited(&self) -> Result<BTreeMap<Class, u64>, Error> {
        maps::counters(&self.ebpf, "limited")
    }

    /// Replaces the watch list while the probes run. No open that both lists report is missed.
    ///
    /// # Errors
    ///
    /// When a watch is not possible (then the old list stays), or a map cannot be changed.
    pub fn set_watches(&mut self, watches: &[Watch]) -> Result<(), Error> {
        let compiled = watch::compile(watches)?;
        let change = |ebpf: &mut Ebpf| maps::set_watches(ebpf, &compiled);
        self.expected.change(&mut self.ebpf, change)
    }

    /// Replaces the list of thread names whose events are dropped in the kernel.
    ///
    /// # Errors
    ///
    /// When a name is not possible (then the old list stays), or the map cannot be changed.
    pub fn set_ignored_comms(&mut self, comms: &[Vec<u8>]) -> Result<(), Error> {
        let change = |ebpf: &mut Ebpf| maps::set_ignored_comms(ebpf, comms);
        self.expected.change(&mut self.ebpf, change)
    }

    /// Replaces the list of cgroup v2 ids whose events are dropped in the kernel.
    ///
    /// # Errors
    ///
    /// When the map cannot be changed.
    pub fn set_ignored_cgroups(&mut self, cgroups: &[u64]) -> Result<(), Error> {
        let change = |ebpf: &mut Ebpf| maps::set_ignored_cgroups(ebpf, cgroups);
        self.expected.change(&mut self.ebpf, change)
    }

    /// Takes the hooks of an action away, whatever is done after that is not seen.
    ///
    /// # Errors
    ///
    /// When a map cannot be changed.
    pub fn shed(&mut self, action: Action, reason: &str) -> Result<(), Error> {
        let hooked = &mut self.hooked;
        let change = |ebpf: &mut Ebpf| actions::uncover(ebpf, action, hooked);
        self.expected.change(&mut self.ebpf, change)?;
        for row in &mut self.coverage {
            if row.action == Some(action) {
                (row.hook, row.state) = (String::new(), State::Off);
                row.reason = reason.to_owned();
            }
        }
        Ok(())
    }

    /// Gives an action its hooks back, the best that work.
    ///
    /// # Errors
    ///
    /// When the kernel's types cannot be read, or a map cannot be changed.
    pub fn restore(&mut self, action: Action) -> Result<(), Error> {
        let btf = Btf::from_sys_fs().map_err(Error::NoKernelTypes)?;
        let (works, hooked) = (&self.works, &mut self.hooked);
        let change = |ebpf: &mut Ebpf| actions::cover(ebpf, &btf, action, works, hooked);
        let new = self.expected.change(&mut self.ebpf, change)?;
        for row in &mut self.coverage {
            if row.action == Some(action) {
                row.clone_from(&new);
            }
        }
        Ok(())
    }

    /// Has the kernel refuse executions. Only a security hook can do that: see the error where none fires.
    ///
    /// # Errors
    ///
    /// When no security hook works here, the entry is not possible, or the map is full.
    pub fn deny(&mut self, denial: Denial) -> Result<(), Error> {
        let (policy, works, hooked) = (&mut self.policy, &self.works, &mut self.hooked);
        let change = |ebpf: &mut Ebpf| policy.add(ebpf, works, hooked, denial);
        self.expected.change(&mut self.ebpf, change)
    }

    /// Takes a refusal back; whether there was one.
    ///
    /// # Errors
    ///
    /// When the map cannot be changed.
    pub fn allow(&mut self, denial: Denial) -> Result<bool, Error> {
        let (policy, hooked) = (&mut self.policy, &mut self.hooked);
        let change = |ebpf: &mut Ebpf| policy.remove(ebpf, hooked, denial);
        self.expected.change(&mut self.ebpf, change)
    }

    /// What is refused.
    pub fn denials(&self) -> impl Iterator<Item = Denial> {
        self.policy.entries()
    }

    /// Whether executions can be refused here; why not, else.
    ///
    /// # Errors
    ///
    /// The reason.
    pub fn can_deny(&self) -> Result<(), &str> {
        self.works.lsm.as_ref().copied().map_err(String::as_str)
    }

    /// Looks whether the maps hold what was put into them, makes them, and looks whether the probes fire. What is found is
    /// tampering, or a fault of the kernel's.
    ///
    /// # Errors
    ///
    /// When a map cannot be read.
    pub fn verify(&mut self) -> Result<Vec<Tampering>, Error> {
        let mut found = self.expected.mend(&mut self.ebpf)?;
        if maps::is_looking(&self.ebpf)? != self.looking {
            let mended = maps::set_looking(&mut self.ebpf, self.looking);
            found.push(Tampering {
                what: "the map reader was changed: events could wait to be read".to_owned(),
                is_mended: mended.is_ok(),
            });
        }
        let opens = self.coverage.iter().find(|row| row.class == Class::Open);
        if opens.is_some_and(|row| row.state.delivers()) && !hooks::opens_fire(&self.ebpf)? {
            found.push(Tampering {
                what: "the probe of opens does not fire any more".to_owned(),
                is_mended: false,
            });
        }
        Ok(found)
    }

    /// What the kernel says of each attached program.
    ///
    /// # Errors
    ///
    /// When a program cannot be asked.
    pub fn statistics(&self) -> Result<Vec<ProgramStatistics>, Error> {
        self.hooked
            .programs
            .iter()
            .map(|program| stats::of(&self.ebpf, program))
            .collect()
    }
}

fn off(class: Class, action: Option<Action>) -> Coverage {
    Coverage {
        class,
        action,
        hook: String::new(),
        state: State::Off,
        reason: "not asked for".to_owned(),
    }
}
