//! ML-DSA-87 against the public vectors: NIST ACVP (key generation and the internal signature
//! interface) and Wycheproof (signatures from seeds, verification with contexts and bad input).
#![allow(deprecated)] // fips204 marks the hooks of the internal interface so
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test: failing is its work

use fips204::ml_dsa_87 as second;
use fips204::traits::{KeyGen as _, SerDes as _, Signer as _, Verifier as _};
use libcrux_ml_dsa::ml_dsa_87 as third;
use quantumos_pqc::{PublicKey, Secret, Signature, SigningKey};
use serde_json::Value;
use std::path::PathBuf;

/// The parsed vectors, or a line that says that they are not here.
fn load(name: &str) -> Option<Value> {
    let data = std::env::var_os("QUANTUMOS_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    match std::fs::read(data.join(name)) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).expect("vectors are JSON")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: no data {name}");
            None
        }
        Err(e) => panic!("{name}: {e}"),
    }
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal text");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// An optional field: absent is empty.
fn hex_or_empty(value: &Value) -> Vec<u8> {
    if value.is_null() {
        Vec::new()
    } else {
        hex(value)
    }
}

/// Calls `each` with group and test of every case of ML-DSA-87, and returns how many there were.
fn each_case(vectors: &Value, mut each: impl FnMut(&Value, &Value)) -> usize {
    let mut count = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        let set = group["parameterSet"].as_str().unwrap_or("ML-DSA-87");
        if set == "ML-DSA-87" {
            for test in group["tests"].as_array().unwrap() {
                count += 1;
                each(group, test);
            }
        }
    }
    count
}

#[test]
fn acvp_key_generation() {
    let Some(vectors) = load("acvp/ml-dsa-key-gen.json") else {
        return;
    };
    let count = each_case(&vectors, |_, test| {
        let id = &test["tcId"];
        let seed = Secret::from_slice("seed", &hex(&test["seed"])).unwrap();
        let key = SigningKey::from_seed(&seed).unwrap();
        assert_eq!(key.public_key().as_bytes()[..], hex(&test["pk"]), "{id}");
        let (_, private) = second::KG::keygen_from_seed(seed.expose());
        assert_eq!(private.into_bytes()[..], hex(&test["sk"]), "{id}");
    });
    assert_eq!(count, 25);
}

/// Gives the bytes that a vector says the random generator gave.
struct Fixed(Vec<u8>);

impl fips204::RngCore for Fixed {
    fn next_u32(&mut self) -> u32 {
        panic!("only bytes are asked for")
    }
    fn next_u64(&mut self) -> u64 {
        panic!("only bytes are asked for")
    }
    fn fill_bytes(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0);
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), fips204::RngError> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl fips204::CryptoRng for Fixed {}

#[test]
fn acvp_signature_generation() {
    let Some(vectors) = load("acvp/ml-dsa-sig-gen.json") else {
        return;
    };
    let count = each_case(&vectors, |group, test| {
        let private = second::PrivateKey::try_from_bytes(hex(&test["sk"]).try_into().unwrap());
        let hedged = !group["deterministic"].as_bool().unwrap();
        let mut rng = Fixed(hex_or_empty(&test["rnd"]));
        let signature = private
            .unwrap()
            .sign_internal(&mut rng, &hex(&test["message"]), hedged)
            .unwrap();
        assert_eq!(signature[..], hex(&test["signature"]), "{}", test["tcId"]);
    });
    assert_eq!(count, 20);
}

#[test]
fn acvp_signature_verification() {
    let Some(vectors) = load("acvp/ml-dsa-sig-ver.json") else {
        return;
    };
    let (mut good, mut bad) = (0, 0);
    each_case(&vectors, |group, test| {
        let public = second::PublicKey::try_from_bytes(hex(&group["pk"]).try_into().unwrap());
        let signature = hex(&test["signature"]).try_into().unwrap();
        let valid = public
            .unwrap()
            .verify_internal(&hex(&test["message"]), &signature);
        assert_eq!(
            valid,
            test["testPassed"].as_bool().unwrap(),
            "{}",
            test["reason"]
        );
        *(if valid { &mut good } else { &mut bad }) += 1;
    });
    assert!(good >= 2 && bad >= 3, "{good} good, {bad} bad");
}

/// Each signature of the vectors verifies here, the second implementation makes it byte for byte
/// (rnd is zero or given), and what we sign with the same seed verifies there.
#[test]
fn wycheproof_signatures_from_seeds() {
    let Some(vectors) = load("wycheproof/mldsa_87_sign_seed_test.json") else {
        return;
    };
    let mut checked = 0;
    let count = each_case(&vectors, |group, test| {
        let id = &test["tcId"];
        let Ok(seed) = Secret::<32>::from_slice("seed", &hex(&group["privateSeed"])) else {
            return assert_eq!(test["result"], "invalid", "{id}");
        };
        let key = SigningKey::from_seed(&seed).unwrap();
        assert_eq!(
            key.public_key().as_bytes()[..],
            hex(&group["publicKey"]),
            "{id}"
        );
        if test["msg"].is_null() {
            return; // the internal interface: a representative with no message
        }
        let (message, context) = (hex(&test["msg"]), hex_or_empty(&test["ctx"]));
        if test["result"] == "invalid" {
            assert!(key.sign(&message, &context).is_err(), "{id}");
            return;
        }
        let expected = Signature::from_bytes(&hex(&test["sig"])).unwrap();
        assert!(
            key.public_key()
                .verify(&message, &expected, &context)
                .unwrap(),
            "{id}"
        );
        let rnd = if test["rnd"].is_null() {
            vec![0; 32]
        } else {
            hex(&test["rnd"])
        };
        let (public, private) = second::KG::keygen_from_seed(seed.expose());
        let made = private
            .try_sign_with_rng(&mut Fixed(rnd), &message, &context)
            .unwrap();
        assert!(
            made == *expected.as_bytes(),
            "{id}: deterministic signature differs"
        );
        let ours = key.sign(&message, &context).unwrap();
        assert!(public.verify(&message, ours.as_bytes(), &context), "{id}");
        checked += 1;
    });
    assert_eq!((count, checked), (96, 75));
}

#[test]
fn wycheproof_verification() {
    let Some(vectors) = load("wycheproof/mldsa_87_verify_test.json") else {
        return;
    };
    let (mut good, mut bad) = (0, 0);
    let count = each_case(&vectors, |group, test| {
        let id = &test["tcId"];
        let (message, context) = (hex(&test["msg"]), hex_or_empty(&test["ctx"]));
        let (public, signature) = (hex(&group["publicKey"]), hex(&test["sig"]));
        let valid = PublicKey::from_bytes(&public)
            .and_then(|key| key.verify(&message, &Signature::from_bytes(&signature)?, &context))
            .unwrap_or(false);
        assert_eq!(valid, test["result"] == "valid", "{id} {}", test["comment"]);
        let given: (Result<[u8; 2592], _>, _) = (public.try_into(), signature.try_into());
        if let (Ok(public), Ok(signature)) = given {
            let key = second::PublicKey::try_from_bytes(public).unwrap();
            assert_eq!(
                key.verify(&message, &signature, &context),
                valid,
                "{id}: they disagree"
            );
            let (key, signature) = (
                third::MLDSA87VerificationKey::new(public),
                third::MLDSA87Signature::new(signature),
            );
            let checked = third::verify(&key, &message, &context, &signature).is_ok();
            assert_eq!(checked, valid, "{id}: who checks disagrees");
        }
        *(if valid { &mut good } else { &mut bad }) += 1;
    });
    assert_eq!(count, 241);
    assert!(good > 60 && bad > 100, "{good} good, {bad} bad");
}
