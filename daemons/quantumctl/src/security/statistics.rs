//! `quantumctl security statistics`: what became of events of each class, what the daemon costs, and what each probe
//! costs where the kernel measures it. In JSON the counters stay as the daemon gives them.

use std::collections::{BTreeMap, BTreeSet};

use crate::text::{escape::escape, table::Table};

/// What can become of an event of a class: the counter's first part, and the column.
const FATES: [(&str, &str); 5] = [
    ("seen", "SEEN"),
    ("filtered", "FILTERED"),
    ("limited", "LIMITED"),
    ("lost", "LOST"),
    ("events", "DELIVERED"),
];

/// As text.
pub fn render(counters: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    let of_class = |name: &str| {
        let (fate, class) = name.split_once('.')?;
        FATES
            .iter()
            .any(|(known, _)| *known == fate)
            .then(|| class.to_owned())
    };
    let classes: BTreeSet<String> = counters.keys().filter_map(|name| of_class(name)).collect();
    if !classes.is_empty() {
        let mut head = vec!["CLASS"];
        head.extend(FATES.map(|(_, title)| title));
        let mut table = Table::new(&head).right(&[1, 2, 3, 4, 5]);
        for class in &classes {
            let mut cells = vec![escape(class)];
            cells.extend(FATES.map(|(fate, _)| {
                let value = counters.get(&format!("{fate}.{class}"));
                value.map_or("-".into(), u64::to_string)
            }));
            table.row(cells);
        }
        text.push_str(&table.plain());
    }
    let programs = programs(counters);
    let mut table = Table::new(&["COUNTER", "VALUE"]).right(&[1]);
    let mut others = 0;
    for (name, value) in counters {
        if of_class(name).is_none() && !name.starts_with("program.") {
            table.row([escape(name), value.to_string()]);
            others += 1;
        }
    }
    if others > 0 {
        separate(&mut text);
        text.push_str(&table.plain());
    }
    if programs.is_empty() {
        return text;
    }
    separate(&mut text);
    if programs.values().all(|(runs, _)| *runs == 0) {
        text.push_str(&format!(
            "{} probes; what each costs is not measured. To have it measured, which costs\n\
             a little itself: sysctl kernel.bpf_stats_enabled=1\n",
            programs.len()
        ));
        return text;
    }
    let mut table = Table::new(&["PROBE", "RUNS", "NS", "NS A RUN"]).right(&[1, 2, 3]);
    for (name, (runs, time)) in programs.into_iter().filter(|(_, (runs, _))| *runs > 0) {
        table.row([
            escape(name),
            runs.to_string(),
            time.to_string(),
            (time / runs).to_string(),
        ]);
    }
    text.push_str(&table.plain());
    text
}

/// Each probe with how often it ran and its nanoseconds.
fn programs(counters: &BTreeMap<String, u64>) -> BTreeMap<&str, (u64, u64)> {
    let mut programs: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (name, value) in counters {
        let Some(rest) = name.strip_prefix("program.") else {
            continue;
        };
        if let Some(program) = rest.strip_suffix(".runs") {
            programs.entry(program).or_default().0 = *value;
        } else if let Some(program) = rest.strip_suffix(".ns") {
            programs.entry(program).or_default().1 = *value;
        }
    }
    programs
}

fn separate(text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
        list.iter()
            .map(|(name, value)| ((*name).into(), *value))
            .collect()
    }

    const COMMON: [(&str, u64); 9] = [
        ("alerts", 3),
        ("events.exec", 90),
        ("events.log", 4),
        ("filtered.exec", 7),
        ("limited.exec", 0),
        ("lost", 2),
        ("lost.exec", 2),
        ("process.rss-kib", 30_000),
        ("seen.exec", 99),
    ];

    #[test]
    fn classes_are_rows_and_probes_have_a_mean() {
        let mut list = COMMON.to_vec();
        list.extend([
            ("program.open_lsm.ns", 9000),
            ("program.open_lsm.runs", 20),
            ("program.bind_lsm.ns", 0),
            ("program.bind_lsm.runs", 0),
        ]);
        assert_eq!(
            render(&counters(&list)),
            "\
CLASS  SEEN  FILTERED  LIMITED  LOST  DELIVERED
exec     99         7        0     2         90
log       -         -        -     -          4

COUNTER          VALUE
alerts               3
lost                 2
process.rss-kib  30000

PROBE     RUNS    NS  NS A RUN
open_lsm    20  9000       450
"
        );
    }

    #[test]
    fn probes_that_nobody_measures_are_one_sentence() {
        let mut list = COMMON.to_vec();
        list.extend([("program.open_lsm.ns", 0), ("program.open_lsm.runs", 0)]);
        let text = render(&counters(&list));
        assert!(
            text.ends_with("sysctl kernel.bpf_stats_enabled=1\n"),
            "{text}"
        );
        assert!(!text.contains("open_lsm"), "{text}");
        assert_eq!(render(&BTreeMap::new()), "");
    }
}
