//! Runs: classical control, noise, repetition, parameters, observables.

#![allow(clippy::panic, clippy::unwrap_used)]

mod running;

use quantumos_circuit::Watch;
use quantumos_circuit::ir::{Channel, Circuit};
use quantumos_circuit::run::{Choice, Noise, Observable, Precision, Request, run, sweep};
use running::{go, request, three};

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
