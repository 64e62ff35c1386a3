//! Sweeps and gradients as tasks: each point is what a run of its own gives, derivatives are those of
//! differences and of the parameter-shift rule, and what is too much or has no gradient is refused.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;

use quantumos_circuit::Watch;
use quantumos_circuit::task::{Answer, POINTS_MAX, Task};
use serde_json::Value;

/// Each input is in one rotation, so the parameter-shift rule holds.
const ANSATZ: &str = "OPENQASM 3.0; include \"stdgates.inc\"; input float a; input float b; input float c;
    qubit[3] q; ry(a) q[0]; cx q[0], q[1]; rx(b) q[1]; h q[2]; rz(c) q[2]; cx q[1], q[2]; ry(0.4) q[2];";

fn task(circuit: &str, inputs: &[(&str, f64)]) -> Task {
    Task {
        circuit: circuit.to_owned(),
        inputs: named(inputs),
        seed: 11,
        ..Task::default()
    }
}

fn named<T: Clone>(pairs: &[(&str, T)]) -> BTreeMap<String, T> {
    let owned = |(name, value): &(&str, T)| ((*name).to_owned(), value.clone());
    pairs.iter().map(owned).collect()
}

fn answer(task: &Task) -> Value {
    let ready = task.ready(2, 1 << 28).unwrap();
    match ready.run(&Watch::default()).unwrap() {
        Answer::Document(document) => document,
        Answer::Amplitudes(_) => panic!("amplitudes"),
    }
}

#[test]
fn a_point_of_a_sweep_is_a_run_of_its_own() {
    let circuits = [
        "",
        "bit m = measure q[0]; if (m) { x q[2]; } bit[3] r = measure q;",
    ];
    // A multiple of a quarter turn is Clifford: the method changes on the way.
    let b: Vec<f64> = (0..5)
        .map(|i| f64::from(i) * std::f64::consts::FRAC_PI_4)
        .collect();
    let c = vec![0.0, 0.3, -2.0, 1e-3, 7.0];
    for (more, noise) in [
        (circuits[0], false),
        (circuits[1], false),
        (circuits[1], true),
    ] {
        let text = format!("{ANSATZ} {more}");
        let mut swept = task(&text, &[("a", 0.7)]);
        swept.sweep = named(&[("b", b.clone()), ("c", c.clone())]);
        swept.per_shot = true;
        if noise {
            swept.noise = vec!["amplitude-damping=0.1".to_owned()];
        }
        if more.is_empty() {
            swept.observables = vec!["ZZZ + 0.5*X0".to_owned()];
            swept.amplitudes = vec!["010".to_owned()];
        }
        let document = answer(&swept);
        let points = document["points"].as_array().unwrap();
        assert_eq!(points.len(), 5);
        for (i, point) in points.iter().enumerate() {
            let mut single = swept.clone();
            single.sweep.clear();
            single.inputs = named(&[("a", 0.7), ("b", b[i]), ("c", c[i])]);
            let wanted = answer(&single);
            assert_eq!(point["inputs"], serde_json::json!(single.inputs));
            for key in [
                "counts",
                "per_shot",
                "expectations",
                "amplitudes",
                "error_bound",
            ] {
                assert_eq!(point[key], wanted[key], "{key} of point {i}");
            }
        }
        assert_ne!(points[1]["counts"], points[2]["counts"]);
    }
}

#[test]
fn points_side_by_side_give_what_they_give_alone() {
    // 18 qubits with their noise and without, and few points for many threads.
    let text = ANSATZ.replace("qubit[3]", "qubit[18]");
    let damped =
        format!("{ANSATZ} bit m = measure q[0]; if (m) {{ x q[2]; }} bit[3] r = measure q;");
    for (text, points, noise) in [(&text, 3, false), (&damped, 7, true), (&damped, 2, false)] {
        let mut asked = task(text, &[("a", 0.7), ("c", 0.2)]);
        asked.sweep = named(&[("b", (0..points).map(f64::from).collect::<Vec<_>>())]);
        asked.shots = Some(200);
        asked.noise = vec!["amplitude-damping=0.1".to_owned(); usize::from(noise)];
        let run = |threads: usize, available: u64| {
            let ready = asked.ready(threads, available).unwrap();
            let Answer::Document(document) = ready.run(&Watch::default()).unwrap() else {
                panic!("amplitudes")
            };
            (document["points"].clone(), ready.bytes)
        };
        let (alone, one) = run(1, 1 << 30);
        for threads in [2, 3, 8] {
            let (points, bytes) = run(threads, 1 << 30);
            assert_eq!(points, alone, "{threads} threads");
            // Each that runs beside another has memory of its own, where there is some.
            assert!(bytes > one, "{threads} threads: {bytes} {one}");
            assert_eq!(run(threads, one).0, alone);
        }
    }
}

#[test]
fn gradients_are_those_of_differences_and_of_shifts() {
    let sums = ["ZZZ + 0.5*X0", "-2*Y1 Z2 + 1", "Z0"];
    let mut asked = task(ANSATZ, &[]);
    asked.observables = sums.map(str::to_owned).to_vec();
    asked.sweep = named(&[
        ("a", vec![0.3, -1.2]),
        ("b", vec![2.5, 0.0]),
        ("c", vec![0.8, 4.0]),
    ]);
    let plain = asked.clone();
    let values = |a: f64, b: f64, c: f64| -> Vec<f64> {
        let mut at = plain.clone();
        at.sweep.clear();
        at.inputs = named(&[("a", a), ("b", b), ("c", c)]);
        at.shots = Some(0);
        let document = answer(&at);
        serde_json::from_value(document["expectations"].clone()).unwrap()
    };
    asked.gradient = true;
    let document = answer(&asked);
    assert_eq!(document["shots"], 0);
    let mut sizes = 0.0;
    for point in document["points"].as_array().unwrap() {
        let at = ["a", "b", "c"].map(|name| point["inputs"][name].as_f64().unwrap());
        let moved = |input: usize, by: f64| {
            let mut at = at;
            at[input] += by;
            values(at[0], at[1], at[2])
        };
        let here = values(at[0], at[1], at[2]);
        for (o, value) in here.iter().enumerate() {
            assert!((point["expectations"][o].as_f64().unwrap() - value).abs() < 1e-12);
            for (i, name) in ["a", "b", "c"].into_iter().enumerate() {
                let slope = point["gradients"][o][name].as_f64().unwrap();
                let turn = std::f64::consts::FRAC_PI_2;
                let shift = (moved(i, turn)[o] - moved(i, -turn)[o]) / 2.0;
                let difference = (moved(i, 1e-5)[o] - moved(i, -1e-5)[o]) / 2e-5;
                assert!(
                    (slope - shift).abs() < 1e-12,
                    "{name} of {o}: {slope}, {shift}"
                );
                assert!(
                    (slope - difference).abs() < 1e-8,
                    "{name} of {o}: {slope}, {difference}"
                );
                sizes += slope.abs();
            }
        }
    }
    assert!(sizes > 1.0, "nothing depends on anything: {sizes}");
}

#[test]
fn what_is_too_much_or_has_no_gradient_is_refused() {
    let refused = |change: &dyn Fn(&mut Task), words: &str| {
        let mut task = task(ANSATZ, &[("a", 0.1), ("b", 0.2)]);
        task.sweep = named(&[("c", vec![0.0, 1.0])]);
        task.observables = vec!["ZZZ".to_owned()];
        task.ready(1, 1 << 28).unwrap();
        change(&mut task);
        let error = task.ready(1, 1 << 28).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    refused(&|t| t.sweep = named(&[("d", vec![1.0])]), "no input d");
    refused(&|t| t.sweep.clear(), "input c needs a value");
    refused(&|t| t.sweep = named(&[("c", vec![])]), "no values of c");
    refused(
        &|t| t.sweep = named(&[("b", vec![1.0]), ("c", vec![1.0])]),
        "b has a value and is swept",
    );
    refused(
        &|t| {
            t.inputs.remove("b");
            t.sweep = named(&[("b", vec![1.0]), ("c", vec![1.0, 2.0])]);
        },
        "1 values of b and 2 of c",
    );
    refused(
        &|t| t.sweep = named(&[("c", vec![1.0, f64::NAN])]),
        "input c: value 1",
    );
    refused(
        &|t| t.sweep = named(&[("c", vec![1.0; POINTS_MAX + 1])]),
        "points of the sweep: 10001",
    );
    refused(&|t| t.shots = Some(60_000_000), "shots: 120000000");
    refused(
        &|t| t.amplitudes = vec!["000".to_owned(); 3_000_000],
        "numbers in the answer",
    );
    refused(&|t| t.statevector = true, "no sweep");
    refused(
        &|t| {
            t.circuit += &"x q[0];".repeat(3000);
            t.sweep = named(&[("c", vec![1.0; POINTS_MAX])]);
        },
        "times points",
    );
    refused(
        &|t| {
            t.per_shot = true;
            t.shots = Some(2_000_000);
        },
        "the results needs",
    );
    for (text, what) in [
        ("bit m = measure q[0];", "a measurement"),
        ("reset q[0];", "a reset"),
    ] {
        let change = |t: &mut Task| {
            t.circuit += text;
            t.observables = vec!["ZZZ".to_owned()];
            t.gradient = true;
        };
        refused(&change, &format!("go back through {what}"));
    }
    let gradient = |more: fn(&mut Task)| {
        move |t: &mut Task| {
            t.gradient = true;
            more(t);
        }
    };
    refused(&gradient(|t| t.observables.clear()), "say which observable");
    refused(
        &gradient(|t| t.noise = vec!["bit-flip=0.1".into()]),
        "through noise",
    );
    refused(
        &gradient(|t| t.observables = vec!["ZZZZ".into()]),
        "more than the 3 qubits",
    );
    refused(
        &gradient(|t| {
            t.circuit = "qubit q; U(1, 2, 3) q;".into();
            t.observables = vec!["Z".into()];
            t.inputs.clear();
            t.sweep.clear();
        }),
        "the circuit has none",
    );
    refused(
        &|t| {
            t.circuit = "M 0".into();
            t.format = quantumos_circuit::task::Format::Stim;
        },
        "no inputs: no sweep",
    );
    // Four states are held: what runs may have no room for its gradient.
    let mut wide = task(
        &ANSATZ.replace("qubit[3]", "qubit[18]"),
        &[("a", 0.1), ("b", 0.2), ("c", 0.0)],
    );
    wide.observables = vec!["Z0".to_owned()];
    wide.shots = Some(0);
    wide.ready(1, 12 << 20).unwrap();
    wide.gradient = true;
    let error = wide.ready(1, 12 << 20).unwrap_err().to_string();
    assert!(
        error.contains("needs") && error.contains("are available"),
        "{error}"
    );
}

#[test]
fn a_sweep_tells_how_far_it_is_and_stops_when_asked() {
    let mut asked = task(ANSATZ, &[("a", 0.1), ("b", 0.2)]);
    asked.sweep = named(&[("c", (0..50).map(f64::from).collect())]);
    let ready = asked.ready(1, 1 << 28).unwrap();
    assert!(ready.method.ends_with("; 50 points"), "{}", ready.method);
    let watch = Watch::default();
    ready.run(&watch).unwrap();
    assert!((watch.progress() - 1.0).abs() < 1e-12);
    watch.cancel();
    assert_eq!(
        ready.run(&watch).unwrap_err(),
        quantumos_circuit::Error::Cancelled
    );
}
