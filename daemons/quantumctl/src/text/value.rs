//! D-Bus variants as JSON and as one line of text.
//! Dictionaries keep their keys in order, file descriptors become their type's name: they mean
//! nothing outside the process.

use quantumos_dbus::Dictionary;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value as Json};
use zbus::Variant;

use super::escape::escape;
use crate::error::Error;

/// A variant as JSON; nesting past 32 levels becomes null.
pub fn json(value: &Variant<'_>) -> Json {
    convert(value, 32)
}

fn convert(value: &Variant<'_>, depth: usize) -> Json {
    if depth == 0 {
        return Json::Null;
    }
    match value {
        Variant::U8(v) => Json::from(*v),
        Variant::Bool(v) => Json::from(*v),
        Variant::I16(v) => Json::from(*v),
        Variant::U16(v) => Json::from(*v),
        Variant::I32(v) => Json::from(*v),
        Variant::U32(v) => Json::from(*v),
        Variant::I64(v) => Json::from(*v),
        Variant::U64(v) => Json::from(*v),
        Variant::F64(v) => Number::from_f64(*v).map_or(Json::Null, Json::Number),
        Variant::Str(v) => Json::from(v.as_str()),
        Variant::Signature(v) => Json::from(v.to_string()),
        Variant::ObjectPath(v) => Json::from(v.as_str()),
        Variant::Variant(v) => convert(v, depth - 1),
        Variant::Array(items) => items.iter().map(|v| convert(v, depth - 1)).collect(),
        Variant::Dict(entries) => {
            let mut map = Map::new();
            for (key, value) in entries.iter() {
                let key = match convert(key, depth - 1) {
                    Json::String(key) => key,
                    other => other.to_string(),
                };
                map.insert(key, convert(value, depth - 1));
            }
            Json::Object(map)
        }
        Variant::Structure(fields) => fields
            .fields()
            .iter()
            .map(|v| convert(v, depth - 1))
            .collect(),
        other => Json::from(format!("<{}>", other.value_signature())),
    }
}

/// An `a{sv}` as a JSON object with its keys in order.
pub fn object(values: &Dictionary) -> Map<String, Json> {
    let mut keys: Vec<&String> = values.keys().collect();
    keys.sort();
    keys.into_iter()
        .filter_map(|key| Some((key.clone(), json(values.get(key)?))))
        .collect()
}

/// The properties of an object as a typed record; says which object and property when the
/// service's answer is not what the contract says.
pub fn record<T: DeserializeOwned>(object_path: &str, values: &Dictionary) -> Result<T, Error> {
    serde_json::from_value(Json::Object(object(values)))
        .map_err(|error| Error::Answer(format!("{object_path}: {error}")))
}

/// JSON as one escaped line: strings bare, lists in brackets, objects as `key=value`.
pub fn line(value: &Json) -> String {
    match value {
        Json::Null => "-".to_owned(),
        Json::Bool(true) => "yes".to_owned(),
        Json::Bool(false) => "no".to_owned(),
        Json::Number(number) => match number.as_f64() {
            Some(v) if number.is_f64() => trim(v),
            _ => number.to_string(),
        },
        Json::String(text) => escape(text),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(line).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(map) => fields(map),
    }
}

/// The members of an object as `key=value key=value`.
pub fn fields(map: &Map<String, Json>) -> String {
    let members: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{}={}", escape(key), line(value)))
        .collect();
    members.join(" ")
}

/// At most three decimals, none that say nothing.
fn trim(v: f64) -> String {
    let text = format!("{v:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json as j;

    use super::*;

    #[test]
    fn variants_become_json() {
        let dict = HashMap::from([("k", Variant::from(1u64))]);
        for (value, expected) in [
            (Variant::from(7u8), j!(7)),
            (Variant::from(-7i64), j!(-7)),
            (Variant::from(0.5), j!(0.5)),
            (Variant::from(f64::NAN), j!(null)),
            (Variant::from("text"), j!("text")),
            (Variant::from(true), j!(true)),
            (Variant::from(vec!["a", "b"]), j!(["a", "b"])),
            (Variant::from(("a", 1u32)), j!(["a", 1])),
            (Variant::from(dict), j!({"k": 1})),
        ] {
            assert_eq!(json(&value), expected);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let mut value = Variant::from(1u8);
        for _ in 0..40 {
            value = Variant::Variant(Box::new(value));
        }
        assert_eq!(json(&value), j!(null));
    }

    #[test]
    fn json_becomes_a_line() {
        for (value, text) in [
            (j!(null), "-"),
            (j!(true), "yes"),
            (j!(1.5), "1.5"),
            (j!(0.12345), "0.123"),
            (j!(-0.0), "0"),
            (j!(12), "12"),
            (j!("\x1b[0m"), "\\x1b[0m"),
            (j!(["a", 1]), "[a, 1]"),
            (j!({"a": 1, "b": {"c": "d"}}), "a=1 b=c=d"),
        ] {
            assert_eq!(line(&value), text);
        }
    }
}
