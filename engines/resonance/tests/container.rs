//! The laws of containers: only the waveform opens, everybody verifies, and every change to header,
//! signature, data or history is seen and named.
#![allow(clippy::panic, clippy::unwrap_used)]

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use proptest::prelude::*;
use quantumos_resonance::Error;
use quantumos_resonance::container::{
    Broken, CONTEXT, Details, Front, Id, METADATA_MAX, Manager, Seal, Signer, Verifier,
    estimate_entropy, random_waveform,
};
use quantumos_resonance::stream::Cost;
use std::collections::BTreeMap;

const CHEAP: Cost = Cost {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};
const WAVE: [f64; 4] = [
    0.637_421_973_225_814_7,
    -0.172_938_402_341_918_2,
    0.918_273_645_546_372_8,
    0.0,
];

/// Real signatures of another kind than quantumd's: the engine does not care which.
struct Author(Ed25519KeyPair);

impl Author {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }
}

impl Signer for Author {
    fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.0.sign(&[CONTEXT, message].concat()).as_ref().to_vec())
    }
}

struct Ed25519;

impl Verifier for Ed25519 {
    fn verify(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, public_key)
            .verify(&[CONTEXT, message].concat(), signature)
            .is_ok()
    }
}

fn details(parent: Option<Id>, time: u64) -> Details {
    Details {
        parent,
        time,
        author: "Ada".into(),
        metadata: BTreeMap::from([("kind".into(), "report".into()), ("n".into(), "7".into())]),
    }
}

fn seal(data: &[u8], details: Details) -> (Front, Vec<u8>) {
    let author = Author::new(1);
    let mut body = Vec::new();
    let mut seal = Seal::new(&WAVE, false, CHEAP, details, author.public_key(), &mut body).unwrap();
    let room = seal.front_len(64);
    for piece in data.chunks(10_000) {
        seal.push(piece, &mut body).unwrap();
    }
    let unsigned = seal.finish(&mut body).unwrap();
    let front = unsigned.sign(&author, &Ed25519).unwrap();
    assert_eq!(front.to_bytes().len(), room);
    (front, body)
}

fn unlock(front: &Front, waveform: &[f64], body: &[u8]) -> Result<Vec<u8>, Error> {
    let mut unlocked = front.unlock(waveform)?;
    let mut out = Vec::new();
    for piece in body.chunks(7777) {
        unlocked.push(piece, &mut out)?;
    }
    unlocked.finish(&mut out)?;
    Ok(out)
}

fn body_check(front: &Front, body: &[u8]) -> Result<(), Error> {
    let mut check = front.body_check();
    body.chunks(999).for_each(|piece| check.push(piece));
    check.finish()
}

#[test]
fn what_is_sealed_opens_with_its_waveform_only() {
    for len in [0, 1, 65_536, 200_001] {
        let data: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let (front, body) = seal(&data, details(None, 5));
        let front = Front::from_bytes(&front.to_bytes()).unwrap();
        assert!(front.verify(&Ed25519).is_ok());
        assert_eq!(front.body_len(), body.len() as u64);
        assert_eq!(unlock(&front, &WAVE, &body).unwrap(), data);
        assert_eq!(body_check(&front, &body), Ok(()));
    }
    let (front, body) = seal(b"data", details(None, 5));
    assert_eq!(front.details(), &details(None, 5));
    assert!(!front.weak() && front.entropy() >= 64);
    assert!(front.verify_coherence(&WAVE).unwrap());
    let mut minus_zero = WAVE;
    minus_zero[3] = -0.0;
    assert!(front.verify_coherence(&minus_zero).unwrap());
    let mut swapped = WAVE;
    swapped.swap(0, 2);
    let mut near = WAVE;
    near[1] = near[1].next_up();
    let longer = [&WAVE[..], &[0.0]].concat();
    for other in [&swapped[..], &near, &longer, &WAVE[..3], &[]] {
        assert!(!front.verify_coherence(other).unwrap());
        assert_eq!(
            unlock(&front, other, &body),
            Err(Error::WrongKey("waveform"))
        );
    }
    let bad = [0.5, f64::NAN];
    let not_finite = Error::NotFinite {
        what: "waveform",
        index: 1,
    };
    assert_eq!(front.verify_coherence(&bad), Err(not_finite));
}

#[test]
fn weak_waveforms_are_refused_unless_insisted_on_and_marked() {
    let weak = [0.1, 0.5, 0.9, 0.5, 0.1];
    let seal = |insist| {
        let author = Author::new(1);
        let key = author.public_key();
        Seal::new(
            &weak,
            insist,
            CHEAP,
            Details::default(),
            key,
            &mut Vec::new(),
        )
        .map(|seal| {
            seal.finish(&mut Vec::new())
                .unwrap()
                .sign(&author, &Ed25519)
                .unwrap()
        })
    };
    assert!(matches!(
        seal(false),
        Err(Error::Weak {
            bits: 0..20,
            need: 64
        })
    ));
    let front = seal(true).unwrap();
    assert!(front.weak() && front.entropy() < 20);
    // The mark is signed: it can't be taken off.
    let mut bytes = front.to_bytes();
    assert_eq!(bytes[9], 1);
    bytes[9] = 0;
    let taken_off = Front::from_bytes(&bytes).unwrap();
    assert_eq!(
        taken_off.verify(&Ed25519),
        Err(Error::BadSignature("container"))
    );
}

#[test]
fn every_flipped_bit_of_the_front_is_seen() {
    let (front, _) = seal(b"data", details(Some(Id([3; 32])), 5));
    let bytes = front.to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        if let Ok(parsed) = Front::from_bytes(&bad) {
            assert_eq!(parsed.to_bytes(), bad);
            assert_eq!(
                parsed.verify(&Ed25519),
                Err(Error::BadSignature("container")),
                "byte {}",
                bit / 8
            );
        }
    }
    for at in 0..bytes.len() {
        assert!(matches!(
            Front::from_bytes(&bytes[..at]),
            Err(Error::Truncated { .. })
        ));
    }
    assert!(Front::from_bytes(&[&bytes[..], b"x"].concat()).is_err());
    assert!(matches!(
        Front::from_bytes(b"QSCX..."),
        Err(Error::Foreign(_))
    ));
    assert!(matches!(
        Front::len(b"QSCT\x02"),
        Err(Error::UnknownVersion { version: 2, .. })
    ));
    assert!(matches!(
        Front::len(b"QSCT\x01\xff\xff\xff\xff"),
        Err(Error::TooLong { .. })
    ));
}

#[test]
fn the_data_are_those_that_were_signed() {
    let data = vec![7; 150_000];
    let (front, body) = seal(&data, details(None, 5));
    for at in (0..body.len()).step_by(6007) {
        let mut bad = body.clone();
        bad[at] ^= 1;
        assert_eq!(body_check(&front, &bad), Err(Error::Damaged("container")));
        assert!(unlock(&front, &WAVE, &bad).is_err());
    }
    let cut = &body[..body.len() - 5];
    assert!(matches!(
        body_check(&front, cut),
        Err(Error::Truncated { .. })
    ));
    assert!(unlock(&front, &WAVE, cut).is_err());
    let longer = [&body[..], b"x"].concat();
    assert!(matches!(
        body_check(&front, &longer),
        Err(Error::Length { .. })
    ));
    assert!(unlock(&front, &WAVE, &longer).is_err());
    // The data of another container under the same waveform are strangers.
    let (_, other) = seal(&data, details(None, 5));
    assert_eq!(body_check(&front, &other), Err(Error::Damaged("container")));
    assert!(matches!(
        unlock(&front, &WAVE, &other),
        Err(Error::WrongKey(_))
    ));
}

#[test]
fn chains_verify_without_opening() {
    let (first, _) = seal(b"1", details(None, 10));
    let (second, _) = seal(b"2", details(Some(first.id()), 20));
    let (third, _) = seal(b"3", details(Some(second.id()), 20));
    let mut manager = Manager::new();
    for front in [&first, &second, &third, &first] {
        assert_eq!(manager.register(front.clone(), &Ed25519), Ok(front.id()));
    }
    assert_eq!(manager.iter().count(), 3);
    assert_eq!(manager.get(second.id()), Some(&second));
    let chain = manager.verify_chain(third.id(), &Ed25519).unwrap();
    assert_eq!(chain, [third.id(), second.id(), first.id()]);
    let orphan = seal(b"4", details(Some(Id([9; 32])), 30)).0;
    manager.register(orphan.clone(), &Ed25519).unwrap();
    assert_eq!(
        manager.verify_chain(orphan.id(), &Ed25519),
        Err(Broken::Missing(Id([9; 32])))
    );
    let early = seal(b"5", details(Some(third.id()), 19)).0;
    manager.register(early.clone(), &Ed25519).unwrap();
    assert_eq!(
        manager.verify_chain(early.id(), &Ed25519),
        Err(Broken::Time(early.id()))
    );
    assert!(matches!(
        manager.verify_chain(Id([0; 32]), &Ed25519),
        Err(Broken::Missing(_))
    ));
    // What isn't signed isn't registered, and what no longer verifies breaks the chain.
    struct Nobody;
    impl Verifier for Nobody {
        fn verify(&self, _: &[u8], _: &[u8], _: &[u8]) -> bool {
            false
        }
    }
    assert!(manager.register(first.clone(), &Nobody).is_err());
    assert_eq!(
        manager.verify_chain(third.id(), &Nobody),
        Err(Broken::Signature(third.id()))
    );
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let (author, other) = (Author::new(1), Author::new(2));
    let unsigned = || {
        let key = author.public_key();
        Seal::new(&WAVE, false, CHEAP, details(None, 1), key, &mut Vec::new())
            .unwrap()
            .finish(&mut Vec::new())
            .unwrap()
    };
    assert!(unsigned().sign(&other, &Ed25519).is_err());
    let signature = other.sign(&unsigned().message()).unwrap();
    assert!(unsigned().with_signature(signature, &Ed25519).is_err());
    // Another container's signature does not fit either, since the salt differs.
    let signature = author.sign(&unsigned().message()).unwrap();
    assert!(unsigned().with_signature(signature, &Ed25519).is_err());
}

#[test]
fn random_waveforms_are_strong_and_new() {
    let (a, b) = (random_waveform(8).unwrap(), random_waveform(8).unwrap());
    assert_ne!(a, b);
    assert!(a.iter().all(|x| (-1.0..1.0).contains(x)));
    assert!(estimate_entropy(&a) > 300);
    assert!(random_waveform(5000).is_err());
}

#[test]
fn limits_and_ids_are_checked() {
    let author = Author::new(1);
    let start = |details| {
        Seal::new(
            &WAVE,
            false,
            CHEAP,
            details,
            author.public_key(),
            &mut Vec::new(),
        )
        .map(drop)
    };
    let big = Details {
        metadata: BTreeMap::from([("k".into(), "v".repeat(METADATA_MAX))]),
        ..Details::default()
    };
    assert!(matches!(
        start(big),
        Err(Error::TooLong {
            what: "metadata",
            ..
        })
    ));
    let long = Details {
        author: "a".repeat(256),
        ..Details::default()
    };
    assert!(matches!(start(long), Err(Error::TooLong { .. })));
    let id = seal(b"", details(None, 1)).0.id();
    assert_eq!(id.to_string().parse(), Ok(id));
    for bad in ["", "12", &"g".repeat(64), &"+1".repeat(32)] {
        assert!(bad.parse::<Id>().is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_parse_to_themselves(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        at in any::<prop::sample::Index>(),
    ) {
        prop_assert!(Front::from_bytes(&bytes).is_err());
        let mut front = BASE.with(Clone::clone);
        for (i, byte) in bytes.iter().take(6).enumerate() {
            let at = (at.index(front.len()) + i) % front.len();
            front[at] = *byte;
        }
        if let Ok(parsed) = Front::from_bytes(&front) {
            prop_assert_eq!(parsed.to_bytes(), front);
        }
    }
}

thread_local! {
    static BASE: Vec<u8> = seal(b"data", details(None, 1)).0.to_bytes();
}
