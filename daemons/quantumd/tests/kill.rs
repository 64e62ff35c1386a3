//! SIGKILL at any moment of writing: what was acknowledged is there afterwards, what was not is
//! there whole or not at all, and the store opens again.
#![allow(clippy::unwrap_used, clippy::panic)] // a test: failing is its work

use quantumd::Settings;
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

/// The process that gets killed: makes keys and revokes every third, and says so after each.
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
        if count % 3 == 2 {
            writeln!(out, "revoking {}", record.id).unwrap();
            keyring.revoke(record.id, "as tested").unwrap();
            writeln!(out, "revoked {}", record.id).unwrap();
        }
    }
}

#[test]
fn a_kill_at_any_write_leaves_the_old_state_or_the_new() {
    let state = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(String, String)> = Vec::new();
    // Each round ends after another number of lines, in the middle of whatever comes next.
    for lines in [0, 1, 2, 3, 4, 5, 7, 11] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(STATE, state.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let words = |line: String| {
            let (word, id) = line.trim().split_once(' ')?;
            ["made", "revoking", "revoked"]
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
            let revoking = acknowledged
                .iter()
                .any(|(word, other)| word == "revoking" && other == id);
            assert!(revoking || record.revoked.is_none(), "{id}");
        }
        for record in &records {
            match &record.revoked {
                None => {
                    let signature = keyring.sign(record.id, b"m", b"").unwrap();
                    let bytes = signature.as_bytes();
                    assert!(verify(record.algorithm, &record.public, b"m", bytes, b"").unwrap());
                }
                Some(_) => assert!(keyring.sign(record.id, b"m", b"").is_err()),
            }
        }
    }
    assert!(acknowledged.len() > 30);
}
