//! Every gate: unitary, as Qiskit has it, undone by its inverse; and the checks of the builder.

#![allow(clippy::panic, clippy::unwrap_used)]

mod reference;

use quantumos_circuit::ir::{Angle, Base, Circuit, Gate, Matrix, Op, standard, standard_names};
use quantumos_circuit::{C64, Error, json};

const ANGLES: [f64; 4] = [0.37, -1.21, 2.05, 0.83];

/// The matrix of a named gate on qubits 0, 1, ...: its columns are what the reference makes of basis states.
fn whole(name: &str) -> (usize, Vec<C64>) {
    let known = standard(name).unwrap();
    let angles: Vec<Angle> = ANGLES[..known.angles].iter().map(|&a| a.into()).collect();
    let qubits: Vec<u32> = (0..known.qubits() as u32).collect();
    let size = 1 << qubits.len();
    let mut cells = vec![C64::ZERO; size * size];
    for column in 0..size {
        let mut state = vec![C64::ZERO; size];
        state[column] = C64::ONE;
        for gate in known.gates(&angles, &qubits) {
            state = reference::apply(&state, &gate);
        }
        for row in 0..size {
            cells[row * size + column] = state[row];
        }
    }
    (size, cells)
}

#[test]
fn matrices_are_those_of_qiskit() {
    let text = include_str!("data/gates.json");
    let wanted: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut compared = 0;
    for name in standard_names() {
        let Some(entry) = wanted.get(name) else {
            continue;
        };
        let cells: Vec<C64> = entry["matrix"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| C64::new(c[0].as_f64().unwrap(), c[1].as_f64().unwrap()))
            .collect();
        let (_, ours) = whole(name);
        let distance = reference::distance(&ours, &cells);
        assert!(distance < 1e-15, "{name} is off by {distance:e}");
        compared += 1;
    }
    assert!(compared >= 50, "only {compared} gates compared");
}

#[test]
fn gates_are_unitary_and_inverses_undo_them() {
    for name in standard_names() {
        let (size, cells) = whole(name);
        let matrix = Matrix::new(size, cells).unwrap();
        assert!(matrix.unitary_error() < 1e-14, "{name}");
        let known = standard(name).unwrap();
        let angles: Vec<Angle> = ANGLES[..known.angles].iter().map(|&a| a.into()).collect();
        let qubits: Vec<u32> = (0..known.qubits() as u32).collect();
        for gate in known.gates(&angles, &qubits) {
            let twice = gate.inverse().target_matrix().times(&gate.target_matrix());
            let mut both: Vec<C64> = (0..size).map(|i| C64::new(i as f64 + 1.0, 0.5)).collect();
            let before = both.clone();
            both = reference::apply(&reference::apply(&both, &gate), &gate.inverse());
            assert!(
                reference::distance(&both, &before) < 1e-12,
                "{name}: {twice:?}"
            );
        }
    }
}

#[test]
fn a_random_circuit_and_its_inverse_are_the_identity() {
    let circuit = reference::random(6, 120, 5);
    let mut both = circuit.clone();
    both.ops.extend(circuit.inverse().unwrap().ops);
    let state = reference::state(&both);
    assert!((state[0].norm() - 1.0).abs() < 1e-12);
}

#[test]
fn names_lead_back_to_their_gate() {
    for name in standard_names() {
        let known = standard(name).unwrap();
        let qubits: Vec<u32> = (0..known.qubits() as u32).collect();
        let gates = known.gates(&vec![0.5.into(); known.angles], &qubits);
        let gate = gates.last().unwrap();
        let again = standard(&gate.name()).unwrap();
        assert_eq!(
            (again.base, again.controls),
            (gate.base.clone(), gate.controls),
            "{name}"
        );
    }
    let many = Gate::new(Base::X, &[], &[9]).controlled(&[0, 1, 2, 3, 4, 5]);
    assert_eq!(many.name(), "c6x");
}

#[test]
fn mistakes_are_named() {
    let make = |f: fn(&mut Circuit) -> Result<(), Error>| {
        let mut circuit = Circuit::new(3, 2).unwrap();
        f(&mut circuit).unwrap_err().to_string()
    };
    type Case = (fn(&mut Circuit) -> Result<(), Error>, &'static str);
    let cases: [Case; 9] = [
        (|c| c.gate("frob", &[], &[0]).map(drop), "unknown gate frob"),
        (
            |c| c.gate("cx", &[], &[0]).map(drop),
            "cx has 2 qubits, not 1",
        ),
        (
            |c| c.gate("rx", &[], &[0]).map(drop),
            "rx has 1 angles, not 0",
        ),
        (
            |c| c.gate("x", &[], &[3]).map(drop),
            "qubit 3 is out of range",
        ),
        (
            |c| c.gate("cx", &[], &[1, 1]).map(drop),
            "qubit 1 is named twice",
        ),
        (
            |c| c.gate("rx", &[f64::NAN], &[1]).map(drop),
            "not a finite number",
        ),
        (|c| c.measure(0, 2).map(drop), "bit 2 is out of range"),
        (
            |c| {
                c.unitary(Matrix::diagonal(&[C64::ONE, C64::ZERO]), &[0])
                    .map(drop)
            },
            "not unitary",
        ),
        (|c| c.push(Op::Break).map(drop), "outside of a loop"),
    ];
    for (case, wanted) in cases {
        let error = make(case);
        assert!(error.contains(wanted), "{error}");
    }
    let error = Circuit::new(1_000_000_000, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "qubits: 1000000000 is more than the limit of 100000"
    );
}

#[test]
fn parameters_are_filled_in() {
    let mut circuit = Circuit::new(1, 0).unwrap();
    let theta = circuit.parameter("theta");
    circuit.gate_with("rx", &[theta.scaled(2.0)], &[0]).unwrap();
    assert!(!circuit.is_bound());
    let bound = circuit.bind(&[0.25]).unwrap();
    let Op::Gate(gate) = &bound.ops[0] else {
        panic!("no gate")
    };
    assert_eq!(gate.numbers()[0], 0.5);
    assert!(circuit.bind(&[]).is_err());
    assert!(circuit.bind(&[f64::INFINITY]).is_err());
}

#[test]
fn json_of_the_seed_is_read() {
    let text = r#"{"gates":[{"name":"h","target":0},{"name":"cnot","control":0,"target":1}]}"#;
    let circuit = json::parse(text, Some(5)).unwrap();
    assert_eq!(circuit.qubits, 5);
    assert_eq!(json::parse(text, None).unwrap().qubits, 2);
    let state = reference::state(&json::parse(text, None).unwrap());
    assert!(
        (state[0].re - state[3].re).abs() < 1e-15 && (state[3].re - 0.5f64.sqrt()).abs() < 1e-15
    );

    let text = r#"{"qubits":3,"gates":[{"name":"rx","target":2,"theta":0.5},{"name":"x","controls":[0,1],"target":2},
        {"name":"u","qubits":[1],"params":[1,2,3]},{"name":"measure","qubits":[0,1]},{"name":"reset","target":1}]}"#;
    let circuit = json::parse(text, None).unwrap();
    assert_eq!((circuit.qubits, circuit.bits, circuit.ops.len()), (3, 2, 6));
    let Op::Gate(gate) = &circuit.ops[1] else {
        panic!("no gate")
    };
    assert_eq!(
        (gate.name().as_str(), &gate.qubits[..]),
        ("ccx", &[0, 1, 2][..])
    );
}

#[test]
fn bad_json_is_refused_with_its_place() {
    for (text, wanted) in [
        ("{\"gates\":[\n{\"name\":}]}", "line 2, column 9"),
        (
            r#"{"gates":[{"name":"h","target":0,"colour":1}]}"#,
            "unknown field `colour`",
        ),
        (
            r#"{"gates":[{"name":"h","target":0},{"name":"hh","target":0}]}"#,
            "line 1, column 35: gates[1]: unknown gate \"hh\"",
        ),
        (
            "{\"bits\": 2, \"gates\": [\n  {\"name\": \"measure\", \"target\": 0, \"bit\": 1},\n  {\"name\": \"rx\", \"target\": 0}]}",
            "line 3, column 3: gates[1]: rx has 1 angles, not 0",
        ),
        (r#"{"gates":[{"name":"h","target":-1}]}"#, "invalid value"),
        (
            r#"{"gates":[{"name":"rx","target":0,"theta":"pi"}]}"#,
            "expected f64",
        ),
        (
            r#"{"gates":[{"name":"rx","target":0,"theta":1e999}]}"#,
            "out of range",
        ),
        (r#"{"gates":[],"qubits":1000000000}"#, "more than the limit"),
        (
            r#"{"gates":[{"name":"h","target":4000000000}]}"#,
            "more than the limit",
        ),
        (
            r#"{"gates":[{"name":"x","controls":[0,0],"target":1}]}"#,
            "named twice",
        ),
        ("", "line 1"),
    ] {
        let error = json::parse(text, None).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}
