//! What leaves the daemon about an alert: one JSON object for a line of a file, and one log record of OpenTelemetry.
//! Both are made from an [`Entry`], whose texts are bounded, printable and masked already.

use crate::alert::Alert;
use crate::book::Entry;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Happened {
    /// It is new.
    Raised,
    /// Equal ones were counted.
    Counted,
}

/// What is sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// About an alert.
    Alert(Happened, Box<Entry>),
    /// Events of a class for which the kernel found no room: how many, and how many since start.
    Lost {
        /// Microseconds of the real-time clock.
        time: u64,
        /// Which class.
        class: String,
        /// How many.
        count: u64,
        /// How many since start, of all classes.
        total: u64,
    },
    /// Records that this output had no room for.
    Dropped {
        /// Microseconds of the real-time clock.
        time: u64,
        /// How many.
        count: u64,
    },
}

/// ATT&CK's ids of techniques among a rule's tags: `attack.t1059.004` is `T1059.004`.
#[must_use]
pub fn techniques(tags: &[String]) -> Vec<String> {
    let technique = |tag: &String| {
        let id = tag.strip_prefix("attack.t")?;
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        (id.starts_with(|c: char| c.is_ascii_digit()) && id.chars().all(digits))
            .then(|| format!("T{id}"))
    };
    tags.iter().filter_map(technique).collect()
}

/// A line of the file, as docs/json.md has it.
#[derive(Serialize)]
struct Line<'a> {
    event: Happened,
    id: String,
    rule_id: &'a str,
    title: &'a str,
    level: &'a str,
    time: u64,
    count: u32,
    class: &'a str,
    pid: u32,
    uid: u32,
    user: &'a str,
    unit: &'a str,
    executable: &'a str,
    command_line: &'a str,
    ancestors: &'a [(u32, String, String)],
    tags: &'a [String],
    techniques: Vec<String>,
    fields: &'a BTreeMap<String, String>,
    explanation: &'a str,
}

impl Record {
    /// The JSON object of one line, without the line's end.
    ///
    /// # Errors
    /// None in practice: all of it can be written.
    pub fn line(&self) -> serde_json::Result<String> {
        match self {
            Self::Alert(event, entry) => {
                let alert = &entry.alert;
                serde_json::to_string(&Line {
                    event: *event,
                    id: entry.id.to_string(),
                    rule_id: &alert.rule,
                    title: &alert.title,
                    level: &alert.level,
                    time: alert.time,
                    count: entry.count,
                    class: &alert.class,
                    pid: alert.pid,
                    uid: alert.uid,
                    user: &alert.user,
                    unit: &alert.unit,
                    executable: &alert.executable,
                    command_line: &alert.command_line,
                    ancestors: &alert.ancestors,
                    tags: &alert.tags,
                    techniques: techniques(&alert.tags),
                    fields: &alert.fields,
                    explanation: &alert.explanation,
                })
            }
            Self::Lost {
                time,
                class,
                count,
                total,
            } => serde_json::to_string(
                &json!({"event": "lost", "time": time, "class": class, "count": count, "total": total}),
            ),
            Self::Dropped { time, count } => {
                serde_json::to_string(&json!({"event": "dropped", "time": time, "count": count}))
            }
        }
    }

    /// An OTLP log record in its JSON form. `observed` in nanoseconds of the real-time clock.
    #[must_use]
    pub fn log_record(&self, observed: u64) -> Value {
        let (name, time, severity, body, attributes) = match self {
            Self::Alert(event, entry) => {
                let alert = &entry.alert;
                let severity = (severity(&alert.level), alert.level.as_str());
                let attributes = attributes(*event, entry);
                (
                    "quantumos.security.alert",
                    alert.time,
                    severity,
                    alert.line(),
                    attributes,
                )
            }
            Self::Lost {
                time,
                class,
                count,
                total,
            } => (
                "quantumos.security.lost",
                *time,
                (13, "medium"),
                format!("{count} {class} events were lost: what they showed was not seen"),
                vec![
                    text("quantumos.event.class", class),
                    number("quantumos.lost", *count),
                    number("quantumos.lost.total", *total),
                ],
            ),
            Self::Dropped { time, count } => (
                "quantumos.security.dropped",
                *time,
                (13, "medium"),
                format!("{count} records were not sent: the queue was full or they were refused"),
                vec![number("quantumos.dropped", *count)],
            ),
        };
        json!({
            "timeUnixNano": time.saturating_mul(1000).to_string(),
            "observedTimeUnixNano": observed.to_string(),
            "severityNumber": severity.0,
            "severityText": severity.1,
            "eventName": name,
            "body": {"stringValue": body},
            "attributes": attributes,
        })
    }
}

/// OpenTelemetry's number of a Sigma level.
fn severity(level: &str) -> u8 {
    match level {
        "critical" => 21,
        "high" => 17,
        "medium" => 13,
        "low" => 10,
        _ => 9,
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// 64-bit numbers are strings in the JSON form of OTLP.
fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn list(key: &str, values: impl Iterator<Item = String>) -> Value {
    let values: Vec<_> = values.map(|value| json!({"stringValue": value})).collect();
    json!({"key": key, "value": {"arrayValue": {"values": values}}})
}

/// By OpenTelemetry's conventions where it has them (process, user, security_rule), under `quantumos` else.
fn attributes(event: Happened, entry: &Entry) -> Vec<Value> {
    let alert: &Alert = &entry.alert;
    let happened = match event {
        Happened::Raised => "raised",
        Happened::Counted => "counted",
    };
    let mut out = vec![
        text("quantumos.alert.id", &entry.id.to_string()),
        text("quantumos.alert.event", happened),
        number("quantumos.alert.count", entry.count.into()),
        text("quantumos.alert.explanation", &alert.explanation),
        text("security_rule.uuid", &alert.rule),
        text("security_rule.name", &alert.title),
        text("quantumos.event.class", &alert.class),
        number("process.pid", alert.pid.into()),
        text("process.executable.path", &alert.executable),
        text("process.command_line", &alert.command_line),
        text("user.id", &alert.uid.to_string()),
        text("user.name", &alert.user),
        text("quantumos.unit", &alert.unit),
        list("quantumos.alert.tags", alert.tags.iter().cloned()),
        list(
            "quantumos.alert.techniques",
            techniques(&alert.tags).into_iter(),
        ),
    ];
    let ancestors = alert.ancestors.iter();
    let ancestors = ancestors.map(|(pid, comm, executable)| format!("{pid} {comm} {executable}"));
    out.push(list("quantumos.ancestors", ancestors));
    let fields = alert.fields.iter();
    out.extend(fields.map(|(name, value)| text(&format!("quantumos.event.field.{name}"), value)));
    out
}

/// The body of a request to a collector.
#[must_use]
pub fn request(records: &[Record], host: &str, observed: u64) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let records: Vec<_> = records.iter().map(|one| one.log_record(observed)).collect();
    json!({"resourceLogs": [{
        "resource": {"attributes": [
            text("service.name", "security-ai"),
            text("service.namespace", "quantumos"),
            text("service.version", version),
            text("host.name", host),
            text("os.type", "linux"),
        ]},
        "scopeLogs": [{
            "scope": {"name": "org.quantumos.Security1", "version": version},
            "logRecords": records,
        }],
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::tests::alert;

    fn entry() -> Box<Entry> {
        Box::new(Entry {
            id: 17,
            count: 3,
            key: String::new(),
            alert: alert("r", "x --y", 5),
        })
    }

    #[test]
    fn tags_that_are_techniques() {
        for (tag, wanted) in [
            ("attack.t1059", Some("T1059")),
            ("attack.t1059.004", Some("T1059.004")),
            ("attack.execution", None),
            ("attack.tx", None),
            ("attack.t1059x", None),
            ("cve.2024-1", None),
        ] {
            assert_eq!(techniques(&[tag.into()]).pop().as_deref(), wanted, "{tag}");
        }
    }

    /// The page that people read names each member, and no other.
    #[test]
    fn members_are_those_of_the_documentation() {
        let page = include_str!("../../../../docs/json.md");
        let row = |name: &str| {
            let start = format!("- **{name}**: `{{");
            let text = page.split_once(&start).unwrap().1;
            let text = text.split_once("}`").unwrap().0.replace('\n', " ");
            let mut depth = 0;
            let mut names: Vec<String> = vec![String::new()];
            for c in text.chars() {
                depth += i32::from("[{".contains(c)) - i32::from("]}".contains(c));
                match c {
                    ',' if depth == 0 => names.push(String::new()),
                    _ => names.last_mut().unwrap().push(c),
                }
            }
            let name = |name: &String| name.split('"').nth(1).unwrap().to_owned();
            let mut names: Vec<String> = names.iter().map(name).collect();
            names.sort();
            names
        };
        let lost = Record::Lost {
            time: 1,
            class: "exec".into(),
            count: 2,
            total: 3,
        };
        for (name, record) in [
            ("alert line", Record::Alert(Happened::Raised, entry())),
            ("loss line", lost),
            ("drop line", Record::Dropped { time: 1, count: 2 }),
        ] {
            let line: Value = serde_json::from_str(&record.line().unwrap()).unwrap();
            let members: Vec<String> = line.as_object().unwrap().keys().cloned().collect();
            assert_eq!(members, row(name), "{name}");
        }
    }

    /// The shape is that of the example in OpenTelemetry's own protocol files: numbers of 64 bits are strings.
    #[test]
    fn a_request_is_otlp() {
        let record = Record::Alert(Happened::Counted, entry());
        let body = request(&[record], "h", 9);
        let log = &body["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(log["timeUnixNano"], "5000");
        assert_eq!(log["observedTimeUnixNano"], "9");
        assert_eq!(log["severityNumber"], 17);
        assert_eq!(
            log["body"]["stringValue"],
            "Title of r: /bin/x[7] of root: x --y"
        );
        let attribute = |key: &str| {
            let all = log["attributes"].as_array().unwrap();
            all.iter().find(|one| one["key"] == key).unwrap()["value"].clone()
        };
        assert_eq!(attribute("process.pid"), json!({"intValue": "7"}));
        assert_eq!(attribute("quantumos.alert.count"), json!({"intValue": "3"}));
        assert_eq!(
            attribute("quantumos.alert.techniques"),
            json!({"arrayValue": {"values": [{"stringValue": "T1059"}]}})
        );
        assert_eq!(
            body["resourceLogs"][0]["resource"]["attributes"][3]["value"]["stringValue"],
            "h"
        );
    }
}
