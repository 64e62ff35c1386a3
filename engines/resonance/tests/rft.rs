//! The laws of the transform: it is the unitary matrix closest to the golden-ratio matrix, there and
//! back gives the signal to 1e-12, energy stays, and the same for blocks and keys.
#![allow(clippy::panic, clippy::unwrap_used)]

use proptest::prelude::*;
use quantumos_resonance::Error;
use quantumos_resonance::rft::{Blocks, Complex64, LEN_MAX, Rft, Scramble, Spectrum};
use std::f64::consts::{PI, TAU};

const TOLERANCE: f64 = 1e-12;

fn signal(n: usize, mut seed: u64) -> Vec<Complex64> {
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..n).map(|_| Complex64::new(next(), next())).collect()
}

fn distance(a: &[Complex64], b: &[Complex64]) -> f64 {
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).norm());
    apart.fold(0.0, f64::max)
}

fn energy(x: &[Complex64]) -> f64 {
    x.iter().map(Complex64::norm_sqr).sum::<f64>().sqrt()
}

fn dot(a: &[Complex64], b: &[Complex64]) -> Complex64 {
    a.iter().zip(b).map(|(a, b)| a.conj() * b).sum()
}

/// Lengths with the best and the worst Gram matrices, primes, powers, neighbours.
const LENS: [usize; 16] = [
    1, 2, 3, 4, 7, 21, 64, 89, 100, 127, 256, 377, 512, 987, 1000, 1024,
];

#[test]
fn there_and_back_to_1e_12() {
    for n in LENS {
        let rft = Rft::new(n).unwrap();
        for seed in 0..3 {
            let x = signal(n, seed);
            let spectrum = rft.forward(&x).unwrap();
            assert!(
                distance(&rft.inverse(&spectrum).unwrap(), &x) < TOLERANCE,
                "{n}"
            );
            assert!(distance(&rft.forward(&rft.inverse(&x).unwrap()).unwrap(), &x) < TOLERANCE);
            assert!(
                (energy(&spectrum) / energy(&x) - 1.0).abs() < TOLERANCE,
                "{n}"
            );
        }
        assert!(rft.approximation_error() < 1e-14, "{n}");
        assert!(rft.left_out() < 1e-13, "{n}");
    }
}

/// The two ways to the inverse square root, through products of cyclic matrices (2, 3, 31 and their
/// multiples) and inverse by inverse (37 and primes beyond it), at lengths where the Gram matrix is bad:
/// the cost in FFTs is a small part of n^2, and the laws hold up to the bound there is.
#[test]
fn both_ways_to_the_root_keep_the_law() {
    for (n, cyclic) in [
        (460, true),
        (750, true),
        (841, true),
        (928, true),
        (972, true),
        (1000, true),
        (407, false),
        (1021, false),
    ] {
        let rft = Rft::new(n).unwrap();
        let (count, len) = rft.root_cost();
        assert_eq!(len == n, cyclic, "{n}");
        assert!(count <= 4 * rft.terms() + 2, "{n}: {count}");
        assert_eq!(rft.left_out() > 0.0, cyclic, "{n}");
        let x: Vec<_> = (0..n).map(|i| Complex64::cis(i as f64)).collect();
        let spectrum = rft.forward(&x).unwrap();
        let apart = distance(&rft.inverse(&spectrum).unwrap(), &x);
        assert!(apart < TOLERANCE, "{n}: {apart:e}");
        assert!((energy(&spectrum) / energy(&x) - 1.0).abs() < TOLERANCE);
    }
}

/// Columns of the transform are orthonormal: every pair for short ones, a sample for 1024.
#[test]
fn unitary_to_1e_12() {
    for n in [1, 2, 5, 34, 64, 100] {
        let rft = Rft::new(n).unwrap();
        let columns = columns(&rft, 0..n);
        for (i, a) in columns.iter().enumerate() {
            for (j, b) in columns.iter().enumerate() {
                let wanted = if i == j { 1.0 } else { 0.0 };
                assert!((dot(a, b) - wanted).norm() < TOLERANCE, "{n} {i} {j}");
            }
        }
    }
    let rft = Rft::new(1024).unwrap();
    let columns = columns(&rft, (0..1024).step_by(41));
    for (i, a) in columns.iter().enumerate() {
        for (j, b) in columns.iter().enumerate() {
            let wanted = if i == j { 1.0 } else { 0.0 };
            assert!((dot(a, b) - wanted).norm() < TOLERANCE, "{i} {j}");
        }
    }
}

fn columns(rft: &Rft, which: impl Iterator<Item = usize>) -> Vec<Vec<Complex64>> {
    which
        .map(|k| {
            let mut unit = vec![Complex64::ZERO; rft.len()];
            unit[k] = Complex64::ONE;
            rft.inverse(&unit).unwrap()
        })
        .collect()
}

/// The golden ratio's multiples in plain doubles, good enough for short lengths.
fn golden_matrix(n: usize) -> Vec<Vec<Complex64>> {
    let phi = (1.0 + 5f64.sqrt()) / 2.0;
    let scale = 1.0 / (n as f64).sqrt();
    let row = |t: usize| {
        let entry =
            |k: usize| Complex64::cis(TAU * (((k + 1) as f64 * phi).fract() * t as f64).fract());
        (0..n).map(|k| entry(k) * scale).collect()
    };
    (0..n).map(row).collect()
}

/// The inverse, by elimination with pivots.
fn inverted(mut a: Vec<Vec<Complex64>>) -> Vec<Vec<Complex64>> {
    let n = a.len();
    for (i, row) in a.iter_mut().enumerate() {
        row.extend((0..n).map(|j| Complex64::from(f64::from(u8::from(i == j)))));
    }
    for i in 0..n {
        let pivot = (i..n)
            .max_by(|x, y| a[*x][i].norm().total_cmp(&a[*y][i].norm()))
            .unwrap();
        a.swap(i, pivot);
        let inverse = a[i][i].inv();
        a[i].iter_mut().for_each(|x| *x *= inverse);
        let row = a[i].clone();
        for (j, other) in a.iter_mut().enumerate() {
            if j != i {
                let by = other[i];
                other.iter_mut().zip(&row).for_each(|(x, y)| *x -= by * y);
            }
        }
    }
    a.into_iter().map(|row| row[n..].to_vec()).collect()
}

/// The closest unitary matrix by another way altogether: Newton's iteration X <- (X + X^-H) / 2.
#[test]
fn it_is_the_closest_unitary() {
    for n in [1, 2, 3, 8, 13, 31, 48] {
        let mut x = golden_matrix(n);
        for _ in 0..30 {
            let inverse = inverted(x.clone());
            for (i, row) in x.iter_mut().enumerate() {
                for (j, entry) in row.iter_mut().enumerate() {
                    *entry = (*entry + inverse[j][i].conj()) * 0.5;
                }
            }
        }
        let rft = Rft::new(n).unwrap();
        for (k, column) in columns(&rft, 0..n).iter().enumerate() {
            let wanted: Vec<Complex64> = x.iter().map(|row| row[k]).collect();
            assert!(distance(column, &wanted) < 1e-11, "{n} {k}");
        }
    }
}

/// What makes blocks of Fibonacci lengths good: the condition number does not grow with them.
#[test]
fn fibonacci_lengths_are_well_conditioned() {
    for n in [5, 8, 13, 34, 144, 610, 987, 1597] {
        let rft = Rft::new(n).unwrap();
        // 2.85, and the bounds are a fiftieth apart on each side.
        assert!(rft.condition() < 3.0, "{n}: {}", rft.condition());
        assert!(rft.terms() <= 8, "{n}: {}", rft.terms());
    }
    let worst = Rft::new(1024).unwrap();
    assert!((1216.0..1300.0).contains(&worst.condition()));
}

#[test]
fn frequencies_are_the_golden_multiples() {
    let phi = (1.0 + 5f64.sqrt()) / 2.0;
    for (k, f) in Rft::new(50).unwrap().frequencies().iter().enumerate() {
        assert!((f - ((k + 1) as f64 * phi).fract()).abs() < 1e-13);
        assert!((0.0..1.0).contains(f));
    }
}

/// A tone at one of the frequencies stands out at its place.
#[test]
fn a_tone_stands_out() {
    let rft = Rft::new(233).unwrap();
    let f = rft.frequencies()[40];
    let tone: Vec<f64> = (0..233).map(|t| (TAU * f * f64::from(t)).cos()).collect();
    let spectrum = rft.spectrum(&tone).unwrap();
    let loudest =
        (0..233).max_by(|a, b| spectrum.amplitudes[*a].total_cmp(&spectrum.amplitudes[*b]));
    let loudest = rft.frequencies()[loudest.unwrap()];
    // A real tone has its mirror image too.
    assert!((loudest - f).abs() < 0.01 || (loudest - (1.0 - f)).abs() < 0.01);
    assert!(spectrum.phases.iter().all(|p| (-PI..=PI).contains(p)));
}

#[test]
fn a_spectrum_gives_its_waveform_back() {
    let rft = Rft::new(100).unwrap();
    let wave: Vec<f64> = signal(100, 5).iter().map(|x| x.re).collect();
    let spectrum = rft.spectrum(&wave).unwrap();
    let back = rft.waveform(&spectrum).unwrap();
    assert!(
        wave.iter()
            .zip(&back)
            .all(|(a, b)| (a - b).abs() < TOLERANCE)
    );
    let change = |f: &dyn Fn(&mut Spectrum)| {
        let mut changed = spectrum.clone();
        f(&mut changed);
        rft.waveform(&changed).unwrap_err()
    };
    assert!(matches!(
        change(&|s| s.phases[3] += 0.5),
        Error::Malformed { .. }
    ));
    assert!(matches!(
        change(&|s| s.frequencies[3] += 0.5),
        Error::Malformed { .. }
    ));
    assert!(matches!(
        change(&|s| s.amplitudes[3] = f64::NAN),
        Error::NotFinite {
            what: "amplitudes",
            index: 3
        }
    ));
    assert!(matches!(
        change(&|s| s.phases.truncate(99)),
        Error::Length {
            what: "phases",
            want: 100,
            got: 99
        }
    ));
}

#[test]
fn bad_input_is_named() {
    assert!(matches!(Rft::new(0), Err(Error::TooShort { .. })));
    assert!(matches!(Rft::new(LEN_MAX + 1), Err(Error::TooLong { .. })));
    assert!(matches!(Blocks::of(10, 0), Err(Error::TooShort { .. })));
    assert!(matches!(
        Blocks::of(10, LEN_MAX + 1),
        Err(Error::TooLong { .. })
    ));
    assert!(matches!(Blocks::fibonacci(0), Err(Error::TooShort { .. })));
    assert!(matches!(
        Blocks::fibonacci(usize::MAX),
        Err(Error::TooLong { .. })
    ));
    let rft = Rft::new(4).unwrap();
    assert!(matches!(
        rft.forward(&signal(3, 0)),
        Err(Error::Length {
            want: 4,
            got: 3,
            ..
        })
    ));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut x = signal(4, 0);
        x[2].im = bad;
        assert!(matches!(
            rft.forward(&x),
            Err(Error::NotFinite { index: 2, .. })
        ));
        assert!(matches!(
            rft.inverse(&x),
            Err(Error::NotFinite { index: 2, .. })
        ));
    }
}

#[test]
fn blocks_of_any_length_go_there_and_back() {
    for (blocks, n) in [
        (Blocks::fibonacci(1).unwrap(), 1),
        (Blocks::fibonacci(4000).unwrap(), 4000),
        (Blocks::of(2500, 1000).unwrap(), 2500),
        (Blocks::of(100, 1024).unwrap(), 100),
    ] {
        assert_eq!(blocks.lens().iter().sum::<usize>(), n);
        let x = signal(n, 9);
        let spectrum = blocks.forward(&x).unwrap();
        assert_eq!(blocks.frequencies().len(), n);
        assert!((energy(&spectrum) / energy(&x) - 1.0).abs() < TOLERANCE);
        assert!(distance(&blocks.inverse(&spectrum).unwrap(), &x) < TOLERANCE);
    }
    assert_eq!(
        Blocks::fibonacci(4000).unwrap().lens(),
        [2584, 987, 377, 34, 13, 5]
    );
    assert_eq!(Blocks::of(2500, 1000).unwrap().lens(), [1000, 1000, 500]);
}

#[test]
fn a_key_permutes_and_turns_and_only_it_undoes_that() {
    let x = signal(200, 1);
    let scramble = Scramble::new(b"key", 200).unwrap();
    let hidden = scramble.apply(&x).unwrap();
    assert!((energy(&hidden) / energy(&x) - 1.0).abs() < TOLERANCE);
    assert!(distance(&scramble.undo(&hidden).unwrap(), &x) < TOLERANCE);
    let other = Scramble::new(b"kez", 200).unwrap();
    assert!(distance(&other.undo(&hidden).unwrap(), &x) > 0.5);
    // It is obfuscation: the amplitudes are all still there.
    let sorted = |x: &[Complex64]| {
        let mut norms: Vec<f64> = x.iter().map(|x| x.norm()).collect();
        norms.sort_by(f64::total_cmp);
        norms
    };
    let (a, b) = (sorted(&x), sorted(&hidden));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(matches!(Scramble::new(b"", 4), Err(Error::TooShort { .. })));
    assert!(matches!(scramble.apply(&x[1..]), Err(Error::Length { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn laws_hold_for_any_length(n in 1usize..=1024, seed in any::<u64>(), turn in 0.0..TAU) {
        let rft = Rft::new(n).unwrap();
        let (x, y) = (signal(n, seed), signal(n, !seed));
        let (fx, fy) = (rft.forward(&x).unwrap(), rft.forward(&y).unwrap());
        prop_assert!(distance(&rft.inverse(&fx).unwrap(), &x) < TOLERANCE);
        // Inner products stay: the transform is unitary.
        let scale = energy(&x) * energy(&y);
        prop_assert!((dot(&fx, &fy) - dot(&x, &y)).norm() < TOLERANCE * scale);
        // And linear.
        let by = Complex64::cis(turn);
        let sum: Vec<_> = x.iter().zip(&y).map(|(a, b)| a + by * b).collect();
        let wanted: Vec<_> = fx.iter().zip(&fy).map(|(a, b)| a + by * b).collect();
        prop_assert!(distance(&rft.forward(&sum).unwrap(), &wanted) < TOLERANCE);
    }
}
