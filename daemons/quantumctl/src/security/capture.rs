//! Captures and the rules to replay them through: read with bounds, a line at a time, with the place of what is wrong.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use quantumos_detect::{Replay, RuleSet, Value, capture};

use super::check;
use crate::error::Error;

/// Where rules are on a host; what is not there is left out.
const PLACES: [&str; 3] = [
    "/usr/lib/quantumos/security-ai/rules.d",
    "/run/quantumos/security-ai/rules.d",
    "/etc/quantumos/security-ai/rules.d",
];

/// Which rules to replay through.
#[derive(Args, Clone, Debug, Default)]
pub struct RulesFrom {
    /// Rule files, or folders of them, instead of those of this host; may be given more than once
    #[arg(long = "rules", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A value of the placeholder %NAME%; may be given more than once, also for one name
    #[arg(long = "placeholder", value_name = "NAME=VALUE")]
    placeholders: Vec<String>,
}

impl RulesFrom {
    /// Compiles them. Rules that do not load are left out and told on standard error.
    pub fn load(&self) -> Result<RuleSet, Error> {
        self.load_from(&self.paths)
    }

    /// Compiles the rules of these paths, or this host's where there are none.
    pub fn load_from(&self, paths: &[PathBuf]) -> Result<RuleSet, Error> {
        let places = || PLACES.map(PathBuf::from).into_iter();
        let paths = match paths {
            [] => places().filter(|path| path.is_dir()).collect(),
            paths => paths.to_vec(),
        };
        let set = check::compile(&paths, &check::options(&self.placeholders)?)?;
        let (loaded, _, failed) = set.counts();
        if failed > 0 {
            eprintln!("{failed} rules do not load (see: quantumctl security rules check)");
        }
        if loaded == 0 {
            return Err(Error::Usage("no rules: name some with --rules".into()));
        }
        Ok(set)
    }
}

/// An alert that an event of a capture would raise.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fired {
    /// The event's line in the capture, from 1.
    pub line: u64,
    /// When, microseconds of the real-time clock.
    pub time: u64,
    /// The rule's own id.
    pub rule_id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: &'static str,
    /// The executable, and what it was done to where that is no command line.
    pub subject: String,
    /// The tests that held.
    pub explanation: String,
}

/// What a capture gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many events it has.
    pub events: u64,
    /// The alerts, in order.
    pub fired: Vec<Fired>,
    /// Why the capture is only a part of what happened; none when nothing says so.
    pub part: Option<String>,
}

/// Replays a capture: the same capture and rules give the same alerts, whenever and wherever.
pub fn replay(path: &Path, rules: &RuleSet) -> Result<Outcome, Error> {
    let named = |source| Error::file(path, source);
    let mut reader = BufReader::new(File::open(path).map_err(named)?);
    let mut replay = Replay::new(rules);
    let mut outcome = Outcome {
        part: super::manifest::part(path),
        ..Outcome::default()
    };
    let mut bytes = Vec::new();
    for line in 1_u64.. {
        bytes.clear();
        let longest = capture::MAX_LINE as u64 + 2;
        let read = reader.by_ref().take(longest).read_until(b'\n', &mut bytes);
        if read.map_err(named)? == 0 {
            break;
        }
        let wrong = |reason: String| Error::Capture {
            place: format!("{}:{line}", path.display()),
            reason,
        };
        if is_torn(&bytes) {
            let torn = "its last line was not written whole and is left out".to_owned();
            let said = outcome.part.take().into_iter().chain([torn]);
            outcome.part = Some(said.collect::<Vec<_>>().join("; "));
            break;
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| wrong(error.to_string()))?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            continue;
        }
        let captured = capture::read(text).map_err(wrong)?;
        outcome.events += 1;
        for firing in replay.take(&captured) {
            let Some(rule) = rules.rules.get(firing.rule as usize) else {
                continue;
            };
            outcome.fired.push(Fired {
                line,
                time: captured.time,
                rule_id: rule.id.clone(),
                title: rule.title.clone(),
                level: rule.level.name(),
                subject: subject(&captured.record),
                explanation: firing.evidence,
            });
        }
    }
    Ok(outcome)
}

/// Whether a line ends in the middle, as the last one of a file does whose writer was killed.
fn is_torn(line: &[u8]) -> bool {
    let cut = |error: serde_json::Error| error.is_eof();
    !line.is_empty()
        && line.last() != Some(&b'\n')
        && line.len() <= capture::MAX_LINE
        && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err_and(cut)
}

/// The executable and the file or peer. Command lines may have secrets in them and are not shown.
fn subject(record: &quantumos_detect::Record) -> String {
    use quantumos_detect::{Event, Field};
    let first = |field: Field| {
        let mut found = None;
        record.each(field, &mut |value| {
            found.get_or_insert_with(|| match value {
                Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Value::Number(number) => number.to_string(),
                Value::Address(address) => address.to_string(),
                Value::Flag(flag) => flag.to_string(),
                Value::Hexadecimal(number) => format!("{number:x}"),
            });
        });
        found
    };
    let target = first(Field::TargetFilename).or_else(|| first(Field::DestinationIp));
    let who = first(Field::Image).or_else(|| first(Field::Identifier));
    match (who, target) {
        (Some(who), Some(target)) => format!("{who} on {target}"),
        (who, target) => who.or(target).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "title: Netcat\nid: nc\nlevel: high\nlogsource: {category: process_creation}\n\
        detection: {s: {Image|endswith: /nc}, condition: s}\n---\n\
        title: Shadow\nid: sh\nlogsource: {category: file_access}\n\
        detection: {s: {TargetFilename: /etc/shadow}, condition: s}\n";
    const CAPTURE: &str = "{\"class\":\"process_creation\",\"time\":1,\"Image\":\"/bin/ls\"}\n\n\
        {\"class\":\"process_creation\",\"time\":2,\"Image\":\"/bin/nc\",\"CommandLine\":\"nc --password=x\"}\n\
        {\"class\":\"file_access\",\"time\":3,\"Image\":\"/bin/cat\",\"TargetFilename\":\"/etc/shadow\"}\n";

    fn put(folder: &Path, name: &str, text: &[u8]) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn rules(folder: &Path) -> RulesFrom {
        RulesFrom {
            paths: vec![put(folder, "r.yml", RULES.as_bytes())],
            placeholders: Vec::new(),
        }
    }

    #[test]
    fn a_capture_gives_the_same_alerts_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let from = rules(folder.path());
        let rules = from.load().unwrap();
        let path = put(folder.path(), "c.jsonl", CAPTURE.as_bytes());
        let first = replay(&path, &rules).unwrap();
        assert_eq!(first.events, 3);
        let fired: Vec<_> = first
            .fired
            .iter()
            .map(|f| (f.line, f.rule_id.as_str(), f.subject.as_str()))
            .collect();
        assert_eq!(
            fired,
            [(3, "nc", "/bin/nc"), (4, "sh", "/bin/cat on /etc/shadow")]
        );
        assert_eq!(replay(&path, &rules).unwrap().fired, first.fired);
        assert!(
            from.load_from(&[put(folder.path(), "none.yml", b"")])
                .is_err()
        );
    }

    #[test]
    fn what_was_cut_off_is_a_part_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let rules = rules(folder.path()).load().unwrap();
        let whole = replay(&put(folder.path(), "c.jsonl", CAPTURE.as_bytes()), &rules).unwrap();
        assert_eq!(whole.part, None);
        // Wherever the writer was killed: whole lines are read, and the rest is not passed over in silence.
        for cut in 1..CAPTURE.len() {
            let path = put(folder.path(), "c.jsonl", &CAPTURE.as_bytes()[..cut]);
            let part = replay(&path, &rules).unwrap();
            let lines = CAPTURE[..cut].matches("}").count() as u64;
            assert_eq!(part.events, lines, "{cut}");
            assert!(whole.fired.starts_with(&part.fired));
            let ends_within = !CAPTURE[..cut].ends_with(['}', '\n']);
            assert_eq!(part.part.is_some(), ends_within, "{cut}: {:?}", part.part);
        }
    }

    #[test]
    fn what_is_no_capture_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let rules = rules(folder.path()).load().unwrap();
        let long = vec![b'x'; capture::MAX_LINE + 10];
        for (text, wanted) in [
            (&b"{\"class\":\"log\"}\n{\n"[..], "c.jsonl:2: "),
            (b"\xff\n", "c.jsonl:1: invalid utf-8"),
            (b"{\"class\":\"x\"}", "c.jsonl:1: `class`"),
            (&long, "c.jsonl:1: the line has more than"),
        ] {
            let path = put(folder.path(), "c.jsonl", text);
            let error = replay(&path, &rules).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(replay(Path::new("/no/capture"), &rules).is_err());
    }
}
