//! What the daemon may cost, and which probes go when it costs more. Pure: it is told the usage once a second and
//! says what to do.
//!
//! Over the limits for a few samples, the least valuable action that causes any events is shed; well below them for
//! much longer, the one that was shed last comes back. An action that has to go again soon after it came back makes
//! everything wait twice as long, so that a steady load near the limit does not have probes come and go.

use quantumos_ebpf::Action;
use std::collections::BTreeMap;

/// Samples over a limit before anything is shed: a burst is no load.
const OVER: u32 = 10;
/// Samples well below the limits before anything comes back, and the most that this grows to.
const UNDER: (u32, u32) = (30, 960);
/// What is well below a limit, in percent of it.
const WELL_BELOW: u64 = 60;

/// What can be shed, the least valuable first. What is not here (programs, connections, opens of watched files,
/// ptrace, modules, bpf(), pivot_root) stays whatever it costs.
const BY_VALUE: &[Action] = &[
    Action::SysInfo,
    Action::MkDir,
    Action::RmDir,
    Action::Mprotect,
    Action::Send,
    Action::Unlink,
    Action::Accept,
    Action::Bind,
    Action::Listen,
    Action::Chown,
    Action::Chmod,
    Action::Symlink,
    Action::Link,
    Action::Truncate,
    Action::MkNod,
    // A program or a rule of ours can be replaced by it.
    Action::Rename,
    Action::MemFd,
    Action::Kill,
    Action::SetGid,
    Action::SetUid,
    Action::CapSet,
    Action::Unshare,
    Action::SetNs,
    Action::Umount,
    Action::Mount,
    Action::UserFaultFd,
    Action::Syslog,
    Action::Personality,
    Action::RawSocket,
    Action::Dup,
];

/// What the daemon may cost, or does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time, in thousandths of one core.
    pub cpu: u64,
    /// Resident memory, in KiB.
    pub memory: u64,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Take this action's probes away.
    Shed(Action),
    /// Give them back.
    Restore(Action),
}

/// The controller.
#[derive(Debug)]
pub struct Budget {
    limits: Usage,
    over: u32,
    under: u32,
    wait: u32,
    shed: Vec<Action>,
    /// What came back last, and how many samples ago.
    back: Option<(Action, u32)>,
}

impl Budget {
    /// With these limits; 0 is no limit.
    #[must_use]
    pub fn new(limits: Usage) -> Self {
        Self {
            limits,
            over: 0,
            under: 0,
            wait: UNDER.0,
            shed: Vec::new(),
            back: None,
        }
    }

    /// What is shed, the newest last.
    #[must_use]
    pub fn shed(&self) -> &[Action] {
        &self.shed
    }

    /// Takes the usage of about a second, with the events that each action caused in it.
    pub fn judge(&mut self, usage: Usage, events: &BTreeMap<Action, u64>) -> Option<Decision> {
        let share = |used: u64, limit: u64, percent: u64| {
            limit == 0 || used.saturating_mul(100) <= limit.saturating_mul(percent)
        };
        let within = |percent| {
            share(usage.cpu, self.limits.cpu, percent)
                && share(usage.memory, self.limits.memory, percent)
        };
        self.over = if within(100) { 0 } else { self.over + 1 };
        self.under = if within(WELL_BELOW) {
            self.under + 1
        } else {
            0
        };
        if let Some((_, since)) = &mut self.back {
            *since = since.saturating_add(1);
        }
        if self.over >= OVER {
            return self.take(events);
        }
        if self.under >= self.wait
            && let Some(action) = self.shed.pop()
        {
            self.under = 0;
            self.back = Some((action, 0));
            return Some(Decision::Restore(action));
        }
        // A long time without trouble: what was learnt of a steady load no longer holds.
        if self.shed.is_empty() && self.under >= UNDER.1 {
            self.wait = UNDER.0;
        }
        None
    }

    fn take(&mut self, events: &BTreeMap<Action, u64>) -> Option<Decision> {
        let busy = |action: &&Action| events.get(action).is_some_and(|count| *count > 0);
        let candidate = |action: &&Action| busy(action) && !self.shed.contains(action);
        let action = *BY_VALUE.iter().find(candidate)?;
        self.over = 0;
        if self
            .back
            .is_some_and(|(back, since)| back == action && since <= self.wait)
        {
            self.wait = (self.wait * 2).min(UNDER.1);
        }
        self.shed.push(action);
        Some(Decision::Shed(action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Usage = Usage {
        cpu: 20,
        memory: 65_536,
    };

    fn usage(cpu: u64) -> Usage {
        Usage { cpu, memory: 1000 }
    }

    fn busy(actions: &[Action]) -> BTreeMap<Action, u64> {
        actions.iter().map(|action| (*action, 10)).collect()
    }

    #[test]
    fn the_least_valuable_busy_action_goes_and_comes_back() {
        let mut budget = Budget::new(LIMITS);
        let events = busy(&[Action::Kill, Action::Unlink, Action::Ptrace]);
        let decide = |budget: &mut Budget, cpu, times| {
            let all = (0..times).filter_map(|_| budget.judge(usage(cpu), &events));
            all.collect::<Vec<_>>()
        };
        assert_eq!(decide(&mut budget, 20, 100), []);
        let over = OVER as usize;
        assert_eq!(decide(&mut budget, 500, over - 1), []);
        assert_eq!(
            decide(&mut budget, 500, 1),
            [Decision::Shed(Action::Unlink)]
        );
        assert_eq!(
            decide(&mut budget, 500, over),
            [Decision::Shed(Action::Kill)]
        );
        // ptrace stays, and nothing else is busy.
        assert_eq!(decide(&mut budget, 500, 100), []);
        // Below the limit, but not well below.
        assert_eq!(decide(&mut budget, 15, 1000), []);
        assert_eq!(decide(&mut budget, 1, 29), []);
        assert_eq!(decide(&mut budget, 1, 1), [Decision::Restore(Action::Kill)]);
        // It has to go again: everything takes twice as long now.
        assert_eq!(
            decide(&mut budget, 500, over),
            [Decision::Shed(Action::Kill)]
        );
        assert_eq!(decide(&mut budget, 1, 59), []);
        assert_eq!(decide(&mut budget, 1, 1), [Decision::Restore(Action::Kill)]);
        assert_eq!(
            decide(&mut budget, 1, 60),
            [Decision::Restore(Action::Unlink)]
        );
        assert!(budget.shed().is_empty());
    }

    #[test]
    fn no_limit_is_no_limit() {
        let mut budget = Budget::new(Usage::default());
        let events = busy(BY_VALUE);
        assert!((0..100).all(|_| budget.judge(usage(1_000_000), &events).is_none()));
    }

    #[test]
    fn everything_has_one_value() {
        let unique: std::collections::BTreeSet<_> = BY_VALUE.iter().collect();
        assert_eq!(unique.len(), BY_VALUE.len());
        assert!(!unique.contains(&Action::Ptrace) && !unique.contains(&Action::Denied));
    }

    proptest! {
        #[test]
        fn it_only_does_what_the_usage_calls_for(
            samples in prop::collection::vec((0u64..60, 0u64..100_000, prop::collection::vec(0usize..BY_VALUE.len(), 0..6)), 1..400)
        ) {
            let mut budget = Budget::new(LIMITS);
            let mut shed: Vec<Action> = Vec::new();
            let mut since_shed = u32::MAX;
            for (cpu, memory, active) in samples {
                let usage = Usage { cpu, memory };
                let actions: Vec<_> = active.iter().map(|index| BY_VALUE[*index]).collect();
                let over = cpu > LIMITS.cpu || memory > LIMITS.memory;
                since_shed = since_shed.saturating_add(1);
                match budget.judge(usage, &busy(&actions)) {
                    Some(Decision::Shed(action)) => {
                        prop_assert!(over && actions.contains(&action) && !shed.contains(&action));
                        shed.push(action);
                        since_shed = 0;
                    }
                    Some(Decision::Restore(action)) => {
                        prop_assert!(!over && since_shed >= UNDER.0);
                        prop_assert_eq!(shed.pop(), Some(action));
                    }
                    None => {}
                }
                prop_assert_eq!(budget.shed(), &shed[..]);
            }
            // Left alone, everything comes back.
            for _ in 0..(UNDER.1 as usize + 1) * BY_VALUE.len() {
                budget.judge(usage(0), &BTreeMap::new());
            }
            prop_assert!(budget.shed().is_empty());
        }
    }
}
