//! Correlations that wait until every rule is read, since they may stand before the rules that they are about.

use crate::class::Class;
use crate::compile::ClassRules;
use crate::correlation::{Correlation, Tied};
use crate::rule::Rule;
use crate::ruleset::{Fate, Listed};

/// A correlation, and where its report stands.
pub(crate) struct Pending {
    pub(crate) report: usize,
    pub(crate) rule: Rule,
    pub(crate) correlation: Correlation,
}

/// Ties what can be tied, numbers it among the rules, and says of the others why not. Gives the correlations and the
/// rules that are quiet for them.
pub(crate) fn tie(
    mut pending: Vec<Pending>,
    classes: &[ClassRules],
    rules: &mut Vec<Rule>,
    report: &mut [Listed],
) -> (Vec<Tied>, Vec<u32>) {
    let mut tied: Vec<Tied> = Vec::new();
    let mut quiet = Vec::new();
    // Correlations of correlations: each round ties those whose rules are known, until none is added.
    loop {
        let before = tied.len();
        let mut left = Vec::new();
        for waiting in pending {
            let number = rules.len() as u32;
            let find = |name: &str| {
                let at = rules
                    .iter()
                    .position(|rule| rule.name.as_deref() == Some(name) || rule.id == name)?;
                let classes = classes_of(at as u32, classes, &tied);
                Some((at as u32, classes))
            };
            let Pending {
                report: at,
                rule,
                correlation,
            } = waiting;
            match correlation.tie(number, &rule.id, find) {
                Ok(new) => {
                    if !correlation.generate {
                        quiet.extend(new.members.iter().map(|member| member.rule));
                    }
                    tied.push(new);
                    rules.push(rule);
                    set(
                        report,
                        at,
                        Fate::Loaded {
                            rule: number,
                            absent: Vec::new(),
                        },
                    );
                }
                Err(why) => {
                    set(report, at, Fate::NotApplicable(why));
                    left.push(Pending {
                        report: at,
                        rule,
                        correlation,
                    });
                }
            }
        }
        pending = left;
        if tied.len() == before {
            return (tied, quiet);
        }
    }
}

fn set(report: &mut [Listed], at: usize, fate: Fate) {
    if let Some(listed) = report.get_mut(at) {
        listed.fate = fate;
    }
}

/// The classes whose events a rule can match; of a correlation those of its last rules.
fn classes_of(rule: u32, classes: &[ClassRules], tied: &[Tied]) -> Vec<Class> {
    if let Some(correlation) = tied.iter().find(|tied| tied.number == rule) {
        let members = correlation.members.iter();
        return members
            .flat_map(|member| classes_of(member.rule, classes, tied))
            .collect();
    }
    let about = |c: &&ClassRules| c.rules.iter().any(|(number, _)| *number == rule);
    classes.iter().filter(about).map(|c| c.class).collect()
}
