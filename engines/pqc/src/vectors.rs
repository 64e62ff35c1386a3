//! The primitives against Wycheproof: HKDF, HMAC, AES-256-GCM, Ed25519, X25519 and ML-KEM-1024.
//! XChaCha20-Poly1305 and the streams made of it are engines/resonance's, and tested there.

use crate::Secret;
use crate::aws_lc::kem;
use crate::hybrid::exchange;
use crate::key::exactly;
use crate::root::{gcm, hkdf};
use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::agreement::{PrivateKey, X25519};
use aws_lc_rs::hkdf::{HKDF_SHA256, HKDF_SHA512};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;
use std::path::PathBuf;

fn load(name: &str) -> Option<Value> {
    let data = std::env::var_os("QUANTUMOS_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    match std::fs::read(data.join(name)) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(_) => {
            println!("skipped: no data {name}");
            None
        }
    }
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Calls `each` with group and test of every case, and says how many there were.
fn each_case(vectors: &Value, mut each: impl FnMut(&Value, &Value)) -> usize {
    let mut count = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            each(group, test);
            count += 1;
        }
    }
    assert_eq!(count as u64, vectors["numberOfTests"].as_u64().unwrap());
    count
}

fn valid(test: &Value) -> bool {
    test["result"] == "valid"
}

#[test]
fn hkdf_matches_wycheproof() {
    for (name, hash) in [
        ("wycheproof/hkdf_sha512_test.json", HKDF_SHA512),
        ("wycheproof/hkdf_sha256_test.json", HKDF_SHA256),
    ] {
        let Some(vectors) = load(name) else {
            return;
        };
        each_case(&vectors, |_, test| {
            let mut out = vec![0; test["size"].as_u64().unwrap() as usize];
            let (salt, ikm, info) = (hex(&test["salt"]), hex(&test["ikm"]), hex(&test["info"]));
            let done = hkdf(hash, &salt, &ikm, &[&info], &mut out);
            assert_eq!(done.is_ok(), valid(test), "{}", test["tcId"]);
            if done.is_ok() {
                assert_eq!(out, hex(&test["okm"]), "{}", test["tcId"]);
            }
        });
    }
}

#[test]
fn hmac_matches_wycheproof() {
    let Some(vectors) = load("wycheproof/hmac_sha512_test.json") else {
        return;
    };
    each_case(&vectors, |group, test| {
        let key = hmac::Key::new(hmac::HMAC_SHA512, &hex(&test["key"]));
        let len = group["tagSize"].as_u64().unwrap() as usize / 8;
        let made = hmac::sign(&key, &hex(&test["msg"]));
        let same = made.as_ref()[..len] == hex(&test["tag"]);
        assert_eq!(same, valid(test), "{}", test["tcId"]);
    });
}

#[test]
fn ed25519_matches_wycheproof() {
    let Some(vectors) = load("wycheproof/ed25519_test.json") else {
        return;
    };
    each_case(&vectors, |group, test| {
        let public = hex(&group["publicKey"]["pk"]);
        let good = UnparsedPublicKey::new(&ED25519, public)
            .verify(&hex(&test["msg"]), &hex(&test["sig"]))
            .is_ok();
        assert_eq!(good, valid(test), "{} {}", test["tcId"], test["comment"]);
    });
}

/// Every acceptable case either gives the secret of the vector or is refused, which only points
/// of low order are.
#[test]
fn x25519_matches_wycheproof() {
    let Some(vectors) = load("wycheproof/x25519_test.json") else {
        return;
    };
    each_case(&vectors, |_, test| {
        let id = &test["tcId"];
        let private = PrivateKey::from_private_key(&X25519, &hex(&test["private"])).unwrap();
        let shared = exchange(&private, &hex(&test["public"]));
        let expected = hex(&test["shared"]);
        match shared {
            Ok(shared) => assert_eq!(shared.expose()[..], expected, "{id}"),
            Err(_) => assert_eq!(expected, [0; 32], "{id}"),
        }
    });
}

#[test]
fn mlkem_keys_match_wycheproof() {
    let Some(vectors) = load("wycheproof/mlkem_1024_keygen_seed_test.json") else {
        return;
    };
    each_case(&vectors, |_, test| {
        let key = kem::Key::from_seed(&hex(&test["seed"]).try_into().unwrap()).unwrap();
        assert_eq!(
            key.public().unwrap()[..],
            hex(&test["ek"]),
            "{}",
            test["tcId"]
        );
    });
}

#[test]
fn mlkem_encapsulation_matches_wycheproof() {
    let Some(vectors) = load("wycheproof/mlkem_1024_encaps_test.json") else {
        return;
    };
    each_case(&vectors, |_, test| {
        let id = &test["tcId"];
        let made = exactly("ek", &hex(&test["ek"]))
            .and_then(kem::Key::from_public)
            .and_then(|key| key.encapsulate(Some(&hex(&test["m"]).try_into().unwrap())));
        assert_eq!(made.is_ok(), valid(test), "{id}");
        if let Ok((ciphertext, secret)) = made {
            assert_eq!(ciphertext[..], hex(&test["c"]), "{id}");
            assert_eq!(secret.expose()[..], hex(&test["K"]), "{id}");
        }
    });
}

#[test]
fn mlkem_decapsulation_matches_wycheproof() {
    let Some(vectors) = load("wycheproof/mlkem_1024_test.json") else {
        return;
    };
    each_case(&vectors, |_, test| {
        let id = &test["tcId"];
        let opened = exactly("seed", &hex(&test["seed"]))
            .and_then(kem::Key::from_seed)
            .and_then(|key| {
                assert_eq!(key.public()?[..], hex(&test["ek"]), "{id}");
                key.decapsulate(exactly("ciphertext", &hex(&test["c"]))?)
            });
        assert_eq!(opened.is_ok(), valid(test), "{id} {}", test["comment"]);
        if let Ok(secret) = opened {
            assert_eq!(secret.expose()[..], hex(&test["K"]), "{id}");
        }
    });
}

#[test]
fn gcm_matches_wycheproof() {
    let Some(vectors) = load("wycheproof/aes_gcm_test.json") else {
        return;
    };
    let mut count = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        if group["keySize"] != 256 || group["ivSize"] != 96 || group["tagSize"] != 128 {
            continue;
        }
        for test in group["tests"].as_array().unwrap() {
            let key = gcm(&Secret::from_slice("key", &hex(&test["key"])).unwrap()).unwrap();
            let mut sealed = [hex(&test["ct"]), hex(&test["tag"])].concat();
            let nonce = Nonce::try_assume_unique_for_key(&hex(&test["iv"])).unwrap();
            let opened = key.open_in_place(nonce, Aad::from(hex(&test["aad"])), &mut sealed);
            match opened {
                Ok(plain) => assert_eq!(plain, hex(&test["msg"]), "{}", test["tcId"]),
                Err(_) => assert_eq!(test["result"], "invalid", "{}", test["tcId"]),
            }
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}
