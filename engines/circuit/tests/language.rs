//! What the two versions of OpenQASM mean: programs against circuits that were written down by hand, and
//! shots of programs with control that has one outcome only.

#![allow(clippy::panic, clippy::unwrap_used)]

mod reference;
mod running;

use quantumos_circuit::qasm::parse;
use quantumos_circuit::run::Choice;
use running::{go, request};

const HEAD_2: &str = "OPENQASM 2.0;\ninclude \"qelib1.inc\";\n";
const HEAD_3: &str = "OPENQASM 3.0;\ninclude \"stdgates.inc\";\n";

/// Every statement of the grammar in the paper, appendix A.
const ALL_OF_2: &str = "// A comment.
OPENQASM 2.0;
include \"qelib1.inc\";
qreg q[3];
qreg r[3];
creg c[3];
creg d[1];
opaque magic(alpha,beta) a,b;
opaque idle a;
opaque wait() a;
gate bell a,b { h a; cx a,b; }
gate nop a { }
gate turn(t,s) a { U(t,-s,s) a; barrier a; u1(-(t+s)/2*3-1.5e0^2) a; }
gate none() a,b { CX a,b; barrier a,b; CX a,b; }
h q;
bell q[0],r[0];
none q,r;
none() q[1],r;
turn(pi/2,cos(0.)) q[2];
turn(sin(pi)+tan(.5)-exp(1)*ln(2)/sqrt(2), 0) q;
nop q[0];
barrier q,r[1];
barrier q;
reset r;
reset q[1];
measure q[0] -> c[0];
measure q -> c;
if(c==3) x q[1];
if (c == 0) measure q[2] -> d[0];
if(d==1) reset q[2];
if(c==1) bell q[0],q[1];
";

#[test]
fn every_statement_of_version_2_is_read() {
    let circuit = parse(ALL_OF_2).unwrap();
    assert_eq!((circuit.qubits, circuit.bits), (6, 4));
    let names: Vec<&str> = circuit
        .bit_registers
        .iter()
        .map(|r| r.name.as_str())
        .collect();
    assert_eq!(names, ["c", "d"]);
    // h on 3; bell 2; none on 3 pairs twice; turn 2 and on 3 qubits 2 each; 2 barriers; 3 + 1 resets; 1 + 3
    // measurements; 4 ifs.
    assert_eq!(circuit.ops.len(), 3 + 2 + 6 + 6 + 2 + 6 + 2 + 4 + 4 + 4);
}

#[test]
fn an_empty_text_is_an_empty_circuit() {
    // Version 3 says that the version line is optional, and a program may have no statements.
    for text in ["", "\n// nothing\n", "OPENQASM 3.1;", "OPENQASM 2.0;"] {
        let circuit = parse(text).unwrap();
        assert_eq!((circuit.qubits, circuit.ops.len()), (0, 0), "{text:?}");
    }
}

#[test]
fn phases_under_controls_are_those_of_version_3() {
    // The library's own definitions, from U and gphase, are the gates that everybody means.
    let own = "gate mx a { U(pi, 0, pi) a; gphase(-pi/2); } gate mh a { U(pi/2, 0, pi) a; gphase(-pi/4); }
        gate mrx(t) a { U(t, -pi/2, pi/2) a; gphase(-t/2); } gate mp(l) a { ctrl @ gphase(l) a; }
        gate mcu(t, f, l, g) a, b { p(g-t/2) a; ctrl @ U(t, f, l) a, b; }
        gate mu3(t, f, l) a { gphase(-(f+l+t)/2); U(t, f, l) a; }
        gate mu2(f, l) a { gphase(-(f+l+pi/2)/2); U(pi/2, f, l) a; }";
    for (one, other) in [
        ("ctrl @ mx q[0], q[1];", "cx q[0], q[1];"),
        ("ctrl @ mh q[0], q[1];", "ch q[0], q[1];"),
        ("ctrl @ mrx(0.7) q[0], q[1];", "crx(0.7) q[0], q[1];"),
        ("ctrl @ mp(0.7) q[0], q[1];", "cp(0.7) q[0], q[1];"),
        (
            "mcu(0.3, 0.5, 0.7, 1.1) q[0], q[1];",
            "cu(0.3, 0.5, 0.7, 1.1) q[0], q[1];",
        ),
        (
            "ctrl @ mu3(0.3, 0.5, 0.7) q[0], q[1];",
            "ctrl @ u3(0.3, 0.5, 0.7) q[0], q[1];",
        ),
        (
            "ctrl @ mu2(0.5, 0.7) q[0], q[1];",
            "ctrl @ u2(0.5, 0.7) q[0], q[1];",
        ),
        (
            "negctrl @ inv @ mx q[0], q[1];",
            "x q[0]; cx q[0], q[1]; x q[0];",
        ),
        ("ctrl @ pow(2) @ mh q[0], q[1];", "id q[0];"),
        ("ctrl @ CX q[0], q[1], q[2];", "ccx q[0], q[1], q[2];"),
    ] {
        let state = |body: &str| {
            let text =
                format!("{HEAD_3}{own} qubit[3] q; ry(0.4) q[0]; ry(0.9) q[1]; h q[2]; {body}");
            reference::state(&parse(&text).unwrap_or_else(|e| panic!("{body}: {e}")))
        };
        let distance = reference::distance(&state(one), &state(other));
        assert!(distance < 1e-14, "{one}: {distance}");
    }
}

#[test]
fn programs_with_one_outcome_have_it() {
    // The result is the register c, its highest bit first.
    for (head, body, wanted) in [
        // A break of a loop that is unrolled stays in it, inside a loop that runs.
        (
            HEAD_3,
            "qubit q; bit[4] c; bit go; x q; go = measure q;
             while (go) { for int i in [0:9] { if (i == 2) break; c[3] = measure q; } c[0] = 1; x q; go = measure q; }
             c[1] = 1;",
            "1011",
        ),
        (
            HEAD_3,
            "qubit q; bit[4] c; bit go; x q; go = measure q;
             while (go) { for int i in [0:3] { if (i != 3) continue; c[2] = 1; } c[0] = 1; if (go) break; c[3] = 1; }",
            "0101",
        ),
        // Signed numbers are divided as such.
        (
            HEAD_3,
            "qubit q; bit[8] c; bit b; x q; b = measure q; int[8] n = 0; if (b) n = -7; c = n / 2;",
            "11111101",
        ),
        (
            HEAD_3,
            "qubit q; bit[8] c; bit b; x q; b = measure q; int[8] n = 0; if (b) n = -7; c = n % 4;",
            "11111101",
        ),
        (HEAD_3, "qubit[4] q; x q[0]; bit[4] c = measure q; c = rotl(c, 3);", "1000"),
        (HEAD_3, "qubit[4] q; x q[0]; bit[4] c = measure q; c = rotr(c, 3);", "0010"),
        (HEAD_3, "output bit[2] c; qubit[2] q; x q[1]; c = measure q;", "10"),
        (HEAD_3, "bit[2] c; x $1; cx $1, $0; nop $0; c[0] = measure $0; c[1] = measure $2;", "01"),
        (
            HEAD_3,
            "qubit[2] q; bit[2] c; bit[3] d; let s = d[{2, 0}]; x q; d[0] = measure q[0]; d[2] = measure q[1];
             switch (s) { case 3 { c = 2; } case 1, 2 { c = 1; } default { c = 0; } }",
            "10",
        ),
        (
            HEAD_3,
            "def parity(bit[3] v) -> bit { bit p = 0; for int i in [0:2] { p ^= v[i]; } return p; }
             qubit[3] q; x q; bit[3] d; bit[2] c; d = measure q; c[0] = parity(d); c[1] = parity(~d & 1);",
            "01",
        ),
        (
            HEAD_3,
            "const int n = 3; qubit[n] q; bit[n] c; uint[4] k = 0; while (k < n) { if (k % 2 == 0) { x q[k]; } k += 1; }
             angle a = 2 * pi; float f = a / tau; if (f == 1.0 && !false) { x q[1]; } c = measure q;",
            "111",
        ),
        (
            HEAD_3,
            "qubit[2] q; bit[2] c; x q[0]; reset q; if (measure q[0]) { x q[1]; } else { x q[0]; } c = measure q; end; c = 3;",
            "01",
        ),
        (HEAD_2, "qreg q[2]; creg c[2]; x q[1]; measure q -> c; if(c==2) x q[0]; measure q -> c;", "11"),
        // A register of more bits than any integer type has.
        (
            HEAD_2,
            "qreg q[1]; creg d[151]; creg c[1]; x q[0]; measure q[0] -> d[150];
             if(d==1427247692705959881058285969449495136382746624) measure q[0] -> c[0];",
            "1",
        ),
        (HEAD_2, "qreg q[2]; creg c[2]; x q[1]; measure q -> c; if(c==1) x q[0]; measure q -> c;", "10"),
    ] {
        let circuit = parse(&format!("{head}{body}")).unwrap_or_else(|e| panic!("{body}: {e}"));
        let got = go(&circuit, &request(Choice::Auto, 20));
        let shown: Vec<(String, u64)> = got
            .counts
            .iter()
            .map(|(text, count)| {
                let place = circuit.bit_registers.iter().rev().position(|r| r.name == "c");
                (text.split(' ').nth(place.unwrap()).unwrap().to_owned(), *count)
            })
            .collect();
        assert_eq!(shown, [(wanted.to_owned(), 20)], "{body}");
    }
}
