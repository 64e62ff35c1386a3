//! The numbers that a model sees of a window. Each has a name, which a manifest lists; a model is asked only with
//! the features that it was trained on.

use crate::profile::{Profile, Standing};
use crate::window::{Kind, Window};

/// One feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// ln(1 + events).
    Events,
    /// ln(1 + executions).
    Executions,
    /// ln(1 + processes created).
    Forks,
    /// ln(1 + connections).
    Connections,
    /// ln(1 + opens of watched files).
    Opens,
    /// ln(1 + the most children of one process).
    FanOut,
    /// Failed ends, as a share of all ends.
    Failures,
    /// ln(1 + different items of a kind).
    Different(Kind),
    /// Distance of the set of steps from the nearest that is known, 0 to 1.
    Nearest,
    /// Share of the items of a kind, by count, that nobody on the host did before.
    NewShare(Kind),
    /// ln(1 + different items of a kind that nobody on the host did before).
    NewToHost(Kind),
    /// ln(1 + different items of a kind that others did, the unit never).
    NewToUnit(Kind),
}

/// The features of windows of a host.
pub const HOST: [Feature; 19] = [
    Feature::Events,
    Feature::Executions,
    Feature::Forks,
    Feature::Connections,
    Feature::Opens,
    Feature::FanOut,
    Feature::Failures,
    Feature::Different(Kind::Step),
    Feature::Nearest,
    Feature::NewShare(Kind::Pair),
    Feature::NewShare(Kind::Triple),
    Feature::NewToHost(Kind::Step),
    Feature::NewToHost(Kind::Chain),
    Feature::NewToHost(Kind::Path),
    Feature::NewToHost(Kind::Peer),
    Feature::NewToUnit(Kind::Step),
    Feature::NewToUnit(Kind::Chain),
    Feature::NewToUnit(Kind::Path),
    Feature::NewToUnit(Kind::Peer),
];

/// The features of traces of system calls, which have nothing else.
pub const TRACE: [Feature; 2] = [Feature::NewShare(Kind::Twelve), Feature::Nearest];

impl Feature {
    /// Its name in manifests and explanations.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Events => "events".into(),
            Self::Executions => "executions".into(),
            Self::Forks => "forks".into(),
            Self::Connections => "connections".into(),
            Self::Opens => "opens".into(),
            Self::FanOut => "fan-out".into(),
            Self::Failures => "failures".into(),
            Self::Different(kind) => format!("different.{}", kind.name()),
            Self::Nearest => "nearest".into(),
            Self::NewShare(kind) => format!("new-share.{}", kind.name()),
            Self::NewToHost(kind) => format!("new-to-host.{}", kind.name()),
            Self::NewToUnit(kind) => format!("new-to-unit.{}", kind.name()),
        }
    }

    /// Whether only more of it is strange: new items, failures and distance, of which the normal amount is none.
    #[must_use]
    pub fn is_one_sided(self) -> bool {
        matches!(
            self,
            Self::Nearest
                | Self::Failures
                | Self::NewShare(_)
                | Self::NewToHost(_)
                | Self::NewToUnit(_)
        )
    }

    /// A value as people read it: the number instead of its logarithm, a share in per cent, a distance as it is.
    #[must_use]
    pub fn shown(self, value: f32) -> String {
        match self {
            Self::Nearest => format!("{value:.2}"),
            Self::Failures | Self::NewShare(_) => format!("{:.0} %", 100.0 * value),
            _ => {
                let number = value.exp_m1().max(0.0);
                let whole = number >= 10.0 || (number - number.round()).abs() < 0.005;
                if whole {
                    format!("{number:.0}")
                } else {
                    format!("{number:.1}")
                }
            }
        }
    }

    /// The kind of item it is about, where new items can explain it.
    #[must_use]
    pub fn new_items(self) -> Option<(Kind, Standing)> {
        match self {
            Self::NewShare(kind) | Self::NewToHost(kind) => Some((kind, Standing::NewToHost)),
            Self::NewToUnit(kind) => Some((kind, Standing::NewToUnit)),
            Self::Nearest => Some((Kind::Step, Standing::NewToHost)),
            _ => None,
        }
    }
}

/// Names of a list of features.
#[must_use]
pub fn names(features: &[Feature]) -> Vec<String> {
    features.iter().map(|feature| feature.name()).collect()
}

#[derive(Clone, Copy, Default)]
struct Tally {
    counted: u64,
    counted_new: u64,
    different: u32,
    new_to_host: u32,
    new_to_unit: u32,
}

/// The features of a window, beside what a profile knows. All are finite.
#[must_use]
pub fn of(window: &Window, profile: &Profile, features: &[Feature]) -> Vec<f32> {
    let mut tallies = [Tally::default(); Kind::ALL.len()];
    for (item, standing) in window.items.iter().zip(profile.standings(window)) {
        let tally = &mut tallies[item.kind as usize];
        tally.counted += u64::from(item.count);
        tally.different += 1;
        match standing {
            Standing::Known => {}
            Standing::NewToUnit => tally.new_to_unit += 1,
            Standing::NewToHost => {
                tally.new_to_host += 1;
                tally.counted_new += u64::from(item.count);
            }
        }
    }
    let log = |count: u32| f64::from(count).ln_1p();
    let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
    let sums = &window.sums;
    let value = |feature: &Feature| match *feature {
        Feature::Events => log(sums.events),
        Feature::Executions => log(sums.executions),
        Feature::Forks => log(sums.forks),
        Feature::Connections => log(sums.connections),
        Feature::Opens => log(sums.opens),
        Feature::FanOut => log(sums.fan_out),
        Feature::Failures => share(sums.failures.into(), sums.exits.into()).min(1.0),
        Feature::Different(kind) => log(tallies[kind as usize].different),
        Feature::Nearest => profile.nearest(window),
        Feature::NewShare(kind) => {
            let tally = tallies[kind as usize];
            share(tally.counted_new, tally.counted)
        }
        Feature::NewToHost(kind) => log(tallies[kind as usize].new_to_host),
        Feature::NewToUnit(kind) => log(tallies[kind as usize].new_to_unit),
    };
    features
        .iter()
        .map(|feature| value(feature) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace;

    #[test]
    fn numbers_of_a_window() {
        let profile = Profile::learn(&[trace::window(&[1, 2, 3])]);
        let window = trace::window(&[1, 2, 2, 9]);
        let wanted = [
            (Feature::Events, 5.0_f32.ln()),
            (Feature::Different(Kind::Step), 4.0_f32.ln()),
            // 1-2 is known; 2-2 and 2-9 are not.
            (Feature::NewShare(Kind::Pair), 2.0 / 3.0),
            (Feature::NewToHost(Kind::Step), 2.0_f32.ln()),
            (Feature::NewToUnit(Kind::Step), 0.0),
            (Feature::Nearest, 1.0 - 2.0 / 3.0),
            (Feature::NewShare(Kind::Path), 0.0),
        ];
        for (feature, wanted) in wanted {
            let value = of(&window, &profile, &[feature])[0];
            assert!((value - wanted).abs() < 1e-6, "{}: {value}", feature.name());
        }
        for (feature, value, wanted) in [
            (Feature::Events, 6.0_f32.ln(), "5"),
            (Feature::Events, 0.1, "0.1"),
            (Feature::Events, -0.3, "0"),
            (Feature::NewToHost(Kind::Peer), 1000.0_f32.ln(), "999"),
            (Feature::NewShare(Kind::Pair), 0.254, "25 %"),
            (Feature::Nearest, 0.254, "0.25"),
        ] {
            assert_eq!(feature.shown(value), wanted, "{} {value}", feature.name());
        }
        let mut all = names(&HOST);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), HOST.len());
    }
}
