//! What callers hand over for cryptography: public keys of any algorithm, signatures, ciphertexts, MACs, and keys that
//! sign boot policies. Nothing that did not come from the key is valid, and what is accepted is used.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_pqc::boot_policy::Authority;
use quantumos_pqc::{Algorithm, PublicHalf, Secret, SecretKey};
use std::sync::LazyLock;

static KEYS: LazyLock<Vec<SecretKey>> = LazyLock::new(|| {
    let seed = Secret::from_slice("seed", &[9; 32]).expect("32 bytes");
    let key = |algorithm: &Algorithm| SecretKey::from_seed(*algorithm, &seed).expect("a key");
    Algorithm::ALL.iter().map(key).collect()
});

fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    if let Ok(authority) = Authority::from_pem(bytes) {
        assert_eq!(Authority::from_der(authority.der()), Ok(authority));
    }
    if let Ok(authority) = Authority::from_der(bytes) {
        assert_eq!(authority.der(), bytes);
    }
    let _ = std::str::from_utf8(bytes).map(str::parse::<Algorithm>);
    let key = &KEYS[usize::from(*which) % KEYS.len()];
    let public = key.public().expect("a public half");
    assert!(!public.verify(b"message", bytes, b"").unwrap_or_default());
    assert!(!key.verify_mac(b"message", bytes, b"").unwrap_or_default());
    let _ = key.decapsulate(bytes);
    let algorithm = Algorithm::ALL[usize::from(*which) % Algorithm::ALL.len()];
    // Public key and signature, both of somebody else's making.
    let length = public.as_bytes().len().min(bytes.len());
    let (theirs, signature) = bytes.split_at(length);
    if let Ok(theirs) = PublicHalf::from_bytes(algorithm, theirs) {
        let _ = theirs.verify(b"message", signature, b"context");
        let _ = theirs.encapsulate();
    }
});
