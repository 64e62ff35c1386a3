//! A log that did not reach the disk as a whole: the store opens at an earlier state, or says what is lost.
#![allow(clippy::unwrap_used, clippy::panic)] // a test: failing is its work

mod software;

use quantumd::audit::Who;
use quantumos_pqc::Algorithm;
use software::{bring_up, keyring};

/// What a power loss leaves when the log was written but not all of it reached the disk: the log is
/// cut at any length. Each time the store opens at an earlier state, whole.
#[test]
fn a_torn_log_gives_an_earlier_state_and_never_a_broken_one() {
    let state = tempfile::tempdir().unwrap();
    let keyring = bring_up(keyring(state.path(), 65_536));
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
        let copied = self::keyring(copy.path(), 65_536);
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
