//! The laws of a stream: what goes in comes out whatever the pieces, and no cut, swap, flip, other
//! key or foreign byte goes unseen, each with an error of its own.
#![allow(clippy::panic, clippy::unwrap_used)]

use proptest::prelude::*;
use quantumos_resonance::Error;
use quantumos_resonance::stream::{
    CHUNK, Cost, Header, Opener, Options, Sealer, Secret, Source, Suite, TAG, message_len,
    sealed_len,
};

const KEY: Secret<'_> = Secret::Key(&[7; 32]);
const CHEAP: Cost = Cost {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

fn options(suite: Suite) -> Options<'static> {
    Options {
        suite,
        reference: b"key 1 version 2",
        capsule: None,
        cost: CHEAP,
        context: b"",
    }
}

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

fn seal(secret: Secret<'_>, options: &Options<'_>, message: &[u8], piece: usize) -> Vec<u8> {
    let mut sealer = Sealer::new(secret, options).unwrap();
    let mut out = sealer.header().to_bytes();
    for piece in message.chunks(piece) {
        sealer.push(piece, &mut out).unwrap();
    }
    sealer.finish(&mut out).unwrap();
    out
}

fn open(secret: Secret<'_>, context: &[u8], sealed: &[u8], piece: usize) -> Result<Vec<u8>, Error> {
    let (mut opener, mut out) = (Opener::new(), Vec::new());
    for mut piece in sealed.chunks(piece) {
        loop {
            piece = &piece[opener.push(piece, &mut out)?..];
            if opener.header().is_none() {
                break;
            }
            opener.unlock(secret, context, CHEAP)?;
        }
        assert!(piece.is_empty());
    }
    opener.finish(&mut out)?;
    Ok(out)
}

#[test]
fn every_length_around_the_chunks_round_trips() {
    for suite in Suite::ALL {
        for len in [
            0,
            1,
            15,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            2 * CHUNK,
            2 * CHUNK + 5,
        ] {
            let text = message(len);
            let sealed = seal(KEY, &options(suite), &text, 60_000);
            let header = Header::len(&sealed).unwrap().unwrap();
            let chunks = (sealed.len() - header) as u64;
            assert_eq!(chunks, sealed_len(len as u64));
            assert_eq!(message_len(chunks), Some(len as u64));
            assert_eq!(open(KEY, b"", &sealed, 9_973).unwrap(), text, "{len}");
        }
    }
    assert_eq!(message_len(0), None);
    assert_eq!(message_len(15), None);
    // A full chunk and an empty one after it is not what a message comes to.
    assert_eq!(message_len((CHUNK + 2 * TAG) as u64), None);
}

#[test]
fn the_header_says_what_it_was_told() {
    let sealed = seal(KEY, &options(Suite::XChaCha20Poly1305), b"m", 1);
    let len = Header::len(&sealed).unwrap().unwrap();
    let header = Header::from_bytes(&sealed[..len]).unwrap();
    assert_eq!(header.suite(), Suite::XChaCha20Poly1305);
    assert_eq!(header.source(), &Source::Key(b"key 1 version 2".to_vec()));
    assert_eq!(header.to_bytes(), sealed[..len]);
    let sealed = seal(
        Secret::Passphrase(b"p"),
        &options(Suite::Aes256Gcm),
        b"m",
        1,
    );
    let len = Header::len(&sealed).unwrap().unwrap();
    let header = Header::from_bytes(&sealed[..len]).unwrap();
    assert_eq!(header.source(), &Source::Passphrase(CHEAP));
}

#[test]
fn two_streams_of_one_message_have_nothing_in_common() {
    let text = [0u8; 64];
    let (a, b) = (
        seal(KEY, &options(Suite::Aes256Gcm), &text, 64),
        seal(KEY, &options(Suite::Aes256Gcm), &text, 64),
    );
    let header = Header::len(&a).unwrap().unwrap();
    assert_ne!(a[header..], b[header..]);
}

#[test]
fn wrong_secrets_are_told_from_damage() {
    let plain = options(Suite::Aes256Gcm);
    let bound = Options {
        context: b"report 7",
        ..plain.clone()
    };
    let by_key = seal(KEY, &bound, b"secret", 6);
    let by_word = seal(Secret::Passphrase(b"word"), &plain, b"secret", 6);
    let wrong_key = Error::WrongKey("key or context");
    for (secret, context, sealed, wanted) in [
        (
            Secret::Key(&[8; 32]),
            &b"report 7"[..],
            &by_key,
            wrong_key.clone(),
        ),
        (KEY, b"report 8", &by_key, wrong_key.clone()),
        (KEY, b"", &by_key, wrong_key),
        (
            Secret::Passphrase(b"Word"),
            b"",
            &by_word,
            Error::WrongKey("passphrase or context"),
        ),
        (
            KEY,
            b"",
            &by_word,
            Error::OtherSource {
                found: "passphrase",
            },
        ),
        (
            Secret::Passphrase(b"word"),
            b"",
            &by_key,
            Error::OtherSource { found: "key" },
        ),
        (
            Secret::Key(&[7; 15]),
            b"",
            &by_key,
            Error::TooShort {
                what: "key",
                need: 16,
                got: 15,
            },
        ),
    ] {
        assert_eq!(open(secret, context, sealed, 1 << 20), Err(wanted));
    }
    assert_eq!(open(KEY, b"report 7", &by_key, 1).unwrap(), b"secret");
    assert_eq!(
        open(Secret::Passphrase(b"word"), b"", &by_word, 1).unwrap(),
        b"secret"
    );
}

#[test]
fn a_file_can_not_ask_for_more_work_than_allowed() {
    let dear = Options {
        cost: Cost { passes: 2, ..CHEAP },
        ..options(Suite::Aes256Gcm)
    };
    let sealed = seal(Secret::Passphrase(b"p"), &dear, b"m", 1);
    assert!(matches!(
        open(Secret::Passphrase(b"p"), b"", &sealed, 100),
        Err(Error::TooCostly { .. })
    ));
    let none = Options {
        cost: Cost { lanes: 0, ..CHEAP },
        ..options(Suite::Aes256Gcm)
    };
    assert!(matches!(
        Sealer::new(Secret::Passphrase(b"p"), &none),
        Err(Error::Malformed { .. })
    ));
}

#[test]
fn every_cut_is_a_truncation() {
    let text = message(2 * CHUNK + 100);
    let sealed = seal(KEY, &options(Suite::Aes256Gcm), &text, CHUNK);
    let header = Header::len(&sealed).unwrap().unwrap();
    let full = CHUNK + TAG;
    // In the header, and where the chunks end.
    for at in (0..header + 16).chain([header + full, header + 2 * full, header + full + 7]) {
        let got = open(KEY, b"", &sealed[..at], 8191);
        assert!(
            matches!(got, Err(Error::Truncated { .. })),
            "cut at {at}: {got:?}"
        );
    }
    // Inside a chunk what is left may as well be an altered last one.
    for at in [header + 16, header + full + 16, sealed.len() - 1] {
        let got = open(KEY, b"", &sealed[..at], 8191);
        let after = (at - header) as u64;
        let chunk = after / full as u64;
        assert_eq!(got, Err(Error::CutOrAltered { chunk, after }), "{at}");
    }
}

#[test]
fn order_and_what_follows_the_end_are_checked() {
    let text = message(4 * CHUNK);
    let sealed = seal(KEY, &options(Suite::Aes256Gcm), &text, CHUNK);
    let header = Header::len(&sealed).unwrap().unwrap();
    let (head, body) = sealed.split_at(header);
    let chunks: Vec<&[u8]> = body.chunks(CHUNK + TAG).collect();
    let joined = |order: &[usize]| -> Vec<u8> {
        let body = order.iter().flat_map(|i| chunks[*i].iter().copied());
        head.iter().copied().chain(body).collect()
    };
    for (order, wanted) in [
        (
            &[1, 0, 2, 3][..],
            Error::OutOfOrder {
                expected: 0,
                found: 1,
            },
        ),
        (
            &[0, 2, 3],
            Error::OutOfOrder {
                expected: 1,
                found: 2,
            },
        ),
        (
            &[0, 0, 1, 2, 3],
            Error::OutOfOrder {
                expected: 1,
                found: 0,
            },
        ),
        (
            &[0, 3],
            Error::OutOfOrder {
                expected: 1,
                found: 3,
            },
        ),
        (&[0, 1, 2, 3, 3], Error::Trailing { last: 3 }),
    ] {
        assert_eq!(
            open(KEY, b"", &joined(order), 1 << 20),
            Err(wanted),
            "{order:?}"
        );
    }
    // Chunks of another stream under the same key are strangers.
    let other = seal(KEY, &options(Suite::Aes256Gcm), &text, CHUNK);
    let mixed = [
        &sealed[..header + CHUNK + TAG],
        &other[header + CHUNK + TAG..],
    ]
    .concat();
    assert_eq!(
        open(KEY, b"", &mixed, 1 << 20),
        Err(Error::Altered { chunk: 1 })
    );
}

#[test]
fn every_flipped_bit_is_seen() {
    for suite in Suite::ALL {
        let sealed = seal(KEY, &options(suite), b"a short message", 100);
        let header = Header::len(&sealed).unwrap().unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let got = open(KEY, b"", &bad, 1 << 20).unwrap_err();
            let expected = match bit / 8 {
                0..4 => matches!(got, Error::Foreign(_)),
                4 => matches!(got, Error::UnknownVersion { .. }),
                // The stated length may make it longer, shorter or impossible.
                7..9 => matches!(
                    got,
                    Error::Malformed { .. } | Error::Damaged(_) | Error::Truncated { .. }
                ),
                at if at < header => matches!(got, Error::Damaged(_)),
                _ => matches!(got, Error::CutOrAltered { chunk: 0, .. }),
            };
            assert!(expected, "byte {}: {got}", bit / 8);
        }
    }
}

/// Somebody who alters the header and mends its checksum gains nothing.
#[test]
fn a_mended_checksum_does_not_help() {
    let sealed = seal(KEY, &options(Suite::Aes256Gcm), b"message", 100);
    let len = Header::len(&sealed).unwrap().unwrap();
    for at in (5..7).chain(9..len - 8) {
        let mut bad = sealed.clone();
        bad[at] ^= 3;
        let check = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bad[..len - 8]);
        bad[len - 8..len].copy_from_slice(&check.as_ref()[..8]);
        let got = open(KEY, b"", &bad, 1 << 20).unwrap_err();
        let expected = match at {
            5 | 6 => matches!(got, Error::UnknownNumber { .. } | Error::Malformed { .. }),
            41 => matches!(got, Error::Malformed { .. }),
            _ => matches!(got, Error::WrongKey(_)),
        };
        // Suite 1 with its low bits turned is suite 2, which derives another key.
        assert!(
            expected || (at == 5 && matches!(got, Error::WrongKey(_))),
            "{at}: {got}"
        );
    }
}

/// A ciphertext can't be made that opens under two keys: the commitment is to one.
#[test]
fn a_stream_commits_to_its_key() {
    let sealer = Sealer::new(KEY, &options(Suite::Aes256Gcm)).unwrap();
    let header = sealer.header();
    assert!(header.open(KEY, b"", CHEAP).is_ok());
    for other in 0..=6u8 {
        assert!(header.open(Secret::Key(&[other; 32]), b"", CHEAP).is_err());
    }
}

#[test]
fn nothing_is_given_out_before_it_is_authentic() {
    let text = message(3 * CHUNK);
    let mut sealed = seal(KEY, &options(Suite::Aes256Gcm), &text, CHUNK);
    let header = Header::len(&sealed).unwrap().unwrap();
    sealed[header + CHUNK + TAG + 5] ^= 1;
    let (mut opener, mut out) = (Opener::new(), Vec::new());
    let taken = opener.push(&sealed, &mut out).unwrap();
    opener.unlock(KEY, b"", CHEAP).unwrap();
    let error = opener.push(&sealed[taken..], &mut out).unwrap_err();
    assert_eq!(error, Error::Altered { chunk: 1 });
    assert_eq!(out, text[..CHUNK]);
    // It stays failed.
    assert_eq!(opener.push(b"x", &mut out), Err(error.clone()));
    assert_eq!(opener.finish(&mut out), Err(error));
}

/// Runs of chunks are the same stream, wherever they are cut.
#[test]
fn runs_are_the_stream() {
    for suite in Suite::ALL {
        for len in [0, 10, CHUNK, 3 * CHUNK, 3 * CHUNK + 7] {
            let text = message(len);
            let sealer = Sealer::new(KEY, &options(suite)).unwrap();
            let mut sealed = sealer.header().to_bytes();
            let start = sealed.len();
            let key = sealer.into_key();
            let cut = (2 * CHUNK).min(len.saturating_sub(1) / CHUNK * CHUNK);
            let (a, b) = text.split_at(cut);
            let mut runs = vec![0; sealed_len(len as u64) as usize];
            let middle = cut / CHUNK * (CHUNK + TAG);
            if cut > 0 {
                key.seal_run(0, false, a, &mut runs[..middle]).unwrap();
            }
            let second = (cut / CHUNK) as u64;
            key.seal_run(second, true, b, &mut runs[middle..]).unwrap();
            sealed.extend_from_slice(&runs);
            assert_eq!(open(KEY, b"", &sealed, 7777).unwrap(), text);
            let mut plain = vec![1; len];
            key.open_run(0, true, &sealed[start..], &mut plain).unwrap();
            assert_eq!(plain, text);
            let mut plain = vec![1; b.len()];
            key.open_run(second, true, &runs[middle..], &mut plain)
                .unwrap();
            assert_eq!(plain, b);
            assert!(key.seal_run(0, true, &text, &mut [0; 3]).is_err());
            assert!(key.open_run(0, true, &runs, &mut vec![0; len + 1]).is_err());
            let cut_off = &runs[..runs.len().saturating_sub(CHUNK + TAG)];
            let mut plain = vec![0; message_len(cut_off.len() as u64).unwrap_or(0) as usize];
            assert!(key.open_run(0, true, cut_off, &mut plain).is_err());
        }
    }
}

#[test]
fn limits_are_named() {
    let long = [0u8; 200];
    let options = Options {
        reference: &long,
        ..options(Suite::Aes256Gcm)
    };
    assert_eq!(
        Sealer::new(KEY, &options).unwrap_err(),
        Error::TooLong {
            what: "key reference",
            limit: 128,
            got: 200
        }
    );
    let key = Sealer::new(KEY, &Options::default()).unwrap().into_key();
    assert!(matches!(
        key.seal(1 << 32, true, &mut []),
        Err(Error::TooLong { .. })
    ));
    assert!(matches!(
        key.seal(0, false, &mut [0; 9]),
        Err(Error::Malformed { .. })
    ));
    assert!(matches!(
        key.seal(0, true, &mut vec![0; CHUNK + 1]),
        Err(Error::Malformed { .. })
    ));
}

/// An empty last chunk after a full one says the same as no such chunk, so it is refused.
#[test]
fn there_is_one_form_of_a_message() {
    let sealer = Sealer::new(KEY, &options(Suite::Aes256Gcm)).unwrap();
    let mut sealed = sealer.header().to_bytes();
    let key = sealer.into_key();
    let mut data = message(CHUNK);
    let tag = key.seal(0, false, &mut data).unwrap();
    sealed.extend_from_slice(&data);
    sealed.extend_from_slice(&tag);
    sealed.extend_from_slice(&key.seal(1, true, &mut []).unwrap());
    assert!(matches!(
        open(KEY, b"", &sealed, 1 << 20),
        Err(Error::Malformed { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pieces_do_not_matter(
        len in 0usize..200_000,
        a in 1usize..100_000,
        b in 1usize..100_000,
        aes in any::<bool>(),
    ) {
        let suite = if aes { Suite::Aes256Gcm } else { Suite::XChaCha20Poly1305 };
        let text = message(len);
        let sealed = seal(KEY, &options(suite), &text, a);
        prop_assert_eq!(open(KEY, b"", &sealed, b).unwrap(), text);
    }

    #[test]
    fn no_change_goes_unseen(
        len in 0usize..150_000,
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
        cut in any::<bool>(),
    ) {
        let text = message(len);
        let mut sealed = seal(KEY, &options(Suite::Aes256Gcm), &text, CHUNK);
        let at = at.index(sealed.len());
        if cut {
            sealed.truncate(at);
        } else {
            sealed[at] ^= flip;
        }
        prop_assert!(open(KEY, b"", &sealed, 50_000).is_err());
    }

    #[test]
    fn any_bytes_are_refused_or_parse_to_themselves(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        start in any::<bool>(),
    ) {
        let bytes = if start { [b"QRES\x01", &bytes[..]].concat() } else { bytes };
        if let Ok(header) = Header::from_bytes(&bytes) {
            prop_assert_eq!(header.to_bytes(), bytes);
        }
    }
}
