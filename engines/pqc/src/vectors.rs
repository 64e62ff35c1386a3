//! The primitives under key wrapping against Wycheproof: HKDF-SHA-512 and AES-256-GCM.

use crate::Secret;
use crate::root::{gcm, hkdf_sha512};
use aws_lc_rs::aead::{Aad, Nonce};
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

#[test]
fn hkdf_matches_wycheproof() {
    let Some(vectors) = load("wycheproof/hkdf_sha512_test.json") else {
        return;
    };
    let mut count = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let mut out = vec![0; test["size"].as_u64().unwrap() as usize];
            let (salt, ikm, info) = (hex(&test["salt"]), hex(&test["ikm"]), hex(&test["info"]));
            let done = hkdf_sha512(&salt, &ikm, &[&info], &mut out);
            assert_eq!(done.is_ok(), test["result"] == "valid", "{}", test["tcId"]);
            if done.is_ok() {
                assert_eq!(out, hex(&test["okm"]), "{}", test["tcId"]);
            }
            count += 1;
        }
    }
    assert_eq!(count, 83);
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
