//! The hash and the MAC: structured near-misses never collide, every bit counts, and what the
//! seed's own construction does wrong is shown beside it.
#![allow(clippy::panic, clippy::unwrap_used)]

use proptest::prelude::*;
use quantumos_resonance::Error;
use quantumos_resonance::hmac::{WaveHmac, wave_hmac};
use quantumos_resonance::rft::Rft;
use quantumos_resonance::wave::{Summary, hash};
use std::collections::HashMap;

/// The geometric hash of the seed's public ancestor: sums over even and odd places.
fn ancestor(waveform: &[f64]) -> String {
    let sum = |start: usize| -> f64 { waveform.iter().skip(start).step_by(2).sum() };
    format!("A{:.4}-P{:.4}", sum(0), sum(1))
}

/// Why the summary is display only: two values of one parity swapped, and the old hash is the same.
#[test]
fn the_ancestor_collides_and_this_one_does_not() {
    let wave = [0.1, 0.5, 0.9, 0.5, 0.3, 0.7];
    let swapped = [0.9, 0.5, 0.1, 0.7, 0.3, 0.5];
    assert_eq!(ancestor(&wave), ancestor(&swapped));
    let (a, b) = (hash(&wave, None, None), hash(&swapped, None, None));
    assert_ne!(a.unwrap(), b.unwrap());
}

#[test]
fn no_collision_over_structured_near_misses() {
    let base = [0.1, 0.5, 0.9, -0.25, 0.3, 0.7];
    let mut waves: Vec<Vec<f64>> = Vec::new();
    // Every permutation of six values.
    let mut order = [0usize, 1, 2, 3, 4, 5];
    permutations(&mut order, 0, &mut |o| {
        waves.push(o.iter().map(|i| base[*i]).collect());
    });
    assert_eq!(waves.len(), 720);
    for i in 0..6 {
        for change in [
            |x: f64| -x,
            f64::next_up,
            f64::next_down,
            |x| x + 1.0,
            |_| 0.0,
            |x| x * (1.0 + f64::EPSILON),
        ] {
            let mut wave = base.to_vec();
            wave[i] = change(wave[i]);
            waves.push(wave);
        }
        // Shorter, longer, shifted.
        waves.push(base[..i.max(1)].to_vec());
        waves.push([&base[i..], &base[..i]].concat());
        waves.push([&base[..], &vec![0.0; i + 1]].concat());
        waves.push([&vec![0.0; i + 1], &base[..]].concat());
    }
    let phases = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    let mut seen: HashMap<[u8; 32], (Vec<u64>, String)> = HashMap::new();
    for wave in &waves {
        let bits: Vec<u64> = wave.iter().map(|x| x.to_bits()).collect();
        for shift in [None, Some(0), Some(1), Some(5)] {
            let block = shift.map(|by| {
                let mut phases = phases;
                phases.rotate_left(by);
                phases
            });
            for key in [None, Some(&b"a"[..]), Some(b"b"), Some(b"")] {
                let value = hash(wave, block.as_ref().map(|b| &b[..]), key).unwrap();
                let how = (bits.clone(), format!("{shift:?} {key:?}"));
                if let Some(before) = seen.insert(value, how.clone()) {
                    assert_eq!(before, how, "two inputs, one hash");
                }
            }
        }
    }
    assert!(seen.len() > 10_000, "{}", seen.len());
}

fn permutations(order: &mut [usize; 6], at: usize, each: &mut impl FnMut(&[usize; 6])) {
    if at == order.len() {
        each(order);
    }
    for i in at..order.len() {
        order.swap(at, i);
        permutations(order, at + 1, each);
        order.swap(at, i);
    }
}

/// The lists can't slide into one another: the lengths are part of what is hashed.
#[test]
fn waveform_and_phases_have_a_border() {
    let (a, b) = (
        hash(&[1.0, 2.0], Some(&[3.0]), None),
        hash(&[1.0], Some(&[2.0, 3.0]), None),
    );
    assert_ne!(a.unwrap(), b.unwrap());
    let (a, b) = (hash(&[1.0], Some(&[]), None), hash(&[1.0], None, None));
    assert_ne!(a.unwrap(), b.unwrap());
}

#[test]
fn there_is_one_zero_and_no_nan() {
    assert_eq!(hash(&[0.0], None, None), hash(&[-0.0], None, None));
    assert_eq!(
        hash(&[1.0], Some(&[-0.0]), Some(b"k")),
        hash(&[1.0], Some(&[0.0]), Some(b"k"))
    );
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (got, what) in [
            (hash(&[1.0, bad], None, None), "waveform"),
            (hash(&[1.0], Some(&[1.0, bad]), None), "phases"),
        ] {
            assert_eq!(got, Err(Error::NotFinite { what, index: 1 }));
        }
        assert!(wave_hmac(b"k", Some(&[bad]), b"").is_err());
    }
    assert!(matches!(hash(&[], None, None), Err(Error::TooShort { .. })));
}

/// Fixed values: whoever changes the encoding by accident learns it here. Both were computed by
/// another program from the description.
#[test]
fn the_encoding_stays() {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    assert_eq!(
        hex(&hash(&[0.1, -0.0, 1e300], Some(&[3.0]), None).unwrap()),
        HASH
    );
    assert_eq!(
        hex(&wave_hmac(b"key", Some(&[1.5]), b"message").unwrap()[..32]),
        HMAC
    );
}

const HASH: &str = "d15e05a14b3b45512e07de8745e6d9566e98487fe1608f013a877bd3bca7cf21";
const HMAC: &str = "724b3538dd9fff8dd43c3f836a1b14c82d6d300b5b57c0c130881379eb24d1f2";

#[test]
fn the_summary_is_for_the_eye() {
    let rft = Rft::new(4).unwrap();
    let summary = Summary::of(&rft.spectrum(&[0.5, -0.5, 0.5, -0.5]).unwrap());
    // The transform is unitary: the mean square of the coefficients is that of the values.
    assert!((summary.amplitude - 0.5).abs() < 1e-12);
    assert!((0.0..1.0).contains(&summary.phase));
    assert!(summary.to_string().starts_with("A0.5000-P0."));
}

#[test]
fn hmac_binds_key_phases_and_message() {
    let tag = wave_hmac(b"key", Some(&[0.5, 0.25]), b"message").unwrap();
    type Input = (&'static [u8], Option<&'static [f64]>, &'static [u8]);
    let others: [Input; 7] = [
        (b"kez", Some(&[0.5, 0.25]), b"message"),
        (b"key", Some(&[0.25, 0.5]), b"message"),
        (b"key", Some(&[0.5, 0.25, 0.0]), b"message"),
        (b"key", Some(&[]), b"message"),
        (b"key", None, b"message"),
        (b"key", Some(&[0.5, 0.25]), b"messag"),
        (b"key", Some(&[0.5, 0.25]), b""),
    ];
    let mut seen = vec![tag];
    for (key, phases, message) in others {
        let other = wave_hmac(key, phases, message).unwrap();
        assert!(!seen.contains(&other));
        seen.push(other);
    }
    assert!(matches!(
        wave_hmac(b"", None, b""),
        Err(Error::TooShort { .. })
    ));
}

#[test]
fn hmac_in_pieces_counts_them() {
    let whole = wave_hmac(b"key", None, b"message").unwrap();
    let start = WaveHmac::new(b"key", None, 7).unwrap();
    let mut mac = start.clone();
    mac.update(b"mess").unwrap();
    assert!(matches!(
        mac.clone().finish(),
        Err(Error::Length {
            want: 7,
            got: 4,
            ..
        })
    ));
    mac.update(b"age").unwrap();
    assert!(mac.clone().verify(&whole).unwrap());
    assert!(!mac.clone().verify(&whole[..63]).unwrap());
    for bit in 0..512 {
        let mut tag = whole;
        tag[bit / 8] ^= 1 << (bit % 8);
        assert!(!mac.clone().verify(&tag).unwrap());
    }
    assert!(matches!(
        mac.update(b"!"),
        Err(Error::Length {
            want: 7,
            got: 8,
            ..
        })
    ));
}

proptest! {
    /// Avalanche: one bit of one value turns about half of the 256 bits (never fewer than 80).
    #[test]
    fn avalanche(
        wave in prop::collection::vec(-1e3f64..1e3, 1..64),
        at in any::<prop::sample::Index>(),
        bit in 0u32..52,
        keyed in any::<bool>(),
    ) {
        let key = keyed.then_some(&b"key"[..]);
        let mut other = wave.clone();
        let slot = &mut other[at.index(wave.len())];
        *slot = f64::from_bits(slot.to_bits() ^ (1 << bit));
        prop_assume!(*slot != wave[at.index(wave.len())]);
        let (a, b) = (hash(&wave, None, key).unwrap(), hash(&other, None, key).unwrap());
        let turned: u32 = a.iter().zip(&b).map(|(a, b)| (a ^ b).count_ones()).sum();
        prop_assert!((80..=176).contains(&turned), "{turned}");
    }

    /// Values in another order, a zero's sign, a phase turned on: the hash differs just when the numbers do.
    #[test]
    fn near_misses_of_any_waveform_differ(
        wave in prop::collection::vec(prop_oneof![Just(0.0), Just(-0.0), -1e3f64..1e3], 1..40),
        shuffled in any::<u64>(),
        turn in 1usize..8,
        phased in any::<bool>(),
    ) {
        let phases: Vec<f64> = (0..8).map(f64::from).collect();
        let mut turned = phases.clone();
        turned.rotate_left(turn);
        let block = phased.then_some(&phases[..]);
        let value = hash(&wave, block, None).unwrap();
        let mut other = wave.clone();
        // A shuffle without a generator: each place changes with one that the number names.
        for at in (1..other.len()).rev() {
            other.swap(at, (shuffled.rotate_left(at as u32 * 7) % (at as u64 + 1)) as usize);
        }
        prop_assert_eq!(hash(&other, block, None).unwrap() == value, other == wave);
        let signs: Vec<f64> = wave.iter().map(|x| if *x == 0.0 { -x } else { *x }).collect();
        prop_assert_eq!(hash(&signs, block, None).unwrap(), value);
        prop_assert_ne!(hash(&wave, Some(&turned), None).unwrap(), value);
        prop_assert_ne!(hash(&wave, Some(&turned), None).unwrap(), hash(&wave, Some(&phases), None).unwrap());
    }

    /// Avalanche of the Wave HMAC: one bit of key or message turns about half of the 512 bits.
    #[test]
    fn hmac_avalanche(
        key in prop::collection::vec(any::<u8>(), 16..64),
        message in prop::collection::vec(any::<u8>(), 1..100),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        in_key in any::<bool>(),
    ) {
        let (mut other_key, mut other) = (key.clone(), message.clone());
        let bytes = if in_key { &mut other_key } else { &mut other };
        let len = bytes.len();
        bytes[at.index(len)] ^= 1 << bit;
        let a = wave_hmac(&key, None, &message).unwrap();
        let b = wave_hmac(&other_key, None, &other).unwrap();
        let turned: u32 = a.iter().zip(&b).map(|(a, b)| (a ^ b).count_ones()).sum();
        prop_assert!((180..=332).contains(&turned), "{turned}");
    }
}
