//! The dense method against the reference: every gate, any number of wires and threads, both precisions.

#![allow(clippy::panic, clippy::unwrap_used)]

mod reference;

use quantumos_circuit::dense::{Real, State, bytes_needed};
use quantumos_circuit::ir::{Circuit, Gate, Op};
use quantumos_circuit::rng::Rng;
use quantumos_circuit::{C64, Error, Watch};

const MEMORY: u64 = 1 << 30;

fn gates(circuit: &Circuit) -> Vec<Gate> {
    circuit
        .ops
        .iter()
        .map(|op| match op {
            Op::Gate(gate) => gate.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn run<T: Real>(circuit: &Circuit, threads: usize) -> State<T> {
    let mut state = State::new(circuit.qubits, threads, MEMORY).unwrap();
    state.apply(&gates(circuit), &Watch::default()).unwrap();
    state
}

#[test]
fn random_circuits_of_every_gate_agree() {
    // From 12 qubits on the best sweeps are looked for, from 16 (single precision: 17) on tiles are copied.
    let sizes = (0..60).map(|seed| (seed, 1 + (seed % 11) as u32, 60));
    let larger = (60..90).map(|seed| (seed, 12 + (seed % 3) as u32, 200));
    let copied = (90..94).map(|seed| (seed, 17, 150));
    for (seed, qubits, gates) in sizes.chain(larger).chain(copied) {
        let circuit = reference::random(qubits, gates, seed);
        let wanted = reference::state(&circuit);
        let distance = reference::distance(&run::<f64>(&circuit, 1).amplitudes(), &wanted);
        assert!(
            distance < 1e-12,
            "seed {seed}, {qubits} qubits: off by {distance:e}"
        );
        let distance = reference::distance(&run::<f32>(&circuit, 1).amplitudes(), &wanted);
        assert!(
            distance < 1e-5,
            "seed {seed}, {qubits} qubits, single: off by {distance:e}"
        );
    }
}

#[test]
fn tiles_and_threads_make_no_difference() {
    // More wires than a tile has, so that passes copy; and a Fourier transform for long phases.
    let mut circuit = reference::random(17, 120, 99);
    for j in (0..17).rev() {
        circuit.gate("h", &[], &[j]).unwrap();
        for k in 0..j {
            let angle = std::f64::consts::PI / f64::from(1 << (j - k));
            circuit.gate("cp", &[angle], &[j, k]).unwrap();
        }
    }
    circuit.gate("ccz", &[], &[0, 8, 16]).unwrap();
    circuit.gate("h", &[], &[3]).unwrap();
    let one = run::<f64>(&circuit, 1).amplitudes();
    let distance = reference::distance(&one, &reference::state(&circuit));
    assert!(distance < 1e-12, "off by {distance:e}");
    for threads in [2, 3, 8] {
        assert!(
            one == run::<f64>(&circuit, threads).amplitudes(),
            "{threads} threads"
        );
    }
    let single = run::<f32>(&circuit, 4).amplitudes();
    assert!(reference::distance(&single, &one) < 1e-5);
}

#[test]
fn many_rotations_in_one_tile_neither_grow_nor_fade() {
    // Rotations leave their cosines to the end: thousands of them would leave the range of numbers.
    let mut circuit = Circuit::new(13, 0).unwrap();
    for layer in 0..400 {
        for q in 0..13 {
            let angle = 1.5 + f64::from(q) * 0.01;
            circuit.gate("ry", &[angle], &[q]).unwrap();
        }
        for q in (layer % 2..12).step_by(2) {
            circuit.gate("cz", &[], &[q, q + 1]).unwrap();
        }
    }
    let mut all = gates(&circuit);
    let back: Vec<Gate> = all.iter().rev().map(Gate::inverse).collect();
    all.extend(back);
    fn there_and_back<T: Real>(all: &[Gate], within: f64) {
        let mut state = State::<T>::new(13, 2, MEMORY).unwrap();
        state
            .apply(&all[..all.len() / 2], &Watch::default())
            .unwrap();
        assert!((state.norm() - 1.0).abs() < within, "{}", state.norm());
        state
            .apply(&all[all.len() / 2..], &Watch::default())
            .unwrap();
        let distance = (state.amplitude(0) - C64::ONE).norm();
        assert!(distance < within, "off by {distance:e}");
    }
    there_and_back::<f64>(&all, 1e-11);
    there_and_back::<f32>(&all, 1e-2);
}

#[test]
fn what_is_read_off_agrees_with_the_amplitudes() {
    let circuit = reference::random(9, 80, 3);
    let state = run::<f64>(&circuit, 2);
    let all = reference::state(&circuit);
    assert!((state.norm() - 1.0).abs() < 1e-12);
    let p: f64 = (0..512)
        .filter(|x| x >> 4 & 1 == 1)
        .map(|x| all[x].norm_sqr())
        .sum();
    assert!((state.probability_of_one(4) - p).abs() < 1e-12);
    let marginal = state.probabilities(&[7, 2]);
    for (value, got) in marginal.iter().enumerate() {
        let wanted: f64 = (0..512)
            .filter(|x| (x >> 7 & 1) | (x >> 2 & 1) << 1 == value)
            .map(|x| all[x].norm_sqr())
            .sum();
        assert!((got - wanted).abs() < 1e-12);
    }
    // X on 0 and 3, Z on 3 and 5: the state with those gates, projected on the state.
    let (x, z) = (0b1001u64, 0b101000u64);
    let mut turned = all.clone();
    for (name, qubit) in [("x", 0), ("y", 3), ("z", 5)] {
        let mut one = Circuit::new(9, 0).unwrap();
        one.gate(name, &[], &[qubit]).unwrap();
        turned = reference::apply(&turned, &gates(&one)[0]);
    }
    let wanted: C64 = all.iter().zip(&turned).map(|(a, b)| a.conj() * b).sum();
    assert!((state.expectation(x, z) - wanted.re).abs() < 1e-12);
    let mut collapsed = state.copied().unwrap();
    collapsed.collapse(4, true);
    assert!((collapsed.norm() - 1.0).abs() < 1e-12);
    assert!((collapsed.probability_of_one(4) - 1.0).abs() < 1e-12);
    let scale = 1.0 / p.sqrt();
    assert!((collapsed.amplitude(0b10000) - all[0b10000] * scale).norm() < 1e-12);
}

#[test]
fn samples_follow_the_probabilities_and_repeat() {
    let circuit = reference::random(5, 60, 11);
    let all = reference::state(&circuit);
    let draw = |threads| {
        let mut streams: Vec<Rng> = (0..20_000).map(|i| Rng::stream(42, i)).collect();
        run::<f64>(&circuit, threads).sample(&mut streams)
    };
    let samples = draw(1);
    assert_eq!(samples, draw(4));
    let mut counts = [0.0; 32];
    samples.iter().for_each(|&s| counts[s as usize] += 1.0);
    let (mut chi, mut degrees) = (0.0, -1.0f64);
    for (count, amplitude) in counts.iter().zip(&all) {
        let wanted = amplitude.norm_sqr() * 20_000.0;
        if wanted > 5.0 {
            chi += (count - wanted) * (count - wanted) / wanted;
            degrees += 1.0;
        }
    }
    // Four standard deviations of the chi-square distribution.
    assert!(
        chi < degrees + 4.0 * (2.0 * degrees).sqrt(),
        "chi-square {chi}, {degrees} degrees"
    );
}

#[test]
fn too_much_is_refused_before_it_is_taken() {
    let Err(Error::Memory {
        needed, available, ..
    }) = State::<f64>::new(40, 4, MEMORY)
    else {
        panic!("40 qubits fit");
    };
    assert_eq!((needed >> 40, available), (16, MEMORY));
    assert!(bytes_needed::<f32>(150, 4) > 1 << 100);
    assert!(State::<f64>::new(150, 1, u64::MAX).is_err());
}

#[test]
fn a_cancelled_run_stops() {
    let watch = Watch::default();
    watch.cancel();
    let mut state = State::<f64>::new(18, 2, MEMORY).unwrap();
    let circuit = reference::random(18, 20, 1);
    assert_eq!(state.apply(&gates(&circuit), &watch), Err(Error::Cancelled));
}
