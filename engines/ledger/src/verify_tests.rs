use super::*;
use crate::bundle;
use crate::entry::Event;
use crate::json::Object;
use crate::note::Signer;
use crate::note::tests::Keys;
use crate::tile::{WIDTH, all};
use std::collections::BTreeMap;
use std::io::Read;

const ORIGIN: &str = "example.com/keys";

/// Files in memory.
#[derive(Clone, Default)]
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Files for Memory {
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>, Error> {
        let file = self.0.get(name).map(Vec::as_slice);
        Ok(file.map(|bytes| Box::new(bytes) as Box<dyn Read>))
    }
}

fn event(number: u64, kind: EntryType) -> Event {
    Event {
        timestamp: number,
        entry_type: kind,
        data: Object::default()
            .with("key_id", format!("{number:x}"))
            .with("version", 1i64),
        quantum_metadata: Object::default(),
    }
}

/// A key ledger of `count` entries, with one commit in it, checkpoint and seal; as a running log and as
/// a published one.
pub fn ledger(count: u64) -> (Memory, Memory, Keys) {
    let keys = Keys::new(ORIGIN, 1);
    let mut files = Memory::default();
    let (mut log, mut bytes) = frame::Log::new(ORIGIN).unwrap();
    let mut ledger = KeyLedger::default();
    let mut bundles: Vec<Vec<u8>> = Vec::new();
    for number in 0..count {
        let event = match number {
            3 => Event {
                data: Object::default()
                    .with("entries", 3i64)
                    .with("root", crate::hex(&log.root())),
                ..event(number, EntryType::Commit)
            },
            _ => event(number, EntryType::Registration),
        };
        let entry = ledger.record(event).unwrap().to_bytes().unwrap();
        if number % WIDTH as u64 == 0 {
            bundles.push(Vec::new());
        }
        bundle::push(bundles.last_mut().unwrap(), &entry).unwrap();
        let full = |tile: crate::tile::Tile, hashes: Vec<Hash>| {
            files.0.insert(tile.path(WIDTH), hashes.concat());
        };
        log.append(&[entry], &mut bytes, full).unwrap();
    }
    bytes.extend_from_slice(&[0; 50]);
    let checkpoint = Checkpoint::new(ORIGIN, count, log.root());
    let note = keys.sign(&checkpoint.text());
    let content = seal::Content {
        timestamp: 5,
        note: &note,
        last_hash: *ledger.last_hash(),
        quantum_metadata: Object::default(),
    };
    let signers = keys.signers();
    let signers: Vec<&dyn Signer> = signers.iter().map(|s| s as &dyn Signer).collect();
    let seal = Seal::sign(content, &signers).unwrap().to_bytes().unwrap();
    let public: String = keys.public().iter().map(|key| format!("{key}\n")).collect();
    files.0.insert(CHECKPOINT.into(), note.to_string().into());
    files.0.insert(KEYS.into(), public.into());
    files.0.insert(seal::NAME.into(), seal);
    let mut published = files.clone();
    files.0.insert(frame::NAME.into(), bytes);
    for (number, bytes) in bundles.into_iter().enumerate() {
        let width = (count as usize - number * WIDTH).min(WIDTH);
        published
            .0
            .insert(bundle::path(number as u64, width), bytes);
    }
    for (tile, hashes) in log.tree().partial() {
        published.0.insert(tile.path(hashes.len()), hashes.concat());
    }
    assert!(all(count).all(|(tile, width)| published.0.contains_key(&tile.path(width))));
    (files, published, keys)
}

#[test]
fn whole_ledgers_verify() {
    for count in [0, 1, 5, 300] {
        let (running, published, keys) = ledger(count);
        for files in [running, published] {
            for pinned in [Vec::new(), keys.public()] {
                let report = verify(&files, &pinned).unwrap();
                assert_eq!(report.findings, [], "{count}");
                assert_eq!(report.origin, ORIGIN);
                assert_eq!((report.size, report.signed), (count, Some(count)));
                assert_eq!(report.sealed, Some(count));
                assert_eq!(report.ledger.unwrap().size(), count);
                assert_eq!(report.pinned, !pinned.is_empty());
            }
            let other = Keys::new(ORIGIN, 2).public();
            let report = verify(&files, &other);
            assert!(report.is_err() || !report.unwrap().findings.is_empty());
        }
    }
}

#[test]
fn every_changed_byte_of_every_file_is_found() {
    let (running, published, _) = ledger(6);
    for files in [running, published] {
        for (name, bytes) in &files.0 {
            // Signatures are long and alike; every byte of all else.
            let step = |at: usize| match name.as_str() {
                CHECKPOINT | KEYS | seal::NAME if at > 300 => 61,
                _ => 1,
            };
            let mut at = 0;
            while at < bytes.len() {
                let mut changed = files.clone();
                changed.0.get_mut(name).unwrap()[at] ^= 1;
                let report = match verify(&changed, &[]) {
                    Ok(report) => report,
                    Err(error) => panic!("{name} byte {at}: {error}"),
                };
                assert!(!report.findings.is_empty(), "{name} byte {at}");
                at += step(at);
            }
        }
    }
}

#[test]
fn missing_files_are_found() {
    let (running, published, _) = ledger(300);
    for files in [running, published] {
        for name in files.0.keys().filter(|name| name.starts_with("tile/")) {
            let mut changed = files.clone();
            changed.0.remove(name);
            let report = verify(&changed, &[]).unwrap();
            let found = report.findings.iter().any(|f| f.damage.file == *name);
            assert!(found, "{name}: {:?}", report.findings);
        }
    }
    assert!(verify(&Memory::default(), &[]).is_err());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let (running, published, keys) = ledger(300);
    let first = |files: &Memory| {
        let findings = verify(files, &[]).unwrap().findings;
        (findings[0].kind, findings[0].damage.to_string())
    };
    let mut tile = running.clone();
    tile.0.get_mut("tile/0/000").unwrap()[70] ^= 1;
    let (kind, shown) = first(&tile);
    assert_eq!(kind, Kind::Damage);
    assert!(
        shown.starts_with("tile/0/000, record 2, byte 70: "),
        "{shown}"
    );

    let mut torn = running.clone();
    torn.0
        .get_mut(frame::NAME)
        .unwrap()
        .extend_from_slice(b"torn");
    let (kind, shown) = first(&torn);
    assert_eq!(kind, Kind::Interrupted);
    assert!(shown.starts_with("log, record 300, byte "), "{shown}");

    let mut bundle = published.clone();
    let name = "tile/entries/001.p/44";
    bundle.0.get_mut(name).unwrap()[1] ^= 1;
    let (_, shown) = first(&bundle);
    assert!(
        shown.starts_with("tile/entries/001.p/44, record"),
        "{shown}"
    );

    // Signed by the right keys, but a history that contradicts itself.
    let mut forged = Memory::default();
    let (mut log, mut bytes) = frame::Log::new(ORIGIN).unwrap();
    let entry = KeyLedger::default()
        .record(event(1, EntryType::Registration))
        .unwrap()
        .to_bytes()
        .unwrap();
    log.append(&[&entry, &entry], &mut bytes, |_, _| {})
        .unwrap();
    let note = keys.sign(&Checkpoint::new(ORIGIN, 2, log.root()).text());
    forged.0.insert(frame::NAME.into(), bytes);
    forged.0.insert(CHECKPOINT.into(), note.to_string().into());
    forged.0.insert(KEYS.into(), running.0[KEYS].clone());
    let (kind, shown) = first(&forged);
    assert_eq!(kind, Kind::History);
    assert!(
        shown.contains("record 1") && shown.contains("entry_id is 0"),
        "{shown}"
    );

    // Another log's checkpoint.
    let mut other = running.clone();
    let note = keys.sign(&Checkpoint::new("example.com/else", 1, [1; 32]).text());
    other.0.insert(CHECKPOINT.into(), note.to_string().into());
    let (_, shown) = first(&other);
    assert!(shown.contains("it is of example.com/else"), "{shown}");
}

#[test]
fn other_logs_hold_any_entries() {
    let (mut log, mut bytes) = frame::Log::new("example.com/audit").unwrap();
    log.append(&[b"anything".as_slice()], &mut bytes, |_, _| {})
        .unwrap();
    let files = Memory(BTreeMap::from([(frame::NAME.into(), bytes)]));
    let report = verify(&files, &[]).unwrap();
    assert_eq!((report.size, report.signed), (1, None));
    assert!(report.ledger.is_none());
    assert_eq!(report.findings[0].kind, Kind::Signature);
    let shown = report.findings[0].damage.to_string();
    assert!(shown.contains("nothing is signed"), "{shown}");
}
