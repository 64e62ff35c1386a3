//! The store on a real file system: what is committed survives, what is damaged is refused.

use super::*;
use quantumos_pqc::Algorithm;

fn example(byte: u8) -> Record {
    Record {
        id: KeyId([byte; 16]),
        algorithm: Algorithm::MlDsa87,
        label: format!("label {byte}"),
        owner: 1000,
        version: 1,
        protection: Protection::Tpm,
        created_at: 1_700_000_000_000_000,
        revoked: None,
        public: PublicKey::from_bytes(&[byte; quantumos_pqc::PUBLIC_KEY_LEN]).unwrap(),
    }
}

#[test]
fn records_survive_and_revocation_destroys_the_seed() {
    let state = tempfile::tempdir().unwrap();
    let seed = b"WRAPPED-SEED-THAT-MUST-NOT-STAY-AROUND";
    let revocation = Revocation {
        at: 5,
        reason: "lost".into(),
    };
    {
        let store = Store::open(state.path(), false).unwrap();
        store.insert(&example(1), seed).unwrap();
        store.insert(&example(2), b"another").unwrap();
        store.enrol(&[7; 16]).unwrap();
        assert!(store.enrol(&[8; 16]).is_err(), "enrolled once");
        store.revoke(KeyId([1; 16]), &revocation).unwrap();
        assert!(store.revoke(KeyId([1; 16]), &revocation).is_err());
        assert!(matches!(
            store.wrapped(KeyId([1; 16])),
            Err(Error::NoSuchKey(_))
        ));
    }
    let store = Store::open(state.path(), true).unwrap();
    let mut revoked = example(1);
    revoked.revoked = Some(revocation);
    assert_eq!(store.records().unwrap(), [revoked, example(2)]);
    assert_eq!(store.wrapped(KeyId([2; 16])).unwrap(), b"another");
    assert_eq!(store.fingerprint().unwrap(), Some([7; 16]));
    for entry in std::fs::read_dir(state.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !bytes.windows(seed.len()).any(|w| w == seed),
            "the seed is still there"
        );
    }
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let other_database = {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("other");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        drop(connection);
        std::fs::read(path).unwrap()
    };
    for (content, word) in [
        (vec![b'x'; 5000], "not a database"),
        (b"short".to_vec(), "not a database"),
        (other_database, "no key store"),
    ] {
        let state = tempfile::tempdir().unwrap();
        let path = Store::path_in(state.path());
        std::fs::write(&path, &content).unwrap();
        let error = Store::open(state.path(), false).unwrap_err().to_string();
        assert!(
            error.contains(word) && error.contains("keys.sqlite"),
            "{error}"
        );
        if word != "no key store" {
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
    }
}

#[test]
fn a_store_that_vanished_is_not_made_anew() {
    let state = tempfile::tempdir().unwrap();
    assert!(matches!(
        Store::open(state.path(), true),
        Err(Error::StoreMissing(_))
    ));
    assert!(!Store::path_in(state.path()).exists());
    std::fs::write(Store::path_in(state.path()), "").unwrap();
    assert!(matches!(
        Store::open(state.path(), true),
        Err(Error::StoreMissing(_))
    ));
}

#[test]
fn a_newer_schema_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), false).unwrap();
    store
        .connection
        .pragma_update(None, "user_version", 2)
        .unwrap();
    drop(store);
    let error = Store::open(state.path(), false).unwrap_err().to_string();
    assert!(error.contains("version 2"), "{error}");
}

/// Damage in the middle: pages are overwritten one after another; each time the store either
/// refuses or still gives every record unchanged. It never gives wrong ones, and never panics.
#[test]
fn a_damaged_page_never_gives_wrong_records_silently() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path(), false).unwrap();
    let records: Vec<_> = (1..30).map(example).collect();
    for record in &records {
        store.insert(record, &[record.id.0[0]; 90]).unwrap();
    }
    drop(store);
    let path = Store::path_in(state.path());
    let good = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for page in 0..good.len() / 4096 {
        let mut bad = good.clone();
        bad[page * 4096..page * 4096 + 64].fill(0xA5);
        std::fs::write(&path, &bad).unwrap();
        match Store::open(state.path(), true).and_then(|s| s.records()) {
            Ok(found) => assert_eq!(found.len(), records.len(), "page {page}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 2, "{refused}");
}
