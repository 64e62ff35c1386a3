//! The keyring over a real store, mostly under software protection; TPMs have tests of their own.

use super::usage::CACHED_KEYS;
use super::*;
use crate::audit::Who;
use crate::grant::{Operation, Operations, Subject};
use quantumos_pqc::Algorithm;
use std::path::Path;

fn software() -> Settings {
    let mut settings = Settings::default();
    settings.tpm.tcti = "device:/nonexistent/tpm".into();
    settings.protection.allow_software = true;
    settings
}

fn open(state: &Path, settings: Settings) -> (Keyring, Health) {
    let keyring = Keyring::new(state.to_owned(), settings);
    let health = keyring.bring_up();
    (keyring, health)
}

const ALGORITHM: Algorithm = Algorithm::MlDsa87;

#[test]
fn keys_survive_and_revoked_ones_stay_revoked() {
    let state = tempfile::tempdir().unwrap();
    let (keyring, health) = open(state.path(), software());
    assert_eq!(health.protection, Some(Protection::Software), "{health:?}");
    let kept = keyring.create(1000, ALGORITHM, "kept").unwrap();
    let gone = keyring.create(1000, ALGORITHM, "gone").unwrap();
    let before = keyring.sign(gone.id, b"m", b"").unwrap();
    keyring
        .revoke(gone.id, "lost laptop", &Who::User(0))
        .unwrap();
    let refused = |keyring: &Keyring| {
        let error = keyring.sign(gone.id, b"m", b"").unwrap_err();
        assert!(matches!(&error, Error::Revoked { reason, .. } if reason == "lost laptop"));
        assert!(matches!(
            keyring.revoke(gone.id, "again", &Who::User(0)),
            Err(Error::Revoked { .. })
        ));
    };
    refused(&keyring);
    drop(keyring);

    let (keyring, _) = open(state.path(), software());
    refused(&keyring);
    assert_eq!(keyring.records().len(), 2);
    let signature = keyring.sign(kept.id, b"m", b"ctx").unwrap();
    let valid = |record: &Record, s: &[u8], c: &[u8]| verify(record, None, b"m", s, c).unwrap();
    assert!(valid(&kept, &signature, b"ctx"));
    assert!(!valid(&kept, &signature, b""));
    assert!(
        valid(&gone, &before, b""),
        "old signatures of revoked keys still verify"
    );
}

#[test]
fn software_needs_permission_each_time() {
    let state = tempfile::tempdir().unwrap();
    let mut forbidden = software();
    forbidden.protection.allow_software = false;
    let (keyring, health) = open(state.path(), forbidden.clone());
    assert!(
        health
            .root
            .unwrap()
            .contains("no TPM at device:/nonexistent/tpm")
    );
    assert!(matches!(
        keyring.create(0, ALGORITHM, ""),
        Err(Error::Locked(_))
    ));
    assert!(!vault::root_path(state.path()).exists());

    let (keyring, _) = open(state.path(), software());
    keyring.create(0, ALGORITHM, "").unwrap();
    let (keyring, health) = open(state.path(), forbidden);
    assert!(health.root.unwrap().contains("allow-software"));
    let id = keyring.records()[0].id;
    assert!(matches!(keyring.sign(id, b"", b""), Err(Error::Locked(_))));
    // And back, without a restart.
    keyring.reconfigure(software());
    assert_eq!(keyring.bring_up().root, None);
    keyring.sign(id, b"", b"").unwrap();
}

#[test]
fn lost_or_foreign_files_are_refused() {
    let lost = |lose: &dyn Fn(&Path)| {
        let state = tempfile::tempdir().unwrap();
        open(state.path(), software())
            .0
            .create(0, ALGORITHM, "")
            .unwrap();
        lose(state.path());
        let (keyring, health) = open(state.path(), software());
        assert!(matches!(
            keyring.create(0, ALGORITHM, ""),
            Err(Error::Locked(_) | Error::Closed(_))
        ));
        health.store.or(health.root).unwrap()
    };
    let remove = |name: &'static str| move |s: &Path| std::fs::remove_file(s.join(name)).unwrap();
    assert!(lost(&remove("root.sealed")).contains("root.sealed is missing"));
    assert!(lost(&remove("host.key")).contains("host.key: entity not found"));
    assert!(lost(&remove("keys.sqlite")).contains("keys.sqlite is missing or empty"));
    let write = |name: &'static str, bytes: &'static [u8]| {
        move |s: &Path| std::fs::write(s.join(name), bytes).unwrap()
    };
    assert!(lost(&write("host.key", &[7; 32])).contains("not the host key"));
    assert!(lost(&write("root.sealed", b"QROOT")).contains("root.sealed: truncated"));
    assert!(lost(&write("keys.sqlite", &[1; 8192])).contains("not a database"));
    // Another host's root key, with its host key.
    let other = tempfile::tempdir().unwrap();
    open(other.path(), software());
    let swap = |state: &Path| {
        for name in ["root.sealed", "host.key"] {
            std::fs::copy(other.path().join(name), state.join(name)).unwrap();
        }
    };
    assert!(lost(&swap).contains("another root key"));
    use std::os::unix::fs::PermissionsExt;
    let open_mode = |s: &Path| {
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(s.join("host.key"), mode).unwrap();
    };
    assert!(lost(&open_mode).contains("mode has to be 0600"));
}

#[test]
fn limits_hold_and_other_owners_have_their_own() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = software();
    settings.keys.per_owner = 2;
    let (keyring, _) = open(state.path(), settings);
    let first = keyring.create(1, ALGORITHM, "").unwrap();
    keyring.create(1, ALGORITHM, "").unwrap();
    assert!(matches!(
        keyring.create(1, ALGORITHM, ""),
        Err(Error::TooManyKeys { owner: 1, limit: 2 })
    ));
    keyring.create(2, ALGORITHM, "").unwrap();
    keyring.revoke(first.id, "", &Who::User(0)).unwrap();
    keyring.create(1, ALGORITHM, "").unwrap();
}

#[test]
fn a_key_given_to_another_owner_in_the_file_does_not_load() {
    let state = tempfile::tempdir().unwrap();
    let id = open(state.path(), software())
        .0
        .create(1000, ALGORITHM, "")
        .unwrap()
        .id;
    let connection = rusqlite::Connection::open(Store::path_in(state.path())).unwrap();
    connection
        .execute("UPDATE keys SET owner = 1001", [])
        .unwrap();
    drop(connection);
    let (keyring, _) = open(state.path(), software());
    let error = keyring.sign(id, b"m", b"").unwrap_err();
    assert!(
        matches!(error, Error::Crypto(quantumos_pqc::Error::NotAuthentic(_))),
        "{error}"
    );
}

#[test]
fn more_keys_than_the_cache_holds_all_sign() {
    let state = tempfile::tempdir().unwrap();
    let (keyring, _) = open(state.path(), software());
    let ids: Vec<_> = (0..CACHED_KEYS + 3)
        .map(|_| keyring.create(1, ALGORITHM, "").unwrap().id)
        .collect();
    for id in ids {
        keyring.sign(id, b"m", b"").unwrap();
    }
    assert!(lock(&keyring.cache).len() <= CACHED_KEYS);
}

#[test]
fn new_versions_sign_and_old_ones_still_verify_and_open() {
    let state = tempfile::tempdir().unwrap();
    let who = Who::User(1);
    let (keyring, _) = open(state.path(), software());
    let signer = keyring.create(1, ALGORITHM, "").unwrap();
    let mac = keyring.create(1, Algorithm::HmacSha512, "").unwrap();
    let kem = keyring.create(1, Algorithm::X25519MlKem1024, "").unwrap();
    let old = keyring.sign(signer.id, b"m", b"").unwrap();
    let old_tag = keyring.sign(mac.id, b"m", b"").unwrap();
    let (ciphertext, secret) = kem.versions[0].public.encapsulate().unwrap();
    for id in [signer.id, mac.id, kem.id] {
        assert_eq!(keyring.rotate(id, &who).unwrap().version(), 2);
    }
    drop(keyring);
    let (keyring, _) = open(state.path(), software());
    let record = keyring.record(signer.id).unwrap();
    let new = keyring.sign(signer.id, b"m", b"").unwrap();
    let ok = |version, signature: &[u8]| verify(&record, version, b"m", signature, b"").unwrap();
    assert!(ok(None, &old) && ok(None, &new));
    assert!(ok(Some(1), &old) && !ok(Some(1), &new));
    assert!(ok(Some(2), &new) && !ok(Some(2), &old));
    assert!(matches!(
        verify(&record, Some(3), b"m", &new, b""),
        Err(Error::NoSuchVersion { version: 3, .. })
    ));
    let tag_ok = |version| {
        keyring
            .verify_mac(mac.id, version, b"m", &old_tag, b"")
            .unwrap()
    };
    assert!(tag_ok(None) && tag_ok(Some(1)) && !tag_ok(Some(2)));
    assert_eq!(
        keyring.decapsulate(kem.id, Some(1), &ciphertext).unwrap(),
        secret
    );
    assert_ne!(
        keyring.decapsulate(kem.id, None, &ciphertext).unwrap(),
        secret
    );
    // All of it stays so under another key encryption key and another root key.
    assert_eq!(keyring.rotate_kek().unwrap(), 2);
    keyring.reseal(None, None).unwrap();
    assert_eq!(keyring.kek_version(), 3);
    drop(keyring);
    let (keyring, _) = open(state.path(), software());
    assert_eq!(keyring.kek_version(), 3);
    assert_eq!(
        keyring.decapsulate(kem.id, Some(1), &ciphertext).unwrap(),
        secret
    );
    assert!(
        keyring
            .verify_mac(mac.id, None, b"m", &old_tag, b"")
            .unwrap()
    );
}

#[test]
fn what_a_revoked_key_was_granted_stays_authentic_under_another_root_key() {
    let state = tempfile::tempdir().unwrap();
    let (keyring, _) = open(state.path(), software());
    let (who, sign) = (Who::User(1), Operations::of(&["sign"]).unwrap());
    let id = keyring.create(1, ALGORITHM, "").unwrap().id;
    keyring.grant(id, Subject::User(5), sign, &who).unwrap();
    keyring.revoke(id, "as tested", &who).unwrap();
    keyring.reseal(None, None).unwrap();
    keyring.rotate_kek().unwrap();
    drop(keyring);
    let (keyring, _) = open(state.path(), software());
    let record = keyring.record(id).unwrap();
    assert_eq!(keyring.grants(&record).unwrap().len(), 1);
    assert!(keyring.sign(id, b"m", b"").is_err());
}

#[test]
fn grants_authenticate_and_forged_ones_do_not_count() {
    let state = tempfile::tempdir().unwrap();
    let (keyring, _) = open(state.path(), software());
    let who = Who::User(1);
    let (mine, other) = (
        keyring.create(1, ALGORITHM, "").unwrap(),
        keyring.create(1, ALGORITHM, "").unwrap(),
    );
    let sign = Operations::of(&["sign"]).unwrap();
    let group = Subject::Group(7);
    for subject in [Subject::User(5), group.clone(), Subject::User(5)] {
        keyring.grant(mine.id, subject, sign, &who).unwrap();
    }
    keyring
        .grant(other.id, Subject::User(9), sign, &who)
        .unwrap();
    keyring.ungrant(mine.id, &group, &who).unwrap();
    assert!(keyring.ungrant(mine.id, &group, &who).is_err());
    keyring.reseal(None, None).unwrap();
    drop(keyring);
    let reopen = || open(state.path(), software()).0;
    let list = |keyring: &Keyring| keyring.grants(&keyring.record(mine.id).unwrap());
    let grants = list(&reopen()).unwrap();
    assert_eq!(grants.len(), 1);
    assert!(grants[0].subject == Subject::User(5));
    assert!(grants[0].operations.contains(Operation::Sign));
    // Somebody who can write to the file gives this key the grants of the other one, or none at all.
    for sql in [
        "UPDATE keys SET grants = o.grants, grants_tag = o.grants_tag FROM keys AS o
         WHERE keys.id = ?1 AND o.id <> ?1",
        "UPDATE keys SET grants = x'', grants_tag = zeroblob(32) WHERE id = ?1",
    ] {
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(state.path()).unwrap() {
            let from = entry.unwrap().path();
            std::fs::copy(&from, copy.path().join(from.file_name().unwrap())).unwrap();
        }
        let connection = rusqlite::Connection::open(Store::path_in(copy.path())).unwrap();
        assert_eq!(connection.execute(sql, [mine.id.0]).unwrap(), 1);
        drop(connection);
        let error = list(&open(copy.path(), software()).0).unwrap_err();
        assert!(error.to_string().contains("list of grants"), "{error}");
    }
}
