//! Runs: method against method, known circuits at hundreds of qubits, control, noise, refusals.

#![allow(clippy::panic, clippy::unwrap_used)]

mod reference;

use quantumos_circuit::ir::{Channel, Circuit};
use quantumos_circuit::rng::Rng;
use quantumos_circuit::run::{
    Choice, Noise, Observable, Outcome, Precision, Request, explain, run, sweep,
};
use quantumos_circuit::{Error, Watch, qasm};

fn request(method: Choice, shots: u64) -> Request {
    Request {
        method,
        shots,
        seed: 7,
        ..Request::default()
    }
}

fn go(circuit: &Circuit, request: &Request) -> Outcome {
    run(circuit, request, &Watch::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn three(text: &str) -> Circuit {
    qasm::parse(&format!("OPENQASM 3.0;\ninclude \"stdgates.inc\";\n{text}")).unwrap()
}

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

/// The distance of counts from other counts, against what chance allows.
fn same(a: &Outcome, b: &Outcome, name: &str) {
    let (mut chi, mut degrees) = (0.0, -1.0f64);
    let keys: std::collections::BTreeSet<&String> =
        a.counts.keys().chain(b.counts.keys()).collect();
    for key in keys {
        let x = *a.counts.get(key).unwrap_or(&0) as f64;
        let y = *b.counts.get(key).unwrap_or(&0) as f64;
        chi += (x - y) * (x - y) / (x + y);
        degrees += 1.0;
    }
    let most = degrees + 4.0 * (2.0 * degrees).sqrt() + 4.0;
    assert!(chi <= most, "{name}: chi-square {chi} at {degrees} degrees");
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
        for method in [Choice::Stabilizer, Choice::Sparse] {
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
fn sparse_agrees_with_the_reference_on_every_gate() {
    for seed in 0..20 {
        let circuit = reference::random(6, 40, 1000 + seed);
        let mut asked = request(Choice::Sparse, 0);
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
fn control_and_loops_do_what_they_say() {
    // Teleportation of a rotated qubit: the chance of 1 arrives.
    let text =
        "qubit[3] q; bit[2] m; bit r; ry(1.0) q[0]; h q[1]; cx q[1], q[2]; cx q[0], q[1]; h q[0];
        m = measure q[0:1]; if (m[1]) x q[2]; if (m[0]) { z q[2]; } r = measure q[2];";
    let got = go(&three(text), &request(Choice::Dense, 20_000));
    let ones: u64 = got
        .counts
        .iter()
        .filter(|(k, _)| k.starts_with('1'))
        .map(|(_, c)| c)
        .sum();
    let wanted = 20_000.0 * (0.5f64).sin().powi(2);
    assert!(
        (ones as f64 - wanted).abs() < 4.0 * wanted.sqrt(),
        "{ones} {wanted}"
    );

    // Try until a coin shows 0; every shot ends so, after two tries on average.
    let text = "qubit q; bit c; bit[8] n; int t = 0; h q; c = measure q;
        while (c) { t += 1; reset q; h q; c = measure q; } n = t;";
    let got = go(&three(text), &request(Choice::Auto, 20_000));
    let tries: f64 = got
        .counts
        .iter()
        .map(|(k, c)| {
            u64::from_str_radix(k.split(' ').next().unwrap(), 2).unwrap() as f64 * *c as f64
        })
        .sum();
    assert!(got.counts.keys().all(|k| k.ends_with(" 0")));
    assert!(
        (tries / 20_000.0 - 1.0).abs() < 0.06,
        "{}",
        tries / 20_000.0
    );

    let forever = three("qubit q; bit c; x q; c = measure q; while (c) { c = measure q; }");
    let error = run(&forever, &request(Choice::Dense, 1), &Watch::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does a loop of the circuit end?"),
        "{error}"
    );
}

#[test]
fn results_repeat_on_any_number_of_threads() {
    let text = "qubit[5] q; bit[5] c; h q; cx q[0], q[1]; rx(0.3) q[2]; c[0] = measure q[0]; if (c[0]) h q[3]; c = measure q;";
    let circuit = three(text);
    let with = |threads, available| {
        let mut asked = request(Choice::Dense, 3000);
        asked.noise.one = vec![Channel::Depolarizing(0.05), Channel::AmplitudeDamping(0.1)];
        asked.threads = threads;
        asked.memory = true;
        asked.available = available;
        go(&circuit, &asked)
    };
    let one = with(1, 1 << 30);
    assert_eq!(one.memory.len(), 3000);
    assert_eq!(one.memory, with(4, 1 << 30).memory);
    // Little memory: shots start over instead of sharing, and draw the same.
    assert_eq!(one.memory, with(1, 2048).memory);
    let other = run(
        &circuit,
        &Request {
            seed: 8,
            ..request(Choice::Dense, 3000)
        },
        &Watch::default(),
    )
    .unwrap();
    assert_ne!(one.counts, other.counts);
}

#[test]
fn noise_has_the_statistics_it_says() {
    let shots = 40_000;
    let ones = |text: &str, noise: Noise| {
        let mut asked = request(Choice::Auto, shots);
        asked.noise = noise;
        let got = go(&three(text), &asked);
        got.counts
            .iter()
            .filter(|(k, _)| k.as_str() == "1")
            .map(|(_, c)| *c as f64)
            .sum::<f64>()
            / shots as f64
    };
    let one = |channel| Noise {
        one: vec![channel],
        ..Noise::default()
    };
    let near = |got: f64, wanted: f64| assert!((got - wanted).abs() < 0.012, "{got} {wanted}");
    let x = "qubit q; bit c; x q; c = measure q;";
    near(ones(x, one(Channel::Depolarizing(0.3))), 0.8);
    near(ones(x, one(Channel::AmplitudeDamping(0.25))), 0.75);
    near(ones(x, one(Channel::PhaseDamping(0.5))), 1.0);
    near(ones(x, one(Channel::Pauli([0.1, 0.05, 0.4]))), 0.85);
    // A coherence shrinks by sqrt(1 - gamma).
    let ramsey = "qubit q; bit c; h q; h q; c = measure q;";
    let gates = |channel| Noise {
        gates: [("h".to_owned(), vec![channel])].into(),
        ..Noise::default()
    };
    near(
        ones(ramsey, gates(Channel::PhaseDamping(0.5))),
        (1.0 - 0.5f64.sqrt()) / 2.0,
    );
    let readout = Noise {
        readout: [0.1, 0.2],
        ..Noise::default()
    };
    near(ones(x, readout.clone()), 0.8);
    near(ones("qubit q; bit c; c = measure q;", readout), 0.1);
    let qubit = Noise {
        qubits: [(0, vec![Channel::Pauli([0.2, 0.0, 0.0])])].into(),
        ..Noise::default()
    };
    near(ones(x, qubit), 0.8);
    let error = request(Choice::Auto, 1);
    let error = Request {
        noise: one(Channel::Depolarizing(1.5)),
        ..error
    };
    assert!(run(&three(x), &error, &Watch::default()).is_err());
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
fn sweeps_fill_parameters_in() {
    let mut circuit = Circuit::new(1, 0).unwrap();
    let theta = circuit.parameter("theta");
    circuit.gate_with("ry", &[theta], &[0]).unwrap();
    let mut asked = request(Choice::Auto, 0);
    asked.observables.push(Observable::parse("Z").unwrap());
    asked.precision = Precision::Single;
    let values: Vec<Vec<f64>> = (0..8).map(|i| vec![f64::from(i) * 0.5]).collect();
    let all = sweep(&circuit, &values, &asked, &Watch::default()).unwrap();
    for (outcome, value) in all.iter().zip(&values) {
        assert!((outcome.expectations[0] - value[0].cos()).abs() < 1e-6);
    }
    assert!(
        run(&circuit, &asked, &Watch::default())
            .unwrap_err()
            .to_string()
            .contains("theta")
    );
}

#[test]
fn observables_are_read_and_refused() {
    let read = |text: &str| Observable::parse(text).unwrap().terms;
    assert_eq!(read("XZI"), [(1.0, vec![4], vec![2])]);
    assert_eq!(
        read("-0.5*Y0 Z2 + 2"),
        [(-0.5, vec![1], vec![5]), (2.0, vec![], vec![])]
    );
    assert_eq!(read("1e-3 X70"), [(1e-3, vec![0, 64], vec![0, 0])]);
    for text in [
        "",
        "Q",
        "X0 X0",
        "X",
        "2..*X",
        "X99999999999999999999",
        "nanX",
    ] {
        let fine = text == "X";
        assert_eq!(Observable::parse(text).is_ok(), fine, "{text}");
    }
    let mut asked = request(Choice::Auto, 0);
    asked.observables.push(Observable::parse("X5").unwrap());
    let circuit = Circuit::new(5, 0).unwrap();
    assert!(run(&circuit, &asked, &Watch::default()).is_err());
}
