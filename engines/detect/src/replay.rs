//! Written-down events through the rules: the same events and rules give the same matches, whenever and wherever.

use crate::audited::Audited;
use crate::capture::Captured;
use crate::correlator::Correlator;
use crate::evaluator::Scratch;
use crate::event::Event;
use crate::ruleset::RuleSet;

/// A run of events through rules.
#[derive(Debug)]
pub struct Replay<'r> {
    rules: &'r RuleSet,
    scratch: Scratch,
    correlator: Correlator,
}

/// A rule that an event made fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// Its number in [`RuleSet::rules`].
    pub rule: u32,
    /// The tests that held, or what was counted.
    pub evidence: String,
}

impl<'r> Replay<'r> {
    /// A run through these rules, with nothing counted yet.
    #[must_use]
    pub fn new(rules: &'r RuleSet) -> Self {
        Self {
            rules,
            scratch: rules.matcher.scratch(),
            correlator: Correlator::default(),
        }
    }

    /// Takes an event, and gives the rules that raise an alert for it, each once.
    pub fn take(&mut self, captured: &Captured) -> Vec<Firing> {
        let mut out = Vec::new();
        self.ask(&captured.record, captured.time, &mut out);
        for record in Audited::of(&captured.record) {
            self.ask(&record, captured.time, &mut out);
        }
        out.sort_by_key(|firing| firing.rule);
        out.dedup_by_key(|firing| firing.rule);
        out
    }

    fn ask(&mut self, event: &impl Event, time: u64, out: &mut Vec<Firing>) {
        let matched = self.rules.matcher.matches(event, &mut self.scratch);
        for &rule in matched {
            if self.rules.is_quiet(rule) {
                continue;
            }
            let evidence = self.rules.matcher.explain(rule, event);
            let tests: Vec<String> = evidence
                .iter()
                .map(|e| format!("{} {}", e.field.name(), e.test))
                .collect();
            out.push(Firing {
                rule,
                evidence: tests.join("; "),
            });
        }
        let correlations = &self.rules.correlations;
        if correlations.concern(matched) {
            let fired = self.correlator.take(correlations, matched, event, time);
            let loud = fired
                .into_iter()
                .filter(|fired| !self.rules.is_quiet(fired.rule));
            out.extend(loud.map(|fired| Firing {
                rule: fired.rule,
                evidence: fired.evidence,
            }));
        }
    }
}
