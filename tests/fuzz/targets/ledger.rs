//! Everything of a ledger that comes from somebody else: notes, checkpoints, proofs, tiles, bundles, append
//! files, entries, seals, canonical JSON. What parses is written back byte for byte; nothing is signed by a key that did
//! not sign it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_ledger::checkpoint::Checkpoint;
use quantumos_ledger::entry::Entry;
use quantumos_ledger::history::KeyLedger;
use quantumos_ledger::json::Value;
use quantumos_ledger::note::{Note, VerifierKey};
use quantumos_ledger::proof::{Consistency, Inclusion};
use quantumos_ledger::seal::Seal;
use quantumos_ledger::{bundle, files, frame, tile};

const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

fuzz_target!(|bytes: &[u8]| {
    let keys: [VerifierKey; 1] = [KEY.parse().expect("published")];
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    match which % 8 {
        0 => {
            if let Ok(note) = Note::parse(bytes) {
                assert_eq!(note.to_string().as_bytes(), bytes);
                let _ = note.verify_all(&keys);
                if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
                    assert_eq!(checkpoint.text(), note.text());
                }
            }
        }
        1 => {
            if let Ok(proof) = Inclusion::parse(bytes) {
                assert_eq!(proof.to_string().as_bytes(), bytes);
                assert!(proof.verify(b"entry", &keys).is_err());
            }
        }
        2 => {
            if let Ok(proof) = Consistency::parse(bytes) {
                assert_eq!(proof.to_string().as_bytes(), bytes);
                assert!(proof.verify(&keys).is_err());
            }
        }
        3 => {
            if let Ok(hashes) = tile::parse(bytes) {
                assert_eq!(hashes.as_flattened(), bytes);
            }
            if let Ok(entries) = bundle::parse(bytes) {
                let mut again = Vec::new();
                for entry in entries {
                    bundle::push(&mut again, entry).expect("it was there");
                }
                assert_eq!(again, bytes);
            }
            let _ = files::keys(bytes);
        }
        4 => {
            let (_, mut file) = frame::Log::new("o").expect("a good name");
            file.extend_from_slice(bytes);
            let _ = frame::scan(&file[..], 0, |_| Ok(()), |_, _| Ok(()));
            let _ = frame::scan(bytes, u64::MAX, |_| Ok(()), |_, _| Ok(()));
            let _ = frame::walk(bytes, 0, 0, u64::MAX, |_| Ok(true));
        }
        5 => {
            if let Ok(entry) = Entry::parse(bytes) {
                assert_eq!(entry.to_bytes().expect("it was parsed"), bytes);
            }
            let _ = KeyLedger::default().replay(bytes);
        }
        6 => {
            if let Ok(seal) = Seal::parse(bytes) {
                assert_eq!(seal.to_bytes().expect("it was parsed"), bytes);
                assert!(seal.verify(&keys).is_err());
            }
        }
        _ => {
            if let Ok(value) = Value::parse(bytes) {
                let text = value.canonical().expect("it was parsed");
                assert_eq!(Value::parse(text.as_bytes()).expect("canonical"), value);
            }
        }
    }
});
