//! One response: what was decided, by whom, why, what became of it, and what a restart makes of it.

use super::grade::Grade;
use super::plan::{Act, Plan, Scope};
use serde::{Deserialize, Serialize};

/// How a response stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Written down, about to be done.
    Applying,
    /// In force.
    Applied,
    /// Done; there is nothing to undo.
    Done,
    /// Undone by somebody.
    Undone,
    /// Undone when its time was over.
    Expired,
    /// Nothing is left of it: what it was done to is not there any more, or is without it.
    Ended,
    /// It could not be done.
    Failed,
    /// It was not done, for what the target is.
    Refused,
}

impl State {
    /// The word on the bus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Expired => "expired",
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }

    /// Whether something is, or may be, in force.
    #[must_use]
    pub fn holds(self) -> bool {
        matches!(self, Self::Applying | Self::Applied)
    }
}

/// Who wanted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The daemon, as its configuration says.
    Automatic,
    /// Somebody on the bus: number and name.
    User(u32, String),
}

impl By {
    /// In words.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Automatic => "automatic",
            Self::User(_, name) => name,
        }
    }
}

/// What a response is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct About {
    /// Process id, or 0.
    pub pid: u32,
    /// Its start, in clock ticks since boot.
    pub start: u64,
    /// Its executable, or empty.
    pub executable: String,
    /// The unit, or empty.
    pub unit: String,
    /// The alert's number, or 0.
    pub alert: u64,
    /// The alert's rule, its title, its level and what it saw, or empty.
    pub rule: String,
    /// Title of the rule.
    pub title: String,
    /// Level of the rule.
    pub level: String,
    /// Which of its tests held.
    pub evidence: String,
}

/// What a unit was like, and how it was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Before {
    /// A number.
    Number {
        /// Its name.
        property: String,
        /// As it was.
        was: u64,
        /// As it was set.
        set: u64,
    },
    /// A list of networks: family, address, bits.
    Networks {
        /// Its name.
        property: String,
        /// As it was.
        was: Vec<(i32, Vec<u8>, u32)>,
    },
    /// It is transient: what is set on it goes with it, while a unit with a file has it again when it is back.
    Transient,
}

/// A response. Times are in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Its number, never given twice.
    pub id: u64,
    /// How often it was written down; the highest is what holds.
    pub serial: u64,
    /// How hard.
    pub grade: Grade,
    /// How far.
    pub scope: Scope,
    /// What.
    pub act: Act,
    /// The same in words.
    pub effect: String,
    /// About what.
    pub about: About,
    /// Who wanted it.
    pub by: By,
    /// Why, in the words of who wanted it.
    pub reason: String,
    /// How it stands.
    pub state: State,
    /// How it came to stand so, or empty.
    pub detail: String,
    /// What was there before.
    pub before: Vec<Before>,
    /// When it was decided, by the real-time clock.
    pub time: u64,
    /// When it is undone by itself, by the real-time clock; 0 for never.
    pub expires: u64,
    /// The same by the boot clock, which nobody can set.
    pub deadline: u64,
    /// The boot it was done in.
    pub boot: String,
    /// What is, or waits to be, on record of it in quantumd's ledger.
    #[serde(default)]
    pub ledger: Vec<OnRecord>,
}

/// One event of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnRecord {
    /// In a word.
    pub event: String,
    /// The ledger's entry; none while it waits.
    pub entry: Option<u64>,
}

/// Now, by both clocks, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The real-time clock.
    pub real: u64,
    /// The boot clock.
    pub boot: u64,
}

impl Response {
    /// A response as planned, about to be done. Its number comes with the history.
    #[must_use]
    pub fn new(plan: Plan, about: About, by: By, reason: String, now: Now, boot: &str) -> Self {
        let after = |clock: u64| match plan.seconds {
            0 => 0,
            seconds => clock.saturating_add(u64::from(seconds) * 1_000_000),
        };
        Self {
            id: 0,
            serial: 0,
            grade: plan.grade,
            scope: plan.scope,
            act: plan.act,
            effect: plan.effect,
            about,
            by,
            reason,
            state: State::Applying,
            detail: String::new(),
            before: Vec::new(),
            time: now.real,
            expires: after(now.real),
            deadline: after(now.boot),
            boot: boot.to_owned(),
            ledger: Vec::new(),
        }
    }

    /// Goes on in another state.
    pub fn turn(&mut self, state: State, detail: impl Into<String>) {
        self.state = state;
        self.detail = detail.into();
        if !state.holds() {
            self.deadline = 0;
            self.before.clear();
        }
    }

    /// The unit without which nothing of it is left.
    #[must_use]
    pub fn unit(&self) -> Option<&str> {
        let unit = match &self.act {
            Act::Throttle { unit, .. } | Act::FreezeUnit(unit) | Act::Isolate(unit) => unit,
            Act::DenyGroups(_) => &self.about.unit,
            Act::DenyFile { groups, .. } if !groups.is_empty() => &self.about.unit,
            _ => return None,
        };
        (!unit.is_empty()).then_some(unit)
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_due(&self, boot: u64) -> bool {
        self.state == State::Applied && self.deadline != 0 && self.deadline <= boot
    }
}

/// What a start of the daemon has to do about a response that held when the last one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing: it holds by itself.
    None,
    /// It holds only while the daemon does: do it again, with this deadline.
    Again(u64),
    /// Nobody was told that it holds: undo it.
    Undo,
    /// It is over, with this state and detail.
    Over(State, &'static str),
}

/// What to do about a response that held after a restart, in the boot `boot`.
#[must_use]
pub fn recovery(response: &Response, boot: &str, now: Now) -> Recovery {
    let same_boot = response.boot == boot;
    match (&response.act, response.state) {
        (Act::DenyFile { .. } | Act::DenyGroups(_), _) if same_boot => {
            Recovery::Again(response.deadline)
        }
        // A file is the same file after a reboot; a control group or a process is not the same.
        (Act::DenyFile { groups, .. }, _) if groups.is_empty() => match response.expires {
            0 => Recovery::Again(0),
            expires if expires > now.real => {
                Recovery::Again(now.boot.saturating_add(expires - now.real))
            }
            _ => Recovery::Over(State::Expired, "its time was over before the host started"),
        },
        _ if !same_boot => Recovery::Over(State::Ended, "the host was started anew"),
        (Act::KillProcess(_) | Act::KillUnit(_) | Act::None, _) => Recovery::Over(
            State::Failed,
            "the daemon ended while it acted: whether it was done is not known",
        ),
        (_, State::Applying) => Recovery::Undo,
        _ => Recovery::None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::plan::File;
    use super::*;
    use crate::process::Identity;

    const NOW: Now = Now {
        real: 5_000_000_000,
        boot: 3_000_000,
    };

    pub(crate) fn response(act: Act, state: State) -> Response {
        let plan = Plan {
            grade: Grade::Freeze,
            scope: Scope::Unit,
            act,
            effect: "it stands still".into(),
            seconds: 60,
        };
        let by = By::User(0, "root".into());
        let mut made = Response::new(plan, About::default(), by, "why".into(), NOW, "boot-1");
        made.state = state;
        made
    }

    #[test]
    fn times_are_by_both_clocks_and_over_only_while_it_holds() {
        let mut made = response(Act::FreezeUnit("a".into()), State::Applied);
        assert_eq!((made.expires, made.deadline), (5_060_000_000, 63_000_000));
        assert!(!made.is_due(62_999_999) && made.is_due(63_000_000));
        made.turn(State::Undone, "by root");
        assert!(!made.is_due(u64::MAX));
        assert_eq!(made.expires, 5_060_000_000);
    }

    #[test]
    fn a_clock_that_somebody_sets_ends_nothing_early_or_late() {
        const HOUR: u64 = 3_600_000_000;
        let frozen = Act::FreezeUnit("a.service".into());
        let denied = Act::DenyGroups(vec![7]);
        for real in [NOW.real - HOUR, NOW.real, NOW.real + HOUR] {
            let now = Now { real, ..NOW };
            let made = response(frozen.clone(), State::Applied);
            assert_eq!(made.deadline, NOW.boot + 60_000_000);
            assert!(!made.is_due(now.boot + 59_999_999) && made.is_due(now.boot + 60_000_000));
            assert_eq!(recovery(&made, "boot-1", now), Recovery::None);
            let made = response(denied.clone(), State::Applied);
            let again = Recovery::Again(NOW.boot + 60_000_000);
            assert_eq!(recovery(&made, "boot-1", now), again);
        }
    }

    #[test]
    fn a_restart_keeps_redoes_undoes_or_closes() {
        let file = File {
            inode: 1,
            device_major: 2,
            device_minor: 3,
        };
        let frozen = || Act::FreezeUnit("a.service".into());
        let stopped = || Act::StopProcess(Identity { pid: 5, start: 6 });
        let killed = || Act::KillProcess(Identity { pid: 5, start: 6 });
        let denied = |groups: &[u64]| Act::DenyFile {
            file,
            groups: groups.to_vec(),
        };
        let over = |state| move |got: &Recovery| matches!(got, Recovery::Over(s, _) if *s == state);
        type Check = Box<dyn Fn(&Recovery) -> bool>;
        let is = |wanted: Recovery| -> Check { Box::new(move |got| *got == wanted) };
        let cases: Vec<(Act, State, &str, Check)> = vec![
            (frozen(), State::Applied, "boot-1", is(Recovery::None)),
            (frozen(), State::Applying, "boot-1", is(Recovery::Undo)),
            (stopped(), State::Applying, "boot-1", is(Recovery::Undo)),
            (
                frozen(),
                State::Applied,
                "boot-2",
                Box::new(over(State::Ended)),
            ),
            (
                killed(),
                State::Applying,
                "boot-1",
                Box::new(over(State::Failed)),
            ),
            (
                denied(&[7]),
                State::Applied,
                "boot-1",
                is(Recovery::Again(63_000_000)),
            ),
            (
                denied(&[7]),
                State::Applied,
                "boot-2",
                Box::new(over(State::Ended)),
            ),
            (
                Act::DenyGroups(vec![7]),
                State::Applied,
                "boot-2",
                Box::new(over(State::Ended)),
            ),
            (
                denied(&[]),
                State::Applied,
                "boot-2",
                is(Recovery::Again(62_000_000)),
            ),
        ];
        let later = Now {
            real: NOW.real + 1_000_000,
            boot: 3_000_000,
        };
        for (act, state, boot, check) in cases {
            let made = response(act, state);
            let got = recovery(&made, boot, later);
            assert!(check(&got), "{made:?} {boot}: {got:?}");
        }
        let much_later = Now {
            real: NOW.real * 2,
            boot: 0,
        };
        let got = recovery(&response(denied(&[]), State::Applied), "boot-2", much_later);
        assert!(over(State::Expired)(&got), "{got:?}");
    }
}
