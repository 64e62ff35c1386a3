//! OpenQASM 2 and 3: programs against what they must do, and mistakes with their places.

#![allow(clippy::panic, clippy::unwrap_used)]

mod reference;

use quantumos_circuit::ir::{Circuit, Op};
use quantumos_circuit::qasm::parse;

const HEAD_2: &str = "OPENQASM 2.0;\ninclude \"qelib1.inc\";\n";
const HEAD_3: &str = "OPENQASM 3.0;\ninclude \"stdgates.inc\";\n";

fn gates(circuit: &Circuit) -> Vec<String> {
    let mut names = Vec::new();
    circuit.each(&mut |op| {
        names.push(match op {
            Op::Gate(gate) => {
                let on: Vec<String> = gate.qubits.iter().map(u32::to_string).collect();
                format!("{} {}", gate.name(), on.join(","))
            }
            Op::Measure { qubit, bit } => format!("measure {qubit}>{bit}"),
            Op::Reset(qubit) => format!("reset {qubit}"),
            Op::Barrier(_) => "barrier".to_owned(),
            Op::Assign { start, width, .. } => format!("assign {start}+{width}"),
            Op::If { .. } => "if".to_owned(),
            Op::While { .. } => "while".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        });
    });
    names
}

#[test]
fn programs_become_operations() {
    let cases: [(&str, &str, &[&str]); 30] = [
        (
            HEAD_2,
            "qreg q[2]; h q[0]; cx q[0],q[1];",
            &["h 0", "cx 0,1"],
        ),
        (HEAD_2, "qreg q[2]; h q;", &["h 0", "h 1"]),
        (
            HEAD_2,
            "qreg a[2]; qreg b[2]; cx a,b;",
            &["cx 0,2", "cx 1,3"],
        ),
        (
            HEAD_2,
            "qreg a[1]; qreg b[2]; cx a[0],b;",
            &["cx 0,1", "cx 0,2"],
        ),
        (
            HEAD_2,
            "qreg q[2]; creg c[2]; measure q -> c;",
            &["measure 0>0", "measure 1>1"],
        ),
        (
            HEAD_2,
            "qreg q[2]; creg c[2]; if(c==1) x q[1];",
            &["if", "x 1"],
        ),
        (
            HEAD_2,
            "qreg q[1]; gate g(t) a { rz(t/2) a; barrier a; rz(-t^2) a; } g(pi) q[0];",
            &["rz 0", "rz 0"],
        ),
        (
            HEAD_2,
            "qreg q[1]; reset q; barrier q;",
            &["reset 0", "barrier"],
        ),
        (
            HEAD_2,
            "qreg q[2]; u2(0,pi) q[0]; CX q[0],q[1]; U(0,0,0) q[1];",
            &["u 0", "cx 0,1", "u 1"],
        ),
        (
            "OPENQASM 2.0; ",
            "gate h a { U(pi/2,0,pi) a; } qreg q[1]; h q[0]; // twice\nh q[0];",
            &["u 0", "u 0"],
        ),
        (
            HEAD_3,
            "qubit[2] q; h q[0]; cx q[0], q[1];",
            &["h 0", "cx 0,1"],
        ),
        (HEAD_3, "qubit a; ctrl @ inv @ s a, a2;", &[]),
        (
            HEAD_3,
            "qubit[3] q; ctrl(2) @ x q[0], q[1], q[2];",
            &["ccx 0,1,2"],
        ),
        (
            HEAD_3,
            "qubit[2] q; negctrl @ x q[0], q[1];",
            &["x 0", "cx 0,1", "x 0"],
        ),
        (
            HEAD_3,
            "qubit q; inv @ t q; pow(3) @ x q; pow(-2) @ s q;",
            &["tdg 0", "x 0", "x 0", "x 0", "sdg 0", "sdg 0"],
        ),
        (HEAD_3, "qubit q; pow(1/2) @ x q;", &["unitary 0"]),
        (
            HEAD_3,
            "qubit[4] q; for int i in [0:3] { h q[i]; }",
            &["h 0", "h 1", "h 2", "h 3"],
        ),
        (
            HEAD_3,
            "qubit[4] q; for uint i in {1, 3} x q[i];",
            &["x 1", "x 3"],
        ),
        (
            HEAD_3,
            "qubit[4] q; h q[0:2:3]; x q[-1]; let r = q[{1,2}]; z r;",
            &["h 0", "h 2", "x 3", "z 1", "z 2"],
        ),
        (
            HEAD_3,
            "qubit q; int n = 0; while (n < 3) { x q; n += 1; if (n == 2) break; }",
            &["x 0", "x 0"],
        ),
        (
            HEAD_3,
            "qubit[2] q; bit[2] c = measure q; if (c[0]) { x q[1]; } else z q[1];",
            &["measure 0>0", "measure 1>1", "if", "x 1", "z 1"],
        ),
        (
            HEAD_3,
            "qubit q; bit c; c = measure q; while (c) { h q; c = measure q; }",
            &["measure 0>0", "while", "h 0", "measure 0>0"],
        ),
        (
            HEAD_3,
            "def f(qubit a, float t) -> bit { rx(t) a; return measure a; } qubit q; bit c; c = f(q, pi);",
            &["rx 0", "measure 0>1", "assign 0+1"],
        ),
        (
            HEAD_3,
            "qubit q; bit b; int n = 4; b = measure q; if (b) n = n + 1; if (n == 5) x q;",
            &[
                "measure 0>0",
                "assign 1+32",
                "if",
                "assign 1+32",
                "if",
                "x 0",
            ],
        ),
        (
            HEAD_3,
            "qubit q; const float a = pi / 2; angle[16] t = 2 * a; rz(t) q; gphase(a);",
            &["rz 0", "gphase "],
        ),
        (
            HEAD_3,
            "qubit[2] q; gate g(x) a, b { ctrl @ rx(x) a, b; } inv @ g(1) q[0], q[1];",
            &["crx 0,1"],
        ),
        (
            HEAD_3,
            "qubit[2] q; bit[2] c; c = measure q; switch (c) { case 1, 2 { x q[0]; } default { z q[0]; } }",
            &["measure 0>0", "measure 1>1", "if", "x 0", "z 0"],
        ),
        (
            HEAD_3,
            "qubit q; box { x q; } delay[10ns] q; end; y q;",
            &["x 0", "end"],
        ),
        (
            HEAD_3,
            "@note hello\npragma x\nqubit q; /* c */ x q;",
            &["x 0"],
        ),
        (
            HEAD_3,
            "qreg q[1]; creg c[1]; measure q[0] -> c[0]; if (c == 1) { reset q; }",
            &["measure 0>0", "if", "reset 0"],
        ),
    ];
    for (head, text, wanted) in cases {
        let result = parse(&format!("{head}{text}"));
        if wanted.is_empty() {
            assert!(result.is_err(), "{text}");
            continue;
        }
        let circuit = result.unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(gates(&circuit), wanted, "{text}");
    }
}

#[test]
fn angles_and_powers_are_computed() {
    let circuit = parse(&format!(
        "{HEAD_2}qreg q[1]; rz(-2*pi/4+sin(0)^2) q[0]; rz(2^3^0) q[0]; rz(-2^2) q[0]; rz(ln(exp(0.5))) q[0];"
    ))
    .unwrap();
    let wanted = [-std::f64::consts::FRAC_PI_2, 2.0, -4.0, 0.5];
    for (op, wanted) in circuit.ops.iter().zip(wanted) {
        let Op::Gate(gate) = op else {
            panic!("no gate")
        };
        assert!(
            (gate.numbers()[0] - wanted).abs() < 1e-15,
            "{:?} {wanted}",
            gate.numbers()
        );
    }
    // A root twice is the gate itself.
    let text = format!(
        "{HEAD_3}qubit[2] q; h q; ctrl @ pow(0.5) @ y q[0], q[1]; ctrl @ pow(0.5) @ y q[0], q[1];"
    );
    let whole = format!("{HEAD_3}qubit[2] q; h q; cy q[0], q[1];");
    let (a, b) = (parse(&text).unwrap(), parse(&whole).unwrap());
    assert!(reference::distance(&reference::state(&a), &reference::state(&b)) < 1e-14);
}

#[test]
fn inputs_are_parameters() {
    let text = format!("{HEAD_3}input float t; qubit q; rx(2*t + 1) q; rz(-t/2) q;");
    let bound = parse(&text).unwrap().bind(&[0.5]).unwrap();
    let angles: Vec<f64> = bound
        .ops
        .iter()
        .map(|op| match op {
            Op::Gate(gate) => gate.numbers()[0],
            _ => panic!("no gate"),
        })
        .collect();
    assert_eq!(angles, [2.0, -0.25]);
}

#[test]
fn mistakes_have_their_place() {
    let deep = "(".repeat(100_000);
    let deep = format!("qreg q[1]; rz({deep}");
    let long = format!("qreg q[1]; rz(1{}) q[0];", "+1".repeat(100_000));
    let mut doubling = String::from("qreg q[1]; gate g0 a { x a; }");
    for i in 1..64 {
        doubling += &format!("gate g{i} a {{ g{0} a; g{0} a; }}", i - 1);
    }
    doubling += "g63 q[0];";
    let cases: [(&str, &str, &str); 34] = [
        (
            HEAD_2,
            "qreg q[1]; frob q[0];",
            "line 3, column 12: unknown gate `frob`",
        ),
        (
            "OPENQASM 2.0;",
            "qreg q[1]; h q[0];",
            "include \"qelib1.inc\"; has it",
        ),
        (HEAD_2, "qreg q[2]; cx q[0];", "`cx` is on 2 qubits, not 1"),
        (HEAD_2, "qreg q[2]; rx q[0];", "`rx` has 1 angles, not 0"),
        (
            HEAD_2,
            "qreg q[2];\nx q[2];",
            "line 4, column 5: index 2 is out of range: the register has 2",
        ),
        (HEAD_2, "qreg q[2]; cx q[0],q[0];", "given qubit 0 twice"),
        (HEAD_2, "qreg q[2]; rx(a) q[0];", "`a` is not declared"),
        (HEAD_2, "qreg q[2]; rx(1/0) q[0];", "division by zero"),
        (HEAD_2, "qreg q[2]; rx(sqrt(-1)) q[0];", "not defined there"),
        (HEAD_2, "qreg q[2]; rx(1e999) q[0];", "out of range"),
        (
            HEAD_2,
            "gate g a { g a; } qreg q[1]; g q[0];",
            "`g` calls itself",
        ),
        (
            HEAD_2,
            "qreg q[1000000000];",
            "1000000000 is more than the limit of 100000",
        ),
        (HEAD_2, "creg q[1000000000];", "more than the limit"),
        (
            HEAD_2,
            "include \"mine.inc\";",
            "cannot include \"mine.inc\"",
        ),
        (HEAD_2, "qreg q[2]", "`;` expected, not the end of the text"),
        (HEAD_2, "qreg q[2]; measure q[0];", "`->` expected"),
        (
            HEAD_2,
            "qreg q[2]; creg c[3]; measure q -> c;",
            "2 qubits are measured into 3 bits",
        ),
        (HEAD_2, "qreg q[2]; qreg q[2];", "`q` is declared already"),
        (HEAD_2, "opaque m a; qreg q[1]; m q[0];", "opaque"),
        (HEAD_2, "qreg q[1]; x q[0] ?", "no token starts with '?'"),
        (HEAD_2, "qreg q[0];", "a size of 0"),
        (HEAD_2, "qreg q[1]; x q[-1];", "out of range"),
        ("OPENQASM 4.0;", "", "version 2.0, 3.0 or 3.1 expected"),
        (HEAD_2, &deep, "nested more than 128 deep"),
        (HEAD_2, &long, "too many terms"),
        (HEAD_2, &doubling, "more than"),
        (HEAD_3, "qubit q; while (true) { }", "does it end?"),
        (
            HEAD_3,
            "qubit q; while (true) { x q; }",
            "more than 2000000 operations",
        ),
        (
            HEAD_3,
            "def f(int n) { f(n); } f(1);",
            "recursion is not possible",
        ),
        (
            HEAD_3,
            "qubit q; for int i in [0:1000000000] { }",
            "too many numbers",
        ),
        (
            HEAD_3,
            "qubit q; bit c; c = measure q; rx(c) q;",
            "depends on a measurement",
        ),
        (
            HEAD_3,
            "qubit[2] q; bit c; c = measure q[0]; for int i in [0:1] { if (c) break; }",
            "unrolled",
        ),
        (HEAD_3, "array[int, 4] a;", "`array` is not supported"),
        (HEAD_3, "/* qubit q;", "a comment that does not end"),
    ];
    for (head, text, wanted) in cases {
        let error = parse(&format!("{head}{text}")).unwrap_err().to_string();
        let short: String = text.chars().take(60).collect();
        assert!(error.contains(wanted), "{short}: {error}");
    }
}
