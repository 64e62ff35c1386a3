use super::*;
use crate::audit::Who;
use crate::record::{Grants, KeyId, Revocation, Version};
use crate::vault::Protection;
use quantumos_ledger::files::Files;
use quantumos_pqc::{Algorithm, RootKey, Secret, SecretKey};

fn kek() -> Kek {
    let root = Secret::from_slice("root", &[3; 32]).unwrap();
    RootKey::new(root).kek(1).unwrap()
}

fn record(number: u8) -> Record {
    let seed = Secret::from_slice("seed", &[number; 32]).unwrap();
    let secret = SecretKey::from_seed(Algorithm::MlDsa87, &seed).unwrap();
    Record {
        id: KeyId([number; 16]),
        algorithm: Algorithm::MlDsa87,
        label: "l".into(),
        owner: 5,
        protection: Protection::Software,
        created_at: 1,
        revoked: None,
        versions: vec![Version {
            number: 1,
            created_at: 1,
            public: secret.public().unwrap(),
        }],
        grants: Grants::default(),
    }
}

fn line(action: Action, record: &Record, version: u32) -> audit::Event {
    let detail = "as tested".into();
    audit::Event::of_key(action, record.id, version, Who::User(5), detail).with_material(record)
}

fn entries(log: &KeyLog) -> Vec<Object> {
    let (_, size, _) = log.head();
    let bytes = log.entries(0, size, usize::MAX).unwrap();
    let mut rest = &bytes[..];
    std::iter::from_fn(|| quantumos_ledger::bundle::take(&mut rest).unwrap())
        .map(|entry| Object::parse_canonical(entry).unwrap())
        .collect()
}

fn types(log: &KeyLog) -> Vec<String> {
    let entries = entries(log);
    let types = entries.iter().map(|entry| entry.text("entry_type"));
    types.map(|name| name.unwrap().to_owned()).collect()
}

#[test]
fn what_happens_to_keys_is_recorded_signed_and_proved() {
    let state = tempfile::tempdir().unwrap();
    let log = KeyLog::new(state.path()).unwrap();
    assert!(log.checkpoint().is_err() && log.seal().is_err());
    assert_eq!(log.follow(Some(&kek()), &[]), None);
    let key = record(1);
    log.record(&line(Action::Create, &key, 1));
    log.record(&line(Action::Rotate, &key, 2));
    log.record(&line(Action::Grant, &key, 0));
    log.record(&line(Action::Use("sign"), &key, 2));
    let mut refused = line(Action::Revoke, &key, 2);
    refused.refusal = Some("no".into());
    log.record(&refused);
    log.record(&line(Action::Ungrant, &key, 0));
    log.record(&line(Action::Revoke, &key, 2));
    let (origin, size, signed) = log.head();
    assert!(
        origin.starts_with("quantumos/") && origin.ends_with("/keys"),
        "{origin}"
    );
    assert_eq!((size, signed), (5, 5));
    let seal = log.seal().unwrap();
    let sealed = Seal::parse(&seal).unwrap();
    sealed.verify(&sealed.keys).unwrap();
    assert_eq!(sealed.checkpoint.size, 6);
    assert_eq!(
        types(&log),
        [
            "key_registration",
            "key_rotation",
            "capability_assignment",
            "capability_assignment",
            "revocation",
            "atomic_commit"
        ]
    );
    let first = &entries(&log)[0];
    let Some(quantumos_ledger::json::Value::Object(data)) = first.get("data") else {
        panic!("no data");
    };
    assert_eq!(data.text("algorithm"), Some("ML-DSA-87"));
    assert_eq!(data.text("by"), Some("uid 5"));
    let public = key.versions[0].public.as_bytes();
    assert_eq!(
        data.text("public_key_sha256"),
        Some(&public_hash(public)[..])
    );
    let report = log.verify().unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.signed, report.sealed), (Some(6), Some(6)));
    for index in 0..6 {
        let proof = log.inclusion(index).unwrap();
        let entry = proof.extra.clone().unwrap();
        assert_eq!(proof.verify(&entry, &report.keys).unwrap().size, 6);
        log.consistency(index)
            .unwrap()
            .verify(&report.keys)
            .unwrap();
    }
    assert!(log.inclusion(6).is_err() && log.consistency(7).is_err());
    assert!(matches!(log.entries(0, 6, 10), Err(Error::TooLarge { .. })));
    // Another process of the daemon goes on where this one was.
    drop(log);
    let log = KeyLog::new(state.path()).unwrap();
    assert_eq!(log.follow(Some(&kek()), &[]), None);
    assert_eq!(log.head(), (origin, 6, 6));
    log.record(&line(Action::Create, &record(2), 1));
    assert_eq!(log.head().1, 7);
    assert_eq!(log.verify().unwrap().sealed, Some(6));
}

#[test]
fn what_the_ledger_missed_is_recorded_later_and_once() {
    let state = tempfile::tempdir().unwrap();
    let log = KeyLog::new(state.path()).unwrap();
    let mut old = record(1);
    let newer = old.versions[0].public.clone();
    old.versions.push(Version {
        number: 2,
        created_at: 2,
        public: newer,
    });
    old.revoked = Some(Revocation {
        at: 3,
        reason: "r".into(),
    });
    let records = [Arc::new(old), Arc::new(record(2))];
    // Before the root key was open, nothing can be signed, and no log begun.
    assert_eq!(log.follow(None, &records), None);
    assert_eq!(log.head().1, 0);
    for _ in 0..2 {
        assert_eq!(log.follow(Some(&kek()), &records), None);
        assert_eq!(
            types(&log),
            [
                "key_registration",
                "key_rotation",
                "revocation",
                "key_registration"
            ]
        );
    }
    let recovered = entries(&log).iter().all(|entry| {
        matches!(entry.get("data"), Some(quantumos_ledger::json::Value::Object(data))
            if data.get("recovered") == Some(&true.into()))
    });
    assert!(recovered);
    // The trail tells again what reconciling found.
    log.record(&line(Action::Create, &records[1], 1));
    assert_eq!(log.head().1, 4);
    assert_eq!(log.follow(Some(&kek()), &records), None);
}

#[test]
fn a_damaged_ledger_is_a_problem_and_events_wait() {
    let state = tempfile::tempdir().unwrap();
    let log = KeyLog::new(state.path()).unwrap();
    log.follow(Some(&kek()), &[]);
    log.record(&line(Action::Create, &record(1), 1));
    drop(log);
    let directory = Directory::new(state.path().join("ledger"));
    let file = directory.at("log");
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    bad[300] ^= 1;
    std::fs::write(&file, bad).unwrap();
    let log = KeyLog::new(state.path()).unwrap();
    let problem = log.follow(Some(&kek()), &[]).unwrap();
    assert!(problem.contains("log, record 0"), "{problem}");
    log.record(&line(Action::Create, &record(2), 1));
    assert!(log.seal().is_err());
    assert!(
        !directory
            .read("checkpoint", 1 << 18)
            .unwrap()
            .unwrap()
            .is_empty()
    );
    // Restored from a backup, it takes what waited.
    std::fs::write(&file, good).unwrap();
    assert_eq!(log.follow(Some(&kek()), &[]), None);
    assert_eq!(log.head().1, 2);
    assert_eq!(log.head().2, 2);
}
