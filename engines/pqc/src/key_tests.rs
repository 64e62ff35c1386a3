//! Laws of keys of every algorithm: what one half does the other undoes, nothing else does.

use super::*;

fn key(algorithm: Algorithm, byte: u8) -> SecretKey {
    let seed = Secret::from_slice("seed", &[byte; SEED_LEN]).unwrap();
    SecretKey::from_seed(algorithm, &seed).unwrap()
}

#[test]
fn signatures_verify_by_their_own_key_message_and_context() {
    for algorithm in [Algorithm::MlDsa87, Algorithm::Ed25519MlDsa87] {
        let (mine, other) = (key(algorithm, 1), key(algorithm, 2));
        let signature = mine.sign(b"message", b"ctx").unwrap();
        let public = mine.public().unwrap();
        let again = PublicHalf::from_bytes(algorithm, public.as_bytes()).unwrap();
        assert_eq!(again, public);
        let ok =
            |public: &PublicHalf, m: &[u8], s: &[u8], c: &[u8]| public.verify(m, s, c).unwrap();
        assert!(ok(&public, b"message", &signature, b"ctx"));
        assert!(!ok(&public, b"messagf", &signature, b"ctx"));
        assert!(!ok(&public, b"message", &signature, b""));
        assert!(!ok(
            &other.public().unwrap(),
            b"message",
            &signature,
            b"ctx"
        ));
        assert!(!ok(&public, b"message", &signature[1..], b"ctx"));
        assert!(!ok(&public, b"message", b"", b"ctx"));
        // Either part altered is enough.
        for at in [0, 63, 64, signature.len() - 1] {
            let mut altered = signature.clone();
            altered[at] ^= 1;
            assert!(!ok(&public, b"message", &altered, b"ctx"), "byte {at}");
        }
        assert!(mine.sign(b"m", &[0; 256]).is_err());
        assert!(public.verify(b"m", &signature, &[0; 256]).is_err());
    }
}

#[test]
fn a_part_of_a_hybrid_signature_stands_for_nothing() {
    let hybrid = key(Algorithm::Ed25519MlDsa87, 1);
    let signature = hybrid.sign(b"message", b"").unwrap();
    let public = hybrid.public().unwrap();
    let lattice = PublicHalf::from_bytes(Algorithm::MlDsa87, &public.as_bytes()[32..]).unwrap();
    assert!(!lattice.verify(b"message", &signature[64..], b"").unwrap());
    // Nor does one of another message fit in.
    let other = hybrid.sign(b"another", b"").unwrap();
    let mixed = [&signature[..64], &other[64..]].concat();
    assert!(!public.verify(b"message", &mixed, b"").unwrap());
    assert!(!public.verify(b"another", &mixed, b"").unwrap());
}

#[test]
fn secrets_arrive_where_they_were_sent() {
    for (algorithm, len) in [
        (Algorithm::MlKem1024, 1568),
        (Algorithm::X25519MlKem1024, 1600),
    ] {
        let (mine, other) = (key(algorithm, 1), key(algorithm, 2));
        let public = mine.public().unwrap();
        assert_eq!(public.as_bytes().len(), len);
        let (ciphertext, secret) = public.encapsulate().unwrap();
        assert_eq!(ciphertext.len(), len);
        assert_eq!(mine.decapsulate(&ciphertext).unwrap(), secret);
        assert_ne!(other.decapsulate(&ciphertext).unwrap(), secret);
        assert_ne!(public.encapsulate().unwrap().1, secret);
        for at in [0, 40, len - 1] {
            let mut altered = ciphertext.clone();
            altered[at] ^= 1;
            assert_ne!(mine.decapsulate(&altered).unwrap(), secret, "byte {at}");
        }
        assert!(mine.decapsulate(&ciphertext[1..]).is_err());
    }
}

#[test]
fn a_point_of_low_order_is_refused() {
    let hybrid = key(Algorithm::X25519MlKem1024, 1);
    let (mut ciphertext, _) = hybrid.public().unwrap().encapsulate().unwrap();
    ciphertext[..32].fill(0);
    assert!(
        hybrid
            .decapsulate(&ciphertext)
            .unwrap_err()
            .to_string()
            .contains("low order")
    );
    let mut public = hybrid.public().unwrap().as_bytes().to_vec();
    public[..32].fill(0);
    let public = PublicHalf::from_bytes(Algorithm::X25519MlKem1024, &public).unwrap();
    assert!(public.encapsulate().is_err());
}

#[test]
fn macs_are_bound_to_key_message_and_context() {
    let (mine, other) = (key(Algorithm::HmacSha512, 1), key(Algorithm::HmacSha512, 2));
    let tag = mine.sign(b"message", b"c").unwrap();
    assert_eq!(tag.len(), 64);
    assert!(mine.verify_mac(b"message", &tag, b"c").unwrap());
    assert!(!other.verify_mac(b"message", &tag, b"c").unwrap());
    assert!(!mine.verify_mac(b"message", &tag[..32], b"c").unwrap());
    // What moves from context to message is seen.
    assert!(!mine.verify_mac(b"cmessage", &tag, b"").unwrap());
    assert!(!mine.verify_mac(b"essage", &tag, b"cm").unwrap());
}

/// For each algorithm what it can do; anything else is an error that names both.
#[test]
fn an_algorithm_does_what_it_is_for_and_no_more() {
    for algorithm in Algorithm::ALL {
        let key = key(algorithm, 1);
        let public = key.public().unwrap();
        use crate::Kind::{Aead, Kem, Mac, Signature};
        let can = [
            (key.sign(b"", b"").map(drop), vec![Signature, Mac]),
            (key.verify_mac(b"", b"", b"").map(drop), vec![Mac]),
            (key.decapsulate(&[0; 1600]).map(drop), vec![]),
            (key.stream_secret().map(drop), vec![Aead]),
            (public.verify(b"", b"", b"").map(drop), vec![Signature]),
            (public.encapsulate().map(drop), vec![Kem]),
        ];
        for (done, kinds) in can {
            if kinds.contains(&algorithm.kind()) {
                done.unwrap();
            } else if let Err(error @ Error::WrongKind { .. }) = done {
                assert!(error.to_string().contains(algorithm.name()), "{error}");
            } else {
                assert_eq!(algorithm.kind(), Kem, "{done:?}");
            }
        }
        let shown = format!("{key:?}");
        assert!(shown.contains("redacted") && shown.len() < 60, "{shown}");
    }
}

/// What is written on disks: seeds have to give the same keys for ever.
#[test]
fn a_seed_gives_the_same_key_for_ever() {
    let prints: Vec<String> = Algorithm::ALL
        .into_iter()
        .map(|algorithm| {
            let key = key(algorithm, 7);
            let shown = match &key.parts {
                Parts::Symmetric(secret) => secret.expose().to_vec(),
                _ => key.public().unwrap().as_bytes().to_vec(),
            };
            let hash = crate::boot_policy::sha256(&[&shown]);
            hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
        })
        .collect();
    assert_eq!(
        prints,
        [
            "9e1e8603", "2e48665f", "3cd2f62b", "4ef2bdfa", "a53342b0", "a6d78981", "8aac330e"
        ]
    );
}
