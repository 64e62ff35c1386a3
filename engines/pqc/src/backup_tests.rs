use super::*;
use proptest::prelude::*;

fn seed(byte: u8) -> Secret<32> {
    Secret::from_slice("seed", &[byte; 32]).unwrap()
}

fn key(algorithm: Algorithm, byte: u8) -> SecretKey {
    SecretKey::from_seed(algorithm, &seed(byte)).unwrap()
}

fn item(algorithm: Algorithm, byte: u8, versions: u32) -> Item {
    let version = |number: u32| ItemVersion {
        number,
        created_at: u64::from(number) * 10,
        seed: seed(byte + number as u8),
    };
    Item {
        id: [byte; 16],
        algorithm,
        owner: 1000,
        created_at: 7,
        label: format!("Schlüssel {byte}"),
        grants: vec![byte; usize::from(byte % 4)],
        versions: (1..=versions).map(version).collect(),
    }
}

fn items() -> Vec<Item> {
    let all = Algorithm::ALL.into_iter().enumerate();
    all.map(|(at, algorithm)| item(algorithm, 10 * at as u8 + 1, at as u32 % 3 + 1))
        .collect()
}

struct Case {
    recipient: SecretKey,
    signer: SecretKey,
    bytes: Vec<u8>,
}

fn sealed(items: &[Item]) -> Case {
    let (recipient, signer) = (key(RECIPIENT, 201), key(Algorithm::MlDsa87, 202));
    let bytes = seal(items, &recipient.public().unwrap(), &signer, [9; 16], 77).unwrap();
    Case {
        recipient,
        signer,
        bytes,
    }
}

impl Case {
    fn open(&self, bytes: &[u8]) -> Result<Vec<Item>, Error> {
        let signer = self.signer.public().unwrap();
        Backup::parse(bytes.to_vec())?.open(&self.recipient, &signer)
    }

    /// With the sum made right again, as who forges would.
    fn forged(&self, change: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<Item>, Error> {
        let mut bytes = self.bytes.clone();
        bytes.truncate(bytes.len() - SUM);
        change(&mut bytes);
        let sum = digest(&SHA256, &bytes);
        bytes.extend_from_slice(sum.as_ref());
        self.open(&bytes)
    }
}

#[test]
fn keys_of_every_algorithm_come_out_as_they_went_in() {
    let case = sealed(&items());
    assert_eq!(case.open(&case.bytes).unwrap(), items());
    let backup = Backup::parse(case.bytes.clone()).unwrap();
    assert_eq!((backup.id, backup.created_at), ([9; 16], 77));
    assert_eq!(backup.signer_algorithm, Algorithm::MlDsa87);
    let recipient = case.recipient.public().unwrap().fingerprint();
    assert_eq!(backup.recipient, recipient);
    for item in items() {
        for version in item.versions {
            let seed = &version.seed.expose()[..];
            let shown = case.bytes.windows(32).any(|window| window == seed);
            assert!(!shown, "a seed is in the clear");
        }
    }
    assert!(!String::from_utf8_lossy(&case.bytes).contains("Schlüssel"));
    // Sealed twice it is another one: the encapsulation is fresh.
    let (again, none) = (sealed(&items()), sealed(&[]));
    assert_ne!(again.bytes[98..], case.bytes[98..]);
    assert_eq!(none.open(&none.bytes).unwrap(), []);
}

#[test]
fn hybrid_signers_sign_too_and_others_can_not() {
    let recipient = key(RECIPIENT, 1);
    let public = recipient.public().unwrap();
    let hybrid = key(Algorithm::Ed25519MlDsa87, 2);
    let bytes = seal(&items(), &public, &hybrid, [1; 16], 0).unwrap();
    let backup = Backup::parse(bytes).unwrap();
    let opened = backup.open(&recipient, &hybrid.public().unwrap());
    assert_eq!(opened.unwrap(), items());
    let wrong = |recipient: &SecretKey, signer: &SecretKey| {
        let public = recipient.public().unwrap();
        matches!(
            seal(&[], &public, signer, [1; 16], 0),
            Err(Error::WrongKind { .. })
        )
    };
    assert!(wrong(&recipient, &key(Algorithm::HmacSha512, 3)));
    assert!(wrong(&key(Algorithm::MlKem1024, 3), &hybrid));
}

/// Each cause has an error of its own, and none gives a key.
#[test]
fn wrong_keys_damage_and_forgery_are_told_apart() {
    let case = sealed(&items());
    let signer = case.signer.public().unwrap();
    let backup = Backup::parse(case.bytes.clone()).unwrap();
    let other = key(Algorithm::MlDsa87, 203);
    for other in [&other, &key(Algorithm::Ed25519MlDsa87, 202)] {
        let refused = backup.open(&case.recipient, &other.public().unwrap());
        assert!(matches!(refused, Err(Error::OtherSigner { .. })));
    }
    let refused = backup.open(&key(RECIPIENT, 204), &signer);
    assert!(matches!(refused, Err(Error::OtherRecipient { .. })));

    for len in (0..case.bytes.len()).step_by(97).chain([1, 3, 4, 7, 8]) {
        let refused = case.open(&case.bytes[..len]).unwrap_err();
        let Error::Truncated { want, got, .. } = refused else {
            panic!("{len}: {refused}");
        };
        assert!(got == len && want > len);
    }
    let long = [&case.bytes[..], b"x"].concat();
    assert_eq!(
        case.open(&long).unwrap_err().to_string(),
        "malformed backup: bytes after its end"
    );

    type Kind = fn(&Error) -> bool;
    let cases: [(usize, Kind); 4] = [
        (0, |e| matches!(e, Error::Malformed { .. })),
        (3, |e| matches!(e, Error::UnknownVersion { .. })),
        (4, |e| matches!(e, Error::TooLong { .. })),
        (6, |e| matches!(e, Error::Truncated { .. })),
    ];
    for (at, kind) in cases {
        let mut bytes = case.bytes.clone();
        bytes[at] ^= 0x80;
        let error = case.open(&bytes).unwrap_err();
        assert!(kind(&error), "{at}: {error}");
    }
    for at in (8..case.bytes.len()).step_by(61) {
        let mut bytes = case.bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        assert_eq!(case.open(&bytes), Err(altered("check sum")), "byte {at}");
    }
    // Who makes the sum right again still has no signature.
    for at in [8, 24, 66, 98, 500, 1698, 1800, case.bytes.len() - SUM - 1] {
        let refused = case.forged(|bytes| bytes[at] ^= 4);
        assert_eq!(refused, Err(altered("signature")), "byte {at}");
    }
    let refused = case.forged(|bytes| bytes[34] ^= 4);
    assert!(matches!(refused, Err(Error::OtherSigner { .. })));
    let refused = case.forged(|bytes| bytes[33] = 2);
    assert!(matches!(refused, Err(Error::OtherSigner { .. })));
    let refused = case.forged(|bytes| bytes[33] = 7);
    assert!(matches!(refused, Err(Error::WrongKind { .. })));
    let refused = case.forged(|bytes| bytes[33] = 99);
    assert!(matches!(refused, Err(Error::UnknownAlgorithm(_))));
    // Another signer can not pass somebody else's sealed contents on as their own either way: the
    // header that names the signer is associated data of the contents.
    let (signed, _) = backup.parts().unwrap();
    let mut taken = signed.to_vec();
    taken[34..66].copy_from_slice(&other.public().unwrap().fingerprint());
    let signature = other.sign(&taken, DOMAIN).unwrap();
    taken.extend_from_slice(&signature);
    let sum = digest(&SHA256, &taken);
    taken.extend_from_slice(sum.as_ref());
    let refused = Backup::parse(taken)
        .unwrap()
        .open(&case.recipient, &other.public().unwrap());
    assert_eq!(refused, Err(Error::NotAuthentic("backup")));
}

#[test]
fn contents_are_strict() {
    let good = contents::encode(&items()).unwrap();
    assert_eq!(contents::decode(&good).unwrap(), items());
    for len in 0..good.len() {
        assert!(contents::decode(&good[..len]).is_err(), "{len}");
    }
    assert!(contents::decode(&[&good[..], b"x"].concat()).is_err());
    let one = |change: fn(&mut Item)| {
        let mut item = item(Algorithm::HmacSha512, 1, 2);
        change(&mut item);
        contents::encode(&[item]).and_then(|bytes| contents::decode(&bytes))
    };
    assert_eq!(one(|_| ()).unwrap().len(), 1);
    for (change, words) in [
        ((|i| i.versions.clear()) as fn(&mut Item), "no versions"),
        (|i| i.versions.reverse(), "do not rise"),
        (|i| i.versions[0].number = 0, "do not rise"),
        (|i| i.label = "x".repeat(1025), "1025 bytes"),
    ] {
        let error = one(change).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let twice = [
        item(Algorithm::HmacSha512, 1, 1),
        item(Algorithm::Aes256Gcm, 1, 1),
    ];
    let error = contents::decode(&contents::encode(&twice).unwrap()).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
    // A seed and a public key that do not belong together.
    let first = 4 + 40 + items()[0].label.len() + items()[0].grants.len() + 12;
    for at in [first, first + 32, good.len() - 1] {
        let mut swapped = good.to_vec();
        swapped[at] ^= 1;
        let refused = contents::decode(&swapped);
        assert!(matches!(refused, Err(Error::NotAuthentic(_))), "byte {at}");
    }
}

/// Made by the first release that had backups: what was backed up then is read for ever.
#[test]
fn a_backup_of_format_1_opens() {
    let bytes = include_bytes!("../tests/backup-v1.bin");
    let (recipient, signer) = (key(RECIPIENT, 201), key(Algorithm::MlDsa87, 202));
    let backup = Backup::parse(bytes.to_vec()).unwrap();
    let opened = backup.open(&recipient, &signer.public().unwrap()).unwrap();
    assert_eq!(opened, items());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_are_taken_for_contents_that_are_not(bytes: Vec<u8>) {
        if let Ok(items) = contents::decode(&bytes) {
            prop_assert_eq!(&contents::encode(&items).unwrap()[..], &bytes[..]);
        }
        prop_assert!(Backup::parse(bytes).is_err());
    }
}
