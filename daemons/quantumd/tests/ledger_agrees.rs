//! SIGKILL while keys are made and changed: what was acknowledged is on record afterwards, the ledger says of
//! every key what the key store says, and nothing twice.
#![allow(clippy::unwrap_used, clippy::panic)] // a test: failing is its work

mod recorded;
mod software;

use quantumd::audit::Who;
use quantumd::grant::{Operations, Subject};
use quantumd::keyring::verify;
use quantumos_pqc::Algorithm;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const STATE: &str = "QUANTUMD_KILL_TEST_STATE";

/// The process that gets killed: makes keys, gives every third a new version and a grant, revokes every
/// third, wraps all anew now and then, and says so after each.
#[test]
fn writer() {
    let Some(state) = std::env::var_os(STATE) else {
        return;
    };
    let (keyring, _log) = recorded::open(Path::new(&state));
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
fn after_a_kill_ledger_and_key_store_agree() {
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

        let (keyring, log) = recorded::open(state.path());
        recorded::compare(&keyring, &log);
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
