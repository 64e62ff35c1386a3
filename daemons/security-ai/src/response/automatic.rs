//! Which grade an alert calls for, when the configuration lets the daemon act on its own.
//!
//! Pure. A rule's own grade goes before that of its level; a unit's limit, and what a model may do, cut it down.
//! So many acts a minute and no more: whoever provokes alerts must not be able to have the host taken apart.

use super::grade::Grade;
use super::protect::matches;
use std::collections::{BTreeMap, VecDeque};

/// A minute of the boot clock, in microseconds.
const MINUTE: u64 = 60_000_000;

/// What an alert is about, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occasion<'a> {
    /// The rule's id.
    pub rule: &'a str,
    /// Its level.
    pub level: &'a str,
    /// Class of event.
    pub class: &'a str,
    /// The unit, or empty.
    pub unit: &'a str,
}

/// Which grade is for what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grades {
    /// Whether the daemon acts on its own at all.
    pub automatic: bool,
    /// By level.
    pub levels: BTreeMap<String, Grade>,
    /// By rule id.
    pub rules: BTreeMap<String, Grade>,
    /// The hardest grade, by pattern of units.
    pub units: BTreeMap<String, Grade>,
}

impl Grades {
    /// The grade an alert calls for; none where nothing is done.
    #[must_use]
    pub fn of(&self, occasion: &Occasion<'_>) -> Option<Grade> {
        if !self.automatic {
            return None;
        }
        let of_rule = self.rules.get(occasion.rule);
        let mut grade = *of_rule.or_else(|| self.levels.get(occasion.level))?;
        let limits = self.units.iter();
        let limits = limits.filter(|(pattern, _)| matches(pattern, occasion.unit));
        if let Some(limit) = limits.map(|(_, limit)| *limit).min() {
            grade = grade.min(limit);
        }
        let most = match occasion.class {
            // A model never acts alone above this.
            "window" => Grade::Throttle,
            // These alerts name this daemon's own process, not who did it.
            "tampering" => Grade::Notify,
            _ => Grade::Kill,
        };
        Some(grade.min(most)).filter(|grade| *grade > Grade::Observe)
    }
}

/// How many acts there were in the last minute.
#[derive(Debug, Default)]
pub struct Pace {
    acts: VecDeque<u64>,
}

impl Pace {
    /// Whether one more may be done now (microseconds of the boot clock), when so many a minute may be.
    pub fn admit(&mut self, now: u64, most: u32) -> bool {
        while self
            .acts
            .front()
            .is_some_and(|then| then.saturating_add(MINUTE) <= now)
        {
            self.acts.pop_front();
        }
        let room = self.acts.len() < most as usize;
        if room {
            self.acts.push_back(now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grades() -> Grades {
        Grades {
            automatic: true,
            levels: BTreeMap::from([
                ("critical".into(), Grade::Freeze),
                ("high".into(), Grade::Throttle),
                ("low".into(), Grade::Observe),
            ]),
            rules: BTreeMap::from([("miner".into(), Grade::Kill)]),
            units: BTreeMap::from([
                ("database*.service".into(), Grade::Notify),
                ("*.scope".into(), Grade::Freeze),
            ]),
        }
    }

    #[test]
    fn rules_go_before_levels_and_limits_cut_down() {
        for (rule, level, class, unit, wanted) in [
            (
                "x",
                "critical",
                "process_creation",
                "a.service",
                Some(Grade::Freeze),
            ),
            ("x", "high", "process_creation", "", Some(Grade::Throttle)),
            ("x", "medium", "process_creation", "a.service", None),
            ("x", "low", "process_creation", "a.service", None),
            (
                "miner",
                "low",
                "process_creation",
                "a.service",
                Some(Grade::Kill),
            ),
            (
                "miner",
                "low",
                "process_creation",
                "session-1.scope",
                Some(Grade::Freeze),
            ),
            (
                "miner",
                "low",
                "file_event",
                "database-1.service",
                Some(Grade::Notify),
            ),
            (
                "x",
                "critical",
                "window",
                "a.service",
                Some(Grade::Throttle),
            ),
            ("x", "critical", "tampering", "", Some(Grade::Notify)),
        ] {
            let occasion = Occasion {
                rule,
                level,
                class,
                unit,
            };
            assert_eq!(grades().of(&occasion), wanted, "{occasion:?}");
            let mut off = grades();
            off.automatic = false;
            assert_eq!(off.of(&occasion), None, "{occasion:?}");
        }
    }

    #[test]
    fn so_many_a_minute() {
        let mut pace = Pace::default();
        let admitted: Vec<bool> = [0, 1, 2, MINUTE - 1, MINUTE, MINUTE, MINUTE + 1]
            .into_iter()
            .map(|now| pace.admit(now, 2))
            .collect();
        assert_eq!(admitted, [true, true, false, false, true, false, true]);
        assert!(!Pace::default().admit(0, 0));
    }
}
