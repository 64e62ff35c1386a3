//! Runs: method against method, known circuits at hundreds of qubits, refusals.

#![allow(clippy::panic, clippy::unwrap_used)]

mod reference;
mod running;

use quantumos_circuit::ir::Circuit;
use quantumos_circuit::rng::Rng;
use quantumos_circuit::run::{Choice, Observable, Request, explain, run_planned};
use quantumos_circuit::{Error, Watch};
use running::{go, request, same};

/// A random circuit of Clifford gates.
fn clifford(qubits: u32, gates: usize, seed: u64) -> Circuit {
    let names = [
        "h", "s", "sdg", "x", "y", "z", "sx", "sxdg", "cx", "cy", "cz", "swap", "iswap", "dcx",
        "ecr", "rzz",
    ];
    let mut rng = Rng::stream(seed, 5);
    let mut circuit = Circuit::new(qubits.into(), 0).unwrap();
    for _ in 0..gates {
        let name = names[(rng.bits() % names.len() as u64) as usize];
        let a = (rng.bits() % u64::from(qubits)) as u32;
        let b = (a + 1 + (rng.bits() % u64::from(qubits - 1)) as u32) % qubits;
        let known = quantumos_circuit::ir::standard(name).unwrap();
        let angles = [std::f64::consts::FRAC_PI_2; 1];
        circuit
            .gate(name, &angles[..known.angles], &[a, b][..known.qubits()])
            .unwrap();
    }
    circuit
}

#[test]
fn methods_agree_on_clifford_circuits() {
    for seed in 0..12 {
        let circuit = clifford(6, 60, seed);
        let mut asked = request(Choice::Dense, 20_000);
        for text in ["ZZIIII", "XIXIYZ", "IIYIII", "ZIZIZI - 0.5*XXXXXX + Y0 Y5"] {
            asked.observables.push(Observable::parse(text).unwrap());
        }
        let dense = go(&circuit, &asked);
        for method in [Choice::Stabilizer, Choice::Sparse, Choice::Mps] {
            asked.method = method;
            let other = go(&circuit, &asked);
            assert_eq!(other.method, method.name());
            for (x, y) in dense.expectations.iter().zip(&other.expectations) {
                assert!((x - y).abs() < 1e-10, "seed {seed}, {method:?}: {x} {y}");
            }
            same(&dense, &other, &format!("seed {seed}, {method:?}"));
        }
    }
}

#[test]
fn sparse_and_chain_agree_with_the_reference_on_every_gate() {
    for (seed, method) in (0..20).flat_map(|s| [(s, Choice::Sparse), (s, Choice::Mps)]) {
        let circuit = reference::random(6, 40, 1000 + seed);
        let mut asked = request(method, 0);
        asked.amplitudes = (0..64).map(|i| vec![i]).collect();
        let got = go(&circuit, &asked).amplitudes;
        let distance = reference::distance(&got, &reference::state(&circuit));
        assert!(distance < 1e-12, "seed {seed}: off by {distance:e}");
    }
}

#[test]
fn measurement_in_the_middle_agrees_between_methods() {
    // Random Clifford gates with measurements and resets between them.
    for seed in 0..6 {
        let mut circuit = Circuit::new(4, 6).unwrap();
        for round in 0..3u32 {
            circuit
                .ops
                .extend(clifford(4, 12, 100 * seed + u64::from(round)).ops);
            circuit.measure(round, 2 * round).unwrap();
            circuit.measure(3, 2 * round + 1).unwrap();
            circuit.reset(2).unwrap();
        }
        let dense = go(&circuit, &request(Choice::Dense, 20_000));
        let tableau = go(&circuit, &request(Choice::Stabilizer, 20_000));
        let sparse = go(&circuit, &request(Choice::Sparse, 20_000));
        same(&dense, &tableau, &format!("tableau, seed {seed}"));
        same(&dense, &sparse, &format!("sparse, seed {seed}"));
        let chain = go(&circuit, &request(Choice::Mps, 20_000));
        same(&dense, &chain, &format!("chain, seed {seed}"));
    }
}

#[test]
fn hundreds_of_qubits_run() {
    for n in [118u32, 150, 400] {
        let mut ghz = Circuit::new(n.into(), 0).unwrap();
        ghz.gate("h", &[], &[0]).unwrap();
        for q in 1..n {
            ghz.gate("cx", &[], &[q - 1, q]).unwrap();
        }
        let got = go(&ghz, &request(Choice::Auto, 1000));
        let keys: Vec<&String> = got.counts.keys().collect();
        assert_eq!(keys, [&"0".repeat(n as usize), &"1".repeat(n as usize)]);
        assert!(got.counts.values().all(|&c| (400..600).contains(&c)));

        // Bernstein-Vazirani: the secret comes out for sure.
        let mut bv = Circuit::new(u64::from(n) + 1, n.into()).unwrap();
        bv.gate("x", &[], &[n]).unwrap();
        for q in 0..=n {
            bv.gate("h", &[], &[q]).unwrap();
        }
        let secret: String = (0..n).map(|q| if q % 3 == 0 { '1' } else { '0' }).collect();
        for q in (0..n).step_by(3) {
            bv.gate("cx", &[], &[q, n]).unwrap();
        }
        for q in 0..n {
            bv.gate("h", &[], &[q]).unwrap();
            bv.measure(q, q).unwrap();
        }
        let got = go(&bv, &request(Choice::Auto, 100));
        assert_eq!(
            got.counts.into_iter().collect::<Vec<_>>(),
            [(secret.chars().rev().collect(), 100)]
        );

        // A W state: one qubit is 1, each as likely.
        let mut w = Circuit::new(n.into(), 0).unwrap();
        w.gate("x", &[], &[0]).unwrap();
        for q in 1..n {
            let angle = 2.0 * (1.0 / f64::from(n - q + 1)).sqrt().acos();
            w.gate("cry", &[angle], &[q - 1, q]).unwrap();
            w.gate("cx", &[], &[q, q - 1]).unwrap();
        }
        let mut asked = request(Choice::Sparse, 500);
        asked.observables.push(Observable::parse("Z0").unwrap());
        let got = go(&w, &asked);
        assert!(got.counts.keys().all(|k| k.matches('1').count() == 1));
        assert!((got.expectations[0] - (1.0 - 2.0 / f64::from(n))).abs() < 1e-10);
    }
}

#[test]
fn ising_chains_of_hundreds_of_qubits_run() {
    let chain = |n: u32, steps: u32| {
        let mut circuit = Circuit::new(n.into(), 0).unwrap();
        for _ in 0..steps {
            for q in 0..n - 1 {
                circuit.gate("rzz", &[0.3], &[q, q + 1]).unwrap();
            }
            for q in 0..n {
                circuit.gate("rx", &[0.4], &[q]).unwrap();
            }
        }
        circuit
    };
    // What happens at one end of a chain does not know how long it is.
    let mut asked = request(Choice::Auto, 0);
    for text in ["Z0", "Z3 Z4", "X2 Y5"] {
        asked.observables.push(Observable::parse(text).unwrap());
    }
    let short = go(&chain(12, 4), &asked);
    for n in [118, 400] {
        asked.shots = 20;
        let long = go(&chain(n, 4), &asked);
        assert_eq!(long.method, "mps");
        for (x, y) in short.expectations.iter().zip(&long.expectations) {
            assert!((x - y).abs() < 1e-10, "{n}: {x} {y}");
        }
    }
    // A bond that is too small is told.
    let mut asked = Request {
        bond: 2,
        ..request(Choice::Mps, 0)
    };
    asked.observables.push(Observable::parse("Z3 Z4").unwrap());
    let cut = go(&chain(12, 4), &asked);
    assert!((cut.expectations[0] - short.expectations[1]).abs() < 2.0 * cut.error_bound);
    assert!(cut.error_bound > 1e-4);
}

#[test]
fn an_adder_of_hundreds_of_qubits_adds() {
    // Cuccaro's ripple-carry adder: b += a, with 130 bits each.
    let n = 130u32;
    let (a, b) = (|i: u32| 1 + 2 * i, |i: u32| 2 + 2 * i);
    let mut adder = Circuit::new(u64::from(2 * n + 2), u64::from(n + 1)).unwrap();
    let mut rng = Rng::stream(12, 0);
    let bits: Vec<[bool; 2]> = (0..n)
        .map(|_| [rng.bits() & 1 == 1, rng.bits() & 1 == 1])
        .collect();
    for (i, [x, y]) in bits.iter().enumerate() {
        for (set, qubit) in [(*x, a(i as u32)), (*y, b(i as u32))] {
            if set {
                adder.gate("x", &[], &[qubit]).unwrap();
            }
        }
    }
    let mut carry = 0;
    for i in 0..n {
        adder.gate("cx", &[], &[a(i), b(i)]).unwrap();
        adder.gate("cx", &[], &[a(i), carry]).unwrap();
        adder.gate("ccx", &[], &[carry, b(i), a(i)]).unwrap();
        carry = a(i);
    }
    adder.gate("cx", &[], &[carry, 2 * n + 1]).unwrap();
    for i in (0..n).rev() {
        let before = if i == 0 { 0 } else { a(i - 1) };
        adder.gate("ccx", &[], &[before, b(i), a(i)]).unwrap();
        adder.gate("cx", &[], &[a(i), before]).unwrap();
        adder.gate("cx", &[], &[before, b(i)]).unwrap();
    }
    for i in 0..n {
        adder.measure(b(i), i).unwrap();
    }
    adder.measure(2 * n + 1, n).unwrap();
    let (mut wanted, mut carry) = (String::new(), 0u8);
    for [x, y] in &bits {
        let sum = u8::from(*x) + u8::from(*y) + carry;
        wanted.insert(0, if sum & 1 == 1 { '1' } else { '0' });
        carry = sum >> 1;
    }
    wanted.insert(0, if carry == 1 { '1' } else { '0' });
    let got = go(&adder, &request(Choice::Auto, 10));
    assert_eq!((got.method, got.counts.get(&wanted)), ("sparse", Some(&10)));
}

#[test]
fn what_cannot_fit_is_refused_with_what_could_be_done() {
    let mut circuit = reference::random(10, 0, 1);
    circuit = {
        let mut c = Circuit::new(150, 0).unwrap();
        c.ops = circuit.ops;
        c
    };
    let mut rng = Rng::stream(1, 1);
    for layer in 0..20u32 {
        for q in 0..150 {
            circuit
                .gate("u", &[rng.unit(), rng.unit(), rng.unit()], &[q])
                .unwrap();
        }
        for q in (layer % 2..149).step_by(2) {
            circuit.gate("cx", &[], &[q, q + 1]).unwrap();
        }
    }
    let error = explain(&circuit, &request(Choice::Auto, 10)).unwrap_err();
    let Error::Memory {
        needed,
        available,
        advice,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(*needed > 1 << 100 && *available == 1 << 30);
    for word in [
        "not Clifford",
        "2^150 amplitudes do not fit",
        "25 qubits",
        "light cone",
    ] {
        assert!(advice.contains(word), "{word}: {advice}");
    }
    // Asking for one qubit near the start leaves a light cone that fits.
    let mut cone = Circuit::new(150, 1).unwrap();
    cone.ops = circuit.ops[..2 * 225].to_vec();
    cone.measure(75, 0).unwrap();
    let plan = explain(&cone, &request(Choice::Auto, 10)).unwrap();
    assert!(
        plan.qubits.len() <= 6 && plan.split.dropped > 400,
        "{plan:?}"
    );
    assert_eq!(
        go(&cone, &request(Choice::Auto, 10))
            .counts
            .values()
            .sum::<u64>(),
        10
    );
}

#[test]
fn light_cones_and_idle_qubits_do_not_change_results() {
    for seed in 0..5 {
        let mut circuit = Circuit::new(14, 2).unwrap();
        circuit.ops = reference::random(6, 30, 50 + seed).ops;
        circuit.measure(3, 0).unwrap();
        circuit.measure(1, 1).unwrap();
        let mut whole = circuit.clone();
        // Measured into no shown bit, everything is in the cone.
        let hidden = whole.add_hidden_bits(14).unwrap();
        for q in (0..14).filter(|q| *q != 3 && *q != 1) {
            whole.measure(q, hidden + q).unwrap();
        }
        let a = go(&circuit, &request(Choice::Dense, 20_000));
        let b = go(&whole, &request(Choice::Dense, 20_000));
        same(&a, &b, &format!("seed {seed}"));
        let mut asked = request(Choice::Dense, 0);
        asked
            .observables
            .push(Observable::parse("X5 Z2 + 0.25 Y0").unwrap());
        let cut = go(&reference::random(6, 30, 50 + seed), &asked).expectations[0];
        asked.statevector = true;
        let all = go(&reference::random(6, 30, 50 + seed), &asked).expectations[0];
        assert!((cut - all).abs() < 1e-12);
    }
}

#[test]
fn a_plan_runs_its_own_circuit_only() {
    let mut circuit = Circuit::new(3, 2).unwrap();
    circuit.gate("ry", &[0.7], &[1]).unwrap();
    circuit.gate("cx", &[], &[1, 2]).unwrap();
    circuit.gate("h", &[], &[0]).unwrap();
    circuit.measure(2, 1).unwrap();
    let mut asked = request(Choice::Auto, 100);
    for noise in [
        None,
        Some("amplitude-damping=0.2"),
        Some("depolarizing=0.1"),
    ] {
        noise.iter().for_each(|text| asked.noise.add(text).unwrap());
        let plan = explain(&circuit, &asked).unwrap();
        let planned = run_planned(&circuit, &asked, &plan, &Watch::default()).unwrap();
        assert_eq!(planned, go(&circuit, &asked));
        let mut longer = circuit.clone();
        longer.gate("h", &[], &[0]).unwrap();
        let error = run_planned(&longer, &asked, &plan, &Watch::default()).unwrap_err();
        assert!(error.to_string().contains("another circuit"), "{error}");
    }
}
