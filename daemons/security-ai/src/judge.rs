//! Asking the rules about one event, and about a message of the journal.

use crate::accounts::Accounts;
use crate::alert::Alert;
use crate::detector::Ruling;
use crate::mask::Masker;
use crate::message::Message;
use quantumos_detect::{Audited, Correlator, Evidence, Rule, Scratch};

/// The tests that held, in words.
fn explained(evidence: &[Evidence]) -> String {
    let tests: Vec<String> = evidence
        .iter()
        .map(|e| format!("{} {}", e.field.name(), e.test))
        .collect();
    tests.join("; ")
}

/// The rules, being asked.
pub(crate) struct Asked<'a> {
    pub(crate) ruling: &'a Ruling,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) correlator: &'a mut Correlator,
    pub(crate) matches: u64,
    pub(crate) alerts: u64,
}

impl Asked<'_> {
    /// Asks about one event, and says which rules and correlations that aren't silenced match it, and why. `time` gives
    /// the event's time in microseconds of a steady clock, and is asked only where it counts.
    pub(crate) fn about(
        &mut self,
        event: &impl quantumos_detect::Event,
        time: &impl Fn() -> u64,
        say: &mut impl FnMut(&Rule, &str),
    ) {
        let set = &self.ruling.set;
        let matched = set.matcher.matches(event, self.scratch);
        for &rule in matched {
            self.matches += 1;
            if !self.ruling.is_silent(rule) {
                let evidence = explained(&set.matcher.explain(rule, event));
                say(&set.rules[rule as usize], &evidence);
                self.alerts += 1;
            }
        }
        if !set.correlations.concern(matched) {
            return;
        }
        let fired = self
            .correlator
            .take(&set.correlations, matched, event, time());
        for fired in fired {
            self.matches += 1;
            if !self.ruling.is_silent(fired.rule) {
                say(&set.rules[fired.rule as usize], &fired.evidence);
                self.alerts += 1;
            }
        }
    }

    /// Asks about a message, and hands over the alerts.
    pub(crate) fn about_message(
        &mut self,
        message: &Message,
        time: &impl Fn() -> u64,
        accounts: &Accounts,
        masker: &Masker,
        raise: &mut dyn FnMut(Alert),
    ) {
        let mut say = |rule: &Rule, why: &str| {
            raise(Alert::of_message(rule, why, message, accounts, masker));
        };
        self.about(message, time, &mut say);
        match &message.record {
            Some(record) => self.about(record, time, &mut say),
            None => Audited::of(message).for_each(|record| self.about(&record, time, &mut say)),
        }
    }
}
