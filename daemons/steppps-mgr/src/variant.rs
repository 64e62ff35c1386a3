//! States as they travel over the bus.

use std::collections::HashMap;

use quantumos_dbus::Dictionary;
use quantumos_dimensions::{Change, Report, State, Value};
use zbus::Variant;

/// A value as a variant: `b`, `t`, `x`, `d`, `s`, `as` or `aa{sv}`.
pub(crate) fn variant(value: Value) -> Variant<'static> {
    match value {
        Value::Flag(value) => value.into(),
        Value::Count(value) => value.into(),
        Value::Signed(value) => value.into(),
        Value::Real(value) => value.into(),
        Value::Text(value) => value.into(),
        Value::Texts(value) => value.into(),
        Value::Table(rows) => rows.into_iter().map(variants).collect::<Vec<_>>().into(),
    }
}

/// A state as `a{sv}`.
pub(crate) fn variants(state: State) -> HashMap<String, Variant<'static>> {
    state
        .into_iter()
        .map(|(key, value)| (key, variant(value)))
        .collect()
}

/// A state as `a{sv}` that a method returns.
pub(crate) fn dictionary(state: State) -> Result<Dictionary, zbus::Error> {
    state
        .into_iter()
        .map(|(key, value)| Ok((key, variant(value).try_into_owned()?)))
        .collect()
}

/// A dimension's part of a snapshot: its state with `Available`, `Health` and `Reason`.
pub(crate) fn snapshot(report: &Report) -> State {
    report
        .state
        .clone()
        .with("Available", report.available)
        .with("Health", report.health.as_str())
        .with("Reason", &report.reason)
}

/// What changed between two snapshots of a dimension.
pub(crate) fn change(old: &Report, new: &Report) -> Change {
    Change::between(&snapshot(old), &snapshot(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_signature() {
        for (value, want) in [
            (Value::from(true), "b"),
            (Value::from(1_u64), "t"),
            (Value::from(-1_i64), "x"),
            (Value::from(0.5), "d"),
            (Value::from("text"), "s"),
            (Value::from(vec!["a".to_owned()]), "as"),
            (Value::from(Vec::<String>::new()), "as"),
            (Value::from(vec![State::new().with("A", 1_u64)]), "aa{sv}"),
            (Value::from(Vec::<State>::new()), "aa{sv}"),
        ] {
            assert_eq!(
                variant(value.clone()).value_signature().to_string(),
                want,
                "{value:?}"
            );
        }
    }
}
