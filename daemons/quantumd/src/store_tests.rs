//! The store on a real file system: what is committed survives, what is damaged is refused.

use super::*;
use crate::vault::Protection;
use quantumos_pqc::{Algorithm, PUBLIC_KEY_LEN, PublicHalf};

const ENROLMENT: Enrolment = Enrolment {
    fingerprint: [7; 16],
    kek: 3,
};

fn example(byte: u8) -> Record {
    Record {
        id: KeyId([byte; 16]),
        algorithm: Algorithm::MlDsa87,
        label: format!("label {byte}"),
        owner: 1000,
        protection: Protection::Tpm,
        created_at: 1_700_000_000_000_000,
        revoked: None,
        versions: vec![Version {
            number: 1,
            created_at: 1_700_000_000_000_000,
            public: PublicHalf::from_bytes(Algorithm::MlDsa87, &[byte; PUBLIC_KEY_LEN]).unwrap(),
        }],
        grants: Grants::default(),
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
        let mut store = Store::open(state.path(), false).unwrap();
        store.insert(&example(1), &[Some(seed.to_vec())]).unwrap();
        store
            .insert(&example(2), &[Some(b"another".to_vec())])
            .unwrap();
        store.enrol(&ENROLMENT).unwrap();
        assert!(store.enrol(&ENROLMENT).is_err(), "enrolled once");
        store.revoke(KeyId([1; 16]), &revocation).unwrap();
        assert!(store.revoke(KeyId([1; 16]), &revocation).is_err());
        assert!(matches!(
            store.wrapped(KeyId([1; 16]), 1),
            Err(Error::NoSuchKey(_))
        ));
    }
    let store = Store::open(state.path(), true).unwrap();
    let mut revoked = example(1);
    revoked.revoked = Some(revocation);
    assert_eq!(store.records().unwrap(), [revoked, example(2)]);
    assert_eq!(store.wrapped(KeyId([2; 16]), 1).unwrap(), b"another");
    assert_eq!(store.enrolment().unwrap(), Some(ENROLMENT));
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
        .pragma_update(None, "user_version", 99)
        .unwrap();
    drop(store);
    let error = Store::open(state.path(), false).unwrap_err().to_string();
    assert!(error.contains("version 99"), "{error}");
}

/// Damage in the middle: pages are overwritten one after another; each time the store either
/// refuses or still gives every record unchanged. It never gives wrong ones, and never panics.
#[test]
fn a_damaged_page_never_gives_wrong_records_silently() {
    let state = tempfile::tempdir().unwrap();
    let mut store = Store::open(state.path(), false).unwrap();
    let records: Vec<_> = (1..30).map(example).collect();
    for record in &records {
        let wrapped = vec![record.id.0[0]; 90];
        store.insert(record, &[Some(wrapped)]).unwrap();
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

/// What release 1 wrote, as it wrote it.
const SCHEMA_1: &str = "
CREATE TABLE root (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 16)
) STRICT;
CREATE TABLE keys (
    id BLOB PRIMARY KEY CHECK (length(id) = 16), algorithm TEXT NOT NULL, label TEXT NOT NULL,
    owner INTEGER NOT NULL, version INTEGER NOT NULL, protection TEXT NOT NULL,
    created_at INTEGER NOT NULL, revoked_at INTEGER, reason TEXT, public BLOB NOT NULL, wrapped BLOB,
    CHECK ((revoked_at IS NULL) = (reason IS NULL)),
    CHECK ((revoked_at IS NULL) = (wrapped IS NOT NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO root VALUES (1, x'07070707070707070707070707070707');
INSERT INTO keys VALUES (x'01010101010101010101010101010101', 'ML-DSA-87', 'label 1', 1000, 1, 'tpm',
    1700000000000000, 5, 'lost', zeroblob(2592), NULL);
INSERT INTO keys VALUES (x'02020202020202020202020202020202', 'ML-DSA-87', 'label 2', 1000, 1, 'tpm',
    1700000000000000, NULL, NULL, zeroblob(2592), x'aabb');
PRAGMA application_id = 0x514B4559;
PRAGMA user_version = 1;
";

#[test]
fn a_store_of_the_first_release_is_taken_over() {
    let state = tempfile::tempdir().unwrap();
    let connection = Connection::open(Store::path_in(state.path())).unwrap();
    connection.execute_batch(SCHEMA_1).unwrap();
    drop(connection);
    for _ in 0..2 {
        let store = Store::open(state.path(), true).unwrap();
        assert_eq!(
            store.enrolment().unwrap(),
            Some(Enrolment {
                kek: 1,
                ..ENROLMENT
            })
        );
        let public = PublicHalf::from_bytes(Algorithm::MlDsa87, &[0; PUBLIC_KEY_LEN]).unwrap();
        let expected = [1, 2].map(|byte| {
            let mut record = example(byte);
            record.versions[0].public = public.clone();
            record.revoked = (byte == 1).then(|| Revocation {
                at: 5,
                reason: "lost".into(),
            });
            record
        });
        assert_eq!(store.records().unwrap(), expected);
        assert_eq!(store.wrapped(KeyId([2; 16]), 1).unwrap(), [0xaa, 0xbb]);
    }
}

#[test]
fn a_missing_version_is_damage() {
    let state = tempfile::tempdir().unwrap();
    let mut store = Store::open(state.path(), false).unwrap();
    store.insert(&example(1), &[Some(vec![1])]).unwrap();
    let version = Version {
        number: 3,
        ..example(1).versions.remove(0)
    };
    store.add_version(KeyId([1; 16]), &version, &[1]).unwrap();
    let error = store.records().unwrap_err().to_string();
    assert!(error.contains("versions are not complete"), "{error}");
}
