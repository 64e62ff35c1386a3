//! SIGKILL at any moment of an append loop: what was acknowledged is in the log afterwards, whole and
//! in order, an interrupted append is cut off and said, and the log goes on from there.
#![allow(clippy::unwrap_used, clippy::panic)] // a test: failing is its work

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use quantumd::ledger::{Directory, Found, Store};
use quantumos_ledger::note::{Kind, Signer, VerifierKey};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const PLACE: &str = "QUANTUMD_LEDGER_KILL_TEST";

struct Key(VerifierKey, Ed25519KeyPair);

impl Signer for Key {
    fn key(&self) -> &VerifierKey {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.1.sign(message).as_ref().to_vec())
    }
}

fn key() -> Key {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = pair.public_key().as_ref();
    let key = VerifierKey::new("example.com/log", Kind::Ed25519, public).unwrap();
    Key(key, pair)
}

fn entry(index: u64) -> Vec<u8> {
    format!("record {index} {}", "x".repeat((index * 37 % 500) as usize)).into_bytes()
}

fn open(place: &Path) -> (Store, Found) {
    let directory = Directory::new(place);
    if !Store::exists(&directory).unwrap() {
        let store = Store::create(directory, "example.com/log").unwrap();
        return (store, Found::default());
    }
    Store::open(directory, |record| {
        assert_eq!(record.bytes, entry(record.index));
        Ok(())
    })
    .unwrap()
}

/// The process that gets killed: appends batches of many sizes, signs now and then, and says what is durable.
#[test]
fn writer() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let (mut store, _) = open(Path::new(&place));
    let mut out = std::io::stdout();
    for round in 0u64.. {
        let size = store.size();
        let batch: Vec<_> = (size..size + 1 + round * 13 % 90).map(entry).collect();
        store.append(&batch).unwrap();
        writeln!(out, "durable {}", store.size()).unwrap();
        if round % 3 == 2 {
            store.sign(&[&key()]).unwrap();
            writeln!(out, "signed {}", store.size()).unwrap();
        }
    }
}

#[test]
fn a_kill_at_any_append_loses_nothing_that_was_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path().join("ledger");
    for lines in [0, 1, 2, 3, 5, 8, 13, 21, 34] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(PLACE, &place)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let (mut durable, mut signed, mut seen) = (0, 0, 0);
        let mut take = |line: &str| {
            if let Some((word, size)) = line.trim().split_once(' ') {
                match (word, size.parse::<u64>()) {
                    ("durable", Ok(size)) => durable = size,
                    ("signed", Ok(size)) => signed = size,
                    _ => return false,
                }
                return true;
            }
            false
        };
        let mut line = String::new();
        while seen < lines && reader.read_line(&mut line).unwrap() > 0 {
            seen += usize::from(take(&std::mem::take(&mut line)));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts too.
        for line in reader.lines() {
            take(&line.unwrap());
        }
        let (store, found) = open(&place);
        assert!(store.size() >= durable, "{} of {durable}", store.size());
        let checkpoint = store.checkpoint().map_or(0, |(signed, _)| signed.size);
        assert!(checkpoint >= signed, "{checkpoint} of {signed}");
        assert_eq!(found.repaired, [] as [&str; 0]);
    }
    let (store, _) = open(&place);
    assert!(store.size() > 300, "{}", store.size());
}
