//! KMAC256 of NIST SP 800-185 section 4 over RustCrypto's cSHAKE256: only the padding of key and
//! output length is done here, and the tests hold it against NIST's samples.

use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{CShake256, CShake256Core};

/// Bytes that cSHAKE256 takes at a time.
const RATE: usize = 136;

/// KMAC256 with a fixed output length.
pub(crate) fn kmac256(key: &[u8], message: &[u8], customization: &[u8], out: &mut [u8]) {
    let core = CShake256Core::new_with_function_name(b"KMAC", customization);
    let mut state = CShake256::from_core(core);
    // bytepad(encode_string(K), RATE)
    let rate = left_encode(RATE as u64);
    let bits = left_encode(key.len() as u64 * 8);
    let used = rate.len() + bits.len() + key.len();
    state.update(&rate);
    state.update(&bits);
    state.update(key);
    state.update(&vec![0; used.next_multiple_of(RATE) - used]);
    state.update(message);
    let mut length = left_encode(out.len() as u64 * 8);
    // right_encode is left_encode with the count at the other end.
    length.rotate_left(1);
    state.update(&length);
    state.finalize_xof().read(out);
}

/// The number of bytes of `x`, then `x` in as few bytes as it takes, at least one.
fn left_encode(x: u64) -> Vec<u8> {
    let bytes = x.to_be_bytes();
    let skip = (x.leading_zeros() as usize / 8).min(7);
    let mut out = vec![(8 - skip) as u8];
    out.extend_from_slice(&bytes[skip..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST, "KMAC_samples": samples 4 to 6.
    #[test]
    fn nist_samples() {
        let key: Vec<u8> = (0x40..0x60).collect();
        let long: Vec<u8> = (0..0xC8).collect();
        let tagged = &b"My Tagged Application"[..];
        for (message, customization, wanted) in [
            (
                &[0, 1, 2, 3][..],
                tagged,
                "20c570c31346f703c9ac36c61c03cb64c3970d0cfc787e9b79599d273a68d2f7\
                 f69d4cc3de9d104a351689f27cf6f5951f0103f33f4f24871024d9c27773a8dd",
            ),
            (
                &long,
                b"",
                "75358cf39e41494e949707927cee0af20a3ff553904c86b08f21cc414bcfd691\
                 589d27cf5e15369cbbff8b9a4c2eb17800855d0235ff635da82533ec6b759b69",
            ),
            (
                &long,
                tagged,
                "b58618f71f92e1d56c1b8c55ddd7cd188b97b4ca4d99831eb2699a837da2e4d9\
                 70fbacfde50033aea585f1a2708510c32d07880801bd182898fe476876fc8965",
            ),
        ] {
            let mut out = [0u8; 64];
            kmac256(&key, message, customization, &mut out);
            let hex: String = out.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, wanted);
        }
    }
}
