//! Clifford circuits with noise go by Pauli frames, and are distributed as every shot run by itself is.

#![allow(clippy::panic, clippy::unwrap_used)]

mod running;

use quantumos_circuit::ir::Channel;
use quantumos_circuit::run::{Choice, Noise, Request, explain};
use running::{go, request, same, three};

/// Circuits with every kind of step that frames follow.
const CIRCUITS: [&str; 4] = [
    "qubit[3] q; bit[3] c; h q[0]; cx q[0], q[1]; s q[1]; cz q[1], q[2]; h q[2]; sdg q[0]; h q[0]; c = measure q;",
    "qubit[3] q; bit[5] c; h q[0]; cx q[0], q[1]; c[0] = measure q[0]; reset q[0]; swap q[0], q[1]; sx q[2];
     cy q[2], q[0]; c[1] = measure q[1]; h q[1]; c[2:4] = measure q; c[0] = measure q[2];",
    "qubit[2] q; gphase(0.3); rx(pi/2) q[0]; rz(-pi/2) q[1]; ctrl @ x q[0], q[1]; u(pi/2, 0, pi) q[1]; barrier q; y q[0];",
    "qubit[4] q; bit[2] s; bit[2] d; for int i in [0:3] { cx q[0], q[2]; cx q[1], q[2]; cx q[0], q[3]; s = measure q[2:3];
     reset q[2:3]; x q[0]; z q[1]; } d = measure q[0:1];",
];

fn noises() -> Vec<(&'static str, Noise)> {
    let none = Noise::default;
    vec![
        ("nothing", none()),
        (
            "depolarizing",
            Noise {
                one: vec![Channel::Depolarizing(0.05)],
                two: vec![Channel::Depolarizing2(0.08)],
                ..none()
            },
        ),
        (
            "Paulis that are not alike, on a qubit and after a gate, and even readout",
            Noise {
                gates: [("cx".to_owned(), vec![Channel::Pauli([0.1, 0.02, 0.0])])].into(),
                qubits: [(1, vec![Channel::Pauli([0.0, 0.07, 0.2])])].into(),
                readout: [0.03, 0.03],
                ..none()
            },
        ),
        (
            "readout that is not even",
            Noise {
                one: vec![Channel::Pauli([0.01, 0.01, 0.01])],
                readout: [0.02, 0.15],
                ..none()
            },
        ),
    ]
}

#[test]
fn frames_and_states_agree_by_chi_square() {
    for text in CIRCUITS {
        let circuit = three(text);
        for (name, noise) in noises() {
            let with = |method| {
                go(
                    &circuit,
                    &Request {
                        noise: noise.clone(),
                        seed: 2026,
                        ..request(method, 30_000)
                    },
                )
            };
            let (framed, dense) = (with(Choice::Stabilizer), with(Choice::Dense));
            assert_eq!((framed.method, dense.method), ("stabilizer", "dense"));
            assert_eq!(framed.counts.values().sum::<u64>(), 30_000);
            same(&framed, &dense, &format!("{text} with {name}"));
        }
    }
}

#[test]
fn auto_takes_frames_where_noise_is_by_paulis() {
    let mut asked = request(Choice::Auto, 2500);
    asked.noise.one = vec![Channel::Depolarizing(0.1)];
    asked.noise.readout = [0.01, 0.02];
    asked.memory = true;
    let circuit = three(CIRCUITS[1]);
    let plan = explain(&circuit, &asked).unwrap();
    assert_eq!(plan.method, Choice::Stabilizer);
    assert!(plan.reason.contains("Pauli frames"), "{}", plan.reason);
    let one = go(&circuit, &asked);
    assert_eq!(one.memory.len(), 2500);
    assert!(one.bytes <= plan.bytes);
    // Neither threads nor the number of shots change a shot.
    let four = go(
        &circuit,
        &Request {
            threads: 4,
            ..asked.clone()
        },
    );
    assert_eq!((&one.memory, &one.counts), (&four.memory, &four.counts));
    let fewer = go(
        &circuit,
        &Request {
            shots: 1500,
            ..asked.clone()
        },
    );
    assert_eq!(one.memory[..1500], fewer.memory);
    // A thousand qubits and a hundred thousand shots are no matter.
    let wide = three(
        "qubit[1000] q; bit[1000] c; for int i in [0:998] { cx q[i], q[i + 1]; } c = measure q;",
    );
    asked.shots = 20_000;
    asked.memory = false;
    asked.noise.one.clear();
    asked.noise.two = vec![Channel::Depolarizing2(1e-6)];
    let counts = go(&wide, &asked).counts;
    assert_eq!(counts.values().sum::<u64>(), 20_000);

    // Damping and control are not for frames.
    asked.noise.one = vec![Channel::AmplitudeDamping(0.1)];
    assert_ne!(
        explain(&circuit, &asked).unwrap().method,
        Choice::Stabilizer
    );
    let controlled = three(
        "qubit[2] q; bit[2] c; h q[0]; c[0] = measure q[0]; if (c[0]) x q[1]; c[1] = measure q[1];",
    );
    let plan = explain(&controlled, &request(Choice::Stabilizer, 10)).unwrap();
    assert!(!plan.reason.contains("frames"));
}
