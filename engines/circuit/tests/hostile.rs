//! Programs that want too much: of depth, memory or time. Each is an error with its place, or a circuit, soon.

#![allow(clippy::panic, clippy::unwrap_used)]

use quantumos_circuit::qasm::parse;

const HEAD_2: &str = "OPENQASM 2.0;\ninclude \"qelib1.inc\";\n";
const HEAD_3: &str = "OPENQASM 3.0;\ninclude \"stdgates.inc\";\n";

fn refused(text: &str, wanted: &str) {
    let short: String = text.chars().take(200).collect();
    let error = match parse(text) {
        Ok(_) => panic!("{short}: no error"),
        Err(error) => error.to_string(),
    };
    assert!(
        error.starts_with("line ") && error.contains(", column ") && error.contains(wanted),
        "{short}: {error}"
    );
}

/// Subroutines that call the one before, each body made by the function.
fn chain(count: usize, parameters: &str, body: impl Fn(usize) -> String) -> String {
    let mut text = HEAD_3.to_owned();
    for i in 0..count {
        text += &format!("def f{i}({parameters}) {{ {} }}\n", body(i));
    }
    text
}

#[test]
fn depth_counts_through_calls() {
    let blocks = |i: usize| {
        let inner = match i {
            0 => String::new(),
            _ => format!("f{}();", i - 1),
        };
        format!("{}{inner}{}", "{".repeat(100), "}".repeat(100))
    };
    let text = chain(60, "", blocks) + "f59();";
    refused(&text, "nested more than 256 deep");
    let brackets = |i: usize| {
        let inner = match i {
            0 => "a".to_owned(),
            _ => format!("f{}(a)", i - 1),
        };
        format!("{}-{inner};", "-".repeat(60))
    };
    let text = chain(60, "int a", brackets).replace(") {", ") -> int { return");
    refused(&(text + "int z = f59(1);"), "nested more than 256 deep");
    let mut gates = format!("{HEAD_3}gate g0 a {{ x a; }}\n");
    for i in 1..300 {
        gates += &format!("gate g{i} a {{ g{} a; }}\n", i - 1);
    }
    refused(&(gates + "qubit q; g299 q;"), "nested more than 256 deep");
}

#[test]
fn nothing_doubles_with_every_call_or_join() {
    // Each call hands on twice its parameter: 2^40 numbers if the expression were put in for the name.
    let text = chain(40, "uint[32] a", |i| match i {
        0 => "uint[32] b = a;".to_owned(),
        _ => format!("f{}(a + a);", i - 1),
    });
    let circuit = parse(&format!(
        "{text}qubit q; bit[8] c; c[0] = measure q; f39(c);"
    ))
    .unwrap();
    assert!(circuit.bits < 8 + 32 * 42, "{}", circuit.bits);
    let mut joined = format!("{HEAD_3}qubit[2] q0;");
    for i in 1..64 {
        joined += &format!(" let q{i} = q{0} ++ q{0};", i - 1);
    }
    refused(&joined, "a register of more than 4000000 elements");
    // A register of scattered bits is a long expression; named again and again it is refused.
    let scattered = "let d = c[{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30}];";
    let sums =
        "bit[1] s; ".to_owned() + &"s[0] = d[0:15] + d[0:15] + d[0:15] + d[0:15];\n".repeat(30_000);
    refused(
        &format!("{HEAD_3}bit[32] c; {scattered} {sums}"),
        "expressions of more than 4000000 parts",
    );
    // Many cases of a value that has to be computed: it is computed once.
    let cases: Vec<String> = (0..50_000).map(|i| i.to_string()).collect();
    let many = format!(
        "{HEAD_3}qubit q; bit[32] c; c[0] = measure q; switch (c * 3 + 1) {{ case {} {{ x q; }} }}",
        cases.join(", ")
    );
    assert_eq!(parse(&many).unwrap().ops.len(), 3);
}

#[test]
fn endless_and_huge_programs_end() {
    for (body, wanted) in [
        ("while (true) { }", "does it end?"),
        (
            "qubit q; while (true) { x q; }",
            "more than 2000000 operations",
        ),
        (
            "qubit q; for int i in [0:1999999] for int j in [0:1999999] { x q; }",
            "more than",
        ),
        (
            "qubit q; for int i in [0:1000] for int j in [0:1000000] { }",
            "does it end?",
        ),
        (
            "qubit[1000000000] q;",
            "1000000000 is more than the limit of 100000",
        ),
        (
            "qubit[340282366920938463463374607431768211455] q;",
            "out of range",
        ),
        ("bit[1000000000] c;", "more than the limit"),
        (
            "while (true) { bit[1000] c; }",
            "more than the limit of 4000000",
        ),
        (
            "qubit[100000] q; while (true) { barrier q; }",
            "does it end?",
        ),
        ("qubit q; x $4000000000;", "more than the limit"),
        (
            "qubit q; x $99999999999999999999;",
            "a number expected behind $",
        ),
        (
            "def f(int n) -> int { return g(n); } def g(int n) -> int { return f(n); } int z = f(1);",
            "recursion",
        ),
        (
            "qubit q; pow(1e300) @ x q;",
            "a power of 1e300 of this gate",
        ),
        ("qubit[3] q; ctrl(99999) @ x q[0], q[1];", "99999 controls"),
        (
            "qubit q; int n = int(1e300 * 1e300);",
            "cannot become a whole number",
        ),
        ("qubit q; rx(1e300 * 1e300) q;", "no finite number"),
        ("qubit q; rx((-1) ** 0.5) q;", "no finite number"),
        ("qubit q; rx(0.0 % 0.0) q;", "no finite number"),
        ("include \"/etc/passwd\";", "cannot include"),
        ("include \"../x.inc\";", "cannot include"),
        ("break;", "outside of a loop"),
        (
            "def f() { continue; } for int i in [0:1] { f(); }",
            "outside of a loop",
        ),
        ("qubit q; bit[4] c; let d = c[3:2];", "the range is empty"),
        ("int n = -\"01\" + -q;", "`q` is not declared"),
        ("qubit q; int n = -q;", "a number expected, not qubits"),
        ("OPENQASM 3.0;", "the version has to come first"),
        ("qubit $1;", "a name expected"),
    ] {
        refused(&format!("{HEAD_3}{body}"), wanted);
    }
}

#[test]
fn version_2_is_held_to_its_grammar() {
    for (body, wanted) in [
        ("qreg q;", "a size in brackets expected"),
        ("qreg q[2]; cx q[0],q[1],;", "one more after the comma"),
        ("gate g { }", "the gate's qubits expected"),
        ("gate g a { cx a; }", "`cx` is on 2 qubits, not 1"),
        ("gate g a { rx a; }", "`rx` has 1 angles, not 0"),
        ("gate g a { rx(t) a; }", "`t` is not declared"),
        ("gate g(t) a { rx(sin(u)) a; }", "`u` is not declared"),
        ("gate g a { barrier b; }", "one of the gate's own qubits"),
        (
            "gate g a,b { h a; } gate f a { g a; }",
            "`g` is on 2 qubits, not 1",
        ),
        (
            "gate g a { measure a -> c; }",
            "a gate is made of gates only",
        ),
        ("opaque m(a) ;", "the gate's qubits expected"),
        ("opaque m(1) a;", "a name expected"),
        (
            "qreg q[1]; creg c[1]; if (c==1) qreg r[1];",
            "a gate, a measurement or a reset",
        ),
        (
            "qreg q[1]; creg c[1]; if (c==1) if (c==0) x q[0];",
            "a gate, a measurement or a reset",
        ),
        (
            "qreg q[1]; creg c[1]; if (c==1.5) x q[0];",
            "a whole number expected",
        ),
        (
            "qreg q[1]; creg c[4]; if (c[3:2]==0) x q[0];",
            "the range is empty",
        ),
        ("qreg q[1]; if (q==1) x q[0];", "classical bits expected"),
        ("qreg q[1]; creg c[1]; measure c -> q;", "qubits expected"),
        ("qreg q[1]; reset c;", "`c` is not declared"),
        ("qreg q[1]; x q[0.5];", "a whole number expected"),
        ("qreg q[1]; ctrl @ x q[0];", "line 3"),
        ("qubit q;", "`q` is not declared"),
    ] {
        refused(&format!("{HEAD_2}{body}"), wanted);
    }
}
