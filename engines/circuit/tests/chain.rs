//! What a chain of tensors cuts off is bounded by what it says, and not by far: against every amplitude.

#![allow(clippy::panic, clippy::unwrap_used)]

mod running;

use quantumos_circuit::ir::Circuit;
use quantumos_circuit::rng::Rng;
use quantumos_circuit::run::Choice;
use running::{go, request};

/// Layers of turns and of gates on neighbours (now and then on others), with imaginary parts or without.
fn layers(n: u32, depth: u32, size: f64, complex: bool, seed: u64) -> Circuit {
    let mut circuit = Circuit::new(n.into(), 0).unwrap();
    let mut rng = Rng::stream(seed, 8);
    for layer in 0..depth {
        for q in 0..n {
            circuit.gate("ry", &[6.0 * rng.unit()], &[q]).unwrap();
            if complex {
                circuit.gate("rz", &[6.0 * rng.unit()], &[q]).unwrap();
            }
        }
        for q in (layer % 2..n - 1).step_by(2) {
            let angle = size * (rng.unit() - 0.5);
            if complex {
                circuit.gate("rxx", &[angle], &[q, q + 1]).unwrap();
            } else {
                circuit.gate("cry", &[angle], &[q, q + 1]).unwrap();
            }
        }
        if layer % 5 == 4 {
            circuit.gate("cry", &[0.01], &[0, 3]).unwrap();
        }
    }
    circuit
}

#[test]
fn the_bound_of_what_is_cut_holds_and_is_not_far_off() {
    let n = 10u32;
    for (complex, size, bond) in [
        (false, 0.2, 4),
        (false, 0.5, 12),
        (false, 1e-5, 2),
        (true, 0.2, 4),
        (true, 0.5, 12),
        (true, 1e-5, 2),
    ] {
        let circuit = layers(n, 12, size, complex, 3);
        let mut asked = request(Choice::Mps, 0);
        asked.amplitudes = (0..1u64 << n).map(|basis| vec![basis]).collect();
        asked.bond = bond;
        let cut = go(&circuit, &asked);
        asked.method = Choice::Dense;
        let whole = go(&circuit, &asked);
        let pairs = cut.amplitudes.iter().zip(&whole.amplitudes);
        let off: f64 = pairs.map(|(a, b)| (a - b).norm_sqr()).sum();
        let (off, bound) = (off.sqrt(), cut.error_bound);
        let name =
            format!("complex {complex}, {size}, bond {bond}: {off:.2e} off, {bound:.2e} said");
        assert!(off > 1e-13 && bound < 1.0, "nothing to see: {name}");
        assert!(off <= bound, "{name}");
        assert!(bound < 30.0 * off, "{name}");
    }
}
