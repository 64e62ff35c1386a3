//! The five-dimensional signature is a function of signature, key and message, and of all of each.
#![allow(clippy::panic, clippy::unwrap_used)]

use proptest::prelude::*;
use quantumos_wavelength::Signature5d;
use std::f64::consts::{PI, TAU};

#[test]
fn another_signature_key_or_message_gives_another() {
    let one = Signature5d::derive(b"signature", b"key", b"message").unwrap();
    assert_eq!(
        one,
        Signature5d::derive(b"signature", b"key", b"message").unwrap()
    );
    assert_eq!(one, Signature5d::from_bytes(one.to_bytes()));
    for (signature, key, message) in [
        (&b"signaturf"[..], &b"key"[..], &b"message"[..]),
        (b"signature", b"kez", b"message"),
        (b"signature", b"key", b"messagf"),
        (b"signature", b"keym", b"essage"),
        (b"signature", b"", b"keymessage"),
    ] {
        assert_ne!(one, Signature5d::derive(signature, key, message).unwrap());
    }
}

/// Fixed: computed by another program from the description.
#[test]
fn the_derivation_stays() {
    let one = Signature5d::derive(b"signature", b"key", b"message").unwrap();
    let hex: String = one.to_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, FIXED);
}

const FIXED: &str = "08de1145a58f06e1fd1619eeb77964e0ccb78d96";

proptest! {
    #[test]
    fn values_are_physical(bytes in any::<[u8; 20]>()) {
        let one = Signature5d::from_bytes(bytes);
        prop_assert!((380.0..780.0).contains(&one.wavelength_nm()));
        prop_assert!((0.0..1.0).contains(&one.amplitude()));
        prop_assert!((0.0..TAU).contains(&one.phase()));
        prop_assert!((0.0..PI).contains(&one.polarisation()));
        prop_assert!((0.0..1.0).contains(&one.time()));
        prop_assert!(one.to_string().starts_with("lambda "));
    }

    #[test]
    fn avalanche(signature in prop::collection::vec(any::<u8>(), 1..100), at in any::<prop::sample::Index>(), bit in 0u32..8) {
        let mut other = signature.clone();
        other[at.index(signature.len())] ^= 1 << bit;
        let derive = |s: &[u8]| Signature5d::derive(s, b"k", b"m").unwrap().to_bytes();
        let turned: u32 = derive(&signature).iter().zip(derive(&other)).map(|(a, b)| (a ^ b).count_ones()).sum();
        prop_assert!((40..=120).contains(&turned), "{turned}");
    }
}
