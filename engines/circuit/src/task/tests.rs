//! Tasks as they travel, what they answer and what they refuse.

use super::*;

fn task(circuit: &str) -> Task {
    Task {
        circuit: circuit.to_owned(),
        ..Task::default()
    }
}

const BELL: &str = "OPENQASM 2.0; include \"qelib1.inc\"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;";

fn answer(task: &Task) -> Answer {
    let ready = task.ready(2, 1 << 28).unwrap();
    ready.run(&Watch::default()).unwrap()
}

#[test]
fn a_task_travels_as_json_and_gives_what_it_asks_for() {
    let text = json!({"circuit": BELL, "shots": 100, "seed": 3, "observables": ["XX"], "amplitudes": ["11"]});
    let read: Task = serde_json::from_value(text).unwrap();
    let again: Task = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
    assert_eq!(read, again);
    let Answer::Document(document) = answer(&read) else {
        panic!("no document");
    };
    let counts = document["counts"].as_object().unwrap();
    let sum: u64 = counts.values().filter_map(Value::as_u64).sum();
    assert_eq!((sum, counts.len()), (100, 2));
    assert!((document["expectations"][0].as_f64().unwrap() - 1.0).abs() < 1e-12);
    let amplitude = document["amplitudes"][0][0].as_f64().unwrap();
    assert!((amplitude - 0.5f64.sqrt()).abs() < 1e-12);
    assert!(serde_json::from_str::<Task>("{\"circut\": \"\"}").is_err());
}

#[test]
fn amplitudes_come_alone_and_stim_is_sampled() {
    let mut state = task("{\"gates\":[{\"name\":\"x\",\"target\":1}]}");
    state.statevector = true;
    let Answer::Amplitudes(list) = answer(&state) else {
        panic!("no amplitudes");
    };
    assert_eq!(list.len(), 4);
    assert!((list[2].re - 1.0).abs() < 1e-15);
    let mut sampled = task("X_ERROR(1) 0\nM 0\nDETECTOR rec[-1]");
    sampled.format = Format::Stim;
    sampled.shots = Some(77);
    let Answer::Document(document) = answer(&sampled) else {
        panic!("no document");
    };
    assert_eq!(
        (&document["detected"], &document["ones"][0]),
        (&json!(77), &json!(77))
    );
}

#[test]
fn what_cannot_be_run_is_refused_before_it_starts() {
    let refused = |change: fn(&mut Task), words: &str| {
        let mut task = task(BELL);
        change(&mut task);
        let error = task.ready(1, 1 << 28).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(|t| t.circuit = "qreg q[1]; frob q[0];".into(), "line 1");
    refused(
        |t| t.noise = vec!["rain=0.5".into()],
        "unknown channel \"rain\"",
    );
    refused(|t| t.noise = vec!["hh:bit-flip=0.5".into()], "unknown gate");
    refused(|t| t.noise = vec!["bit-flip=2".into()], "not from 0 to 1");
    refused(|t| t.amplitudes = vec!["0".into()], "2 bits expected");
    refused(
        |t| t.observables = vec!["XXX".into()],
        "more than the 2 qubits",
    );
    refused(|t| t.inputs = [("t".to_owned(), 1.0)].into(), "no input t");
    refused(|t| t.shots = Some(u64::MAX), "shots");
    refused(
        |t| {
            t.per_shot = true;
            t.shots = Some(10_000_000);
        },
        "the results needs",
    );
    refused(
        |t| {
            t.circuit =
                "OPENQASM 3.0; include \"stdgates.inc\"; input float a; qubit q; rx(a) q;".into()
        },
        "input a needs a value",
    );
}
