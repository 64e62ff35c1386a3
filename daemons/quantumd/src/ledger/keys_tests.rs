use super::*;
use crate::audit::{Action, Who};
use crate::grant::{Grant, Operations, Subject};
use crate::record::{Grants, KeyId, Record, Revocation, Version};
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
    audit::Event::of_key(action, record.id, version, Who::User(5), detail)
        .with_material(record)
        .with("subject", "user 7")
        .with("operations", "sign")
}

/// A key with two versions that was revoked.
fn ended(number: u8) -> Record {
    let mut key = record(number);
    let newer = key.versions[0].public.clone();
    key.versions.push(Version {
        number: 2,
        created_at: 2,
        public: newer,
    });
    key.revoked = Some(Revocation {
        at: 3,
        reason: "r".into(),
    });
    key
}

/// Follows a key store with these keys, none of them active again. Gives what is wrong.
fn follow(log: &KeyLog, keys: &[Record]) -> Option<String> {
    let keys: Vec<AtRest> = keys
        .iter()
        .map(|key| (Arc::new(key.clone()), None))
        .collect();
    let (revoked, problem) = log.follow(Some((&kek(), &keys)));
    assert_eq!(revoked, []);
    problem
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
    assert_eq!(follow(&log, &[]), None);
    let key = record(1);
    log.record(&line(Action::Create, &key, 1)).unwrap();
    log.record(&line(Action::Rotate, &key, 2)).unwrap();
    log.record(&line(Action::Grant, &key, 0)).unwrap();
    log.record(&line(Action::Use("sign"), &key, 2)).unwrap();
    let mut refused = line(Action::Revoke, &key, 2);
    refused.refusal = Some("no".into());
    log.record(&refused).unwrap();
    log.record(&line(Action::Ungrant, &key, 0)).unwrap();
    log.record(&line(Action::Backup, &key, 2)).unwrap();
    log.record(&line(Action::Revoke, &key, 2)).unwrap();
    let (origin, size, signed) = log.head();
    assert!(
        origin.starts_with("quantumos/") && origin.ends_with("/keys"),
        "{origin}"
    );
    assert_eq!((size, signed), (6, 6));
    let seal = log.seal().unwrap();
    let sealed = Seal::parse(&seal).unwrap();
    sealed.verify(&sealed.keys).unwrap();
    assert_eq!(sealed.checkpoint.size, 7);
    assert_eq!(
        types(&log),
        [
            "key_registration",
            "key_rotation",
            "capability_assignment",
            "capability_assignment",
            "key_export",
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
        Some(&super::super::public_hash(public)[..])
    );
    let report = log.verify().unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.signed, report.sealed), (Some(7), Some(7)));
    for index in 0..7 {
        let proof = log.inclusion(index).unwrap();
        let entry = proof.extra.clone().unwrap();
        assert_eq!(proof.verify(&entry, &report.keys).unwrap().size, 7);
        log.consistency(index)
            .unwrap()
            .verify(&report.keys)
            .unwrap();
    }
    assert!(log.inclusion(7).is_err() && log.consistency(8).is_err());
    assert!(matches!(log.entries(0, 6, 10), Err(Error::TooLarge { .. })));
    // Another process of the daemon goes on where this one was.
    drop(log);
    let log = KeyLog::new(state.path()).unwrap();
    assert_eq!(follow(&log, &[ended(1)]), None);
    assert_eq!(log.head(), (origin, 7, 7));
    log.record(&line(Action::Create, &record(2), 1)).unwrap();
    assert_eq!(log.head().1, 8);
    assert_eq!(log.verify().unwrap().sealed, Some(7));
}

#[test]
fn what_the_ledger_missed_is_recorded_later_and_once() {
    let state = tempfile::tempdir().unwrap();
    let log = KeyLog::new(state.path()).unwrap();
    let records = [ended(1), record(2)];
    // Before the root key was open, nothing can be signed, and no log begun.
    assert_eq!(log.follow(None), (vec![], None));
    assert_eq!(log.head().1, 0);
    for _ in 0..2 {
        assert_eq!(follow(&log, &records), None);
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
    log.record(&line(Action::Create, &records[1], 1)).unwrap();
    assert_eq!(log.head().1, 4);
    assert_eq!(follow(&log, &records), None);
}

#[test]
fn a_damaged_ledger_is_a_problem_and_events_wait() {
    let state = tempfile::tempdir().unwrap();
    let log = KeyLog::new(state.path()).unwrap();
    assert_eq!(follow(&log, &[]), None);
    log.record(&line(Action::Create, &record(1), 1)).unwrap();
    drop(log);
    let directory = Directory::new(state.path().join("ledger"));
    let file = directory.at("log");
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    bad[300] ^= 1;
    std::fs::write(&file, bad).unwrap();
    let log = KeyLog::new(state.path()).unwrap();
    let problem = follow(&log, &[record(1)]).unwrap();
    assert!(problem.contains("log, record 0"), "{problem}");
    assert!(log.ready(&kek()).is_err());
    let late = log.record(&line(Action::Create, &record(2), 1));
    assert!(matches!(late, Err(Error::LedgerClosed(_))));
    assert!(log.seal().is_err());
    // Read again only when the files are others, and told all the same.
    assert_eq!(follow(&log, &[record(1), record(2)]), Some(problem));
    assert!(
        !directory
            .read("checkpoint", 1 << 18)
            .unwrap()
            .unwrap()
            .is_empty()
    );
    // Restored from a backup, it takes what waited.
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, good).unwrap();
    assert_eq!(follow(&log, &[record(1), record(2)]), None);
    assert_eq!(log.head().1, 2);
    assert_eq!(log.head().2, 2);
}

/// The key store was put back to an earlier state.
#[test]
fn what_the_ledger_has_and_the_store_has_not_is_told_and_ends_stay_ends() {
    let versions = |count: u32| {
        let mut key = record(1);
        let first = key.versions[0].clone();
        key.versions = (1..=count)
            .map(|number| Version {
                number,
                ..first.clone()
            })
            .collect();
        key
    };
    let active = || Record {
        revoked: None,
        ..ended(2)
    };
    type Case = (Vec<Record>, Vec<KeyId>, &'static [&'static str]);
    let cases: [Case; 6] = [
        (vec![versions(3), ended(2)], vec![], &[]),
        // The store may be further.
        (vec![versions(4), ended(2), record(3)], vec![], &[]),
        (vec![versions(3), active()], vec![KeyId([2; 16])], &[]),
        (
            vec![versions(2), ended(2)],
            vec![],
            &["version 3 of key 0101"],
        ),
        (vec![versions(3)], vec![], &["key 0202"]),
        (
            vec![Record {
                revoked: None,
                ..record(2)
            }],
            vec![KeyId([2; 16])],
            &["key 0101", "version 2 of key 0202"],
        ),
    ];
    for (store, revoked, words) in cases {
        let state = tempfile::tempdir().unwrap();
        let log = KeyLog::new(state.path()).unwrap();
        assert_eq!(follow(&log, &[versions(3), ended(2)]), None);
        drop(log);
        let log = KeyLog::new(state.path()).unwrap();
        let keys: Vec<AtRest> = store.into_iter().map(|key| (Arc::new(key), None)).collect();
        let (again, problem) = log.follow(Some((&kek(), &keys)));
        assert_eq!(again, revoked);
        assert_eq!(problem.is_some(), !words.is_empty(), "{problem:?}");
        assert_eq!(log.ready(&kek()).is_err(), !words.is_empty());
        for word in words {
            assert!(problem.as_ref().unwrap().contains(word), "{problem:?}");
        }
    }
}

fn facts(entry: &Object) -> &Object {
    match entry.get("data") {
        Some(quantumos_ledger::json::Value::Object(data)) => data,
        other => panic!("{other:?}"),
    }
}

fn granted(unit: &str, operation: &str) -> Grant {
    Grant {
        subject: Subject::of("unit", unit).unwrap(),
        operations: Operations::of(&[operation]).unwrap(),
    }
}

/// A crash after the store has a change and before the ledger has it.
#[test]
fn grants_that_a_crash_kept_from_the_ledger_are_recorded_at_the_next_start() {
    let state = tempfile::tempdir().unwrap();
    let key = Arc::new(record(1));
    let at_rest = |grants: &[Grant]| [(key.clone(), Some(grants.to_vec()))];
    type Told = [(&'static str, bool)];
    let steps: [(Vec<Grant>, &Told); 5] = [
        (
            vec![granted("a.service", "sign"), granted("b.service", "sign")],
            &[("unit a.service", true), ("unit b.service", true)],
        ),
        (
            vec![granted("a.service", "rotate"), granted("b.service", "sign")],
            &[("unit a.service", true)],
        ),
        (
            vec![granted("b.service", "sign")],
            &[("unit a.service", false)],
        ),
        (vec![granted("b.service", "sign")], &[]),
        (vec![], &[("unit b.service", false)]),
    ];
    for (grants, wanted) in steps {
        let log = KeyLog::new(state.path()).unwrap();
        let before = log.head().1;
        assert_eq!(log.follow(None), (vec![], None));
        let before = before.max(log.head().1);
        assert_eq!(
            log.follow(Some((&kek(), &at_rest(&grants)))),
            (vec![], None)
        );
        let all = entries(&log);
        let new = all.iter().skip(before as usize).map(facts);
        let new = new.filter(|data| data.get("granted").is_some());
        let new: Vec<(&str, bool)> = new
            .map(|data| {
                let granted = data.get("granted") == Some(&true.into());
                assert_eq!(data.get("recovered"), Some(&true.into()));
                (data.text("subject").unwrap(), granted)
            })
            .collect();
        assert_eq!(new, wanted);
        // What it has by now it doesn't take again.
        assert_eq!(
            log.follow(Some((&kek(), &at_rest(&grants)))),
            (vec![], None)
        );
        assert_eq!(log.head().1, all.len() as u64);
    }
}

#[test]
fn credentials_set_issued_and_denied_are_recorded() {
    let state = tempfile::tempdir().unwrap();
    let log = KeyLog::new(state.path()).unwrap();
    assert_eq!(follow(&log, &[]), None);
    let line = |action, who, refusal: Option<&str>| audit::Event {
        time: 1,
        action,
        object: "db.password".into(),
        version: 3,
        who,
        detail: String::new(),
        facts: Vec::new(),
        refusal: refusal.map(Into::into),
    };
    let unit = || Who::Unit("db.service".into());
    for line in [
        line(Action::CredentialSet, Who::User(0), None),
        line(Action::CredentialRead, unit(), None),
        line(Action::CredentialRead, unit(), Some("no grant")),
        line(Action::CredentialChange, Who::Daemon, None),
    ] {
        log.record(&line).unwrap();
    }
    let all = entries(&log);
    let told: Vec<_> = all
        .iter()
        .map(|entry| {
            let data = facts(entry);
            let words = ["event", "by"].map(|name| data.text(name).unwrap_or_default());
            (
                entry.text("entry_type").unwrap_or_default(),
                words,
                data.text("reason"),
            )
        })
        .collect();
    let (change, access) = ("credential_change", "credential_access");
    assert_eq!(
        told,
        [
            (change, ["set", "uid 0"], None),
            (access, ["issued", "unit db.service"], None),
            (access, ["denied", "unit db.service"], Some("no grant")),
            (change, ["changed", "quantumd"], None),
        ]
    );
    assert_eq!(log.verify().unwrap().findings, []);
}
