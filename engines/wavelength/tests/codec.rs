//! The laws of the modulations: decoding is the exact inverse of encoding whatever the pieces, and
//! every kind of damage has an error of its own.
#![allow(clippy::panic, clippy::unwrap_used)]

use proptest::prelude::*;
use quantumos_wavelength::{
    Decoder, Encoder, Error, FRAME_LEN, HEADER_LEN, Method, PAYLOAD_MAX, encoded_len, photon_energy,
};

fn encode(method: Method, payload: &[u8], piece: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(method, payload.len() as u64, &mut out).unwrap();
    for piece in payload.chunks(piece) {
        encoder.push(piece, &mut out).unwrap();
    }
    encoder.finish().unwrap();
    out
}

fn decode(frames: &[u8], piece: usize) -> Result<Vec<u8>, Error> {
    let (mut decoder, mut out) = (Decoder::new(), Vec::new());
    for piece in frames.chunks(piece) {
        decoder.push(piece, &mut out)?;
    }
    decoder.finish()?;
    Ok(out)
}

/// Mends the check sum of a frame that was altered, as somebody would who knows the format.
fn mend(frames: &mut [u8], frame: usize) {
    let at = HEADER_LEN + frame * FRAME_LEN;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&frames[HEADER_LEN - 4..HEADER_LEN]);
    crc.update(&frames[at..at + 22]);
    frames[at + 22..at + 26].copy_from_slice(&crc.finalize().to_be_bytes());
}

#[test]
fn every_byte_and_length_round_trips() {
    let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    for method in Method::ALL {
        for payload in [&[][..], &[0], &[255, 255], &[1, 2, 3], &all] {
            let frames = encode(method, payload, 7);
            assert_eq!(
                frames.len() as u64,
                encoded_len(method, payload.len() as u64)
            );
            assert_eq!(decode(&frames, 11).unwrap(), payload, "{}", method.name());
        }
        assert_eq!(method.name().to_lowercase().parse(), Ok(method));
    }
    assert!(matches!(
        "XYZ".parse::<Method>(),
        Err(Error::UnknownMethod(_))
    ));
}

/// Frames are light: within the visible range, with the energy of Planck and Einstein.
#[test]
fn frames_are_physical() {
    let payload: Vec<u8> = (0..=255).collect();
    for method in Method::ALL {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(method, 256, &mut out).unwrap();
        let mut frames = Vec::new();
        encoder
            .push_frames(&payload, |frame| frames.push(*frame))
            .unwrap();
        assert_eq!(frames.len(), 256_usize.div_ceil(method.width()));
        for (number, frame) in frames.iter().enumerate() {
            assert_eq!(frame.number as usize, number);
            assert!((380_000..780_000).contains(&frame.wavelength_pm));
            assert!((1_000..=5_080).contains(&frame.photons));
            assert!((0.0..std::f64::consts::TAU).contains(&frame.phase_radians()));
            let wanted =
                6.626_070_15e-34 * 299_792_458.0 / (f64::from(frame.wavelength_pm) * 1e-12);
            assert!((frame.energy / wanted - 1.0).abs() < 1e-15);
        }
        // The decoder shows the same frames.
        let (mut decoder, mut seen) = (Decoder::new(), Vec::new());
        let bytes = encode(method, &payload, 100);
        decoder
            .push_frames(&bytes, &mut Vec::new(), |frame| seen.push(*frame))
            .unwrap();
        assert_eq!(seen, frames);
        assert_eq!(decoder.header(), Some((method, 256)));
    }
    // Green light, 532 nm.
    assert!((photon_energy(532_000) / 3.733_921e-19 - 1.0).abs() < 1e-6);
}

#[test]
fn every_flipped_bit_is_seen_where_it_is() {
    for method in Method::ALL {
        let frames = encode(method, b"payload", 7);
        for bit in 0..frames.len() * 8 {
            let mut bad = frames.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let got = decode(&bad, 1 << 10).unwrap_err();
            let wanted = match bit / 8 {
                0..4 => Error::Foreign,
                4 => Error::UnknownVersion(bad[4]),
                5..HEADER_LEN => Error::DamagedHeader,
                at => Error::Damaged(((at - HEADER_LEN) / FRAME_LEN) as u64),
            };
            assert_eq!(got, wanted, "{} byte {}", method.name(), bit / 8);
        }
    }
}

#[test]
fn cuts_order_and_what_follows_are_seen() {
    let frames = encode(Method::Fse, b"abc", 3);
    let want = frames.len() as u64;
    for at in 0..frames.len() {
        let wanted = Error::Truncated {
            got: at as u64,
            want: if at < HEADER_LEN {
                HEADER_LEN as u64
            } else {
                want
            },
        };
        assert_eq!(decode(&frames[..at], 5), Err(wanted));
    }
    let (header, body) = frames.split_at(HEADER_LEN);
    let frame = |i: usize| &body[i * FRAME_LEN..(i + 1) * FRAME_LEN];
    let swapped = [header, frame(1), frame(0), frame(2)].concat();
    assert_eq!(
        decode(&swapped, 9),
        Err(Error::OutOfOrder {
            expected: 0,
            found: 1
        })
    );
    let twice = [header, frame(0), frame(0), frame(1)].concat();
    assert_eq!(
        decode(&twice, 9),
        Err(Error::OutOfOrder {
            expected: 1,
            found: 0
        })
    );
    assert_eq!(
        decode(&[&frames[..], frame(2)].concat(), 9),
        Err(Error::Trailing)
    );
    // A frame of another message has another seed.
    let other = encode(Method::Fse, b"abcd", 3);
    let mixed = [header, &other[HEADER_LEN..HEADER_LEN + 3 * FRAME_LEN]].concat();
    assert_eq!(decode(&mixed, 9), Err(Error::Damaged(0)));
}

#[test]
fn frames_that_no_encoder_makes_are_refused() {
    let cases: [(Method, usize, &[u8], Error); 8] = [
        (
            Method::Fse,
            4,
            &380_001u32.to_be_bytes(),
            impossible("the wavelength"),
        ),
        (
            Method::Fse,
            4,
            &0u32.to_be_bytes(),
            impossible("the wavelength"),
        ),
        (
            Method::Fse,
            4,
            &u32::MAX.to_be_bytes(),
            impossible("the wavelength"),
        ),
        (
            Method::Ame,
            8,
            &1_001u32.to_be_bytes(),
            impossible("the intensity"),
        ),
        (
            Method::Fse,
            8,
            &1_016u32.to_be_bytes(),
            impossible("the intensity"),
        ),
        (Method::Fse, 12, &[1], impossible("the phase")),
        (Method::Fse, 13, &[1], impossible("the reserved byte")),
        (
            Method::Fse,
            14,
            &f64::NAN.to_bits().to_be_bytes(),
            Error::NotFinite(0),
        ),
    ];
    for (method, at, bytes, wanted) in cases {
        let mut frames = encode(method, &[0], 1);
        frames[HEADER_LEN + at..HEADER_LEN + at + bytes.len()].copy_from_slice(bytes);
        mend(&mut frames, 0);
        assert_eq!(decode(&frames, 100), Err(wanted));
    }
    let mut frames = encode(Method::Pme, &[0], 1);
    frames[HEADER_LEN + 14..HEADER_LEN + 22].copy_from_slice(&1.0f64.to_bits().to_be_bytes());
    mend(&mut frames, 0);
    assert_eq!(decode(&frames, 100), Err(impossible("the energy")));
    // Bytes to spare in the last frame of three have to be zero.
    let mut frames = encode(Method::Qiml, &[1], 1);
    frames[HEADER_LEN + 12] = 9;
    mend(&mut frames, 0);
    assert_eq!(
        decode(&frames, 100),
        Err(impossible("what follows the payload"))
    );
}

fn impossible(what: &'static str) -> Error {
    Error::Impossible { frame: 0, what }
}

#[test]
fn lengths_are_held_to() {
    let mut out = Vec::new();
    let got = PAYLOAD_MAX + 1;
    assert_eq!(
        Encoder::new(Method::Fse, got, &mut out).unwrap_err(),
        Error::TooLong {
            limit: PAYLOAD_MAX,
            got
        }
    );
    let mut encoder = Encoder::new(Method::Fse, 3, &mut out).unwrap();
    encoder.push(b"ab", &mut out).unwrap();
    assert_eq!(
        encoder.clone().finish(),
        Err(Error::Length { want: 3, got: 2 })
    );
    assert_eq!(
        encoder.push(b"cd", &mut out),
        Err(Error::Length { want: 3, got: 4 })
    );
    // A huge length in a header costs nothing: it is refused, or the frames are missing.
    let mut header = out[..HEADER_LEN].to_vec();
    header[6..14].copy_from_slice(&u64::MAX.to_be_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[0; 4]);
    crc.update(&header[..14]);
    header[14..].copy_from_slice(&crc.finalize().to_be_bytes());
    assert!(matches!(decode(&header, 100), Err(Error::TooLong { .. })));
}

#[test]
fn a_failed_decoder_stays_failed() {
    let mut frames = encode(Method::Ame, b"abc", 3);
    frames[HEADER_LEN + FRAME_LEN] ^= 1;
    let (mut decoder, mut out) = (Decoder::new(), Vec::new());
    assert_eq!(decoder.push(&frames, &mut out), Err(Error::Damaged(1)));
    assert_eq!(decoder.push(b"x", &mut out), Err(Error::Damaged(1)));
    assert_eq!(decoder.finish(), Err(Error::Damaged(1)));
    assert_eq!(out, b"a");
}

proptest! {
    #[test]
    fn exact_inverse(
        payload in prop::collection::vec(any::<u8>(), 0..600),
        method in prop::sample::select(Method::ALL.to_vec()),
        (a, b) in (1usize..700, 1usize..20_000),
    ) {
        let frames = encode(method, &payload, a);
        prop_assert_eq!(decode(&frames, b).unwrap(), payload);
    }

    #[test]
    fn any_bytes_are_refused_or_encode_to_themselves(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        method in 1u8..6,
        len in 0u8..8,
        (start, mended) in any::<(bool, bool)>(),
    ) {
        let mut bytes = bytes;
        if start {
            let head = [&b"QWLF\x01"[..], &[method, 0, 0, 0, 0, 0, 0, 0, len]].concat();
            let mut crc = crc32fast::Hasher::new();
            crc.update(&[0; 4]);
            crc.update(&head);
            bytes = [&head[..], &crc.finalize().to_be_bytes(), &bytes].concat();
        }
        for frame in 0..bytes.len().saturating_sub(HEADER_LEN) / FRAME_LEN {
            if mended {
                mend(&mut bytes, frame);
            }
        }
        if let Ok(payload) = decode(&bytes, 64) {
            let method = Method::ALL[usize::from(bytes[5]) - 1];
            prop_assert_eq!(encode(method, &payload, 64), bytes);
        }
    }
}
