//! SIGKILL at any moment of writing: what was acknowledged is there afterwards, what was not is
//! there whole or not at all, and the store opens again.
#![allow(clippy::unwrap_used, clippy::panic)] // a test: failing is its work

use quantumd::Settings;
use quantumd::audit::Who;
use quantumd::grant::{Operations, Subject};
use quantumd::keyring::{Keyring, verify};
use quantumos_pqc::Algorithm;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const STATE: &str = "QUANTUMD_KILL_TEST_STATE";

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.tpm.tcti = "device:/nonexistent/tpm".into();
    settings.protection.allow_software = true;
    settings.keys.per_owner = 65_536;
    settings
}

fn open(state: &Path) -> Keyring {
    let keyring = Keyring::new(state.to_owned(), settings());
    let health = keyring.bring_up();
    assert_eq!((&health.store, &health.root), (&None, &None));
    keyring
}

/// The process that gets killed: makes keys, gives every third a new version and a grant, revokes every
/// third, wraps all anew now and then, and says so after each.
#[test]
fn writer() {
    let Some(state) = std::env::var_os(STATE) else {
        return;
    };
    let keyring = open(Path::new(&state));
    let mut out = std::io::stdout();
    for count in 0.. {
        let record = keyring.create(1, Algorithm::MlDsa87, "").unwrap();
        writeln!(out, "made {}", record.id).unwrap();
        if count % 3 == 1 {
            keyring.rotate(record.id, &Who::User(1)).unwrap();
            writeln!(out, "rotated {}", record.id).unwrap();
            let operations = Operations::of(&["sign"]).unwrap();
            let subject = Subject::User(7);
            keyring
                .grant(record.id, subject, operations, &Who::User(1))
                .unwrap();
            writeln!(out, "granted {}", record.id).unwrap();
        }
        if count % 5 == 3 {
            keyring.rotate_kek().unwrap();
        }
        if count % 7 == 5 {
            keyring.reseal(None, None).unwrap();
        }
        if count % 3 == 2 {
            writeln!(out, "revoking {}", record.id).unwrap();
            keyring
                .revoke(record.id, "as tested", &Who::User(1))
                .unwrap();
            writeln!(out, "revoked {}", record.id).unwrap();
        }
    }
}

#[test]
fn a_kill_at_any_write_leaves_the_old_state_or_the_new() {
    let state = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(String, String)> = Vec::new();
    // Each round ends after another number of lines, in the middle of whatever comes next.
    for lines in [0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 17] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(STATE, state.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let words = |line: String| {
            let (word, id) = line.trim().split_once(' ')?;
            ["made", "rotated", "granted", "revoking", "revoked"]
                .contains(&word)
                .then(|| (word.to_owned(), id.to_owned()))
        };
        let mut seen = 0;
        let mut line = String::new();
        while seen < lines && reader.read_line(&mut line).unwrap() > 0 {
            if let Some(said) = words(std::mem::take(&mut line)) {
                acknowledged.push(said);
                seen += 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts too.
        acknowledged.extend(reader.lines().filter_map(|line| words(line.unwrap())));

        let keyring = open(state.path());
        let records = keyring.records();
        for (word, id) in &acknowledged {
            let record = records.iter().find(|record| record.id.to_string() == *id);
            let record = record.unwrap_or_else(|| panic!("{word} {id}, and it is lost"));
            assert!(word != "revoked" || record.revoked.is_some(), "{id}");
            assert!(word != "rotated" || record.version() == 2, "{id}");
            let granted = keyring.grants(record).unwrap();
            assert!(word != "granted" || granted.len() == 1, "{id}");
            let revoking = acknowledged
                .iter()
                .any(|(word, other)| word == "revoking" && other == id);
            assert!(revoking || record.revoked.is_none(), "{id}");
        }
        for record in &records {
            match &record.revoked {
                None => {
                    let signature = keyring.sign(record.id, b"m", b"").unwrap();
                    assert!(verify(record, None, b"m", &signature, b"").unwrap());
                }
                Some(_) => assert!(keyring.sign(record.id, b"m", b"").is_err()),
            }
        }
    }
    assert!(acknowledged.len() > 30);
}

/// What a power loss leaves when the log was written but not all of it reached the disk: the log is
/// cut at any length. Each time the store opens at an earlier state, whole.
#[test]
fn a_torn_log_gives_an_earlier_state_and_never_a_broken_one() {
    let state = tempfile::tempdir().unwrap();
    let keyring = open(state.path());
    let mut versions = Vec::new();
    for count in 0..3 {
        let id = keyring.create(1, Algorithm::HmacSha512, "").unwrap().id;
        versions.push(id);
        if count == 1 {
            keyring.rotate(id, &Who::User(1)).unwrap();
        }
    }
    // The process is as good as dead from here on: its files are copied, not closed.
    let log = std::fs::read(state.path().join("keys.sqlite-wal")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for len in (0..log.len()).step_by(1111).chain([log.len()]) {
        let copy = tempfile::tempdir().unwrap();
        for name in ["keys.sqlite", "root.sealed", "host.key"] {
            std::fs::copy(state.path().join(name), copy.path().join(name)).unwrap();
        }
        std::fs::write(copy.path().join("keys.sqlite-wal"), &log[..len]).unwrap();
        let copied = Keyring::new(copy.path().to_owned(), settings());
        let health = copied.bring_up();
        if let Some(why) = health.store.or(health.root) {
            // Cut before the store was made: it says so, and makes nothing in its place.
            let lost = ["missing or empty", "another root key"];
            assert!(lost.iter().any(|words| why.contains(words)), "{len}: {why}");
            continue;
        }
        for record in copied.records() {
            copied.sign(record.id, b"m", b"").unwrap();
        }
        let state: Vec<u32> = copied.records().iter().map(|r| r.version()).collect();
        seen.insert((state.len(), state.iter().sum::<u32>()));
    }
    assert_eq!(seen.last(), Some(&(3, 4)), "{seen:?}");
    assert!(seen.len() >= 4, "{seen:?}");
}
