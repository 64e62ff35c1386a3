//! Decoding is total: whatever the bytes, it ends in an event or an error.

#![allow(clippy::expect_used)]

use proptest::prelude::*;
use quantumos_ebpf::{Class, DecodeError, Event, decode};

/// Where the kind is, in the header: after four 64-bit fields.
const KIND: usize = 32;

fn with_kind(mut bytes: Vec<u8>, kind: u32) -> Vec<u8> {
    if let Some(field) = bytes.get_mut(KIND..KIND + 4) {
        field.copy_from_slice(&kind.to_ne_bytes());
    }
    bytes
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn random_records_of_each_kind_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), kind in 0u32..10) {
        let bytes = with_kind(bytes, kind);
        if let Ok(event) = decode(&bytes) {
            prop_assert!(bytes.len() > KIND);
            prop_assert_eq!(event.class().name(), Class::ALL[kind as usize].name());
            if let Event::Exec(exec) = event {
                prop_assert!(exec.ancestors.len() <= 8);
                prop_assert!(exec.arguments().count() <= exec.argv.len() + 1);
                let _ = exec.command_line();
            }
        }
    }

    /// A record with small lengths decodes; cut anywhere in what it needs, it is refused as short.
    #[test]
    fn a_cut_record_is_short(kind in 0u32..9, cut in 0usize..100) {
        let mut whole = with_kind(vec![0; 1000], kind);
        if kind == 3 {
            // AF_INET, right after the header.
            whole[88] = 2;
        }
        if kind > 4 {
            // The first action of each class, after arguments, inode and target's start.
            whole[136] = [1, 10, 30, 40][kind as usize - 5];
        }
        let event = decode(&whole).expect("zeros are lengths of nothing");
        prop_assert_eq!(event.context().comm.len(), 0);
        let short = &whole[..cut.min(87)];
        let refused = matches!(decode(short), Err(DecodeError::Short { .. }));
        prop_assert!(refused);
    }
}

#[test]
fn an_unknown_kind_is_named() {
    assert_eq!(
        decode(&with_kind(vec![0; 200], 77)),
        Err(DecodeError::Kind(77))
    );
}
