//! `quantumctl security test` and `compare`: what a capture would raise, and how two captures or two sets of rules differ.
//! Neither needs a daemon.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::capture::{Fired, RulesFrom, replay};
use crate::{
    error::Error,
    output::Output,
    text::{
        escape::{escape, pad},
        fit::{Columns, paragraph},
        style::Style,
        table::Table,
        time::local,
    },
};

/// What to replay.
#[derive(Args, Debug)]
pub struct TestArgs {
    /// Captures
    #[arg(required = true, value_name = "CAPTURE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    rules: RulesFrom,
    /// Check each capture against its manifest first, signed by the key in this file
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

/// What to compare.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// A capture
    a: PathBuf,
    /// Another one; the same where it is left out
    b: Option<PathBuf>,
    #[command(flatten)]
    rules: RulesFrom,
    /// Rule files, or folders of them, for the second capture
    #[arg(long, value_name = "PATH")]
    against: Vec<PathBuf>,
}

/// What one capture would raise.
#[derive(Debug, Serialize)]
struct Tested {
    file: String,
    events: u64,
    part: Option<String>,
    signed_by: Option<String>,
    alerts: Vec<Fired>,
}

/// Runs `test`.
pub fn test(output: &Output, args: &TestArgs) -> Result<(), Error> {
    let rules = args.rules.load()?;
    let mut tested = Vec::new();
    for path in &args.files {
        let signed_by = match &args.public_key {
            Some(key) => Some(super::manifest::verify(path, key)?),
            None => None,
        };
        let outcome = replay(path, &rules)?;
        tested.push(Tested {
            file: path.display().to_string(),
            events: outcome.events,
            part: outcome.part,
            signed_by,
            alerts: outcome.fired,
        });
    }
    let document = serde_json::json!({ "captures": tested });
    output.document(&document, |_| {
        tested
            .iter()
            .map(|one| shown(one, output.style, &output.zone, output.columns()))
            .collect()
    })
}

fn shown(tested: &Tested, style: Style, zone: &TimeZone, columns: Columns) -> String {
    let mut text = String::new();
    for fired in &tested.alerts {
        let head = format!(
            "{}:{}  {}  {}  {}",
            escape(&tested.file),
            fired.line,
            style.dim(&local(fired.time, zone)),
            style.severity(fired.level, &pad(fired.level, 13)),
            style.bold(&escape(&fired.title)),
        );
        let why = format!(
            "    {}: {}",
            escape(&fired.subject),
            escape(&fired.explanation)
        );
        text.push_str(&paragraph(&head, columns, 4));
        text.push_str(&paragraph(&why, columns, 6));
    }
    let signed = match &tested.signed_by {
        Some(key) => format!(", signed by {}", escape(key)),
        None => String::new(),
    };
    text.push_str(&format!(
        "{}: {} events, {} alerts{signed}\n",
        escape(&tested.file),
        tested.events,
        tested.alerts.len()
    ));
    text.push_str(&only_a_part(&tested.file, tested.part.as_deref(), style));
    text
}

/// A line that says that a capture is not all that happened.
fn only_a_part(file: &str, part: Option<&str>, style: Style) -> String {
    let sentence = |reason| format!("{}: only a part: {}", escape(file), escape(reason));
    match part {
        Some(reason) => format!("{}\n", style.bad(&sentence(reason))),
        None => String::new(),
    }
}

/// How often a rule fired about a subject, in the first and in the second run.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    rule_id: String,
    title: String,
    level: &'static str,
    subject: String,
    a: u64,
    b: u64,
}

/// Runs `compare`.
pub fn compare(output: &Output, args: &CompareArgs) -> Result<(), Error> {
    if args.b.is_none() && args.against.is_empty() {
        let text = "name a second capture, or other rules with --against";
        return Err(Error::Usage(text.into()));
    }
    let rules = args.rules.load()?;
    let first = replay(&args.a, &rules)?;
    let other = args.b.as_ref().unwrap_or(&args.a);
    let second = if args.against.is_empty() {
        replay(other, &rules)?
    } else {
        replay(other, &args.rules.load_from(&args.against)?)?
    };
    let (equal, differences) = differences(&first.fired, &second.fired);
    let document = serde_json::json!({
        "events": [first.events, second.events],
        "alerts": [first.fired.len(), second.fired.len()],
        "parts": [first.part, second.part],
        "equal": equal,
        "differences": differences,
    });
    output.document(&document, |_| {
        let mut text = render(equal, &differences, output.style, output.columns());
        for (path, outcome) in [(&args.a, &first), (other, &second)] {
            let file = path.display().to_string();
            text.push_str(&only_a_part(&file, outcome.part.as_deref(), output.style));
        }
        text
    })?;
    match differences.len() {
        0 => Ok(()),
        different => Err(Error::Different(different)),
    }
}

/// How many rules and subjects have equal counts, and those that have not.
fn differences(a: &[Fired], b: &[Fired]) -> (u64, Vec<Difference>) {
    let mut counts: BTreeMap<(&str, &str), (&Fired, u64, u64)> = BTreeMap::new();
    for (side, fired) in a.iter().map(|f| (0, f)).chain(b.iter().map(|f| (1, f))) {
        let key = (fired.rule_id.as_str(), fired.subject.as_str());
        let row = counts.entry(key).or_insert((fired, 0, 0));
        if side == 0 {
            row.1 += 1;
        } else {
            row.2 += 1;
        }
    }
    let equal = counts.values().filter(|(_, a, b)| a == b).count() as u64;
    let different = counts.into_values().filter(|(_, a, b)| a != b);
    let different = different.map(|(fired, a, b)| Difference {
        rule_id: fired.rule_id.clone(),
        title: fired.title.clone(),
        level: fired.level,
        subject: fired.subject.clone(),
        a,
        b,
    });
    (equal, different.collect())
}

fn render(equal: u64, differences: &[Difference], style: Style, columns: Columns) -> String {
    let mut text = String::new();
    if !differences.is_empty() {
        let mut table = Table::new(&["A", "B", "LEVEL", "TITLE", "SUBJECT"])
            .right(&[0, 1])
            .within(columns)
            .cut(&[(3, 24), (4, 20)]);
        for row in differences {
            table.row([
                row.a.to_string(),
                row.b.to_string(),
                row.level.to_owned(),
                escape(&row.title),
                escape(&row.subject),
            ]);
        }
        text = table.render(|column, cell, aligned| match column {
            2 => style.severity(cell, aligned),
            _ => aligned.to_owned(),
        });
    }
    text.push_str(&format!("{equal} equal, {} different\n", differences.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(rule: &str, subject: &str, line: u64) -> Fired {
        Fired {
            line,
            time: 1_763_726_400_000_000,
            rule_id: rule.into(),
            title: format!("Title of {rule}"),
            level: "high",
            subject: subject.into(),
            explanation: "Image ends with \"/nc\"".into(),
        }
    }

    #[test]
    fn differences_are_counted_by_rule_and_subject() {
        let a = [
            fired("r", "/x", 1),
            fired("r", "/x", 2),
            fired("s", "/y", 3),
        ];
        let b = [
            fired("r", "/x", 9),
            fired("s", "/y", 1),
            fired("t", "/\x1bz", 2),
        ];
        let (equal, found) = differences(&a, &b);
        assert_eq!(equal, 1);
        let counts: Vec<_> = found
            .iter()
            .map(|d| (d.rule_id.as_str(), d.a, d.b))
            .collect();
        assert_eq!(counts, [("r", 2, 1), ("t", 0, 1)]);
        let text = render(equal, &found, Style::PLAIN, None);
        assert_eq!(
            text,
            "A  B  LEVEL  TITLE       SUBJECT\n2  1  high   Title of r  /x\n0  1  high   Title of t  /\\x1bz\n1 equal, 2 different\n"
        );
        assert_eq!(render(3, &[], Style::PLAIN, None), "3 equal, 0 different\n");
    }

    #[test]
    fn an_alert_of_a_capture_has_its_place() {
        let tested = Tested {
            file: "c.jsonl".into(),
            events: 7,
            part: Some("security-ai ended; \x1b".into()),
            signed_by: Some("k1".into()),
            alerts: vec![fired("r", "/bin/nc", 3)],
        };
        assert_eq!(
            shown(&tested, Style::PLAIN, &TimeZone::UTC, None),
            "c.jsonl:3  2025-11-21 12:00:00  high           Title of r\n    /bin/nc: Image ends with \"/nc\"\n\
             c.jsonl: 7 events, 1 alerts, signed by k1\n\
             c.jsonl: only a part: security-ai ended; \\x1b\n"
        );
    }
}
