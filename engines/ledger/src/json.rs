//! Canonical JSON (RFC 8785) of what a ledger holds: whole numbers only, since fractions don't replay
//! identically everywhere. Within that, the same bytes as any other implementation of the RFC;
//! the parser takes any JSON of that kind and refuses names that occur twice.

use crate::Error;
use std::cmp::Ordering;

mod parse;

/// The largest whole number that every JSON implementation keeps: 2^53 - 1.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;
/// How deep lists and objects may be inside each other.
pub const DEPTH_MAX: usize = 32;

/// A JSON value without fractions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, at most [`INTEGER_MAX`] in size.
    Integer(i64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object.
    Object(Object),
}

/// An object, its names in the RFC's order: by UTF-16 code units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Value)>);

fn order(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        return a.cmp(b);
    }
    a.encode_utf16().cmp(b.encode_utf16())
}

impl Object {
    /// From names and values.
    ///
    /// # Errors
    /// [`Error::Malformed`] when a name occurs twice.
    pub fn new(members: impl IntoIterator<Item = (String, Value)>) -> Result<Self, Error> {
        let mut members: Vec<_> = members.into_iter().collect();
        members.sort_by(|(a, _), (b, _)| order(a, b));
        match members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => {
                let why = format!("the name {:?} occurs twice", shown(&pair[0].0));
                Err(Error::malformed("JSON", why))
            }
            None => Ok(Self(members)),
        }
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.binary_search_by(|(here, _)| order(here, name));
        found.ok().map(|at| &self.0[at].1)
    }

    /// The text of a name, if that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The number of a name, if that is one.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Value::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    /// Sets a name to a value.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.0.binary_search_by(|(here, _)| order(here, name)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name.into(), value)),
        }
    }

    /// The same with a name set to a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// Takes a name out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let found = self.0.binary_search_by(|(here, _)| order(here, name));
        found.ok().map(|at| self.0.remove(at).1)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// [`Error::Limit`] for numbers beyond [`INTEGER_MAX`] and for depth beyond [`DEPTH_MAX`].
    pub fn canonical(&self) -> Result<String, Error> {
        let mut out = String::new();
        self.write(&mut out, 0)?;
        Ok(out)
    }

    fn write(&self, out: &mut String, depth: usize) -> Result<(), Error> {
        out.push('{');
        for (at, (name, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            quote(out, name);
            out.push(':');
            value.write(out, depth + 1)?;
        }
        out.push('}');
        Ok(())
    }

    /// Parses an object.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the byte, [`Error::Limit`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        match Value::parse(bytes)? {
            Value::Object(object) => Ok(object),
            _ => Err(Error::malformed("JSON", "byte 0: not an object")),
        }
    }

    /// Parses an object that has to be canonical.
    ///
    /// # Errors
    /// As [`Object::parse`], and [`Error::Malformed`] at the first byte that differs.
    pub fn parse_canonical(bytes: &[u8]) -> Result<Self, Error> {
        let object = Self::parse(bytes)?;
        let canonical = object.canonical()?;
        if canonical.as_bytes() != bytes {
            let same = canonical.bytes().zip(bytes).take_while(|(a, b)| a == *b);
            let why = format!("byte {}: not in canonical form", same.count());
            return Err(Error::malformed("JSON", why));
        }
        Ok(object)
    }
}

impl Value {
    /// Parses a value.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the byte, [`Error::Limit`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        parse::parse(bytes)
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// As [`Object::canonical`].
    pub fn canonical(&self) -> Result<String, Error> {
        let mut out = String::new();
        self.write(&mut out, 0)?;
        Ok(out)
    }

    fn write(&self, out: &mut String, depth: usize) -> Result<(), Error> {
        check_depth(depth)?;
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Integer(number) => {
                check_integer(*number)?;
                out.push_str(&number.to_string());
            }
            Self::Text(text) => quote(out, text),
            Self::List(values) => {
                out.push('[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    value.write(out, depth + 1)?;
                }
                out.push(']');
            }
            Self::Object(object) => object.write(out, depth)?,
        }
        Ok(())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Self::List(values)
    }
}

fn check_depth(depth: usize) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        return Err(Error::Limit {
            what: "depth of JSON",
            limit: DEPTH_MAX as u64,
            got: depth as u64,
        });
    }
    Ok(())
}

fn check_integer(number: i64) -> Result<(), Error> {
    if number.unsigned_abs() > INTEGER_MAX.unsigned_abs() {
        return Err(Error::Limit {
            what: "size of a JSON number",
            limit: INTEGER_MAX.unsigned_abs(),
            got: number.unsigned_abs(),
        });
    }
    Ok(())
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Quotes a string as ECMAScript's JSON.stringify does.
fn quote(out: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let code = c as usize;
                out.push_str("\\u00");
                out.push(char::from(DIGITS[code >> 4]));
                out.push(char::from(DIGITS[code & 15]));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
