//! The reference: one shot without noise, every free outcome 0. It keeps what each X and Z was at the
//! start (the inverse of the usual tableau), so that an outcome that is certain is one bit to read.

use super::program::{Basis, Program, Step};
use super::{Clifford, RECORD_MAX};
use crate::stabilizer::product;
use crate::{Error, Watch};

/// What each X and Z was before the circuit: row 2q for X of qubit q, row 2q+1 for Z.
struct Inverse {
    words: usize,
    /// X bits, then Z bits, row after row.
    rows: Vec<u64>,
    signs: Vec<bool>,
}

/// Bytes of the reference run of that many qubits.
pub fn bytes_needed(qubits: u32, measurements: u64) -> u128 {
    let side = u128::from(qubits).div_ceil(64) * 64;
    2 * side * side / 4 + u128::from(measurements)
}

/// The outcomes of the reference shot.
pub fn reference(program: &Program, watch: &Watch) -> Result<Vec<bool>, Error> {
    let n = program.qubits as usize;
    let words = n.div_ceil(64);
    let mut inverse = Inverse {
        words,
        rows: vec![0; 4 * n * words],
        signs: vec![false; 2 * n],
    };
    for q in 0..n {
        inverse.rows[4 * q * words + q / 64] = 1 << (q % 64);
        inverse.rows[(4 * q + 3) * words + q / 64] = 1 << (q % 64);
    }
    let mut run = Run {
        inverse,
        record: Vec::with_capacity(program.measurements.min(RECORD_MAX) as usize),
        h: known("Z X")?,
        h_yz: known("-X Y")?,
        x: known("X -Z")?,
        y: known("-X -Z")?,
        z: known("-X Z")?,
        cx: known("XX ZI IX ZZ")?,
    };
    run.block(program.steps(), watch)?;
    Ok(run.record)
}

fn known(images: &str) -> Result<Clifford, Error> {
    Clifford::of_images(images).ok_or(Error::Numeric("a table of gates"))
}

struct Run {
    inverse: Inverse,
    record: Vec<bool>,
    h: Clifford,
    h_yz: Clifford,
    x: Clifford,
    y: Clifford,
    z: Clifford,
    cx: Clifford,
}

impl Run {
    fn block(&mut self, steps: &[Step], watch: &Watch) -> Result<(), Error> {
        for step in steps {
            watch.check()?;
            match step {
                Step::Gate(gate, on) => {
                    for on in on.chunks_exact(gate.qubits) {
                        self.inverse.apply(gate, on);
                    }
                }
                Step::Measure(basis, _, on) => {
                    for &(qubit, turned) in on {
                        let bit = self.measure(*basis, qubit);
                        self.record.push(bit ^ turned);
                    }
                }
                Step::Product(_, turned, paulis) => {
                    let bit = self.product(paulis);
                    self.record.push(bit ^ turned);
                }
                Step::Reset(basis, on) => {
                    for &qubit in on {
                        if self.measure(*basis, qubit) {
                            // Any Pauli that anticommutes turns the state around.
                            let flip = if *basis == Basis::X { &self.z } else { &self.x };
                            self.inverse.apply(flip, &[qubit]);
                        }
                    }
                }
                Step::Noise(noise, on) => {
                    if matches!(noise, super::Noise::Heralded(_)) {
                        self.record.resize(self.record.len() + on.len(), false);
                    }
                }
                Step::Pad(_, bits) => self.record.extend(bits),
                Step::Feedback(basis, back, qubit) => {
                    let at = self.record.len().wrapping_sub(*back as usize);
                    if self.record.get(at) == Some(&true) {
                        let pauli = match basis {
                            Basis::X => &self.x,
                            Basis::Y => &self.y,
                            Basis::Z => &self.z,
                        };
                        self.inverse.apply(pauli, &[*qubit]);
                    }
                }
                Step::Repeat(times, steps) => {
                    for _ in 0..*times {
                        self.block(steps, watch)?;
                    }
                }
                Step::Correlated(..) | Step::Detector(_) | Step::Observable(..) => {}
            }
        }
        Ok(())
    }

    /// Turns a basis to Z, or back.
    fn turn(&mut self, basis: Basis, qubit: u32) {
        match basis {
            Basis::X => self.inverse.apply(&self.h, &[qubit]),
            Basis::Y => self.inverse.apply(&self.h_yz, &[qubit]),
            Basis::Z => {}
        }
    }

    fn measure(&mut self, basis: Basis, qubit: u32) -> bool {
        self.turn(basis, qubit);
        let bit = self.inverse.measure(qubit as usize);
        self.turn(basis, qubit);
        bit
    }

    fn product(&mut self, paulis: &[(u32, Basis)]) -> bool {
        // The parity of the qubits is gathered on the last one and put back.
        let Some((&(last, _), others)) = paulis.split_last() else {
            return false;
        };
        paulis.iter().for_each(|&(q, basis)| self.turn(basis, q));
        for &(q, _) in others {
            self.inverse.apply(&self.cx, &[q, last]);
        }
        let bit = self.inverse.measure(last as usize);
        for &(q, _) in others {
            self.inverse.apply(&self.cx, &[q, last]);
        }
        paulis.iter().for_each(|&(q, basis)| self.turn(basis, q));
        bit
    }
}

impl Inverse {
    fn row(&self, row: usize) -> &[u64] {
        &self.rows[row * 2 * self.words..(row + 1) * 2 * self.words]
    }

    fn apply(&mut self, gate: &Clifford, on: &[u32]) {
        let count = 2 * gate.qubits;
        let place = |i: usize| 2 * on[i / 2] as usize + i % 2;
        let mut fresh = vec![0u64; count * 2 * self.words];
        let mut signs = [false; 4];
        for (i, new) in fresh.chunks_exact_mut(2 * self.words).enumerate() {
            let (bits, negative) = gate.origins[i];
            let (x, z) = new.split_at_mut(self.words);
            let mut power = 2 * u32::from(negative);
            // From the right: Y is i X Z.
            for j in (0..count).rev().filter(|j| bits >> j & 1 == 1) {
                let by = self.row(place(j));
                power += product(x, z, &by[..self.words], &by[self.words..]);
                power += 2 * u32::from(self.signs[place(j)]);
                power += u32::from(j % 2 == 1 && bits >> (j - 1) & 1 == 1);
            }
            signs[i] = power & 3 == 2;
        }
        for (i, new) in fresh.chunks_exact(2 * self.words).enumerate() {
            let row = place(i);
            self.signs[row] = signs[i];
            self.rows[row * 2 * self.words..(row + 1) * 2 * self.words].copy_from_slice(new);
        }
    }

    fn measure(&mut self, qubit: usize) -> bool {
        let (row, words) = (2 * qubit + 1, self.words);
        let x = self.row(row)[..words].to_vec();
        let Some(word) = x.iter().position(|&w| w != 0) else {
            return self.signs[row];
        };
        // The start can be thought of as any state that looks the same: controlled X from a pivot leave
        // it as it is, and make the row depend on X of the pivot alone.
        let mask = x[word] & x[word].wrapping_neg();
        let mut set = x;
        set[word] ^= mask;
        let y = {
            let z = &self.row(row)[words..];
            (z[word] & mask != 0) ^ parity(z, &set)
        };
        for (row, sign) in self.rows.chunks_exact_mut(2 * words).zip(&mut self.signs) {
            let (x, z) = row.split_at_mut(words);
            let odd = parity(z, &set);
            if x[word] & mask != 0 {
                // Each target with a Z flips the sign where its X equals the pivot's Z by then.
                let mut with_z = u32::from(z[word] & mask != 0);
                let mut flips = 0;
                let mut targets = 0;
                for ((x, &z), &set) in x.iter_mut().zip(z.iter()).zip(&set) {
                    flips += (z & !*x & set).count_ones();
                    targets += (z & set).count_ones();
                    *x ^= set;
                }
                with_z = if with_z == 1 {
                    targets.div_ceil(2)
                } else {
                    targets / 2
                };
                *sign ^= (flips + with_z) & 1 == 1;
            }
            if odd {
                z[word] ^= mask;
            }
            // Now the pivot is turned so that its X (or Y) is Z.
            let (has_x, has_z) = (x[word] & mask != 0, z[word] & mask != 0);
            let (new_x, new_z, flip) = if y {
                (has_x ^ has_z, has_z, has_x && !has_z)
            } else {
                (has_z, has_x, has_x && has_z)
            };
            x[word] = if new_x {
                x[word] | mask
            } else {
                x[word] & !mask
            };
            z[word] = if new_z {
                z[word] | mask
            } else {
                z[word] & !mask
            };
            *sign ^= flip;
        }
        if self.signs[row] {
            // The other outcome: X on the pivot.
            for (row, sign) in self.rows.chunks_exact(2 * words).zip(&mut self.signs) {
                *sign ^= row[words + word] & mask != 0;
            }
        }
        false
    }
}

fn parity(a: &[u64], b: &[u64]) -> bool {
    a.iter()
        .zip(b)
        .fold(0, |all, (a, b)| all ^ (a & b))
        .count_ones()
        & 1
        == 1
}
