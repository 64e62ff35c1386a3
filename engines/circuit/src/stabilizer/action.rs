//! What a gate does to Pauli operators. Any gate on one or two qubits is taken by its matrix: if it sends
//! Paulis to Paulis it is Clifford, whatever its name.

use crate::C64;
use crate::ir::{Base, Gate, Matrix};

/// The action of a Clifford gate on the bits (x0, z0, x1, z1) of a Pauli on its qubits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// For each new bit, which old bits are added up.
    pub linear: [u8; 4],
    /// The sign flips where the sum of the products of these sets of old bits is odd.
    pub sign: Vec<u8>,
    /// One or two qubits.
    pub qubits: u8,
}

impl Action {
    /// The action of a gate, if it is Clifford and on at most two qubits.
    #[must_use]
    pub fn of(gate: &Gate) -> Option<Self> {
        let count = gate.qubits.len();
        if count > 2 {
            return None;
        }
        if count == 0 || gate.base == Base::Id {
            return Some(Self {
                linear: [1, 2, 4, 8],
                sign: Vec::new(),
                qubits: count as u8,
            });
        }
        Self::of_matrix(&gate.target_matrix().controlled(gate.controls))
    }

    fn of_matrix(u: &Matrix) -> Option<Self> {
        let qubits = u.size().trailing_zeros() as usize;
        let dagger = u.dagger();
        let mut linear = [0u8; 4];
        let mut signs = [false; 16];
        for (input, negative) in signs.iter_mut().enumerate().take(1 << (2 * qubits)) {
            let image = u.times(&pauli(input, qubits)).times(&dagger);
            let (output, sign) = (0..1usize << (2 * qubits)).find_map(|candidate| {
                let wanted = pauli(candidate, qubits);
                // The overlap of two Paulis is their size or nothing.
                let overlap: C64 = (0..u.size() * u.size())
                    .map(|i| wanted.cells()[i].conj() * image.cells()[i])
                    .sum();
                let overlap = overlap / u.size() as f64;
                (overlap.norm() > 0.5).then_some((candidate, overlap))
            })?;
            if (sign.re.abs() - 1.0).abs() > 1e-9 || sign.im.abs() > 1e-9 {
                return None;
            }
            *negative = sign.re < 0.0;
            if input.is_power_of_two() {
                for (bit, sources) in linear.iter_mut().enumerate() {
                    if output >> bit & 1 == 1 {
                        *sources |= input as u8;
                    }
                }
            }
        }
        // The truth table of the sign as a polynomial.
        for bit in 0..4 {
            for x in 0..16 {
                if x >> bit & 1 == 1 {
                    signs[x] ^= signs[x ^ (1 << bit)];
                }
            }
        }
        Some(Self {
            linear,
            sign: (0..1u8 << (2 * qubits))
                .filter(|&x| signs[x as usize])
                .collect(),
            qubits: qubits as u8,
        })
    }
}

/// The Pauli with these bits (x0, z0, x1, z1), Hermitian: both bits are Y.
fn pauli(bits: usize, qubits: usize) -> Matrix {
    let (o, l, i) = (C64::ZERO, C64::ONE, C64::I);
    let one = |bits: usize| match bits & 3 {
        0 => [l, o, o, l],
        1 => [o, l, l, o],
        2 => [l, o, o, -l],
        _ => [o, -i, i, o],
    };
    let (low, high) = (one(bits), one(bits >> 2));
    if qubits == 1 {
        return Matrix::new(2, low.to_vec()).unwrap_or_else(|| Matrix::identity(2));
    }
    let cells = (0..16)
        .map(|x| {
            let (row, column) = (x / 4, x % 4);
            low[2 * (row & 1) + (column & 1)] * high[2 * (row >> 1) + (column >> 1)]
        })
        .collect();
    Matrix::new(4, cells).unwrap_or_else(|| Matrix::identity(4))
}
