//! SCRIPT: what runs by itself: systemd's queue of jobs, transient units, timers that are due.
//!
//! Health: a job that has waited over 90 seconds (systemd's own limit for a start) is
//! attention, and so is a timer whose unit has failed.

use crate::{Health, Report, State, health::Checks, time::Timer};

/// A timer counts as due when it elapses within this, in microseconds.
pub const DUE: u64 = 3_600_000_000;
/// How long a job may wait or run before that is worth attention, in microseconds.
pub const SLOW_JOB: u64 = 90_000_000;

/// A job of systemd's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// The unit that it is for.
    pub unit: String,
    /// `start`, `stop`, `restart`, …
    pub kind: String,
    /// `waiting` or `running`.
    pub state: String,
    /// When it was seen first, in microseconds since the epoch.
    pub since: u64,
}

/// A unit that was made over the bus and lives as long as it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transient {
    /// Its name.
    pub name: String,
    /// What it says of itself.
    pub description: String,
    /// Its active state.
    pub state: String,
}

/// All that runs by itself.
#[derive(Clone, Debug, Default)]
pub struct Automation {
    /// Whether systemd is on the bus.
    pub systemd: bool,
    /// The queue of jobs.
    pub jobs: Vec<Job>,
    /// Transient units.
    pub transient: Vec<Transient>,
    /// Timer units.
    pub timers: Vec<Timer>,
    /// Units that have failed.
    pub failed_units: Vec<String>,
    /// Microseconds since the epoch.
    pub now: u64,
}

impl Automation {
    /// The dimension's report.
    #[must_use]
    pub fn report(&self) -> Report {
        if !self.systemd {
            return Report::unavailable("org.freedesktop.systemd1 is not on the bus");
        }
        let mut checks = Checks::default();
        checks.ok();
        for job in self
            .jobs
            .iter()
            .filter(|job| self.now.saturating_sub(job.since) > SLOW_JOB)
        {
            checks.note(
                Health::Attention,
                Some(format!(
                    "job {} of {} is {} for long",
                    job.kind, job.unit, job.state
                )),
            );
        }
        let failed: Vec<String> = self
            .timers
            .iter()
            .filter(|timer| self.failed_units.contains(&timer.activates))
            .map(|timer| timer.name.clone())
            .collect();
        for timer in &failed {
            checks.note(
                Health::Attention,
                Some(format!("the unit of {timer} has failed")),
            );
        }
        let mut due: Vec<(u64, &Timer)> = self
            .timers
            .iter()
            .filter_map(|timer| {
                Some((
                    timer
                        .next
                        .filter(|next| *next <= self.now.saturating_add(DUE))?,
                    timer,
                ))
            })
            .collect();
        due.sort_by_key(|(next, timer)| (*next, timer.name.clone()));

        let mut state = State::new()
            .with("Timers", self.timers.len())
            .with("FailedTimers", failed);
        state.put_rows("Jobs", self.jobs.iter().map(Job::row).collect());
        state.put("JobsQueued", self.jobs.len());
        state.put_rows(
            "TransientUnits",
            self.transient.iter().map(Transient::row).collect(),
        );
        state.put(
            "TimersDue",
            due.iter()
                .map(|(_, timer)| timer.name.clone())
                .collect::<Vec<_>>(),
        );
        Report::found(
            vec!["org.freedesktop.systemd1".to_owned()],
            state,
            checks,
            &[],
        )
    }
}

impl Job {
    fn row(&self) -> State {
        State::new()
            .with("Id", self.id)
            .with("Unit", &self.unit)
            .with("Type", &self.kind)
            .with("State", &self.state)
            .with("SeenAt", self.since)
    }
}

impl Transient {
    fn row(&self) -> State {
        State::new()
            .with("Name", &self.name)
            .with("Description", &self.description)
            .with("State", &self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    const NOW: u64 = 10_000_000_000;

    fn timer(name: &str, next: u64) -> Timer {
        Timer {
            name: format!("{name}.timer"),
            activates: format!("{name}.service"),
            next: Some(next),
            last: None,
        }
    }

    fn automation() -> Automation {
        Automation {
            systemd: true,
            timers: vec![
                timer("late", NOW + DUE + 1),
                timer("b", NOW + 2),
                timer("a", NOW + 1),
            ],
            now: NOW,
            ..Automation::default()
        }
    }

    #[test]
    fn without_systemd_nothing_runs() {
        let report = Automation::default().report();
        assert_eq!(
            (report.available, report.reason.as_str()),
            (false, "org.freedesktop.systemd1 is not on the bus")
        );
    }

    #[test]
    fn due_timers_come_in_order() {
        let report = automation().report();
        assert_eq!(report.health, Health::Ok);
        assert_eq!(
            report.state.get("TimersDue"),
            Some(&Value::Texts(vec![
                "a.timer".to_owned(),
                "b.timer".to_owned()
            ]))
        );
        assert_eq!(report.state.get("Timers"), Some(&Value::Count(3)));
    }

    #[test]
    fn slow_jobs_and_failed_timers_want_attention() {
        let job = |age| Job {
            id: 1,
            unit: "a.service".to_owned(),
            kind: "start".to_owned(),
            state: "running".to_owned(),
            since: NOW - age,
        };
        for (age, want) in [(SLOW_JOB, Health::Ok), (SLOW_JOB + 1, Health::Attention)] {
            assert_eq!(
                Automation {
                    jobs: vec![job(age)],
                    ..automation()
                }
                .report()
                .health,
                want,
                "{age}"
            );
        }
        let failed = Automation {
            failed_units: vec!["a.service".to_owned()],
            ..automation()
        }
        .report();
        assert_eq!(
            (failed.health, failed.reason.as_str()),
            (Health::Attention, "the unit of a.timer has failed")
        );
    }
}
