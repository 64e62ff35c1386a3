//! Where events come from: the kernel's probes, or in tests whatever stands in their place.

use crate::settings::Events;
use quantumos_ebpf::{
    Action, Class, Coverage, Denial, Event, ProgramStatistics, Rings, SecurityProbes, Tampering,
    Watch,
};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

/// What the probes count, each since they were loaded, by class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that found no room on their way here.
    pub lost: BTreeMap<Class, u64>,
    /// Times the hooks fired.
    pub seen: BTreeMap<Class, u64>,
    /// Events that a filter left out.
    pub filtered: BTreeMap<Class, u64>,
    /// Events beyond what their cgroup may have in a second.
    pub limited: BTreeMap<Class, u64>,
}

/// A source of events.
pub trait EventSource: Send {
    /// Readable while there may be events.
    fn descriptor(&self) -> BorrowedFd<'_>;
    /// Hands over up to `max` events of each class; whether there may be more.
    fn drain(&mut self, max: usize, take: &mut dyn FnMut(Event)) -> bool;
    /// While `looks`, events don't make the descriptor readable; whether that can be had.
    fn set_looking(&mut self, looks: bool) -> bool {
        let _ = looks;
        false
    }
    /// What was counted.
    ///
    /// # Errors
    /// When the counters can't be read, with the reason.
    fn counters(&self) -> Result<Counters, String>;
    /// Replaces the list of watched files.
    ///
    /// # Errors
    /// When the kernel refuses, with the reason; the old list stays as far as it can.
    fn watch(&mut self, watches: &[Watch]) -> Result<(), String>;
    /// Replaces the names of threads whose events are left out.
    ///
    /// # Errors
    /// When the kernel refuses, with the reason.
    fn ignore(&mut self, commands: &[String]) -> Result<(), String>;
    /// Takes the hooks of an action away.
    ///
    /// # Errors
    /// When there are none, or the kernel refuses, with the reason.
    fn shed(&mut self, action: Action, reason: &str) -> Result<(), String> {
        let _ = reason;
        Err(format!("{action} is not seen by hooks here"))
    }
    /// Gives an action its hooks back.
    ///
    /// # Errors
    /// When there are none, or the kernel refuses, with the reason.
    fn restore(&mut self, action: Action) -> Result<(), String> {
        Err(format!("{action} is not seen by hooks here"))
    }
    /// What is not as this daemon left it; what can be put back is.
    ///
    /// # Errors
    /// When that can't be found out, with the reason.
    fn verify(&mut self) -> Result<Vec<Tampering>, String> {
        Ok(Vec::new())
    }
    /// Has the kernel refuse executions, or no longer.
    ///
    /// # Errors
    /// When it can't here, with the reason.
    fn deny(&mut self, denial: Denial, on: bool) -> Result<(), String> {
        let _ = (denial, on);
        Err("executions can't be refused here".into())
    }
    /// What is seen through which hook.
    fn coverage(&self) -> Vec<Coverage>;
    /// What the programs cost.
    fn programs(&self) -> Vec<ProgramStatistics>;
}

/// The kernel's probes.
pub struct Kernel {
    probes: SecurityProbes,
    rings: Rings,
}

impl Kernel {
    /// Loads the probes.
    ///
    /// # Errors
    /// When nothing at all can be attached, with the reason.
    pub fn load(settings: &Events, watches: &[Watch]) -> Result<Self, String> {
        let ring = |class: Class| match class {
            Class::Exec => settings.execution_ring_kib,
            _ => settings.other_ring_kib,
        };
        let wanted = quantumos_ebpf::Settings {
            watches: watches.to_vec(),
            ignored_comms: bytes(&settings.ignored_commands),
            ring_bytes: Class::ALL
                .into_iter()
                .map(|class| (class, ring(class).saturating_mul(1024)))
                .collect(),
            limits: Class::ALL
                .into_iter()
                .filter(|class| !matches!(class, Class::Exec | Class::Exit | Class::Fork))
                .map(|class| (class, settings.group_rate))
                .collect(),
            ..quantumos_ebpf::Settings::default()
        };
        let mut probes = SecurityProbes::load(&wanted).map_err(|error| error.to_string())?;
        let rings = probes.take_rings().ok_or("the probes have no rings")?;
        Ok(Self { probes, rings })
    }
}

fn bytes(commands: &[String]) -> Vec<Vec<u8>> {
    commands
        .iter()
        .map(|command| command.as_bytes().to_vec())
        .collect()
}

impl EventSource for Kernel {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.rings.as_fd()
    }

    fn drain(&mut self, max: usize, take: &mut dyn FnMut(Event)) -> bool {
        self.rings.drain(max, take).more
    }

    fn set_looking(&mut self, looks: bool) -> bool {
        let done = self.probes.set_looking(looks);
        done.inspect_err(|error| tracing::warn!(%error, "events go on waking the thread"))
            .is_ok()
    }

    fn counters(&self) -> Result<Counters, String> {
        let all = || {
            Ok::<_, quantumos_ebpf::Error>(Counters {
                lost: self.probes.lost()?,
                seen: self.probes.seen()?,
                filtered: self.probes.filtered()?,
                limited: self.probes.limited()?,
            })
        };
        all().map_err(|error| error.to_string())
    }

    fn watch(&mut self, watches: &[Watch]) -> Result<(), String> {
        self.probes
            .set_watches(watches)
            .map_err(|error| error.to_string())
    }

    fn ignore(&mut self, commands: &[String]) -> Result<(), String> {
        self.probes
            .set_ignored_comms(&bytes(commands))
            .map_err(|error| error.to_string())
    }

    fn shed(&mut self, action: Action, reason: &str) -> Result<(), String> {
        let done = self.probes.shed(action, reason);
        done.map_err(|error| error.to_string())
    }

    fn restore(&mut self, action: Action) -> Result<(), String> {
        let done = self.probes.restore(action);
        quantumos_service::memory::release();
        done.map_err(|error| error.to_string())
    }

    fn verify(&mut self) -> Result<Vec<Tampering>, String> {
        self.probes.verify().map_err(|error| error.to_string())
    }

    fn deny(&mut self, denial: Denial, on: bool) -> Result<(), String> {
        let done = if on {
            self.probes.deny(denial)
        } else {
            self.probes.allow(denial).map(drop)
        };
        done.map_err(|error| error.to_string())
    }

    fn coverage(&self) -> Vec<Coverage> {
        self.probes.coverage().to_vec()
    }

    fn programs(&self) -> Vec<ProgramStatistics> {
        self.probes.statistics().unwrap_or_else(|error| {
            tracing::debug!(%error, "no statistics of the programs");
            Vec::new()
        })
    }
}
