//! `quantumctl circuit` as it is called: no bus, no daemon.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

const BELL: &str = r#"{"gates":[{"name":"h","target":0},{"name":"cnot","control":0,"target":1}]}"#;
const TELEPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/teleport.qasm");

fn ctl(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_quantumctl"))
        .args(arguments)
        .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn json(arguments: &[&str], input: &str) -> Json {
    let output = ctl(arguments, input);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_circuit_runs_and_repeats() {
    let arguments = [
        "--json",
        "circuit",
        "run",
        "-",
        "--shots",
        "1000",
        "--seed",
        "5",
        "--observable",
        "XX",
    ];
    let result = json(&arguments, BELL);
    let count = |key: &str| result["counts"][key].as_u64().unwrap();
    assert_eq!(count("00") + count("11"), 1000);
    assert!((400..600).contains(&count("00")));
    assert!((result["expectations"][0].as_f64().unwrap() - 1.0).abs() < 1e-12);
    assert_eq!(json(&arguments, BELL)["counts"], result["counts"]);

    let text = ctl(
        &["circuit", "run", TELEPORT, "--seed", "1", "--shots", "400"],
        "",
    );
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("seed 1") && text.contains('█'), "{text}");
}

#[test]
fn amplitudes_inputs_and_noise_are_taken() {
    let text = "OPENQASM 3.0; include \"stdgates.inc\"; input float t; qubit q; ry(t) q;";
    let arguments = [
        "--json",
        "circuit",
        "run",
        "-",
        "--statevector",
        "--input",
        "t=1.0",
        "--shots",
        "0",
    ];
    let state = &json(&arguments, text)["statevector"];
    assert!((state[0][0].as_f64().unwrap() - 0.5f64.cos()).abs() < 1e-12);
    let arguments = [
        "--json",
        "circuit",
        "run",
        "-",
        "--noise",
        "x:bit-flip=1",
        "--readout",
        "0,0",
    ];
    let flipped = json(
        &arguments,
        "OPENQASM 2.0; include \"qelib1.inc\"; qreg q[1]; creg c[1]; x q[0]; measure q -> c;",
    );
    assert_eq!(flipped["counts"]["0"], 1024);
}

const TURN: &str = "OPENQASM 3.0; include \"stdgates.inc\"; input float t; input float u; qubit q; ry(t) q; rz(u) q;";

#[test]
fn inputs_are_swept_and_derived_by() {
    let shared = [
        "--json",
        "circuit",
        "run",
        "-",
        "--seed=4",
        "--observable",
        "X",
    ];
    let ctl_json = |more: &[&str]| json(&[&shared[..], more].concat(), TURN);
    let swept = ctl_json(&["--input", "u=0.5", "--sweep", "t=0:1:3"]);
    let points = swept["points"].as_array().unwrap();
    assert_eq!((points.len(), &swept["shots"]), (3, &Json::from(1024)));
    for (point, t) in points.iter().zip(["0", "0.5", "1"]) {
        let single = ctl_json(&["--input", "u=0.5", "--input", &format!("t={t}")]);
        assert_eq!(point["counts"], single["counts"]);
        assert_eq!(point["expectations"], single["expectations"]);
    }

    // From a file, with the derivatives of sin(t) cos(u).
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[{\"t\": 0.3, \"u\": 0.1}, {\"t\": 2, \"u\": -1}]")
        .unwrap();
    let path = file.path().to_str().unwrap();
    let derived = ctl_json(&["--sweep", path, "--gradient"]);
    assert_eq!(derived["shots"], 0);
    for (i, (t, u)) in [(0.3f64, 0.1f64), (2.0, -1.0)].into_iter().enumerate() {
        let slopes = &derived["points"][i]["gradients"][0];
        assert!((slopes["t"].as_f64().unwrap() - t.cos() * u.cos()).abs() < 1e-12);
        assert!((slopes["u"].as_f64().unwrap() + t.sin() * u.sin()).abs() < 1e-12);
    }
    let one = ctl_json(&["--input", "t=0.3", "--input", "u=0.1", "--gradient"]);
    assert_eq!(one["gradients"], derived["points"][0]["gradients"]);

    let table = ctl(
        &[
            "circuit",
            "run",
            "-",
            "--sweep",
            "t=0:1:3",
            "--input",
            "u=0",
            "--observable",
            "X",
        ],
        TURN,
    );
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.contains("0.479426") && table.contains("0.841471"),
        "{table}"
    );

    for (more, code, words) in [
        (&["--sweep", "v=0:1:3"][..], 2, "no input v"),
        (&["--sweep", "t=0:1:3"], 2, "input u needs a value"),
        (&["--sweep", "t=0:1"], 2, "NAME=START:STOP:COUNT"),
        (
            &["--sweep", "t=0:1:3", "--sweep", "u=0:1:4"],
            2,
            "3 values of t and 4 of u",
        ),
        (&["--sweep", "/nowhere.json"], 1, "/nowhere.json"),
        (
            &["--gradient", "--input=t=1", "--input=u=1"],
            2,
            "which observable",
        ),
        (
            &[
                "--gradient",
                "--input=t=1",
                "--input=u=1",
                "--observable=Z",
                "--noise=bit-flip=0.1",
            ],
            6,
            "go back through noise",
        ),
    ] {
        let output = ctl(&[&["circuit", "run", "-"], more].concat(), TURN);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{more:?}: {error}");
        assert!(error.contains(words), "{more:?}: {error}");
    }
}

#[test]
fn explanation_and_drawing_say_what_there_is() {
    let explained = json(&["--json", "circuit", "explain", TELEPORT], "");
    assert_eq!(
        (&explained["method"], &explained["qubits"]),
        (&"dense".into(), &3.into())
    );
    assert_eq!(explained["methods"].as_array().unwrap().len(), 4);
    let drawn = ctl(&["circuit", "draw", TELEPORT, "--width", "70"], "").stdout;
    let drawn = String::from_utf8(drawn).unwrap();
    assert!(
        drawn.contains("Ry(π/3)") && drawn.contains("if m[1] {"),
        "{drawn}"
    );
    assert!(drawn.lines().all(|l| l.chars().count() <= 70));
}

#[test]
fn the_benchmark_measures_every_method() {
    let lines = ctl(&["--json", "circuit", "bench", "--max-qubits", "8"], "").stdout;
    let lines: Vec<Json> = lines
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    for method in ["dense", "stabilizer", "sparse"] {
        assert!(
            lines
                .iter()
                .any(|l| l["method"] == method && l["qubits"] == 8),
            "{method}"
        );
    }
    assert!(
        lines
            .iter()
            .all(|l| l["milliseconds"].as_f64().unwrap() > 0.0)
    );
}

#[test]
fn mistakes_have_their_exit_code_and_place() {
    let wide = r#"{"qubits":150,"gates":[{"name":"t","target":0}]}"#;
    let dense = ["circuit", "run", "-", "--method", "dense", "--statevector"];
    for (arguments, input, code, words) in [
        (
            &["circuit", "run", "-"][..],
            "OPENQASM 2.0; qreg q[1];\nfrob q[0];",
            2,
            "line 2, column 1: unknown gate `frob`",
        ),
        (&["circuit", "run", "/nowhere.qasm"], "", 1, "/nowhere.qasm"),
        (
            &["circuit", "run", "-", "--noise", "sparkle=1"],
            BELL,
            2,
            "unknown channel \"sparkle\"",
        ),
        (
            &["circuit", "run", "-", "--noise", "depolarizing=2"],
            BELL,
            2,
            "not from 0 to 1",
        ),
        (
            &["circuit", "run", "-", "--observable", "ZZZ"],
            BELL,
            2,
            "more than the 2 qubits",
        ),
        (
            &["circuit", "run", "-", "--input", "a=1"],
            BELL,
            2,
            "no input a",
        ),
        (&dense, wide, 6, "2^150 amplitudes do not fit"),
    ] {
        let output = ctl(arguments, input);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn a_surface_code_is_sampled_in_stims_format() {
    let code = quantumos_circuit::stim::surface_code(3, 2, 0.01, false).unwrap();
    let arguments = ["--json", "circuit", "sample", "-", "--seed", "3"];
    let sampled = json(&arguments, &code);
    assert_eq!(
        (&sampled["shots"], &sampled["qubits"]),
        (&100_000.into(), &26.into())
    );
    assert_eq!(sampled["detectors"].as_array().unwrap().len(), 16);
    let flips = sampled["observables"][0].as_f64().unwrap() / 1e5;
    assert!((0.12..0.18).contains(&flips), "{flips}");
    let (again, other) = (json(&arguments, &code), "--threads=1");
    assert_eq!(again["detectors"], sampled["detectors"]);
    let one = json(&[&arguments[..], &[other]].concat(), &code);
    assert_eq!(one["detectors"], sampled["detectors"]);

    let lines = ctl(
        &[
            "circuit",
            "sample",
            "-",
            "--shots",
            "3",
            "--per-shot",
            "measurements",
        ],
        "X 0\nM 0 1 !1",
    );
    assert_eq!(String::from_utf8(lines.stdout).unwrap(), "101\n101\n101\n");
    let wrong = ctl(&["circuit", "sample", "-"], "M 0\nFOO 1");
    let message = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        !wrong.status.success() && message.contains("line 2, column 1"),
        "{message}"
    );
}

#[test]
fn programs_of_stim_are_explained_and_drawn() {
    let text = "R 0 1\nH 0\nCX 0 1\nX_ERROR(0.1) 1\nM 0 1\nDETECTOR rec[-1] rec[-2]\n";
    let mut file = tempfile::Builder::new().suffix(".stim").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let explained = json(&["--json", "circuit", "explain", path], "");
    assert_eq!(
        (&explained["method"], &explained["detectors"]),
        (&Json::from("stabilizer"), &Json::from(1))
    );
    let drawn = json(
        &[
            "--json", "circuit", "draw", "-", "--format", "stim", "--width", "60",
        ],
        text,
    );
    let drawn = drawn["text"].as_str().unwrap();
    assert!(drawn.contains("⊕") && drawn.contains("≈X"), "{drawn}");
    let refused = ctl(&["circuit", "run", path], "");
    let message = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(message.contains("circuit sample"), "{message}");
}
