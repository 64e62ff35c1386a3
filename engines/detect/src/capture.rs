//! Events written down, one JSON object a line, and read again: captures to replay, and the cases beside rules.
//!
//! A line has `class`, `time` (microseconds; 0 where it is left out) and the event's fields by name. A value is text,
//! a number, a flag, `{"hex": "4f"}` (an argument in hexadecimal), `{"bytes": "ff00"}` (bytes that are no text) or a
//! list of those.

use crate::class::Class;
use crate::event::{Event, Record, Value};
use crate::field::Field;
use serde_json::{Map, Value as Json};

/// The longest line accepted, in bytes.
pub const MAX_LINE: usize = 1 << 20;
/// The most values of one event.
const MAX_VALUES: usize = 4096;

/// An event read from a capture.
#[derive(Debug, Clone, PartialEq)]
pub struct Captured {
    /// When, microseconds of the real-time clock; 0 where it isn't said.
    pub time: u64,
    /// What.
    pub record: Record,
}

/// Reads one line.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(line: &str) -> Result<Captured, String> {
    if line.len() > MAX_LINE {
        return Err(format!("the line has more than {MAX_LINE} bytes"));
    }
    let json: Map<String, Json> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    event(&json)
}

/// Reads one event from JSON that is parsed already.
///
/// # Errors
/// What is wrong with it, in words.
pub fn event(json: &Map<String, Json>) -> Result<Captured, String> {
    let class = json.get("class").and_then(Json::as_str);
    let class = class
        .and_then(Class::from_capture)
        .ok_or_else(|| format!("`class` is {class:?}, no class of events"))?;
    let time = match json.get("time") {
        None => 0,
        Some(time) => time
            .as_u64()
            .ok_or("`time` is not a number of microseconds")?,
    };
    let mut record = Record::new(class);
    let mut count = 0;
    for (name, value) in json {
        if name == "class" || name == "time" {
            continue;
        }
        let field = Field::from_name(name)
            .filter(|field| class.carries(*field))
            .ok_or_else(|| format!("{} events have no field {name:?}", class.name()))?;
        let values = match value {
            Json::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        count += values.len();
        if count > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values"));
        }
        for value in values {
            record = with(record, field, value).ok_or_else(|| format!("{name}: {value}"))?;
        }
    }
    Ok(Captured { time, record })
}

fn with(record: Record, field: Field, value: &Json) -> Option<Record> {
    Some(match value {
        Json::Bool(flag) => record.with_value(field, Value::Flag(*flag)),
        Json::Number(number) => record.with_value(field, Value::Number(number.as_i64()?)),
        Json::String(text) => match (field, text.parse()) {
            (Field::DestinationIp | Field::SourceIp, Ok(address)) => {
                record.with_value(field, Value::Address(address))
            }
            _ => record.with(field, text.as_str()),
        },
        Json::Object(of) if of.len() == 1 => {
            if let Some(digits) = of.get("hex") {
                let number = u64::from_str_radix(digits.as_str()?, 16).ok()?;
                record.with_value(field, Value::Hexadecimal(number))
            } else {
                record.with(field, unhex(of.get("bytes")?.as_str()?)?)
            }
        }
        _ => return None,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let digits = std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?;
            u8::from_str_radix(digits, 16).ok()
        })
        .collect()
}

/// An event as one line, without the line's end.
#[must_use]
pub fn write(event: &impl Event, time: u64) -> String {
    let class = event.class();
    let mut json = Map::new();
    json.insert("class".into(), class.name().into());
    json.insert("time".into(), time.into());
    for field in Field::ALL.iter().filter(|field| class.carries(**field)) {
        let mut values = Vec::new();
        event.each(*field, &mut |value| values.push(shown(value)));
        let value = match values.len() {
            0 => continue,
            1 => values.swap_remove(0),
            _ => Json::Array(values),
        };
        json.insert(field.name().into(), value);
    }
    Json::Object(json).to_string()
}

fn shown(value: Value<'_>) -> Json {
    let one = |key: &str, text: String| Json::Object(Map::from_iter([(key.into(), text.into())]));
    match value {
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => one(
                "bytes",
                bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            ),
        },
        Value::Number(number) => number.into(),
        Value::Flag(flag) => flag.into(),
        Value::Address(address) => address.to_string().into(),
        Value::Hexadecimal(number) => one("hex", format!("{number:x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn says_what_is_wrong() {
        let long = format!(r#"{{"class":"log","MESSAGE":"{}"}}"#, "a".repeat(MAX_LINE));
        let many = format!(
            r#"{{"class":"process_creation","AncestorImages":[{}1]}}"#,
            "1,".repeat(5000)
        );
        for (line, reason) in [
            ("", "EOF"),
            ("[]", "map"),
            ("{}", "no class"),
            (r#"{"class":"x"}"#, "no class"),
            (r#"{"class":"log","Image":"x"}"#, "no field"),
            (r#"{"class":"log","MESSAGE":null}"#, "MESSAGE: null"),
            (r#"{"class":"log","MESSAGE":{"bytes":"f"}}"#, "MESSAGE"),
            (r#"{"class":"log","MESSAGE":[["x"]]}"#, "MESSAGE"),
            (r#"{"class":"log","time":-1}"#, "`time`"),
            (
                r#"{"class":"process_creation","ProcessId":1.5}"#,
                "ProcessId",
            ),
            (&long, "more than"),
            (&many, "more than"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            line in proptest::collection::vec(any::<u8>(), 0..40),
            ancestors in proptest::collection::vec("[a-z/]{0,8}", 0..4),
            pid in 0..1_000_000_i64,
            argument in any::<u64>(),
            time in any::<u64>(),
        ) {
            let mut record = Record::new(Class::ProcessCreation)
                .with(Field::CommandLine, line)
                .with_value(Field::ProcessId, Value::Number(pid));
            record = ancestors.into_iter().fold(record, |r, a| r.with(Field::AncestorImages, a));
            let record = record.with_value(Field::Argument0, Value::Hexadecimal(argument));
            let written = write(&record, time);
            let again = read(&written).unwrap();
            prop_assert_eq!(again.time, time);
            // The order of fields is the file's own.
            prop_assert_eq!(write(&again.record, time), written);
        }

        #[test]
        fn never_panics(line in "\\PC{0,80}") { let _ = read(&line); }
    }
}
