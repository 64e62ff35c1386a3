//! Tokens: 64-bit names for what happens (a system call, a program that runs, a path, a peer), stable across
//! machines and versions, since models hold them.

/// FNV-1a over the bytes, finished by SplitMix64's mixer so that low bits are good too.
#[must_use]
pub fn of(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(hash)
}

/// The token of a sequence of tokens; order and number count.
#[must_use]
pub fn sequence(tokens: &[u64]) -> u64 {
    tokens.iter().fold(
        0x9e37_79b9_7f4a_7c15 ^ tokens.len() as u64,
        |hash, token| mix(hash.rotate_left(23) ^ token),
    )
}

fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_fixed_because_models_hold_them() {
        assert_eq!(of(b""), 14_087_677_454_934_409_008);
        assert_ne!(sequence(&[1, 2]), sequence(&[2, 1]));
        assert_ne!(sequence(&[1]), sequence(&[1, 1]));
    }
}
