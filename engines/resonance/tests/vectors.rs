//! XChaCha20-Poly1305 against the Wycheproof vectors, by the library that streams use.
#![allow(clippy::panic, clippy::unwrap_used)]

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use serde_json::Value;
use std::path::PathBuf;

/// The parsed vectors, or a line that says that they are not here.
fn load(name: &str) -> Option<Value> {
    let data = std::env::var_os("QUANTUMOS_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    match std::fs::read(data.join(name)) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: no data {name}");
            None
        }
        Err(e) => panic!("{name}: {e}"),
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
fn xchacha20_poly1305() {
    let Some(vectors) = load("wycheproof/xchacha20_poly1305_test.json") else {
        return;
    };
    let mut count = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let [key, nonce, aad, message, sealed, tag] =
                ["key", "iv", "aad", "msg", "ct", "tag"].map(|field| hex(&test[field]));
            let cipher = XChaCha20Poly1305::new_from_slice(&key).unwrap();
            // A nonce of another length can't be given to the library at all.
            let Ok(nonce) = XNonce::try_from(&nonce[..]) else {
                assert_eq!(test["result"], "invalid", "{test}");
                continue;
            };
            let valid = test["result"] == "valid";
            let mut plain = sealed.clone();
            let opened = Tag::try_from(&tag[..]).is_ok_and(|tag| {
                let buffer = InOutBuf::from(&mut plain[..]);
                cipher
                    .decrypt_inout_detached(&nonce, &aad, buffer, &tag)
                    .is_ok()
            });
            assert_eq!(opened, valid, "{test}");
            if valid {
                assert_eq!(plain, message, "{test}");
                let mut made = message.clone();
                let buffer = InOutBuf::from(&mut made[..]);
                let with = cipher.encrypt_inout_detached(&nonce, &aad, buffer).unwrap();
                assert_eq!((made, with.to_vec()), (sealed, tag), "{test}");
            }
            count += 1;
        }
    }
    assert!(count > 200, "{count} cases only");
}
