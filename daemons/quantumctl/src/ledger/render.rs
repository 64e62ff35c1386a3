//! Entries and what verifying found, as text.

use jiff::tz::TimeZone;
use quantumos_ledger::hex;
use serde::Serialize;
use serde_json::Value;

use super::check::Checked;
use crate::text::{escape::escape, style::Style, table::pairs, time::local};

/// An entry, as `--json` gives it.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Its number.
    pub index: u64,
    /// The entry, when it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<Value>,
    /// Its bytes in hexadecimal digits, when it isn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

impl Entry {
    /// From the bytes in the log.
    pub fn new(index: u64, bytes: &[u8]) -> Self {
        let entry = serde_json::from_slice(bytes).ok();
        let bytes = entry.is_none().then(|| hex(bytes));
        Self {
            index,
            entry,
            bytes,
        }
    }

    /// A line: number, time, type and facts.
    pub fn text(&self, zone: &TimeZone) -> String {
        let index = self.index;
        let Some(entry) = &self.entry else {
            let bytes = self.bytes.as_deref().unwrap_or_default();
            return format!("{index}  {bytes}\n");
        };
        let (Some(kind), Some(time)) = (entry["entry_type"].as_str(), entry["timestamp"].as_u64())
        else {
            return format!("{index}  {}\n", escape(&entry.to_string()));
        };
        let data = entry["data"].as_object().into_iter().flatten();
        let facts = data.map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        });
        let facts: Vec<String> = facts.collect();
        let facts = escape(&facts.join(" "));
        format!(
            "{index}  {}  {}  {facts}\n",
            local(time, zone),
            escape(kind)
        )
    }
}

/// What was verified, and what is wrong.
pub fn checked(checked: &Checked, style: Style) -> String {
    let mut rows = vec![("Origin", escape(&checked.origin))];
    let labels = [
        ("index", "Entry"),
        ("oldEntries", "Earlier size"),
        ("entries", "Entries"),
        ("signedEntries", "Signed"),
        ("sealedEntries", "Sealed"),
        ("registeredKeys", "Keys"),
        ("revokedKeys", "Revoked"),
        ("root", "Root"),
    ];
    for (name, label) in labels {
        let fact = checked.facts.iter().find(|(here, _)| *here == name);
        match fact {
            Some((_, Value::String(text))) => rows.push((label, text.clone())),
            Some((_, Value::Null)) => rows.push((label, "none".into())),
            Some((_, other)) => rows.push((label, other.to_string())),
            None => {}
        }
    }
    for key in &checked.keys {
        let id = hex(&key.id());
        rows.push(("Key", format!("{} {id}", escape(&key.shown()))));
    }
    let mut out = if checked.origin.is_empty() {
        String::new()
    } else {
        pairs(&rows)
    };
    for finding in &checked.findings {
        let kind = style.bad(finding.kind);
        out.push_str(&format!("{kind}: {}\n", escape(&finding.text)));
    }
    if checked.findings.is_empty() {
        let good = style.good(&format!("this {} verifies", checked.what));
        out.push_str(&good);
        out.push('\n');
        if !checked.pinned {
            out.push_str(
                "The keys are those that lie beside it: compare them with ones that you trust, \
                 or give those with --key.\n",
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::check::Finding;
    use quantumos_ledger::json::{Object, Value as Json};
    use serde_json::json;

    #[test]
    fn entries_are_lines() {
        let bytes = Object::default()
            .with("entry_type", "revocation")
            .with("timestamp", 1_763_726_400_000_000i64)
            .with(
                "data",
                Object::default()
                    .with("key_id", "ab\u{1b}")
                    .with("n", Json::Null),
            )
            .canonical()
            .unwrap();
        let text = Entry::new(7, bytes.as_bytes()).text(&TimeZone::UTC);
        assert_eq!(
            text,
            "7  2025-11-21 12:00:00  revocation  key_id=ab\\x1b n=null\n"
        );
        assert_eq!(Entry::new(1, b"\x00\xff").text(&TimeZone::UTC), "1  00ff\n");
        assert_eq!(Entry::new(1, b"[1]").text(&TimeZone::UTC), "1  [1]\n");
    }

    #[test]
    fn findings_are_told() {
        let mut it = Checked {
            what: "ledger",
            origin: "example.com/keys".into(),
            facts: vec![("entries", json!(3)), ("signedEntries", Value::Null)],
            ..Checked::default()
        };
        let good = checked(&it, Style::PLAIN);
        assert!(good.contains("Entries:  3\nSigned:   none\n"), "{good}");
        assert!(
            good.contains("this ledger verifies\nThe keys are those"),
            "{good}"
        );
        it.findings.push(Finding {
            kind: "damage",
            file: None,
            offset: None,
            records: None,
            text: "log, record 2: other\n".into(),
        });
        let bad = checked(&it, Style::PLAIN);
        assert!(bad.ends_with("damage: log, record 2: other\\n\n"), "{bad}");
        assert!(!bad.contains("verifies"), "{bad}");
    }
}
