//! Asking the rules about one event, and about a message of the journal.

use crate::accounts::Accounts;
use crate::alert::Alert;
use crate::detector::Ruling;
use crate::mask::Masker;
use crate::message::Message;
use quantumos_detect::{Audited, Evidence, Rule, Scratch};

/// The rules, being asked.
pub(crate) struct Asked<'a> {
    pub(crate) ruling: &'a Ruling,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) matches: u64,
    pub(crate) alerts: u64,
}

impl Asked<'_> {
    /// Asks about one event, and says which rules that aren't silenced match it, and why.
    pub(crate) fn about(
        &mut self,
        event: &impl quantumos_detect::Event,
        say: &mut impl FnMut(&Rule, &[Evidence]),
    ) {
        let set = &self.ruling.set;
        for &rule in set.matcher.matches(event, self.scratch) {
            self.matches += 1;
            if !self.ruling.is_silent(rule) {
                say(&set.rules[rule as usize], &set.matcher.explain(rule, event));
                self.alerts += 1;
            }
        }
    }

    /// Asks about a message, and hands over the alerts.
    pub(crate) fn about_message(
        &mut self,
        message: &Message,
        accounts: &Accounts,
        masker: &Masker,
        raise: &mut dyn FnMut(Alert),
    ) {
        let mut say = |rule: &Rule, evidence: &[Evidence]| {
            raise(Alert::of_message(rule, evidence, message, accounts, masker));
        };
        self.about(message, &mut say);
        match &message.record {
            Some(record) => self.about(record, &mut say),
            None => Audited::of(message).for_each(|record| self.about(&record, &mut say)),
        }
    }
}
