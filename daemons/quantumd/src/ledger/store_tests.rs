use super::*;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use proptest::prelude::*;
use quantumos_ledger::note::Kind;
use std::path::Path;

struct TestSigner(VerifierKey, Ed25519KeyPair);

impl Signer for TestSigner {
    fn key(&self) -> &VerifierKey {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.1.sign(message).as_ref().to_vec())
    }
}

fn signer(seed: u8) -> TestSigner {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = pair.public_key().as_ref();
    let key = VerifierKey::new("example.com/log", Kind::Ed25519, public).unwrap();
    TestSigner(key, pair)
}

fn entry(number: u64) -> Vec<u8> {
    format!("record {number} {}", "x".repeat(number as usize % 50)).into_bytes()
}

fn batch(from: u64, count: u64) -> Vec<Vec<u8>> {
    (from..from + count).map(entry).collect()
}

fn open(path: &Path) -> Result<(Store, Found), Error> {
    Store::open(Directory::new(path), |record| {
        assert_eq!(record.bytes, entry(record.index));
        Ok(())
    })
}

#[test]
fn appended_signed_reopened_and_proved() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ledger");
    let (key, directory) = (signer(1), Directory::new(&path));
    let mut store = Store::create(directory.clone(), "example.com/log").unwrap();
    assert!(Store::create(directory, "example.com/log").is_err());
    let mut size = 0;
    for count in [1, 255, 1, 700, 65, 2] {
        assert_eq!(store.append(&batch(size, count)).unwrap(), size);
        size += count;
    }
    let note = store.sign(&[&key]).unwrap().clone();
    assert_eq!(store.sign(&[&key]).unwrap(), &note);
    store.append(&batch(size, 300)).unwrap();
    let root = store.root(1324).unwrap();
    // Nobody else may write meanwhile.
    assert!(open(&path).is_err());
    drop(store);
    let (mut store, found) = open(&path).unwrap();
    assert_eq!(
        found,
        Found {
            unsigned: 300,
            ..Found::default()
        }
    );
    assert_eq!((store.size(), store.origin()), (1324, "example.com/log"));
    assert_eq!(store.checkpoint().unwrap().1, note);
    assert_eq!(store.root(1324).unwrap(), root);
    for (index, size) in [(0, 1), (0, 1324), (700, 1024), (1323, 1324), (256, 257)] {
        let path = store.inclusion(index, size).unwrap();
        let leaf = quantumos_ledger::leaf_hash(&entry(index));
        let root = store.root(size).unwrap();
        merkle::verify_inclusion(&leaf, index, size, &root, &path).unwrap();
        let path = store.consistency(index, size).unwrap();
        let old = store.root(index).unwrap();
        merkle::verify_consistency(index, size, &old, &root, &path).unwrap();
    }
    assert!(store.inclusion(0, 1325).is_err() && store.root(1325).is_err());
    for (first, count) in [
        (0, 1324),
        (0, 0),
        (1, 1),
        (255, 3),
        (700, 300),
        (1023, 301),
        (1324, 0),
    ] {
        let mut got = Vec::new();
        let each = |record: Entry<'_>| {
            got.push(record.bytes.to_vec());
            Ok(true)
        };
        store.read(first, count, each).unwrap();
        assert_eq!(got, batch(first, count));
    }
    assert!(store.read(1324, 1, |_| Ok(true)).is_err());
    // Another key is none of this log's.
    assert!(store.sign(&[&signer(2)]).is_err());
    store.sign(&[&key]).unwrap();
    assert_eq!(store.checkpoint().unwrap().0.size, 1324);
}

#[test]
fn an_interrupted_write_is_cut_and_said() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ledger");
    let mut store = Store::create(Directory::new(&path), "example.com/log").unwrap();
    store.append(&batch(0, 3)).unwrap();
    store.sign(&[&signer(1)]).unwrap();
    store.append(&batch(3, 2)).unwrap();
    let whole = store.log.end();
    store.append(&batch(5, 4)).unwrap();
    let end = store.log.end();
    drop(store);
    let log = path.join("log");
    let bytes = std::fs::read(&log).unwrap();
    assert!(bytes.len() as u64 > end, "there is room");
    for length in (whole + 1..end).step_by(7) {
        let mut torn = bytes.clone();
        torn[length as usize..].fill(0);
        std::fs::write(&log, torn).unwrap();
        let (mut store, found) = open(&path).unwrap();
        assert_eq!(found.cut.unwrap().0, whole);
        assert_eq!((store.size(), found.unsigned), (5, 2));
        assert_eq!(store.append(&batch(5, 1)).unwrap(), 5);
        drop(store);
        let (store, found) = open(&path).unwrap();
        assert_eq!((store.size(), found.cut), (6, None));
    }
}

#[test]
fn altered_files_are_refused_and_left() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ledger");
    let mut store = Store::create(Directory::new(&path), "example.com/log").unwrap();
    store.append(&batch(0, 300)).unwrap();
    store.sign(&[&signer(1)]).unwrap();
    drop(store);
    let alter = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let file = path.join(name);
        let before = std::fs::read(&file).unwrap();
        let mut bytes = before.clone();
        change(&mut bytes);
        std::fs::write(&file, &bytes).unwrap();
        let opened = open(&path).map(|(store, found)| (store.size(), found));
        let after = std::fs::read(&file).unwrap();
        assert!(opened.is_ok() || after == bytes, "{name} was changed");
        std::fs::write(&file, before).unwrap();
        opened.map_err(|error| error.to_string())
    };
    let record = alter("log", &|bytes| bytes[5000] ^= 1).unwrap_err();
    assert!(
        record.contains("log, record ") && record.contains("byte "),
        "{record}"
    );
    let short = alter("log", &|bytes| bytes.truncate(9000)).unwrap_err();
    assert!(short.contains("ends within the frame"), "{short}");
    let gone = alter("log", &|bytes| bytes.truncate(40)).unwrap_err();
    assert!(gone.contains("signed checkpoint speaks for 300"), "{gone}");
    let forged = alter("checkpoint", &|bytes| bytes[17] ^= 1).unwrap_err();
    assert!(forged.contains("checkpoint: "), "{forged}");
    let keys = alter("verifier-keys", &|bytes| bytes.clear()).unwrap_err();
    assert!(keys.contains("no signature by a known key"), "{keys}");
    let (size, found) = alter("tile/0/000", &|bytes| bytes[99] ^= 1).unwrap();
    assert_eq!((size, found.repaired), (300, vec!["tile/0/000".to_owned()]));
    assert!(path.join("tile/0/000.damaged").exists());
    std::fs::remove_file(path.join("tile/0/000")).unwrap();
    let (_, found) = open(&path).unwrap();
    assert_eq!(found.repaired, ["tile/0/000"]);
    let (_, found) = open(&path).unwrap();
    assert_eq!(found, Found::default());
}

#[test]
fn what_is_too_large_leaves_the_store_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let mut store = Store::create(Directory::new(place.path()), "o").unwrap();
    assert!(store.append(&[vec![0; 70_000]]).is_err());
    assert!(store.append(&Vec::<Vec<u8>>::new()).is_err());
    assert_eq!(store.append(&[b"a"]).unwrap(), 0);
}

/// A write that fails: here, because the descriptor under the store takes none.
#[test]
fn a_failing_disk_closes_the_store() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ledger");
    let mut store = Store::create(Directory::new(&path), "example.com/log").unwrap();
    store.append(&batch(0, 2)).unwrap();
    let nothing = Flock::lock(File::open("/dev/null").unwrap(), FlockArg::LockShared).unwrap();
    drop(std::mem::replace(&mut store.file, nothing));
    let read_only = File::open(path.join("log")).unwrap();
    store.file = Flock::lock(read_only, FlockArg::LockExclusive).unwrap();
    assert!(matches!(
        store.append(&batch(2, 1)),
        Err(Error::File { .. })
    ));
    assert!(store.failed().is_some());
    assert!(matches!(
        store.append(&batch(2, 1)),
        Err(Error::LedgerClosed(_))
    ));
    assert!(store.sign(&[&signer(1)]).is_err());
    drop(store);
    let (mut store, _) = open(&path).unwrap();
    assert_eq!(store.append(&batch(2, 1)).unwrap(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_batches_survive_reopening(counts in prop::collection::vec(1u64..400, 1..8)) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("ledger");
        let mut store = Store::create(Directory::new(&path), "example.com/log").unwrap();
        let mut size = 0;
        for count in counts {
            store.append(&batch(size, count)).unwrap();
            size += count;
            let root = store.root(size).unwrap();
            let starts = store.starts.clone();
            drop(store);
            let (again, found) = open(&path).unwrap();
            prop_assert_eq!(found.cut, None);
            prop_assert_eq!(again.root(size).unwrap(), root);
            prop_assert_eq!(&again.starts, &starts);
            store = again;
        }
    }
}
