//! How the thread that takes events looks after itself: once a second while anything happens it samples what the
//! daemon costs and sheds or restores probes, and every ten it looks whether probes and maps are as they were left.

use crate::accounts::Accounts;
use crate::alert::Alert;
use crate::budget::{Budget, Decision, Usage};
use crate::clock::{boot_time, real_time};
use crate::own::Own;
use crate::source::EventSource;
use crate::watcher::Output;
use quantumos_ebpf::{Action, Event, Tampering};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How often the maps are looked at; at once when another process has taken hold of an eBPF object.
const VERIFY: Duration = Duration::from_secs(10);
/// `BPF_MAP_GET_FD_BY_ID` and the commands on programs and links that another process uses to reach ours.
const REACHING: [u64; 6] = [13, 14, 29, 30, 34, 9];

/// The state.
#[derive(Debug)]
pub struct Care {
    own: Own,
    budget: Budget,
    limits: Usage,
    last: Usage,
    /// Events of each action since the last sample.
    events: BTreeMap<Action, u64>,
    verify: Instant,
    /// What was found, told, and stays.
    told: BTreeSet<String>,
    accounts: Accounts,
    counting: Option<bool>,
}

impl Care {
    /// With these limits; 0 is no limit.
    #[must_use]
    pub fn new(limits: Usage) -> Self {
        Self {
            own: Own::new(),
            budget: Budget::new(limits),
            limits,
            last: Usage::default(),
            events: BTreeMap::new(),
            verify: Instant::now() + VERIFY,
            told: BTreeSet::new(),
            accounts: Accounts::default(),
            counting: None,
        }
    }

    /// Takes note of an event.
    pub fn count(&mut self, event: &Event) {
        if let Event::Action(event) = event {
            *self.events.entry(event.action).or_default() += 1;
            if event.action == Action::Bpf && REACHING.contains(&event.arguments[0]) {
                self.verify = Instant::now();
            }
        }
    }

    /// Whether there is something to do although nothing happens.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.budget.shed().is_empty()
    }

    /// Does what is due.
    pub fn look_after(&mut self, source: &mut dyn EventSource, say: &mut dyn FnMut(Output)) {
        self.keep_budget(source, say);
        if self.verify <= Instant::now() {
            self.verify = Instant::now() + VERIFY;
            self.look_for_tampering(source, say);
        }
    }

    fn keep_budget(&mut self, source: &mut dyn EventSource, say: &mut dyn FnMut(Output)) {
        // Only where the kernel measures them are the probes worth asking.
        let counting = *self.counting.get_or_insert_with(|| {
            let text = std::fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled");
            text.is_ok_and(|text| text.trim() == "1")
        });
        let programs = if counting {
            source.programs()
        } else {
            Vec::new()
        };
        let Some(usage) = self.own.sample(&programs) else {
            return;
        };
        self.last = usage;
        let events = std::mem::take(&mut self.events);
        let Some(decision) = self.budget.judge(usage, &events) else {
            return;
        };
        let done = match decision {
            Decision::Shed(action) => source.shed(action, &self.reason()),
            Decision::Restore(action) => source.restore(action),
        };
        if let Err(error) = done {
            tracing::error!(?decision, %error, "the probes can't be changed");
        }
        say(Output::Coverage(source.coverage(), self.sentence()));
    }

    fn reason(&self) -> String {
        format!(
            "shed: the daemon took {} of {} thousandths of a core and {} of {} KiB",
            self.last.cpu, self.limits.cpu, self.last.memory, self.limits.memory
        )
    }

    fn sentence(&self) -> Option<String> {
        let names: Vec<_> = self.budget.shed().iter().map(|a| a.name()).collect();
        (!names.is_empty()).then(|| format!("{}; not seen: {}", self.reason(), names.join(", ")))
    }

    fn look_for_tampering(&mut self, source: &mut dyn EventSource, say: &mut dyn FnMut(Output)) {
        let found = source.verify().unwrap_or_else(|error| {
            vec![Tampering {
                what: format!("the maps can't be read: {error}"),
                is_mended: false,
            }]
        });
        for Tampering { what, is_mended } in found {
            // What stays is found again each time.
            if is_mended || self.told.insert(what.clone()) {
                let time = real_time(boot_time());
                let alert = Alert::of_tampering(&what, &self.accounts, time);
                say(Output::Alert(Box::new(alert)));
                if !is_mended {
                    say(Output::Tampered(what));
                }
            }
        }
    }

    /// Adds what is known to the statistics.
    pub fn report(&self, out: &mut BTreeMap<String, u64>) {
        let micros = u64::try_from(self.own.cpu().as_micros()).unwrap_or(u64::MAX);
        for (name, value) in [
            ("process.cpu-us", micros),
            ("process.rss-kib", self.own.memory()),
            ("budget.cpu-per-mille", self.last.cpu),
            ("budget.shed", self.budget.shed().len() as u64),
        ] {
            out.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantumos_ebpf::{ActionEvent, Context, Coverage, ProgramStatistics, Watch};
    use std::os::fd::{AsFd, BorrowedFd};

    /// Probes whose state the test sees.
    struct Probes {
        file: std::fs::File,
        shed: Vec<Action>,
        changed: Vec<Tampering>,
    }

    impl EventSource for Probes {
        fn descriptor(&self) -> BorrowedFd<'_> {
            self.file.as_fd()
        }
        fn drain(&mut self, _: usize, _: &mut dyn FnMut(Event)) -> bool {
            false
        }
        fn counters(&self) -> Result<crate::source::Counters, String> {
            Ok(crate::source::Counters::default())
        }
        fn watch(&mut self, _: &[Watch]) -> Result<(), String> {
            Ok(())
        }
        fn ignore(&mut self, _: &[String]) -> Result<(), String> {
            Ok(())
        }
        fn shed(&mut self, action: Action, _: &str) -> Result<(), String> {
            self.shed.push(action);
            Ok(())
        }
        fn restore(&mut self, action: Action) -> Result<(), String> {
            self.shed.retain(|shed| *shed != action);
            Ok(())
        }
        fn verify(&mut self) -> Result<Vec<Tampering>, String> {
            let all = self.changed.clone();
            self.changed.retain(|one| !one.is_mended);
            Ok(all)
        }
        fn coverage(&self) -> Vec<Coverage> {
            Vec::new()
        }
        fn programs(&self) -> Vec<ProgramStatistics> {
            Vec::new()
        }
    }

    fn probes() -> Probes {
        Probes {
            file: std::fs::File::open("/dev/null").unwrap(),
            shed: Vec::new(),
            changed: Vec::new(),
        }
    }

    fn event(action: Action, first: u64) -> Event {
        let event = ActionEvent::bare(Context::default(), action, [first, 0, 0, 0]);
        Event::Action(Box::new(event))
    }

    #[test]
    fn over_its_budget_it_sheds_says_so_and_restores() {
        let mut source = probes();
        let limits = |memory| Usage { cpu: 0, memory };
        let mut care = Care::new(limits(1));
        let mut said = Vec::new();
        for _ in 0..12 {
            care.count(&event(Action::Unlink, 0));
            care.look_after(&mut source, &mut |one| said.push(one));
        }
        assert_eq!(source.shed, [Action::Unlink]);
        assert!(care.is_waiting());
        assert!(
            matches!(&said[..], [Output::Coverage(_, Some(text))] if text.ends_with("not seen: unlink")),
            "{said:?}"
        );
        let mut counters = BTreeMap::new();
        care.report(&mut counters);
        assert_eq!(counters["budget.shed"], 1);
        assert!(counters["process.rss-kib"] > 0 && counters["process.cpu-us"] > 0);

        // With room again it all comes back, and nobody has to be woken any more.
        let mut budget = Budget::new(limits(u64::MAX / 100));
        std::mem::swap(&mut care.budget, &mut budget);
        assert!(!care.is_waiting());
    }

    #[test]
    fn tampering_is_told_each_time_and_what_stays_once() {
        let found = |what: &str, is_mended| Tampering {
            what: what.into(),
            is_mended,
        };
        let mut source = probes();
        source.changed = vec![found("the map config was changed", false)];
        let mut care = Care::new(Usage::default());
        let (mut alerts, mut stays) = (Vec::new(), Vec::new());
        let mut look = |care: &mut Care, source: &mut Probes| {
            care.look_after(source, &mut |one| match one {
                Output::Alert(alert) => alerts.push(alert.explanation),
                Output::Tampered(what) => stays.push(what),
                _ => {}
            });
            (alerts.len(), stays.len())
        };
        assert_eq!(look(&mut care, &mut source), (0, 0), "not due yet");
        // BPF_PROG_LOAD is no reason, BPF_MAP_GET_FD_BY_ID is.
        care.count(&event(Action::Bpf, 5));
        assert_eq!(look(&mut care, &mut source), (0, 0));
        for _ in 0..3 {
            care.count(&event(Action::Bpf, 14));
            assert_eq!(look(&mut care, &mut source), (1, 1));
        }
        for turn in 2..5 {
            source.changed.push(found("it is as it was again", true));
            care.count(&event(Action::Bpf, 14));
            assert_eq!(look(&mut care, &mut source), (turn, 1));
        }
        source.changed.push(found("another", false));
        care.count(&event(Action::Bpf, 14));
        assert_eq!(look(&mut care, &mut source), (5, 2));
    }
}
