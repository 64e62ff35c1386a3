//! Figures for Prometheus, as the text that a textfile collector reads. The text is made of values; a task writes it
//! anew every few seconds, whole or not at all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The most rules that are told apart; alerts of more are under `other`.
const RULES: usize = 2048;

/// Alerts since start, by rule (with its title) and level.
#[derive(Debug, Clone, Default)]
pub struct Raised {
    by_rule: BTreeMap<[String; 3], u64>,
}

impl Raised {
    /// Counts an alert, folded or not.
    pub fn count(&mut self, rule: &str, title: &str, level: &str) {
        let mut key = [rule, title, level].map(str::to_owned);
        if self.by_rule.len() >= RULES && !self.by_rule.contains_key(&key) {
            key = ["other", "other", level].map(str::to_owned);
        }
        *self.by_rule.entry(key).or_default() += 1;
    }
}

/// What is shown.
#[derive(Debug, Default)]
pub struct Figures {
    /// Alerts since start.
    pub raised: Raised,
    /// Alerts that stand.
    pub standing: u64,
    /// Rules by fate.
    pub rules: [(&'static str, u32); 3],
    /// What is seen: name and state.
    pub coverage: Vec<(String, String)>,
    /// Records that went out, and that found no room, by output.
    pub outputs: Vec<(&'static str, Option<u64>, u64)>,
    /// What `Statistics` tells.
    pub statistics: BTreeMap<String, u64>,
}

/// Counters of `Statistics` that are one for each class: start of the name, name of the figure, what it is.
const BY_CLASS: [(&str, &str, &str); 5] = [
    ("events", "events_total", "Events delivered"),
    ("seen", "hooks_total", "Times that hooks fired"),
    (
        "filtered",
        "filtered_total",
        "Events dropped by a filter in the kernel",
    ),
    (
        "limited",
        "limited_total",
        "Events beyond their control group's rate",
    ),
    (
        "lost",
        "lost_total",
        "Events for which the kernel found no room",
    ),
];

/// Statistics that go down, too.
const GAUGES: [&str; 5] = [
    "processes",
    "process.rss-kib",
    "budget.cpu-per-mille",
    "budget.shed",
    "queue.alerts",
];

/// The figures as text.
#[must_use]
pub fn text(figures: &Figures) -> String {
    let mut out = Exposition(String::new());
    let raised = figures.raised.by_rule.iter();
    let raised = raised.map(|([rule, title, level], n)| {
        let labels = vec![("rule", rule.as_str()), ("title", title), ("level", level)];
        (labels, *n)
    });
    out.family(
        "alerts_total",
        "counter",
        "Alerts raised, folded ones among them",
        raised,
    );
    out.family(
        "alerts_standing",
        "gauge",
        "Alerts that stand",
        [(vec![], figures.standing)],
    );
    let rules = figures.rules.iter();
    let rules = rules.map(|(fate, n)| (vec![("fate", *fate)], u64::from(*n)));
    out.family("rules", "gauge", "Rules by what became of them", rules);
    let coverage = figures.coverage.iter();
    let coverage =
        coverage.map(|(name, state)| (vec![("class", name.as_str()), ("state", state)], 1));
    out.family(
        "coverage_info",
        "gauge",
        "What is seen, and in which state its hook is",
        coverage,
    );
    let sent = figures.outputs.iter();
    let sent = sent.filter_map(|(name, sent, _)| Some((vec![("output", *name)], (*sent)?)));
    out.family(
        "output_sent_total",
        "counter",
        "Records that an output delivered",
        sent,
    );
    let dropped = figures.outputs.iter();
    let dropped = dropped.map(|(name, _, dropped)| (vec![("output", *name)], *dropped));
    out.family(
        "output_dropped_total",
        "counter",
        "Records that an output had to drop",
        dropped,
    );

    let mut rest = figures.statistics.clone();
    for (start, name, help) in BY_CLASS {
        let class = |key: &str| {
            let class = key.strip_prefix(start)?.strip_prefix('.')?;
            Some(class.to_owned())
        };
        let mut rows = Vec::new();
        rest.retain(|key, value| match class(key) {
            Some(class) => {
                rows.push((class, *value));
                false
            }
            None => true,
        });
        let rows = rows
            .iter()
            .map(|(class, n)| (vec![("class", class.as_str())], *n));
        out.family(name, "counter", help, rows);
    }
    for (kind, name) in [
        ("runs", "program_runs_total"),
        ("ns", "program_nanoseconds_total"),
    ] {
        let mut rows = Vec::new();
        rest.retain(|key, value| {
            let program = key
                .strip_prefix("program.")
                .and_then(|key| key.strip_suffix(kind));
            let Some(program) = program.and_then(|key| key.strip_suffix('.')) else {
                return true;
            };
            rows.push((program.to_owned(), *value));
            false
        });
        let rows = rows
            .iter()
            .map(|(program, n)| (vec![("program", program.as_str())], *n));
        out.family(
            name,
            "counter",
            "Of each probe, while the kernel counts it",
            rows,
        );
    }
    for (key, value) in &rest {
        let name: String = key
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let gauge = GAUGES.contains(&key.as_str());
        let (kind, end) = if gauge {
            ("gauge", "")
        } else {
            ("counter", "_total")
        };
        let help = "See Statistics in security-ai(8)";
        out.family(
            &format!("statistics_{name}{end}"),
            kind,
            help,
            [(vec![], *value)],
        );
    }
    out.0
}

/// The text format of Prometheus, version 0.0.4.
struct Exposition(String);

impl Exposition {
    fn family<'a>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, u64)>,
    ) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        let name = format!("quantumos_security_{name}");
        // Writing into a String can't fail.
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}");
        for (labels, value) in rows {
            let labels: Vec<_> = labels
                .iter()
                .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
                .collect();
            let labels = match labels.as_slice() {
                [] => String::new(),
                labels => format!("{{{}}}", labels.join(",")),
            };
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Writes the text to a file of mode 0644, which takes the old one's place.
///
/// # Errors
/// When the folder can't be written or the disk is full; the old file stays.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("prom.new");
    let made = (|| {
        // A draft that was left behind is never written through.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&draft)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(text.as_bytes())?;
        fs::rename(&draft, path)
    })();
    if made.is_err() {
        // It may be the very thing that fills the disk.
        let _ = fs::remove_file(&draft);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_for_prometheus() {
        let mut raised = Raised::default();
        for _ in 0..3 {
            raised.count("r", "a\"b\\c\nd", "high");
        }
        let statistics = [
            ("events.exec", 5),
            ("lost.exec", 1),
            ("lost", 1),
            ("process.rss-kib", 9),
            ("rules.matches", 4),
            ("program.exec.runs", 2),
            ("program.exec.ns", 300),
        ];
        let figures = Figures {
            raised,
            standing: 2,
            rules: [("loaded", 5), ("not-applicable", 1), ("failed", 0)],
            coverage: vec![("exec".into(), "active".into())],
            outputs: vec![("otlp", Some(7), 0), ("file", None, 1)],
            statistics: statistics.map(|(key, n)| (key.to_owned(), n)).into(),
        };
        let text = text(&figures);
        for line in [
            "# TYPE quantumos_security_alerts_total counter",
            r#"quantumos_security_alerts_total{rule="r",title="a\"b\\c\nd",level="high"} 3"#,
            "quantumos_security_alerts_standing 2",
            r#"quantumos_security_rules{fate="loaded"} 5"#,
            r#"quantumos_security_coverage_info{class="exec",state="active"} 1"#,
            r#"quantumos_security_output_sent_total{output="otlp"} 7"#,
            r#"quantumos_security_output_dropped_total{output="file"} 1"#,
            r#"quantumos_security_events_total{class="exec"} 5"#,
            r#"quantumos_security_lost_total{class="exec"} 1"#,
            "quantumos_security_statistics_lost_total 1",
            "# TYPE quantumos_security_statistics_process_rss_kib gauge",
            "quantumos_security_statistics_process_rss_kib 9",
            "quantumos_security_statistics_rules_matches_total 4",
            r#"quantumos_security_program_runs_total{program="exec"} 2"#,
            r#"quantumos_security_program_nanoseconds_total{program="exec"} 300"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        // One TYPE a family, and its rows right below it.
        let types: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("# TYPE"))
            .collect();
        let distinct: std::collections::BTreeSet<_> = types.iter().collect();
        assert_eq!(types.len(), distinct.len());
    }

    #[test]
    fn a_file_is_replaced_whole_and_readable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.prom");
        fs::write(folder.path().join("metrics.prom.new"), "left behind").unwrap();
        write(&path, "a 1\n").unwrap();
        write(&path, "a 2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a 2\n");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o644
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("no/metrics.prom"), "").is_err());
    }

    proptest! {
        #[test]
        fn rules_are_bounded_and_hostile_names_stay_on_their_line(names in proptest::collection::vec("\\PC{0,12}|[\"\\\\\n{}]{1,4}", 0..40)) {
            let mut raised = Raised::default();
            names.iter().for_each(|name| raised.count("r", name, "low"));
            (0..3000).for_each(|n| raised.count(&n.to_string(), "t", "low"));
            prop_assert!(raised.by_rule.len() <= RULES + 1);
            let total: u64 = raised.by_rule.values().sum();
            prop_assert_eq!(total, 3000 + names.len() as u64);
            let text = text(&Figures { raised, ..Figures::default() });
            for line in text.split_terminator('\n') {
                prop_assert!(line.starts_with("# ") || line.starts_with("quantumos_security_"), "{}", line);
            }
        }
    }
}
