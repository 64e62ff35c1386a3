//! Frames of light, with check sums mended so that what lies behind them is reached: what decodes
//! encodes to the same bytes, whatever the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_wavelength::{Decoder, Encoder, FRAME_LEN, HEADER_LEN};

fn checksum(seed: &[u8], bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in seed.iter().chain(bytes) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    (!crc).to_be_bytes()
}

fuzz_target!(|input: (u8, bool, Vec<u8>)| {
    let (piece, mend, mut bytes) = input;
    if mend && bytes.len() >= HEADER_LEN {
        let sum = checksum(&[0; 4], &bytes[..HEADER_LEN - 4]);
        bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&sum);
        for frame in bytes[HEADER_LEN..].chunks_exact_mut(FRAME_LEN) {
            let sum = checksum(&sum, &frame[..22]);
            frame[22..].copy_from_slice(&sum);
        }
    }
    let (mut decoder, mut payload) = (Decoder::new(), Vec::new());
    let fed = bytes
        .chunks(usize::from(piece) + 1)
        .all(|piece| decoder.push(piece, &mut payload).is_ok());
    let header = decoder.header();
    if fed && decoder.finish().is_ok() {
        let (method, len) = header.expect("decoded without a header");
        assert_eq!(len, payload.len() as u64);
        let mut again = Vec::new();
        let mut encoder = Encoder::new(method, len, &mut again).expect("a length that was read");
        encoder.push(&payload, &mut again).expect("the same length");
        encoder.finish().expect("the same length");
        assert_eq!(again, bytes);
    }
});
