//! Wide circuits whose gates say nothing of how easy they are: adders, multipliers and comparisons of states taken
//! apart into gates on one and two qubits, as compilers write them. `auto` has to find out; what is hard in truth
//! it refuses at once.

#![allow(clippy::panic, clippy::unwrap_used)]

mod running;

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use quantumos_circuit::Error;
use quantumos_circuit::ir::{Base, Circuit, Op};
use quantumos_circuit::rng::Rng;
use quantumos_circuit::run::{Choice, Observable, explain};
use running::{go, request, three};

/// Which gates there are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Set {
    /// h, t, tdg, x, cx.
    Textbook,
    /// rz, sx, x, cx.
    Rotations,
    /// u3, cx.
    General,
}

/// A circuit that is written gate by gate.
struct Writer {
    circuit: Circuit,
    set: Set,
}

impl Writer {
    fn new(set: Set, qubits: u32, bits: u32) -> Self {
        let circuit = Circuit::new(qubits.into(), bits.into()).unwrap();
        Self { circuit, set }
    }

    fn put(&mut self, name: &str, angles: &[f64], qubits: &[u32]) {
        self.circuit.gate(name, angles, qubits).unwrap();
    }

    fn turn(&mut self, theta: f64, phi: f64, lambda: f64, qubit: u32) {
        if self.set == Set::Rotations {
            self.put("rz", &[lambda], &[qubit]);
            self.put("sx", &[], &[qubit]);
            self.put("rz", &[theta + PI], &[qubit]);
            self.put("sx", &[], &[qubit]);
            self.put("rz", &[phi + PI], &[qubit]);
        } else {
            self.put("u3", &[theta, phi, lambda], &[qubit]);
        }
    }

    fn h(&mut self, qubit: u32) {
        match self.set {
            Set::Textbook => self.put("h", &[], &[qubit]),
            Set::General => self.put("u3", &[FRAC_PI_2, 0.0, PI], &[qubit]),
            Set::Rotations => {
                self.put("rz", &[FRAC_PI_2], &[qubit]);
                self.put("sx", &[], &[qubit]);
                self.put("rz", &[FRAC_PI_2], &[qubit]);
            }
        }
    }

    fn phase(&mut self, eighths: f64, qubit: u32) {
        match self.set {
            Set::Textbook => self.put(if eighths > 0.0 { "t" } else { "tdg" }, &[], &[qubit]),
            Set::General => self.put("u3", &[0.0, 0.0, eighths * FRAC_PI_4], &[qubit]),
            Set::Rotations => self.put("rz", &[eighths * FRAC_PI_4], &[qubit]),
        }
    }

    fn x(&mut self, qubit: u32) {
        match self.set {
            Set::General => self.put("u3", &[PI, 0.0, PI], &[qubit]),
            _ => self.put("x", &[], &[qubit]),
        }
    }

    fn cx(&mut self, control: u32, target: u32) {
        self.put("cx", &[], &[control, target]);
    }

    /// Toffoli's gate in the fifteen gates of the textbook.
    fn ccx(&mut self, a: u32, b: u32, c: u32) {
        self.h(c);
        self.cx(b, c);
        self.phase(-1.0, c);
        self.cx(a, c);
        self.phase(1.0, c);
        self.cx(b, c);
        self.phase(-1.0, c);
        self.cx(a, c);
        self.phase(1.0, b);
        self.phase(1.0, c);
        self.h(c);
        self.cx(a, b);
        self.phase(1.0, a);
        self.phase(-1.0, b);
        self.cx(a, b);
    }

    fn cswap(&mut self, control: u32, a: u32, b: u32) {
        self.cx(b, a);
        self.ccx(control, a, b);
        self.cx(b, a);
    }
}

/// Cuccaro's adder, b += a, and the sum of random numbers, highest bit first. With `entangled`, the lowest bit of a
/// is both 0 and 1.
fn adder(set: Set, n: u32, entangled: bool) -> (Circuit, String, String) {
    let (a, b) = (|i: u32| 1 + 2 * i, |i: u32| 2 + 2 * i);
    let mut write = Writer::new(set, 2 * n + 2, n + 1);
    let mut rng = Rng::stream(u64::from(n), 3);
    let mut bits: Vec<[bool; 2]> = (0..n)
        .map(|_| [rng.bits() & 1 == 1, rng.bits() & 1 == 1])
        .collect();
    if entangled {
        bits[0][0] = false;
        write.h(a(0));
    }
    for (i, [x, y]) in bits.iter().enumerate() {
        for (set, qubit) in [(*x, a(i as u32)), (*y, b(i as u32))] {
            if set {
                write.x(qubit);
            }
        }
    }
    let before = |i: u32| if i == 0 { 0 } else { a(i - 1) };
    for i in 0..n {
        write.cx(a(i), b(i));
        write.cx(a(i), before(i));
        write.ccx(before(i), b(i), a(i));
    }
    write.cx(a(n - 1), 2 * n + 1);
    for i in (0..n).rev() {
        write.ccx(before(i), b(i), a(i));
        write.cx(a(i), before(i));
        write.cx(before(i), b(i));
    }
    for i in 0..n {
        write.circuit.measure(b(i), i).unwrap();
    }
    write.circuit.measure(2 * n + 1, n).unwrap();
    let sum = |bits: &[[bool; 2]]| {
        let (mut text, mut carry) = (String::new(), 0u8);
        for [x, y] in bits {
            let sum = u8::from(*x) + u8::from(*y) + carry;
            text.insert(0, if sum & 1 == 1 { '1' } else { '0' });
            carry = sum >> 1;
        }
        text.insert(0, if carry == 1 { '1' } else { '0' });
        text
    };
    let first = sum(&bits);
    bits[0][0] ^= entangled;
    (write.circuit, first, sum(&bits))
}

#[test]
fn adders_in_gates_of_a_compiler_add() {
    for set in [Set::Textbook, Set::Rotations, Set::General] {
        for qubits in [118u32, 400] {
            let (circuit, wanted, _) = adder(set, qubits / 2 - 1, false);
            assert_eq!(circuit.qubits, qubits);
            let got = go(&circuit, &request(Choice::Auto, 10));
            assert_eq!(got.method, "sparse");
            assert_eq!(got.counts.get(&wanted), Some(&10), "{set:?} {qubits}");
            assert!(got.error_bound < 1e-8, "{}", got.error_bound);
        }
        let (circuit, one, other) = adder(set, 58, true);
        let got = go(&circuit, &request(Choice::Auto, 1000)).counts;
        assert!(one != other && got.len() == 2, "{set:?}: {got:?}");
        assert!(got[&one].abs_diff(500) < 80, "{set:?}: {got:?}");
    }
}

#[test]
fn states_of_dozens_of_qubits_are_compared() {
    // The test by swapping, as in the nearest neighbours of public suites: product states, one after the other or
    // pair by pair; the first qubit is 0 with (1 + overlap^2) / 2.
    for (set, qubits, paired) in [
        (Set::Textbook, 115u32, false),
        (Set::Rotations, 129, true),
        (Set::General, 119, false),
    ] {
        let n = qubits / 2;
        let mut rng = Rng::stream(5, u64::from(qubits));
        let mut write = Writer::new(set, qubits, 1);
        let mut overlap = 1.0;
        let place = |i: u32| match paired {
            true => (1 + 2 * i, 2 + 2 * i),
            false => (1 + i, 1 + n + i),
        };
        for i in 0..n {
            let (theta, off) = (PI * rng.unit(), 0.1 * rng.unit());
            let (a, b) = place(i);
            write.turn(theta, 0.3, 0.0, a);
            write.turn(theta + off, 0.3, 0.0, b);
            overlap *= (off / 2.0).cos();
        }
        write.h(0);
        for i in 0..n {
            let (a, b) = place(i);
            write.cswap(0, a, b);
        }
        write.h(0);
        write.circuit.measure(0, 0).unwrap();
        let mut asked = request(Choice::Auto, 1000);
        asked.observables.push(Observable::parse("Z0").unwrap());
        let got = go(&write.circuit, &asked);
        assert_eq!(got.method, "mps");
        let off = (got.expectations[0] - overlap * overlap).abs();
        assert!(off < 1e-8 && off < 10.0 * got.error_bound, "{set:?}: {off}");
        let zero = (1.0 + overlap * overlap) / 2.0;
        let share = got.counts["0"] as f64 / 1000.0;
        assert!((share - zero).abs() < 0.08, "{set:?}: {share} {zero}");
    }
}

#[test]
fn transforms_of_a_hundred_qubits_are_products() {
    // Fourier's transform of a basis state: every pair of qubits meets, and none is entangled in the end.
    let n = 120u32;
    let one = |q: u32| q * q % 7 == 2;
    let mut circuit = Circuit::new(n.into(), 0).unwrap();
    for q in (0..n).filter(|q| one(*q)) {
        circuit.gate("x", &[], &[q]).unwrap();
    }
    let part = |i: u32, j: u32| PI / f64::from(i - j).exp2();
    for i in (0..n).rev() {
        circuit.gate("h", &[], &[i]).unwrap();
        for j in (0..i).rev() {
            circuit.gate("cp", &[part(i, j)], &[j, i]).unwrap();
        }
    }
    let mut asked = request(Choice::Auto, 0);
    for q in [0, 3, 60, 119] {
        let text = format!("X{q}");
        asked.observables.push(Observable::parse(&text).unwrap());
    }
    let got = go(&circuit, &asked);
    assert_eq!(got.method, "mps");
    for (q, value) in [0, 3, 60, 119].into_iter().zip(got.expectations) {
        let phase: f64 = (0..=q).filter(|j| one(*j)).map(|j| part(q, j)).sum();
        assert!((value - phase.cos()).abs() < 1e-9, "{q}: {value}");
    }
    // Back again: rounding must not pile up in the bonds.
    let back = circuit.inverse().unwrap();
    circuit.ops.retain(|op| !matches!(op, Op::Measure { .. }));
    let turned = back.ops.iter().filter(|op| {
        let Op::Gate(gate) = op else { return false };
        gate.base != Base::X
    });
    circuit.ops.extend(turned.cloned());
    let got = go(&circuit, &request(Choice::Auto, 20));
    let wanted: String = (0..n)
        .rev()
        .map(|q| if one(q) { '1' } else { '0' })
        .collect();
    assert_eq!((got.method, got.counts.get(&wanted)), ("mps", Some(&20)));
    assert!(got.error_bound < 1e-9, "{}", got.error_bound);
}

#[test]
fn noise_on_a_hundred_qubits_is_followed() {
    // Damped once for each gate, a qubit that is 1 is left so with (1 - p)^gates; the other of its pair gets no noise
    // of its own where it is 0.
    let (n, p) = (118u32, 0.05);
    let mut circuit = Circuit::new(n.into(), n.into()).unwrap();
    for q in (0..n).step_by(2) {
        circuit.gate("x", &[], &[q]).unwrap();
        for _ in 0..7 {
            circuit.gate("ch", &[], &[q + 1, q]).unwrap();
        }
        circuit.gate("t", &[], &[q]).unwrap();
    }
    for q in 0..n {
        circuit.measure(q, q).unwrap();
    }
    let mut asked = request(Choice::Auto, 200);
    asked
        .noise
        .add(&format!("x:amplitude-damping={p}"))
        .unwrap();
    asked
        .noise
        .add(&format!("t:amplitude-damping={p}"))
        .unwrap();
    let got = go(&circuit, &asked);
    assert_eq!(got.method, "sparse");
    let (mut ones, mut others) = (0, 0);
    for (key, count) in &got.counts {
        for (i, bit) in key.bytes().rev().enumerate() {
            let one = u64::from(bit == b'1') * count;
            *(if i % 2 == 0 { &mut ones } else { &mut others }) += one;
        }
    }
    let share = ones as f64 / f64::from(200 * n / 2);
    let wanted = (1.0 - p) * (1.0 - p);
    assert!(
        others == 0 && (share - wanted).abs() < 0.012,
        "{others} {share} {wanted}"
    );
}

#[test]
fn what_is_tried_agrees_with_every_amplitude() {
    // The same adders, small enough for all amplitudes: the methods that a look chooses between, one by one.
    for set in [Set::Textbook, Set::Rotations, Set::General] {
        let (mut circuit, ..) = adder(set, 5, true);
        circuit.ops.retain(|op| !matches!(op, Op::Measure { .. }));
        let asked = |method| {
            let mut asked = request(method, 0);
            for text in ["Z2", "X1 Z4", "Y1 X2", "Z2 Z4 Z6"] {
                asked.observables.push(Observable::parse(text).unwrap());
            }
            go(&circuit, &asked)
        };
        let dense = asked(Choice::Dense);
        for method in [Choice::Sparse, Choice::Mps] {
            let other = asked(method);
            for (x, y) in dense.expectations.iter().zip(&other.expectations) {
                assert!((x - y).abs() < 1e-12, "{set:?} {method:?}: {x} {y}");
            }
        }
    }
}

#[test]
fn what_is_hard_in_truth_is_refused_with_the_gate_where_it_gets_hard() {
    let mut circuit = Circuit::new(150, 0).unwrap();
    let mut rng = Rng::stream(1, 1);
    for layer in 0..20u32 {
        for q in 0..150 {
            let angles = [rng.unit(), rng.unit(), rng.unit()];
            circuit.gate("u", &angles, &[q]).unwrap();
        }
        for q in (layer % 2..149).step_by(2) {
            circuit.gate("cx", &[], &[q, q + 1]).unwrap();
        }
    }
    let error = explain(&circuit, &request(Choice::Auto, 10)).unwrap_err();
    let Error::Memory { advice, .. } = &error else {
        panic!("{error}")
    };
    for words in [
        "sparse: tried: more than 209715 amplitudes are not zero from gate 1",
        "mps: tried: bonds need more than 32 from gate ",
        " of 4490 (cx)",
        "ask for sparse",
    ] {
        assert!(advice.contains(words), "{words}: {advice}");
    }
    // With little memory it is tried with little.
    let mut small = request(Choice::Auto, 10);
    small.available = 1 << 20;
    let error = explain(&circuit, &small).unwrap_err().to_string();
    assert!(error.contains("more than 3276 amplitudes"), "{error}");
    let (circuit, ..) = adder(Set::Rotations, 58, false);
    let plan = explain(&circuit, &small).unwrap();
    assert!(plan.method == Choice::Sparse && plan.bytes <= 1 << 20);
}

/// A circuit on 118 qubits with outcomes on the way, and what it shows.
struct Outcomes {
    text: String,
    method: &'static str,
    counts: &'static [(&'static str, u64)],
}

#[test]
fn outcomes_on_the_way_are_no_reason_to_refuse() {
    // Each qubit is turned, measured, put back and turned again: few amplitudes at any time, 2^236 by the bound.
    let reused =
        "qubit[118] q; bit[2] c; for int i in [0:116] { ry(0.7) q[i]; for int k in [0:8] { t q[i]; cx q[i], q[i + 1]; }
        c[0] = measure q[i]; reset q[i]; ry(-0.3) q[i]; reset q[i]; if (c[0]) { x q[i + 1]; } }
        c[1] = measure q[117];";
    // Pairs of a chain of 118, entangled, then measured by half: bonds of 2, 2^59 amplitudes.
    let pairs = "qubit[118] q; bit[3] c; for int i in [0:58] { ry(pi/3) q[2 * i]; cx q[2 * i], q[2 * i + 1]; t q[2 * i]; }
        for int k in [0:3] { for int i in [0:28] { cx q[4 * i + 1], q[4 * i + 2]; cx q[4 * i + 1], q[4 * i + 2]; } }
        c[0] = measure q[0]; c[1] = measure q[1]; reset q[1]; if (c[0]) { x q[1]; } c[2] = measure q[1];";
    for case in [
        Outcomes {
            text: reused.to_owned(),
            method: "sparse",
            counts: &[],
        },
        Outcomes {
            text: pairs.to_owned(),
            method: "mps",
            counts: &[("000", 375), ("111", 125)],
        },
    ] {
        let circuit = three(&case.text);
        let asked = request(Choice::Auto, 500);
        let plan = explain(&circuit, &asked).unwrap();
        assert!(plan.reason.starts_with("tried: "), "{}", plan.reason);
        let got = go(&circuit, &asked);
        assert_eq!(got.method, case.method);
        assert_eq!(got.counts.values().sum::<u64>(), 500);
        for (key, wanted) in case.counts {
            let found = got.counts.get(*key).copied().unwrap_or_default();
            assert!(found.abs_diff(*wanted) < 45, "{key}: {found}");
        }
        assert!(got.error_bound < 1e-8, "{}", got.error_bound);
        let mut threads = asked.clone();
        threads.threads = 3;
        assert_eq!(go(&circuit, &threads), got);
    }
}
