//! Circuits of the families that public suites have (QASMBench, MQT Bench), written as OpenQASM by this test
//! and compared with what mathematics says of them. The suites themselves are not kept here: their circuits
//! come from many hands under many licences.

#![allow(clippy::panic, clippy::unwrap_used)]

mod running;

use std::f64::consts::PI;
use std::fmt::Write;

use quantumos_circuit::ir::Circuit;
use quantumos_circuit::qasm::parse;
use quantumos_circuit::run::{Choice, Observable};
use running::{go, request};

const SHOTS: u64 = 4000;

fn two(body: &str) -> Circuit {
    let text = format!("OPENQASM 2.0;\ninclude \"qelib1.inc\";\n{body}");
    parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn three(body: &str) -> Circuit {
    let text = format!("OPENQASM 3.0;\ninclude \"stdgates.inc\";\n{body}");
    parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The share of shots whose result ends (or starts) so.
fn share(circuit: &Circuit, fits: impl Fn(&str) -> bool) -> f64 {
    let counts = go(circuit, &request(Choice::Auto, SHOTS)).counts;
    let hits: u64 = counts
        .iter()
        .filter(|(key, _)| fits(key))
        .map(|(_, n)| n)
        .sum();
    hits as f64 / SHOTS as f64
}

fn certain(name: &str, circuit: &Circuit, wanted: &str) {
    let counts = go(circuit, &request(Choice::Auto, 100)).counts;
    assert_eq!(counts.keys().collect::<Vec<_>>(), [wanted], "{name}");
}

fn near(name: &str, got: f64, wanted: f64) {
    let sigma = (wanted * (1.0 - wanted) / SHOTS as f64).sqrt();
    assert!(
        (got - wanted).abs() <= 5.0 * sigma + 1e-12,
        "{name}: {got}, wanted {wanted}"
    );
}

/// The Fourier transform without the swaps at its end, on `q` of that size.
fn fourier(n: usize) -> String {
    let mut text = String::new();
    for i in (0..n).rev() {
        writeln!(text, "h q[{i}];").unwrap();
        for j in (0..i).rev() {
            writeln!(
                text,
                "cp({}) q[{j}], q[{i}];",
                PI / f64::from(1u32 << (i - j))
            )
            .unwrap();
        }
    }
    text
}

#[test]
fn oracles_tell_their_secret() {
    // Bernstein and Vazirani, at 40 and 150 qubits.
    for n in [40usize, 150] {
        let secret: Vec<bool> = (0..n).map(|i| (i * i + i / 3) % 3 == 1).collect();
        let mut text = format!("qreg q[{}]; creg c[{n}]; x q[{n}]; h q;\n", n + 1);
        for (i, _) in secret.iter().enumerate().filter(|(_, s)| **s) {
            writeln!(text, "cx q[{i}], q[{n}];").unwrap();
        }
        text += "h q;\n";
        for i in 0..n {
            writeln!(text, "measure q[{i}] -> c[{i}];").unwrap();
        }
        let wanted: String = secret
            .iter()
            .rev()
            .map(|s| if *s { '1' } else { '0' })
            .collect();
        certain("Bernstein-Vazirani", &two(&text), &wanted);
    }
    // Deutsch and Jozsa: never all zero for a balanced function, always for a constant one.
    let asked = |oracle: &str| {
        three(&format!(
            "qubit[5] q; qubit a; bit[5] c; x a; h q; h a; {oracle} h q; c = measure q;"
        ))
    };
    certain("constant", &asked("x a;"), "00000");
    let balanced = asked("cx q[0], a; ctrl(2) @ x q[1], q[2], a; cx q[4], a;");
    assert_eq!(share(&balanced, |key| key == "00000"), 0.0);
    // Simon: a permutation has no secret, so every outcome is as likely.
    let none = three(
        "qubit[3] q; qubit[3] f; bit[3] c; h q; cx q[0], f[0]; cx q[1], f[1]; cx q[2], f[2];
         cx q[1], f[1]; cx q[1], f[2]; cx q[2], f[1]; cx q[2], f[2]; h q; c = measure q;",
    );
    near("a permutation", share(&none, |key| key == "101"), 0.125);
    // With the secret 110 every outcome is orthogonal to it.
    let hidden = three(
        "qubit[3] q; qubit[3] f; bit[3] c; h q; cx q, f; cx q[2], f[1]; cx q[2], f[2]; h q; c = measure q;",
    );
    assert_eq!(
        share(&hidden, |key| key.matches('1').count() == 1
            && key.starts_with('1')),
        0.0
    );
    near(
        "orthogonal to the secret",
        share(&hidden, |key| key == "110"),
        0.25,
    );
    // A hidden shift of a bent function, Clifford, on 100 qubits.
    let n = 100;
    let mut text = format!("qreg q[{n}]; creg c[{n}]; h q;\n");
    let shift: Vec<usize> = (0..n).filter(|i| i % 7 == 3).collect();
    let flips: String = shift.iter().map(|i| format!("x q[{i}];")).collect();
    let pairs: String = (0..n / 2)
        .map(|i| format!("cz q[{i}], q[{}];", i + n / 2))
        .collect();
    write!(
        text,
        "{flips}{pairs}{flips} h q; {pairs} h q; measure q -> c;"
    )
    .unwrap();
    let wanted: String = (0..n)
        .rev()
        .map(|i| if i % 7 == 3 { '1' } else { '0' })
        .collect();
    certain("hidden shift", &two(&text), &wanted);
}

#[test]
fn search_amplifies_as_it_must() {
    // Grover on 5 qubits, one marked state: the chance is the square of sin((2 k + 1) asin(2^(-5/2))).
    let turn = (1.0f64 / 32.0).sqrt().asin();
    for rounds in 1..=4 {
        let circuit = three(&format!(
            "qubit[5] q; bit[5] c; h q;
             def mark(qubit[5] r) {{ x r[1]; x r[3]; ctrl(4) @ z r[0], r[1], r[2], r[3], r[4]; x r[1]; x r[3]; }}
             for int i in [1:{rounds}] {{ mark(q); h q; x q; ctrl(4) @ z q[0], q[1], q[2], q[3], q[4]; x q; h q; }}
             c = measure q;"
        ));
        let wanted = (f64::from(2 * rounds + 1) * turn).sin().powi(2);
        near("Grover", share(&circuit, |key| key == "10101"), wanted);
    }
}

#[test]
fn phases_are_estimated() {
    // A phase of five bits is found for certain; the transform backwards is `inv` of a gate of it.
    let n = 5;
    for value in [1usize, 11, 22, 31] {
        let mut text = String::from("gate back a, b, c, d, e { ");
        let names = ["a", "b", "c", "d", "e"];
        let forwards = fourier(n)
            .lines()
            .map(|line| {
                names
                    .iter()
                    .enumerate()
                    .fold(line.to_owned(), |l, (i, name)| {
                        l.replace(&format!("q[{i}]"), name)
                    })
            })
            .collect::<String>();
        write!(
            text,
            "{forwards} }} qubit[{n}] q; qubit t; bit[{n}] c; x t; h q;"
        )
        .unwrap();
        for i in 0..n {
            let angle = 2.0 * PI * value as f64 / 32.0;
            // The transform without its swaps leaves the order of qubits turned around.
            write!(
                text,
                "ctrl @ pow({}) @ p({angle}) q[{}], t;",
                1 << i,
                n - 1 - i
            )
            .unwrap();
        }
        text += "inv @ back q[0], q[1], q[2], q[3], q[4]; c = measure q;";
        certain("phase estimation", &three(&text), &format!("{value:05b}"));
    }
    // One qubit that is measured again and again, with feedback: bits from the last on.
    let circuit = three(
        "qubit q; qubit t; bit[4] c; x t;
         for int k in [0:3] { reset q; h q; ctrl @ pow(2 ** (3 - k)) @ p(2 * pi * 11 / 16) q, t;
           for int j in [0:2] { if (j < k) { if (c[j]) p(-pi / (2 ** (k - j))) q; } }
           h q; c[k] = measure q; }",
    );
    certain("iterative phase estimation", &circuit, "1011");
    // The transform of a basis state is even; back again it is the state.
    let there = fourier(6);
    let circuit = three(&format!(
        "qubit[6] q; bit[6] c; x q[1]; x q[4]; {there} c = measure q;"
    ));
    near(
        "Fourier",
        share(&circuit, |key| key == "010110"),
        1.0 / 64.0,
    );
}

#[test]
fn states_travel_and_are_compared() {
    for angle in [0.3f64, 1.0, 2.2] {
        let chance = (angle / 2.0).sin().powi(2);
        let teleported = two(&format!(
            "qreg q[3]; creg a[1]; creg b[1]; creg c[1]; ry({angle}) q[0]; h q[1]; cx q[1],q[2]; cx q[0],q[1]; h q[0];
             measure q[0] -> a[0]; measure q[1] -> b[0]; if(b==1) x q[2]; if(a==1) z q[2]; measure q[2] -> c[0];"
        ));
        near(
            "teleportation",
            share(&teleported, |key| key.starts_with('1')),
            chance,
        );
        // The test of two states by swapping shows 0 with (1 + overlap^2) / 2.
        let swapped = two(&format!(
            "qreg q[3]; creg c[1]; ry({angle}) q[1]; h q[0]; cswap q[0],q[1],q[2]; h q[0]; measure q[0] -> c[0];"
        ));
        near(
            "swap test",
            share(&swapped, |key| key == "0"),
            (2.0 - chance) / 2.0,
        );
    }
    for (bits, gates) in [
        ("00", ""),
        ("01", "x q[0];"),
        ("10", "z q[0];"),
        ("11", "x q[0]; z q[0];"),
    ] {
        let dense = format!(
            "qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; {gates} cx q[0],q[1]; h q[0];
            measure q[0] -> c[1]; measure q[1] -> c[0];"
        );
        certain("superdense coding", &two(&dense), bits);
    }
    // An error of one bit is found and undone, wherever it is.
    for error in 0..3 {
        let code = three(&format!(
            "qubit[3] q; qubit[2] a; bit[2] s; bit c; x q[0]; cx q[0], q[1]; cx q[0], q[2]; x q[{error}];
             cx q[0], a[0]; cx q[1], a[0]; cx q[1], a[1]; cx q[2], a[1]; s = measure a;
             switch (s) {{ case 1 {{ x q[0]; }} case 3 {{ x q[1]; }} case 2 {{ x q[2]; }} default {{ }} }}
             cx q[0], q[2]; cx q[0], q[1]; c = measure q[0];"
        ));
        assert_eq!(share(&code, |key| key.starts_with('1')), 1.0);
    }
}

#[test]
fn sums_are_right() {
    // Cuccaro's adder as the paper of OpenQASM writes it, on 8 and 60 bits.
    for (n, a, b) in [
        (8usize, 201u128, 77u128),
        (60, (1 << 60) - 5, 12_345_678_901),
    ] {
        let mut text = format!(
            "gate majority a,b,c {{ cx c,b; cx c,a; ccx a,b,c; }} gate unmaj a,b,c {{ ccx a,b,c; cx c,a; cx a,b; }}
             qreg cin[1]; qreg a[{n}]; qreg b[{n}]; qreg cout[1]; creg ans[{}];\n",
            n + 1
        );
        for i in 0..n {
            for (name, value) in [("a", a), ("b", b)] {
                if value >> i & 1 == 1 {
                    writeln!(text, "x {name}[{i}];").unwrap();
                }
            }
        }
        text += "majority cin[0],b[0],a[0];\n";
        for i in 1..n {
            writeln!(text, "majority a[{}],b[{i}],a[{i}];", i - 1).unwrap();
        }
        writeln!(text, "cx a[{}],cout[0];", n - 1).unwrap();
        for i in (1..n).rev() {
            writeln!(text, "unmaj a[{}],b[{i}],a[{i}];", i - 1).unwrap();
        }
        text += "unmaj cin[0],b[0],a[0];\n";
        for i in 0..n {
            writeln!(text, "measure b[{i}] -> ans[{i}];").unwrap();
        }
        writeln!(text, "measure cout[0] -> ans[{n}];").unwrap();
        certain(
            "adder",
            &two(&text),
            &format!("{:0width$b}", a + b, width = n + 1),
        );
    }
}

#[test]
fn energies_are_those_of_the_states() {
    // GHZ, W and an ansatz of rotations, by expectation values that are known in closed form.
    let value = |circuit: &Circuit, text: &str| {
        let mut asked = request(Choice::Auto, 0);
        asked.observables.push(Observable::parse(text).unwrap());
        go(circuit, &asked).expectations[0]
    };
    let ghz = three("qubit[6] q; h q[0]; for int i in [0:4] { cx q[i], q[i + 1]; }");
    for (text, wanted) in [
        ("XXXXXX", 1.0),
        ("ZZIIII", 1.0),
        ("ZIIIII", 0.0),
        ("YYXXXX", -1.0),
    ] {
        assert!((value(&ghz, text) - wanted).abs() < 1e-12, "{text}");
    }
    let n = 7u32;
    let mut text = format!("qubit[{n}] q; x q[0];");
    for i in 0..n - 1 {
        let angle = 2.0 * (1.0 / f64::from(n - i)).sqrt().acos();
        write!(
            text,
            "cry({angle}) q[{i}], q[{}]; cx q[{}], q[{i}];",
            i + 1,
            i + 1
        )
        .unwrap();
    }
    let w = three(&text);
    assert!((value(&w, "Z0") - (1.0 - 2.0 / f64::from(n))).abs() < 1e-12);
    assert!((value(&w, "X1 X4 + Y1 Y4") - 4.0 / f64::from(n)).abs() < 1e-12);
    let ansatz = three("qubit[2] q; ry(0.4) q[0]; ry(1.1) q[1]; cx q[0], q[1]; rz(0.7) q[1];");
    assert!((value(&ansatz, "ZI") - 0.4f64.cos() * 1.1f64.cos()).abs() < 1e-12);
    assert!((value(&ansatz, "IZ") - 0.4f64.cos()).abs() < 1e-12);
    // One bond of an Ising chain, turned in time: the field's value beats with twice the angle.
    let bond = three("qubit[2] q; h q; rzz(0.6) q[0], q[1];");
    assert!((value(&bond, "IX") - 0.6f64.cos()).abs() < 1e-12);
}
