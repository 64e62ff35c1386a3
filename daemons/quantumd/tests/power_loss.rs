//! Key store and ledger of different times, as after a power loss on a disk that had not kept what it said, or after
//! an old copy was put back: a ledger that is behind catches up, one that is ahead is told, and what it has as
//! revoked is revoked again.
#![allow(clippy::unwrap_used, clippy::panic)] // a test: failing is its work

mod recorded;
mod software;

use quantumd::Error;
use quantumd::audit::Who;
use quantumd::grant::{Operations, Subject};
use quantumd::record::KeyId;
use quantumos_pqc::Algorithm;
use std::path::{Path, PathBuf};

const WHO: Who = Who::User(1);
const MAC: Algorithm = Algorithm::HmacSha512;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// What the state directory was after each of these: two keys made, one of them given a version and a grant, revoked.
fn history(place: &Path) -> (KeyId, KeyId, Vec<PathBuf>) {
    let state = place.join("state");
    std::fs::create_dir(&state).unwrap();
    let (keyring, _log) = recorded::open(&state);
    let mut kept = Vec::new();
    let mut keep = || {
        let to = place.join(kept.len().to_string());
        copy(&state, &to);
        kept.push(to);
    };
    let first = keyring.create(1, MAC, "").unwrap().id;
    keep();
    let second = keyring.create(1, MAC, "").unwrap().id;
    keep();
    keyring.rotate(second, &WHO).unwrap();
    keep();
    let operations = Operations::of(&["sign"]).unwrap();
    keyring
        .grant(second, Subject::User(7), operations, &WHO)
        .unwrap();
    keep();
    keyring.revoke(second, "as tested", &WHO).unwrap();
    keep();
    (first, second, kept)
}

#[test]
fn store_and_ledger_of_different_times() {
    let place = tempfile::tempdir().unwrap();
    let (first, second, kept) = history(place.path());
    for (store, of_store) in kept.iter().enumerate() {
        for (ledger, of_ledger) in kept.iter().enumerate() {
            let state = tempfile::tempdir().unwrap();
            copy(of_store, state.path());
            std::fs::remove_dir_all(state.path().join("ledger")).unwrap();
            copy(&of_ledger.join("ledger"), &state.path().join("ledger"));
            let (keyring, log, problem) = recorded::look(state.path());
            let case = format!("store {store}, ledger {ledger}: {problem:?}");
            // A second key or its second version that the store doesn't have.
            let lost = (store < 1 && ledger >= 1) || (store < 2 && ledger >= 2);
            assert_eq!(problem.is_some(), lost, "{case}");
            keyring.sign(first, b"m", b"").unwrap();
            let ended = ledger == 4 || store == 4;
            if store >= 1 {
                assert_eq!(keyring.sign(second, b"m", b"").is_err(), ended, "{case}");
            }
            if let Some(problem) = problem {
                assert!(problem.contains(&second.to_string()), "{case}");
                // Nothing that could not be recorded: a version 2 of another seed, say.
                let refused = keyring.rotate(first, &WHO).map(drop);
                assert!(matches!(refused, Err(Error::LedgerClosed(_))), "{case}");
                // The way out that it names.
                drop((keyring, log));
                std::fs::rename(state.path().join("ledger"), state.path().join("old")).unwrap();
                let (keyring, log) = recorded::open(state.path());
                keyring.rotate(first, &WHO).unwrap();
                recorded::compare(&keyring, &log);
                continue;
            }
            recorded::compare(&keyring, &log);
            keyring.rotate(first, &WHO).unwrap();
            recorded::compare(&keyring, &log);
            drop((keyring, log));
            let (keyring, log) = recorded::open(state.path());
            recorded::compare(&keyring, &log);
        }
    }
}
