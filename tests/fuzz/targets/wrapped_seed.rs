//! The stored form of a key: what parses is written back byte for byte, and nothing that this
//! key did not seal is opened.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_pqc::{Algorithm, Binding, RootKey, Secret, WrappedSeed, open_secret};

fuzz_target!(|bytes: &[u8]| {
    let root = RootKey::new(Secret::from_slice("root", &[7; 32]).expect("32 bytes"));
    if let Ok(seed) = WrappedSeed::from_bytes(bytes) {
        assert_eq!(seed.to_bytes(), bytes);
        if let Ok(kek) = root.kek(seed.kek_version()) {
            let binding = Binding {
                id: [0; 16],
                algorithm: Algorithm::MlDsa87,
                version: 1,
                policy: Vec::new(),
            };
            assert!(kek.unwrap(&seed, &binding).is_err());
        }
    }
    assert!(open_secret("fuzz", root.secret(), b"", bytes).is_err());
});
