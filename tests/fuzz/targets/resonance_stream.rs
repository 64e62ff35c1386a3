//! Streams: a header that parses is written back byte for byte, whatever the pieces nothing that
//! this key did not seal is opened, and a passphrase header can't ask for more work than allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_resonance::stream::{Cost, Header, Opener, Options, Sealer, Secret, Source};

const LIMIT: Cost = Cost {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (piece, bytes) = input;
    if let Ok(header) = Header::from_bytes(&bytes) {
        assert_eq!(header.to_bytes(), bytes);
        let secret = match header.source() {
            Source::Key(_) | Source::Carried { .. } => Secret::Key(&[7; 32]),
            Source::Passphrase(_) => Secret::Passphrase(b"fuzz"),
        };
        assert!(header.open(secret, b"", LIMIT).is_err());
    }
    // Whatever follows a header that this key made is not its stream.
    let mut out = Vec::new();
    let sealer = Sealer::new(Secret::Key(&[7; 32]), &Options::default()).expect("a key");
    let mut opener = Opener::with_key(sealer.into_key());
    let fed = bytes
        .chunks(usize::from(piece) + 1)
        .all(|piece| opener.push(piece, &mut out).is_ok());
    assert!(!fed || opener.finish(&mut out).is_err());
    assert!(out.is_empty());
});
