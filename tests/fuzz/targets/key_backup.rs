//! Backups of keys, in two ways: the file as it comes, and contents that the right signer sealed to the
//! right key. What opens is sealed again and opens to the same; nothing that was not signed opens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_pqc::backup::{Backup, RECIPIENT};
use quantumos_pqc::{Algorithm, Secret, SecretKey};
use std::sync::LazyLock;

fn key(algorithm: Algorithm, byte: u8) -> SecretKey {
    let seed = Secret::from_slice("seed", &[byte; 32]).expect("32 bytes");
    SecretKey::from_seed(algorithm, &seed).expect("a key")
}

static KEYS: LazyLock<(SecretKey, SecretKey)> =
    LazyLock::new(|| (key(RECIPIENT, 201), key(Algorithm::MlDsa87, 202)));
/// A good one, by the keys above.
const GOOD: &[u8] = include_bytes!("../../../engines/pqc/tests/backup-v1.bin");

fuzz_target!(|bytes: &[u8]| {
    let (recipient, signer) = &*KEYS;
    let public = signer.public().expect("a public key");
    if let Ok(backup) = Backup::parse(bytes.to_vec()) {
        let opened = backup.open(recipient, &public);
        assert!(opened.is_err() || bytes == GOOD);
    }
    let Ok(items) = quantumos_pqc::backup::contents(bytes) else {
        return;
    };
    let to = recipient.public().expect("a public key");
    let sealed = quantumos_pqc::backup::seal(&items, &to, signer, [1; 16], 2).expect("it seals");
    let opened = Backup::parse(sealed).expect("it parses").open(recipient, &public);
    assert_eq!(opened.expect("it opens"), items);
});
