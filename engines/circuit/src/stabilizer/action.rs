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

    /// Does it to the Paulis whose bits are lines of that many words, qubit after qubit, a bit a Pauli.
    #[allow(unsafe_code)]
    pub(super) fn apply(
        &self,
        on: &[u32],
        words: usize,
        x: &mut [u64],
        z: &mut [u64],
        signs: &mut [u64],
    ) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the instructions, as just found.
            return unsafe { self.apply_avx2(on, words, x, z, signs) };
        }
        self.apply_any(on, words, x, z, signs);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn apply_avx2(
        &self,
        on: &[u32],
        words: usize,
        x: &mut [u64],
        z: &mut [u64],
        signs: &mut [u64],
    ) {
        self.apply_any(on, words, x, z, signs);
    }

    #[inline(always)]
    fn apply_any(&self, on: &[u32], words: usize, x: &mut [u64], z: &mut [u64], signs: &mut [u64]) {
        let place = |q: u32| q as usize * words..(q as usize + 1) * words;
        if let [q] = *on {
            let lines = x[place(q)].iter_mut().zip(&mut z[place(q)]);
            let mask = |set: u8, bit: u8| if set >> bit & 1 == 1 { u64::MAX } else { 0 };
            let [xx, zx, xz, zz] =
                [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(new, old)| mask(self.linear[new], old));
            let [by_x, by_z, by_y] = [1, 2, 3].map(|set| {
                if self.sign.contains(&set) {
                    u64::MAX
                } else {
                    0
                }
            });
            for ((x, z), sign) in lines.zip(signs) {
                let (a, b) = (*x, *z);
                *sign ^= (a & by_x) ^ (b & by_z) ^ (a & b & by_y);
                *x = (a & xx) ^ (b & zx);
                *z = (a & xz) ^ (b & zz);
            }
            return;
        }
        let [a, b] = [on[0], on[1]].map(place);
        let (Ok([xa, xb]), Ok([za, zb])) = (
            x.get_disjoint_mut([a.clone(), b.clone()]),
            z.get_disjoint_mut([a, b]),
        ) else {
            return;
        };
        let lines = xa.iter_mut().zip(za).zip(xb.iter_mut().zip(zb)).zip(signs);
        if self.linear == [1, 10, 5, 8] && self.sign == [9, 11, 13] {
            // Controlled X.
            for (((xa, za), (xb, zb)), sign) in lines {
                *sign ^= *xa & *zb & !(*xb ^ *za);
                *xb ^= *xa;
                *za ^= *zb;
            }
            return;
        }
        for (((xa, za), (xb, zb)), sign) in lines {
            let old = [*xa, *za, *xb, *zb];
            for &set in &self.sign {
                let product = (0..4)
                    .filter(|i| set >> i & 1 == 1)
                    .fold(if set == 0 { 0 } else { u64::MAX }, |all, i| all & old[i]);
                *sign ^= product;
            }
            let sum = |set: u8| {
                (0..4)
                    .filter(|i| set >> i & 1 == 1)
                    .fold(0, |all, i| all ^ old[i])
            };
            (*xa, *za) = (sum(self.linear[0]), sum(self.linear[1]));
            (*xb, *zb) = (sum(self.linear[2]), sum(self.linear[3]));
        }
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
