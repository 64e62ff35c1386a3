//! The tableau of Aaronson and Gottesman: n destabilizers, n stabilizers, one sign each.

use super::Action;
use super::support::Support;
use crate::ir::Gate;
use crate::method::{Bits, Method};
use crate::rng::Rng;
use crate::{C64, Error, Watch};

/// A stabilizer state.
#[derive(Debug, Clone)]
pub struct Tableau {
    pub(super) qubits: usize,
    /// Words of a line: of all 2n rows where lines are columns, of n columns where lines are rows.
    by_rows: bool,
    /// X bits, then Z bits: line after line.
    x: Vec<u64>,
    z: Vec<u64>,
    /// The signs of the 2n rows.
    signs: Vec<u64>,
    known: Vec<(Gate, Action)>,
}

/// Bytes of a tableau of that many qubits.
#[must_use]
pub fn bytes_needed(qubits: u32) -> u128 {
    let side = u128::from(qubits).div_ceil(64) * 64;
    // X and Z bits of 2n rows, and as much again while they are transposed.
    2 * (2 * side * side * 2) / 8
}

impl Tableau {
    /// All qubits 0.
    ///
    /// # Errors
    /// [`Error::Memory`] where it takes more than `available` bytes.
    pub fn new(qubits: u32, available: u64) -> Result<Self, Error> {
        let needed = bytes_needed(qubits);
        if needed > available.into() {
            return Err(Error::Memory {
                method: "stabilizer",
                needed,
                available,
                advice: "fewer qubits".to_owned(),
            });
        }
        let n = qubits as usize;
        let side = n.div_ceil(64) * 64;
        let words = 2 * side / 64;
        let mut tableau = Self {
            qubits: n,
            by_rows: false,
            x: vec![0; side * words],
            z: vec![0; side * words],
            signs: vec![0; words],
            known: Vec::new(),
        };
        for q in 0..n {
            // Destabilizer q is X on q, stabilizer q is Z on q; stabilizers start at row `side`.
            tableau.x[q * words + q / 64] |= 1 << (q % 64);
            tableau.z[q * words + (side + q) / 64] |= 1 << (q % 64);
        }
        Ok(tableau)
    }

    pub(super) fn side(&self) -> usize {
        self.qubits.div_ceil(64) * 64
    }

    fn transpose(&mut self, by_rows: bool) {
        if self.by_rows == by_rows {
            return;
        }
        let side = self.side();
        let (lines, width) = if by_rows {
            (side, 2 * side)
        } else {
            (2 * side, side)
        };
        for bits in [&mut self.x, &mut self.z] {
            *bits = transposed(bits, lines, width);
        }
        self.by_rows = by_rows;
    }

    fn gate(&mut self, gate: &Gate) -> Result<(), Error> {
        let same = |g: &Gate| {
            g.base == gate.base && g.controls == gate.controls && g.angles == gate.angles
        };
        let at = match self.known.iter().position(|(g, _)| same(g)) {
            Some(at) => at,
            None => {
                let action = Action::of(gate).ok_or_else(|| Error::Unsupported {
                    method: "the stabilizer method",
                    what: format!("apply {}: it is not a Clifford gate", gate.name()),
                })?;
                self.known.push((gate.clone(), action));
                self.known.len() - 1
            }
        };
        if !gate.qubits.is_empty() {
            self.transpose(false);
            let words = 2 * self.side() / 64;
            let action = &self.known[at].1;
            action.apply(
                &gate.qubits,
                words,
                &mut self.x,
                &mut self.z,
                &mut self.signs,
            );
        }
        Ok(())
    }

    pub(super) fn sign(&self, row: usize) -> bool {
        self.signs[row / 64] >> (row % 64) & 1 == 1
    }

    fn set_sign(&mut self, row: usize, sign: bool) {
        let mask = 1 << (row % 64);
        let word = &mut self.signs[row / 64];
        *word = if sign { *word | mask } else { *word & !mask };
    }

    pub(super) fn row(&self, row: usize) -> (&[u64], &[u64]) {
        let words = self.side() / 64;
        let at = row * words..(row + 1) * words;
        (&self.x[at.clone()], &self.z[at])
    }

    fn has_x(&self, row: usize, qubit: usize) -> bool {
        self.row(row).0[qubit / 64] >> (qubit % 64) & 1 == 1
    }

    /// Row `to` becomes row `by` times itself.
    fn multiply(&mut self, to: usize, by: usize) {
        let words = self.side() / 64;
        let (x, z) = self.row(by);
        let (x, z) = (x.to_vec(), z.to_vec());
        let at = to * words;
        let power = product(
            &mut self.x[at..at + words],
            &mut self.z[at..at + words],
            &x,
            &z,
        );
        let sign = self.sign(to) ^ self.sign(by) ^ (power & 3 == 2);
        self.set_sign(to, sign);
    }

    /// The first stabilizer that anticommutes with Z on the qubit.
    fn random_row(&self, qubit: usize) -> Option<usize> {
        let side = self.side();
        (side..side + self.qubits).find(|&row| self.has_x(row, qubit))
    }

    /// The bit that measuring gives for sure.
    fn certain(&self, qubit: usize) -> bool {
        let (side, words) = (self.side(), self.side() / 64);
        let (mut x, mut z) = (vec![0; words], vec![0; words]);
        let mut power = 0;
        for row in (0..self.qubits).filter(|&row| self.has_x(row, qubit)) {
            let (by_x, by_z) = self.row(side + row);
            power += product(&mut x, &mut z, by_x, by_z) + 2 * u32::from(self.sign(side + row));
        }
        power & 3 == 2
    }

    fn swap(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        let words = self.side() / 64;
        for w in 0..words {
            self.x.swap(a * words + w, b * words + w);
            self.z.swap(a * words + w, b * words + w);
        }
        let (sign_a, sign_b) = (self.sign(a), self.sign(b));
        self.set_sign(a, sign_b);
        self.set_sign(b, sign_a);
    }
}

/// Multiplies a Pauli by another from the left; the power of i that comes out.
pub fn product(x: &mut [u64], z: &mut [u64], by_x: &[u64], by_z: &[u64]) -> u32 {
    // Each qubit gives i, -i or 1: +1 for XY, YZ, ZX, -1 for the others.
    let (mut plus, mut minus) = (0u32, 0u32);
    for w in 0..x.len() {
        let (x1, z1, x2, z2) = (by_x[w], by_z[w], x[w], z[w]);
        let (only_x, only_z, y) = (x1 & !z1, z1 & !x1, x1 & z1);
        plus += ((only_x & x2 & z2) | (y & z2 & !x2) | (only_z & x2 & !z2)).count_ones();
        minus += ((only_x & z2 & !x2) | (y & x2 & !z2) | (only_z & x2 & z2)).count_ones();
        x[w] ^= x1;
        z[w] ^= z1;
    }
    plus.wrapping_add(3u32.wrapping_mul(minus)) & 3
}

/// Bits of `lines` lines of `width` bits, the other way round.
fn transposed(bits: &[u64], lines: usize, width: usize) -> Vec<u64> {
    let (from, to) = (width / 64, lines / 64);
    let mut out = vec![0u64; width * to];
    for line in 0..to {
        for word in 0..from {
            let mut block: [u64; 64] = std::array::from_fn(|i| bits[(64 * line + i) * from + word]);
            transpose_block(&mut block);
            for (i, value) in block.into_iter().enumerate() {
                out[(64 * word + i) * to + line] = value;
            }
        }
    }
    out
}

fn transpose_block(block: &mut [u64; 64]) {
    let mut width = 32;
    let mut mask = 0x0000_0000_ffff_ffffu64;
    while width != 0 {
        let mut i = 0;
        while i < 64 {
            let swapped = ((block[i] >> width) ^ block[i + width]) & mask;
            block[i] ^= swapped << width;
            block[i + width] ^= swapped;
            i = (i + width + 1) & !width;
        }
        width >>= 1;
        mask ^= mask << width;
    }
}

impl Method for Tableau {
    fn apply(&mut self, gates: &[&Gate], watch: &Watch) -> Result<(), Error> {
        watch.expect(gates.len() as u64);
        for gate in gates {
            watch.check()?;
            self.gate(gate)?;
            watch.advance(1);
        }
        Ok(())
    }

    fn one(&mut self, qubit: u32) -> f64 {
        self.transpose(true);
        match self.random_row(qubit as usize) {
            Some(_) => 0.5,
            None => f64::from(u8::from(self.certain(qubit as usize))),
        }
    }

    fn collapse(&mut self, qubit: u32, bit: bool) {
        self.transpose(true);
        let (q, side) = (qubit as usize, self.side());
        let Some(pivot) = self.random_row(q) else {
            return;
        };
        let rows = (0..self.qubits).chain(side..side + self.qubits);
        for row in rows.filter(|&row| row != pivot).collect::<Vec<_>>() {
            // The destabilizer of the pivot anticommutes with it; it is replaced below.
            if row + side != pivot && self.has_x(row, q) {
                self.multiply(row, pivot);
            }
        }
        self.swap(pivot - side, pivot);
        let words = side / 64;
        let at = pivot * words;
        self.x[at..at + words].fill(0);
        self.z[at..at + words].fill(0);
        self.z[at + q / 64] |= 1 << (q % 64);
        self.set_sign(pivot, bit);
    }

    fn damp(&mut self, _: u32, _: f64, _: f64) -> Result<(), Error> {
        Err(Error::Unsupported {
            method: "the stabilizer method",
            what: "damp amplitudes".to_owned(),
        })
    }

    fn copied(&self) -> Result<Self, Error> {
        Ok(self.clone())
    }

    fn sample(&mut self, draws: &mut [Rng]) -> Result<Vec<Bits>, Error> {
        self.transpose(true);
        Ok(Support::of(self).sample(draws))
    }

    fn expectation(&mut self, x: &[u64], z: &[u64]) -> Result<f64, Error> {
        self.transpose(true);
        let (side, words) = (self.side(), self.side() / 64);
        let word = |w: &[u64], i: usize| w.get(i).copied().unwrap_or_default();
        let anti = |row: usize| {
            let (rx, rz) = self.row(row);
            let odd = (0..words)
                .map(|i| ((rx[i] & word(z, i)) ^ (rz[i] & word(x, i))).count_ones())
                .sum::<u32>();
            odd & 1 == 1
        };
        if (side..side + self.qubits).any(&anti) {
            return Ok(0.0);
        }
        let (mut px, mut pz) = (vec![0; words], vec![0; words]);
        let mut power = 0;
        for row in (0..self.qubits).filter(|&row| anti(row)) {
            let (by_x, by_z) = self.row(side + row);
            power += product(&mut px, &mut pz, by_x, by_z) + 2 * u32::from(self.sign(side + row));
        }
        Ok(if power & 3 == 2 { -1.0 } else { 1.0 })
    }

    fn amplitude(&mut self, _: &[u64]) -> Result<C64, Error> {
        Err(Error::Unsupported {
            method: "the stabilizer method",
            what: "give amplitudes: it does not follow the global phase".to_owned(),
        })
    }

    fn bytes(&self) -> u128 {
        bytes_needed(self.qubits as u32)
    }
}
