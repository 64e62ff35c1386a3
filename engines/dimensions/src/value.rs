//! What a state is made of: named values of a few types that every bus and JSON can carry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{limits, text};

/// One value of a state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// True or false.
    Flag(bool),
    /// A count, a size in bytes or a time in microseconds; the key's name says which.
    Count(u64),
    /// A number that may be negative.
    Signed(i64),
    /// A finite number.
    Real(f64),
    /// A clipped text.
    Text(String),
    /// A capped list of clipped texts.
    Texts(Vec<String>),
    /// A capped list of rows.
    Table(Vec<State>),
}

impl Value {
    /// About how many bytes of memory the value takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Flag(_) | Self::Count(_) | Self::Signed(_) | Self::Real(_) => 8,
            Self::Text(text) => 24 + text.len(),
            Self::Texts(texts) => 24 + texts.iter().map(|text| 24 + text.len()).sum::<usize>(),
            Self::Table(rows) => 24 + rows.iter().map(State::weight).sum::<usize>(),
        }
    }

    /// The value as a number, if it is one.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Count(n) => Some(*n as f64),
            Self::Signed(n) => Some(*n as f64),
            Self::Real(n) => Some(*n),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Count(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Count(value as u64)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl From<f64> for Value {
    /// What is not finite is not a measurement: it becomes 0.
    fn from(value: f64) -> Self {
        Self::Real(if value.is_finite() { value } else { 0.0 })
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(text::clip(value))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::from(value.as_str())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::from(value.as_str())
    }
}

impl From<Vec<String>> for Value {
    fn from(value: Vec<String>) -> Self {
        Self::Texts(
            value
                .iter()
                .take(limits::TEXTS)
                .map(|item| text::clip(item))
                .collect(),
        )
    }
}

impl From<Vec<State>> for Value {
    fn from(mut value: Vec<State>) -> Self {
        value.truncate(limits::ROWS);
        Self::Table(value)
    }
}

/// Named values, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct State(BTreeMap<String, Value>);

impl State {
    /// A state with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key`; returns the state, so that rows can be written as one expression.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.put(key, value);
        self
    }

    /// Sets `key` if there is a value for it.
    #[must_use]
    pub fn with_some(mut self, key: &str, value: Option<impl Into<Value>>) -> Self {
        self.put_some(key, value);
        self
    }

    /// Sets `key`.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Sets `key` if there is a value for it.
    pub fn put_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Sets `key` to a table, and `<key>Omitted` if rows beyond the bound were left out.
    pub fn put_rows(&mut self, key: &str, rows: Vec<State>) {
        let omitted = rows.len().saturating_sub(limits::ROWS);
        self.put(key, rows);
        if omitted > 0 {
            self.put(&format!("{key}Omitted"), omitted);
        }
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All keys and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// About how many bytes of memory the state takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.0
            .iter()
            .map(|(key, value)| 48 + key.len() + value.weight())
            .sum()
    }
}

impl FromIterator<(String, Value)> for State {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(items: T) -> Self {
        Self(items.into_iter().collect())
    }
}

impl IntoIterator for State {
    type Item = (String, Value);
    type IntoIter = std::collections::btree_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_bounded() {
        let long = "x".repeat(10_000);
        let Value::Text(text) = Value::from(long.as_str()) else {
            panic!("not a text")
        };
        assert_eq!(text.len(), limits::TEXT);
        let Value::Texts(texts) = Value::from(vec![long; 10_000]) else {
            panic!("not texts")
        };
        assert_eq!((texts.len(), texts[0].len()), (limits::TEXTS, limits::TEXT));

        let mut state = State::new();
        state.put_rows(
            "Disks",
            vec![State::new().with("Name", "sda"); limits::ROWS + 3],
        );
        assert_eq!(state.get("DisksOmitted"), Some(&Value::Count(3)));
        assert!(
            matches!(state.get("Disks"), Some(Value::Table(rows)) if rows.len() == limits::ROWS)
        );
    }

    #[test]
    fn what_is_not_finite_is_zero() {
        assert_eq!(Value::from(f64::NAN), Value::Real(0.0));
        assert_eq!(Value::from(f64::INFINITY), Value::Real(0.0));
    }
}
