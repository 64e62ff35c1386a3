//! How many events a second one core takes through all rules: the public Linux corpus, where its files are, and our
//! own pack. Every event is asked as itself and as the audit records that it makes, as security-ai does.
//!
//! The mix is that of a host that builds and serves: of 100 events 20 are executions, 20 ends, 34 opens for reading
//! and 12 for writing, 6 connections, 5 changes of names and modes, 3 messages. It is drawn from a fixed seed. Time is
//! the thread's own on the processor, so that what else runs doesn't count.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use quantumos_detect::{Audited, Class, Field, Record, RuleSet, Scratch, Source, Value};

use crate::{Failure, Print};

/// Where the draw starts.
const SEED: u64 = 0x51ab_c0de_2026_1121;
/// How many events are drawn.
const EVENTS: usize = 4000;
/// How often each figure is taken; the median counts.
const RUNS: usize = 7;

/// Measures.
///
/// # Errors
/// When there are no rules to read.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    let mut texts = Vec::new();
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    collect(&top.join("daemons/security-ai/rules"), &mut texts)?;
    let data = std::env::var_os("QUANTUMOS_DATA").map_or(top.join("../shared/data"), PathBuf::from);
    let corpus = data.join("sigma-linux");
    if corpus.is_dir() {
        collect(&corpus, &mut texts)?;
    } else {
        eprintln!("skipped: no data sigma-linux; the rules are our own pack alone");
    }
    let rules = RuleSet::compile(texts.iter().map(|(name, text)| Source { name, text }));
    let (loaded, not, failed) = rules.counts();
    eprintln!("rules: loaded {loaded}, not applicable {not}, failed {failed}; seed {SEED:#x}");
    let events = events();
    let mut scratch = rules.matcher.scratch();
    let fast = rate(&events, 20, |event| asked(&rules, event, &mut scratch))?;
    let slow = rate(&events, 1, |event| in_turn(&rules, event))?;
    print(
        "security.rules.events",
        fast,
        "1/s and core",
        "every rule in turn",
        Some(fast / slow),
    );
    let executions: Vec<Record> = events
        .into_iter()
        .filter(|event| quantumos_detect::Event::class(event) == Class::ProcessCreation)
        .collect();
    let fast = rate(&executions, 40, |event| asked(&rules, event, &mut scratch))?;
    let slow = rate(&executions, 1, |event| in_turn(&rules, event))?;
    print(
        "security.rules.executions",
        fast,
        "1/s and core",
        "every rule in turn",
        Some(fast / slow),
    );
    Ok(())
}

fn asked(rules: &RuleSet, event: &Record, scratch: &mut Scratch) -> usize {
    let mut count = rules.matcher.matches(event, scratch).len();
    for record in Audited::of(event) {
        count += rules.matcher.matches(&record, scratch).len();
    }
    count
}

fn in_turn(rules: &RuleSet, event: &Record) -> usize {
    let mut count = rules.matcher.matches_in_turn(event).len();
    for record in Audited::of(event) {
        count += rules.matcher.matches_in_turn(&record).len();
    }
    count
}

/// Events a second of processor time, the median of some runs.
fn rate(
    events: &[Record],
    rounds: usize,
    mut ask: impl FnMut(&Record) -> usize,
) -> Result<f64, Failure> {
    let mut rates = Vec::new();
    let mut matches = 0;
    for run in 0..=RUNS {
        let before = on_processor()?;
        for _ in 0..rounds {
            matches += events.iter().map(&mut ask).sum::<usize>();
        }
        let nanos = on_processor()?.saturating_sub(before).max(1);
        // The first run fills caches.
        if run > 0 {
            rates.push((events.len() * rounds) as f64 / (nanos as f64 / 1e9));
        }
    }
    eprintln!("{} events, {matches} matches in all runs", events.len());
    rates.sort_by(f64::total_cmp);
    Ok(rates[rates.len() / 2])
}

/// Nanoseconds that this thread was on a processor.
fn on_processor() -> Result<u64, Failure> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(u64::try_from(Duration::from(time).as_nanos())?)
}

pub(super) fn collect(folder: &Path, out: &mut Vec<(String, String)>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, out)?;
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            out.push((path.display().to_string(), std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// A generator of numbers that is the same everywhere (xorshift64*).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Programs and their arguments; `#` is a number that is drawn.
const PROGRAMS: [(&str, &str); 16] = [
    (
        "/usr/lib/gcc/x86_64-linux-gnu/14/cc1",
        "/usr/lib/gcc/x86_64-linux-gnu/14/cc1 -quiet -I include -D_GNU_SOURCE -O2 -Wall src/unit#.c -o /tmp/cc#.s",
    ),
    (
        "/usr/bin/x86_64-linux-gnu-as",
        "as --64 -o build/unit#.o /tmp/cc#.s",
    ),
    (
        "/usr/bin/dash",
        "/bin/sh -c test -f config#.h && touch stamp-h#",
    ),
    (
        "/usr/bin/git",
        "git --git-dir=/home/alice/src/.git rev-parse HEAD~#",
    ),
    ("/usr/bin/ls", "ls --color=auto -l /var/log/#"),
    (
        "/usr/bin/python3.13",
        "python3 -m venv .venv# --upgrade-deps",
    ),
    ("/usr/bin/grep", "grep -rn needle# /usr/include"),
    ("/usr/bin/systemctl", "systemctl is-active unit#.service"),
    (
        "/usr/sbin/logrotate",
        "/usr/sbin/logrotate /etc/logrotate.conf",
    ),
    ("/usr/bin/make", "make -j8 -C sub# all"),
    ("/usr/bin/sed", "sed -e s/@prefix@/#/ in.h"),
    ("/usr/bin/rm", "rm -f build/unit#.o"),
    ("/usr/bin/mkdir", "mkdir -p build/sub#"),
    ("/usr/bin/cat", "cat /proc/#/status"),
    ("/usr/bin/dpkg", "/usr/bin/dpkg --status package#"),
    ("/usr/sbin/nginx", "nginx: worker process #"),
];

const FILES: [&str; 10] = [
    "/etc/passwd",
    "/etc/ld.so.cache",
    "/home/alice/src/unit#.c",
    "/home/alice/.cache/thing/#",
    "/usr/include/linux/header#.h",
    "/var/lib/dpkg/info/package#.list",
    "/tmp/cc#.s",
    "/var/log/nginx/access.log",
    "/etc/ssl/certs/#.pem",
    "/run/systemd/units/invocation:#",
];

const MESSAGES: [(&str, &str); 4] = [
    (
        "systemd",
        "Started session-#.scope - Session # of User alice.",
    ),
    (
        "sshd-session",
        "Accepted publickey for alice from 192.0.2.# port 50000 ssh2",
    ),
    ("kernel", "audit: type=1400 audit(#.1:2): apparmor=ALLOWED"),
    (
        "CRON",
        "(root) CMD (cd / && run-parts --report /etc/cron.hourly)",
    ),
];

fn filled(draw: &mut Draw, text: &str) -> String {
    text.replace('#', &draw.below(10_000).to_string())
}

fn events() -> Vec<Record> {
    let mut draw = Draw(SEED);
    (0..EVENTS).map(|_| event(&mut draw)).collect()
}

fn event(draw: &mut Draw) -> Record {
    let (image, line) = draw.one(&PROGRAMS);
    let line = filled(draw, line);
    let class = match draw.below(100) {
        0..20 => Class::ProcessCreation,
        20..40 => Class::ProcessTermination,
        40..74 => Class::FileAccess,
        74..86 => Class::FileEvent,
        86..92 => Class::NetworkConnection,
        92..95 => Class::FileRename,
        95..97 => Class::FileChange,
        _ => return message(draw),
    };
    let record = Record::new(class)
        .with(Field::Image, *image)
        .with(Field::CommandLine, line.as_str())
        .with(Field::CurrentDirectory, "/home/alice/src")
        .with(Field::User, "alice")
        .with(Field::ParentImage, "/usr/bin/make")
        .with(Field::ParentCommandLine, "make -j8 all")
        .with(Field::AncestorImages, "/usr/bin/make")
        .with(Field::AncestorImages, "/usr/bin/bash")
        .with(Field::AncestorImages, "/usr/sbin/sshd")
        .with(Field::Comm, image.rsplit('/').next().unwrap_or_default())
        .with_value(Field::ProcessId, Value::Number(draw.below(100_000) as i64))
        .with_value(Field::Uid, Value::Number(1000))
        .with_value(Field::EffectiveUid, Value::Number(1000));
    let file = draw.one(&FILES);
    let file = filled(draw, file);
    match class {
        Class::ProcessCreation => line
            .split(' ')
            .zip(Field::Argument0 as u8..=Field::Argument9 as u8)
            .fold(record, |record, (argument, field)| {
                let field = Field::ALL.iter().find(|known| **known as u8 == field);
                match field {
                    Some(field) => record.with(*field, argument),
                    None => record,
                }
            }),
        Class::NetworkConnection => record
            .with_value(
                Field::DestinationIp,
                Value::Address([192, 0, 2, draw.below(250) as u8].into()),
            )
            .with_value(Field::DestinationPort, Value::Number(443))
            .with(Field::Protocol, "tcp")
            .with_value(Field::Initiated, Value::Flag(true)),
        Class::FileRename => record
            .with(Field::SourceFilename, format!("{file}.new"))
            .with(Field::TargetFilename, file),
        Class::FileChange => record
            .with(Field::TargetFilename, file)
            .with(Field::Change, "mode")
            .with(Field::Mode, "0644"),
        Class::ProcessTermination => record.with_value(Field::ExitCode, Value::Number(0)),
        _ => record.with(Field::TargetFilename, file),
    }
}

fn message(draw: &mut Draw) -> Record {
    let (identifier, text) = draw.one(&MESSAGES);
    Record::new(Class::Log)
        .with(Field::Identifier, *identifier)
        .with(Field::Message, filled(draw, text))
        .with(Field::Priority, "6")
        .with(Field::Transport, "syslog")
}
