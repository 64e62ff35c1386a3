//! What changed between two states, with the noise of gauges held back.
//!
//! A gauge that trembles must not wake every listener, so each has a deadband: until it has
//! moved further than that from the value last published, the published value stays.

use crate::{State, Value};

/// How far a gauge must move before that is a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deadband {
    /// This much, in the key's own unit.
    Absolute(f64),
    /// This part of the published value.
    Relative(f64),
}

impl Deadband {
    fn holds(self, published: f64, measured: f64) -> bool {
        let limit = match self {
            Self::Absolute(limit) => limit,
            Self::Relative(part) => published.abs() * part,
        };
        // Reaching zero is always worth saying: the thing has stopped.
        (measured != 0.0 || published == 0.0) && (measured - published).abs() <= limit
    }
}

/// `measured` with every gauge that stayed within its deadband put back to its published
/// value. Gauges in the rows of tables are settled too, as long as the row at that place has
/// the same `Name`.
#[must_use]
pub fn settle(published: &State, measured: State, deadbands: &[(&str, Deadband)]) -> State {
    if deadbands.is_empty() {
        return measured;
    }
    measured
        .into_iter()
        .map(|(key, value)| {
            let settled = match (published.get(&key), value) {
                (Some(Value::Table(old)), Value::Table(new)) => {
                    Value::Table(settle_rows(old, new, deadbands))
                }
                (Some(old), value) => settle_one(&key, old, value, deadbands),
                (None, value) => value,
            };
            (key, settled)
        })
        .collect()
}

fn settle_one(key: &str, old: &Value, new: Value, deadbands: &[(&str, Deadband)]) -> Value {
    let same_type = std::mem::discriminant(old) == std::mem::discriminant(&new);
    let deadband = deadbands
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, deadband)| *deadband);
    match (deadband, old.as_number(), new.as_number()) {
        (Some(deadband), Some(was), Some(is)) if same_type && deadband.holds(was, is) => {
            old.clone()
        }
        _ => new,
    }
}

fn settle_rows(old: &[State], new: Vec<State>, deadbands: &[(&str, Deadband)]) -> Vec<State> {
    new.into_iter()
        .enumerate()
        .map(|(index, row)| match old.get(index) {
            Some(was) if was.get("Name") == row.get("Name") => settle(was, row, deadbands),
            _ => row,
        })
        .collect()
}

/// The keys that differ between two states.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// New and changed keys, with their new values.
    pub changed: State,
    /// Keys that are gone.
    pub removed: Vec<String>,
}

impl Change {
    /// What turns `old` into `new`.
    #[must_use]
    pub fn between(old: &State, new: &State) -> Self {
        let changed = new
            .iter()
            .filter(|(key, value)| old.get(key) != Some(value))
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect();
        let removed = old
            .iter()
            .filter(|(key, _)| new.get(key).is_none())
            .map(|(key, _)| key.to_owned())
            .collect();
        Self { changed, removed }
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }

    /// As one dictionary: the changed keys, and the names of those that are gone under
    /// `Removed`, which is no key of any dimension.
    #[must_use]
    pub fn into_state(self) -> State {
        if self.removed.is_empty() {
            self.changed
        } else {
            self.changed.with("Removed", self.removed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BANDS: &[(&str, Deadband)] = &[
        ("Load", Deadband::Absolute(0.5)),
        ("Free", Deadband::Relative(0.1)),
        ("Temperature", Deadband::Absolute(2.0)),
    ];

    #[test]
    fn gauges_are_held_until_they_move() {
        for (key, old, new, held) in [
            ("Load", 1.0, 1.4, true),
            ("Load", 1.0, 1.6, false),
            ("Load", 0.4, 0.0, false),
            ("Load", 0.0, 0.0, true),
            ("Free", 100.0, 109.0, true),
            ("Free", 100.0, 111.0, false),
            ("Other", 1.0, 1.1, false),
        ] {
            let settled = settle(
                &State::new().with(key, old),
                State::new().with(key, new),
                BANDS,
            );
            let want = if held { old } else { new };
            assert_eq!(
                settled.get(key),
                Some(&Value::Real(want)),
                "{key} {old} {new}"
            );
        }
    }

    #[test]
    fn rows_settle_only_with_their_own_past() {
        let row =
            |name: &str, degrees: f64| State::new().with("Name", name).with("Temperature", degrees);
        let old = State::new().with("Sensors", vec![row("a", 40.0), row("b", 50.0)]);
        let new = State::new().with("Sensors", vec![row("a", 41.0), row("c", 51.0)]);
        let settled = settle(&old, new, BANDS);
        assert_eq!(
            settled.get("Sensors"),
            Some(&Value::Table(vec![row("a", 40.0), row("c", 51.0)]))
        );
    }

    #[test]
    fn a_change_of_type_is_a_change() {
        let settled = settle(
            &State::new().with("Load", 1.0),
            State::new().with("Load", 1_u64),
            BANDS,
        );
        assert_eq!(settled.get("Load"), Some(&Value::Count(1)));
    }

    fn states() -> impl Strategy<Value = State> {
        proptest::collection::btree_map(
            "[A-D]",
            prop_oneof![
                any::<u64>().prop_map(Value::Count),
                any::<bool>().prop_map(Value::Flag),
                (-1e9..1e9).prop_map(Value::Real),
            ],
            0..4,
        )
        .prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn old_plus_change_is_new(old in states(), new in states()) {
            let change = Change::between(&old, &new);
            let mut rebuilt: State = old
                .into_iter()
                .filter(|(key, _)| !change.removed.contains(key))
                .collect();
            for (key, value) in change.changed {
                rebuilt.put(&key, value);
            }
            prop_assert_eq!(rebuilt, new);
        }

        #[test]
        fn equal_states_have_no_change(state in states()) {
            prop_assert!(Change::between(&state, &state).is_empty());
        }
    }
}
