//! The controller's memory and its tick.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Action, DEFAULT_WEIGHT, End, NOT_SET, Observed, Policy, Proposal, Weight};
use crate::class::Class;
use crate::units::{parting, unit_of};

const MINUTE_US: u64 = 60_000_000;

/// A decision that holds, applied or (in advise mode) only proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// The weight that was set.
    pub to: u64,
    /// Whether the weight was really set, so that another value means another hand.
    pub applied: bool,
    /// The unit that was to gain.
    pub beneficiary: String,
    /// The unit that was to wait.
    pub victim: String,
    /// When it ends unless it is extended, in microseconds.
    pub expires_us: u64,
    /// Since when it is no longer needed.
    #[serde(skip)]
    pub calm_since_us: Option<u64>,
}

/// The controller. One clock (any monotonic one, in microseconds) drives all its calls.
#[derive(Debug, Clone)]
pub struct Controller {
    policy: Policy,
    in_force: BTreeMap<String, InForce>,
    /// Since when a unit has needed help.
    pressed: BTreeMap<String, u64>,
    /// Until when a unit is left alone.
    held: BTreeMap<String, u64>,
    /// Times of the changes of the last minute.
    changes: VecDeque<u64>,
}

impl Controller {
    /// Starts with nothing in force.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            in_force: BTreeMap::new(),
            pressed: BTreeMap::new(),
            held: BTreeMap::new(),
            changes: VecDeque::new(),
        }
    }

    /// Follows other numbers from the next tick on; what is in force stays.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// What is in force, by unit.
    pub fn in_force(&self) -> &BTreeMap<String, InForce> {
        &self.in_force
    }

    /// Takes up a decision from before a restart.
    pub fn adopt(&mut self, unit: String, decision: InForce) {
        self.in_force.insert(unit, decision);
    }

    /// The change could not be made: leave the unit alone for a while.
    pub fn failed(&mut self, unit: &str, now_us: u64) {
        self.in_force.remove(unit);
        self.held
            .insert(unit.into(), now_us + self.policy.respect_ms * 1_000);
    }

    /// The change was not tried, for a reason of ours: leave the unit alone for as long as after a
    /// change.
    pub fn postponed(&mut self, unit: &str, now_us: u64) {
        self.in_force.remove(unit);
        self.held
            .insert(unit.into(), now_us + self.policy.hold_ms * 1_000);
    }

    /// Somebody has undone the decision: respect that for a while.
    pub fn undone(&mut self, unit: &str, now_us: u64) {
        self.failed(unit, now_us);
    }

    /// Looks at all units once and says what to do. The caller does it, and calls
    /// `failed` for what did not work.
    ///
    /// `apply` says whether proposals will really be set (mode act).
    pub fn tick(&mut self, now_us: u64, units: &[Observed], apply: bool) -> Vec<Action> {
        while self
            .changes
            .front()
            .is_some_and(|time| now_us.saturating_sub(*time) >= MINUTE_US)
        {
            self.changes.pop_front();
        }
        self.held.retain(|_, until| *until > now_us);
        let by_name: BTreeMap<&str, &Observed> = units
            .iter()
            .map(|unit| (unit.unit.as_str(), unit))
            .collect();
        let mut actions = self.review(now_us, &by_name);
        self.note_pressure(now_us, units);
        let mut needy: Vec<&Observed> = units
            .iter()
            .filter(|unit| self.needs_help(unit, now_us))
            .collect();
        needy.sort_by(|a, b| {
            b.class
                .cmp(&a.class)
                .then(b.in_5.total_cmp(&a.in_5))
                .then(a.unit.cmp(&b.unit))
        });
        let mut waiting: Vec<&Observed> = units.iter().filter(|unit| self.may_wait(unit)).collect();
        waiting.sort_by(|a, b| b.usage.total_cmp(&a.usage).then(a.unit.cmp(&b.unit)));
        for beneficiary in needy {
            for victim in &waiting {
                if self.changes.len() >= self.policy.changes_per_minute as usize {
                    return actions;
                }
                if let Some(proposal) = self.propose(now_us, beneficiary, victim, &by_name) {
                    self.in_force.insert(
                        proposal.unit.clone(),
                        InForce {
                            to: proposal.to,
                            applied: apply,
                            beneficiary: proposal.beneficiary.clone(),
                            victim: proposal.victim.clone(),
                            expires_us: proposal.expires_us,
                            calm_since_us: None,
                        },
                    );
                    self.count_change(&proposal.unit, now_us);
                    actions.push(Action::Apply(proposal));
                }
            }
        }
        actions
    }

    /// What becomes of the decisions in force.
    fn review(&mut self, now_us: u64, units: &BTreeMap<&str, &Observed>) -> Vec<Action> {
        let policy = self.policy;
        let mut actions = Vec::new();
        let mut ended = Vec::new();
        for (unit, decision) in &mut self.in_force {
            let seen = units.get(unit.as_str());
            let release = match seen.map(|seen| seen.weight) {
                None => Some(End::UnitGone),
                Some(Weight::Set(weight)) if weight != decision.to || !decision.applied => {
                    Some(End::ChangedByOthers)
                }
                Some(Weight::NotSet) if decision.applied => Some(End::ChangedByOthers),
                Some(_) => None,
            };
            if let Some(why) = release {
                ended.push(unit.clone());
                actions.push(Action::Release {
                    unit: unit.clone(),
                    why,
                });
                continue;
            }
            if still_needed(decision, units, &policy) {
                decision.calm_since_us = None;
            } else {
                decision.calm_since_us.get_or_insert(now_us);
            }
            let calm = decision
                .calm_since_us
                .is_some_and(|since| now_us - since >= policy.leave_ms * 1_000);
            let expired = now_us >= decision.expires_us;
            if calm || expired && decision.calm_since_us.is_some() {
                ended.push(unit.clone());
                let why = if calm { End::Calm } else { End::Expired };
                actions.push(Action::Restore {
                    unit: unit.clone(),
                    why,
                });
            } else if decision.calm_since_us.is_none()
                && decision.expires_us < now_us + policy.lifetime_ms * 500
            {
                decision.expires_us = now_us + policy.lifetime_ms * 1_000;
                actions.push(Action::Extend {
                    unit: unit.clone(),
                    expires_us: decision.expires_us,
                });
            }
        }
        for unit in ended {
            self.in_force.remove(&unit);
            self.count_change(&unit, now_us);
        }
        actions
    }

    fn count_change(&mut self, unit: &str, now_us: u64) {
        self.changes.push_back(now_us);
        self.held
            .insert(unit.into(), now_us + self.policy.hold_ms * 1_000);
    }

    fn note_pressure(&mut self, now_us: u64, units: &[Observed]) {
        let high = self.policy.high;
        self.pressed.retain(|name, _| {
            units
                .iter()
                .any(|unit| unit.unit == *name && unit.in_5 >= high)
        });
        for unit in units.iter().filter(|unit| unit.in_5 >= high) {
            self.pressed.entry(unit.unit.clone()).or_insert(now_us);
        }
    }

    fn needs_help(&self, unit: &Observed, now_us: u64) -> bool {
        unit.class >= Class::Service
            && !unit.unit.ends_with(".slice")
            && self
                .pressed
                .get(&unit.unit)
                .is_some_and(|since| now_us - since >= self.policy.enter_ms * 1_000)
    }

    fn may_wait(&self, unit: &Observed) -> bool {
        unit.class.may_wait() && !unit.protected && unit.usage >= self.policy.min_usage
    }

    fn propose(
        &self,
        now_us: u64,
        beneficiary: &Observed,
        victim: &Observed,
        units: &BTreeMap<&str, &Observed>,
    ) -> Option<Proposal> {
        let relief = beneficiary.in_5 * victim.usage;
        if relief.is_nan() || relief <= self.policy.cost {
            return None;
        }
        let (gains, waits) = parting(&beneficiary.path, &victim.path)?;
        let (target, to, rule) = if waits == victim.path {
            (
                victim,
                self.policy.weights.of(victim.class)?,
                "less-for-the-waiting",
            )
        } else {
            let branch = *units.get(unit_of(gains)?)?;
            (
                branch,
                self.policy.weights.of(beneficiary.class)?,
                "more-for-the-branch",
            )
        };
        let free = target.weight == Weight::NotSet
            && !target.protected
            && to != DEFAULT_WEIGHT
            && !self.in_force.contains_key(&target.unit)
            && !self.held.contains_key(&target.unit);
        free.then(|| Proposal {
            unit: target.unit.clone(),
            from: NOT_SET,
            to,
            reason: format!(
                "{} ({}) waits for the CPU {:.0} % of the time, {:.0} % forecast in 5 s; {} ({}) uses {:.0} % of the machine",
                beneficiary.unit,
                beneficiary.class.as_str(),
                100.0 * beneficiary.now,
                100.0 * beneficiary.in_5,
                victim.unit,
                victim.class.as_str(),
                100.0 * victim.usage
            ),
            rule: rule.into(),
            beneficiary: beneficiary.unit.clone(),
            victim: victim.unit.clone(),
            evidence: BTreeMap::from([
                ("pressure_now".into(), 100.0 * beneficiary.now),
                ("pressure_in_5s".into(), 100.0 * beneficiary.in_5),
                ("pressure_in_30s".into(), 100.0 * beneficiary.in_30),
                ("threshold".into(), 100.0 * self.policy.high),
                ("victim_usage".into(), 100.0 * victim.usage),
                ("relief".into(), relief),
                ("cost".into(), self.policy.cost),
            ]),
            expires_us: now_us + self.policy.lifetime_ms * 1_000,
        })
    }
}

/// A decision is needed while both still compete: low pressure alone may be its effect.
fn still_needed(decision: &InForce, units: &BTreeMap<&str, &Observed>, policy: &Policy) -> bool {
    let busy = units
        .get(decision.victim.as_str())
        .is_some_and(|victim| victim.usage >= policy.min_usage / 2.0);
    let wants = units
        .get(decision.beneficiary.as_str())
        .is_some_and(|unit| {
            unit.now >= policy.low
                || unit.in_5 >= policy.low
                || unit.usage >= policy.min_usage / 10.0
        });
    busy && wants
}
