//! How many events a second one core matches: `cargo run --release -p quantumos-detect --example throughput RULES...`.
//! Rule files are found below the given folders; the events are of an ordinary host.

use quantumos_detect::{Class, Field, Record, RuleSet, Source, Value};
use std::path::Path;
use std::time::Instant;

fn collect(folder: &Path, out: &mut Vec<(String, String)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, out)?;
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            out.push((path.display().to_string(), std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

fn events() -> Vec<Record> {
    let run = |image: &str, line: &str| {
        Record::new(Class::ProcessCreation)
            .with(Field::Image, image)
            .with(Field::CommandLine, line)
            .with(Field::CurrentDirectory, "/home/alice/src")
            .with(Field::User, "alice")
            .with(Field::ParentImage, "/usr/bin/make")
            .with(Field::ParentCommandLine, "make -j8 all")
            .with(Field::AncestorImages, "/usr/bin/make")
            .with(Field::AncestorImages, "/usr/bin/bash")
            .with_value(Field::ProcessId, Value::Number(4711))
    };
    vec![
        run(
            "/usr/lib/gcc/x86_64-linux-gnu/14/cc1",
            "/usr/lib/gcc/x86_64-linux-gnu/14/cc1 -quiet -I include -D_GNU_SOURCE -O2 -Wall src/main.c -o /tmp/ccZkQ1.s",
        ),
        run(
            "/usr/bin/dash",
            "/bin/sh -c test -f config.h && touch stamp-h",
        ),
        run(
            "/usr/bin/git",
            "git --git-dir=/home/alice/src/.git rev-parse HEAD",
        ),
        run("/usr/bin/ls", "ls --color=auto -l /var/log"),
        run(
            "/usr/bin/python3.13",
            "python3 -m venv .venv --upgrade-deps",
        ),
        run("/usr/bin/grep", "grep -rn needle /usr/include"),
        run("/usr/bin/systemctl", "systemctl is-active nginx.service"),
        run(
            "/usr/sbin/logrotate",
            "/usr/sbin/logrotate /etc/logrotate.conf",
        ),
    ]
}

fn main() -> std::io::Result<()> {
    let mut texts = Vec::new();
    for folder in std::env::args_os().skip(1) {
        collect(Path::new(&folder), &mut texts)?;
    }
    let started = Instant::now();
    let rules = RuleSet::compile(texts.iter().map(|(name, text)| Source { name, text }));
    let compiled = started.elapsed();
    let events = events();
    let mut scratch = rules.matcher.scratch();
    let (mut done, mut matched) = (0_u64, 0_usize);
    let started = Instant::now();
    while started.elapsed().as_secs() < 2 {
        for event in &events {
            matched += rules.matcher.matches(event, &mut scratch).len();
        }
        done += events.len() as u64;
    }
    let rate = done as f64 / started.elapsed().as_secs_f64();
    println!(
        "{} rules, compiled in {compiled:?}; {rate:.0} events/s; {matched} matches",
        rules.matcher.rules()
    );
    Ok(())
}
