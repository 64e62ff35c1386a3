//! Laws of seed wrapping: what was wrapped comes back under the same key and binding only, and
//! nothing that was altered, cut or made up gets through or panics.

use super::*;
use crate::RootKey;
use proptest::prelude::*;

fn binding(policy: &[u8]) -> Binding {
    Binding {
        id: *b"0123456789abcdef",
        algorithm: Algorithm::MlDsa87,
        version: 1,
        policy: policy.to_vec(),
    }
}

fn kek(root: u8, version: u32) -> Kek {
    let root = Secret::from_slice("root", &[root; 32]).unwrap();
    RootKey::new(root).kek(version).unwrap()
}

fn seed() -> Secret<SEED_LEN> {
    Secret::from_slice("seed", &[0x77; SEED_LEN]).unwrap()
}

#[test]
fn round_trip() {
    for policy in [&b""[..], b"p", &[9; POLICY_MAX]] {
        let wrapped = kek(1, 3).wrap(binding(policy), &seed()).unwrap();
        let parsed = WrappedSeed::from_bytes(&wrapped.to_bytes()).unwrap();
        assert_eq!(parsed, wrapped);
        assert_eq!(kek(1, 3).unwrap(&parsed, &binding(policy)).unwrap(), seed());
    }
    assert!(
        kek(1, 1)
            .wrap(binding(&[0; POLICY_MAX + 1]), &seed())
            .is_err()
    );
}

#[test]
fn opens_under_its_own_key_and_binding_only() {
    let wrapped = kek(1, 3).wrap(binding(b"p"), &seed()).unwrap();
    assert_eq!(
        kek(1, 4).unwrap(&wrapped, &binding(b"p")),
        Err(Error::KekVersion { found: 3, have: 4 })
    );
    assert_eq!(
        kek(2, 3).unwrap(&wrapped, &binding(b"p")),
        Err(Error::NotAuthentic("wrapped seed"))
    );
    let mut others = vec![binding(b"q"), binding(b""), binding(b"p"), binding(b"p")];
    others[2].id[0] ^= 1;
    others[3].version = 2;
    for other in others {
        assert_eq!(
            kek(1, 3).unwrap(&wrapped, &other),
            Err(Error::NotAuthentic("wrapped seed")),
            "{other:?}"
        );
    }
}

#[test]
fn every_flipped_bit_and_every_truncation_is_seen() {
    let good = kek(1, 1)
        .wrap(binding(b"policy"), &seed())
        .unwrap()
        .to_bytes();
    let open = |bytes: &[u8]| {
        WrappedSeed::from_bytes(bytes).and_then(|w| kek(1, 1).unwrap(&w, &binding(b"policy")))
    };
    assert!(open(&good).is_ok());
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&bad).is_err(), "bit {bit}");
    }
    for len in 0..good.len() {
        assert!(open(&good[..len]).is_err(), "length {len}");
    }
    assert!(open(&[&good[..], &[0]].concat()).is_err());
}

#[test]
fn sealed_data_opens_under_its_own_key_domain_and_facts_only() {
    let sealed = kek(1, 3).seal("d", &[b"ab", b"c"], b"data").unwrap();
    let open = |kek: Kek, domain, facts: &[&[u8]], sealed: &[u8]| kek.open(domain, facts, sealed);
    let good = open(kek(1, 3), "d", &[b"ab", b"c"], &sealed).unwrap();
    assert_eq!(*good, b"data");
    assert!(open(kek(1, 4), "d", &[b"ab", b"c"], &sealed).is_err());
    assert!(open(kek(2, 3), "d", &[b"ab", b"c"], &sealed).is_err());
    assert!(open(kek(1, 3), "e", &[b"ab", b"c"], &sealed).is_err());
    assert!(open(kek(1, 3), "d", &[b"a", b"bc"], &sealed).is_err());
    for len in 0..sealed.len() {
        assert!(open(kek(1, 3), "d", &[b"ab", b"c"], &sealed[..len]).is_err());
    }
    for bit in 0..sealed.len() * 8 {
        let mut bad = sealed.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(
            open(kek(1, 3), "d", &[b"ab", b"c"], &bad).is_err(),
            "bit {bit}"
        );
    }
}

proptest! {
    #[test]
    fn parser_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = WrappedSeed::from_bytes(&bytes);
    }

    #[test]
    fn parser_never_panics_past_the_magic(tail in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = WrappedSeed::from_bytes(&[b"QWS\x01", &tail[..]].concat());
    }

    #[test]
    fn what_parses_encodes_to_itself(
        kek_version: u32, version: u32, id: [u8; 16],
        policy in proptest::collection::vec(any::<u8>(), 0..64),
        rest in proptest::collection::vec(any::<u8>(), NONCE_LEN + SEALED_LEN),
    ) {
        let made = Binding { id, algorithm: Algorithm::MlDsa87, version, policy };
        let bytes = [header(kek_version, &made), rest].concat();
        let parsed = WrappedSeed::from_bytes(&bytes).unwrap();
        prop_assert_eq!(parsed.to_bytes(), bytes);
    }
}
