//! The chain: gates on neighbours, others brought together by exchanging places; one site is the centre,
//! the tensors to its left and right are isometries.

use super::decompose::{Columns, columns, orthonormal, singular};
use crate::ir::Gate;
use crate::method::{Bits, Method};
use crate::rng::Rng;
use crate::{C64, Error, Watch};

/// Squared singular values below this part of the whole are rounding.
const NOTHING: f64 = 1e-30;

/// A tensor: left bond, bit, right bond, row by row.
#[derive(Debug, Clone)]
struct Site {
    left: usize,
    right: usize,
    cells: Vec<C64>,
}

/// A state as a chain.
#[derive(Debug, Clone)]
pub struct Chain {
    sites: Vec<Site>,
    /// The site of each qubit, and the qubit of each site.
    place: Vec<usize>,
    qubit: Vec<usize>,
    centre: usize,
    bond: usize,
    /// The distance from the true state, at most.
    distance: f64,
}

/// Bytes of a chain of that many qubits with bonds up to that many.
#[must_use]
pub fn bytes_needed(qubits: u32, bond: usize) -> u128 {
    let bond = bond as u128;
    // Two numbers a bit for each site, and a few times a pair of sites while it is taken apart.
    (u128::from(qubits) + 32) * bond.saturating_mul(bond).saturating_mul(2 * 16)
}

impl Chain {
    /// All qubits 0, with bonds of at most `bond`.
    ///
    /// # Errors
    /// [`Error::Memory`] where it may take more than `available` bytes.
    pub fn new(qubits: u32, bond: usize, available: u64) -> Result<Self, Error> {
        let needed = bytes_needed(qubits, bond);
        if needed > available.into() {
            return Err(Error::Memory {
                method: "mps",
                needed,
                available,
                advice: "a smaller bond, which cuts more off".to_owned(),
            });
        }
        let zero = Site {
            left: 1,
            right: 1,
            cells: vec![C64::ONE, C64::ZERO],
        };
        let n = qubits as usize;
        Ok(Self {
            sites: vec![zero; n.max(1)],
            place: (0..n).collect(),
            qubit: (0..n).collect(),
            centre: 0,
            bond: bond.max(1),
            distance: 0.0,
        })
    }

    /// The largest bond now.
    #[must_use]
    pub fn largest_bond(&self) -> usize {
        self.sites.iter().map(|s| s.right).max().unwrap_or(1)
    }

    fn centre_on(&mut self, site: usize) {
        while self.centre < site {
            let here = &self.sites[self.centre];
            let matrix = columns(&here.cells, 2 * here.left, here.right);
            let basis = orthonormal(&matrix);
            // The site becomes the basis, the rest goes to the right.
            let rest = project(&basis, &matrix);
            let (left, inner, right) = (here.left, basis.len(), here.right);
            self.sites[self.centre] = isometry(&basis, left);
            let next = &mut self.sites[self.centre + 1];
            next.cells = multiply(&rest, inner, right, &next.cells, 2 * next.right);
            next.left = inner;
            self.centre += 1;
        }
        while self.centre > site {
            let here = &self.sites[self.centre];
            // The same, mirrored: the conjugated rows are columns.
            let width = 2 * here.right;
            let rows: Columns = here
                .cells
                .chunks(width)
                .map(|row| row.iter().map(C64::conj).collect())
                .collect();
            let basis = orthonormal(&rows);
            let (left, inner) = (here.left, basis.len());
            let right = here.right;
            let mut rest = vec![C64::ZERO; left * inner];
            for (l, row) in here.cells.chunks(width).enumerate() {
                for (i, q) in basis.iter().enumerate() {
                    rest[l * inner + i] = row.iter().zip(q).map(|(a, b)| a * b).sum();
                }
            }
            let cells = basis.iter().flatten().map(C64::conj).collect();
            self.sites[self.centre] = Site {
                left: inner,
                right,
                cells,
            };
            let before = &mut self.sites[self.centre - 1];
            before.cells = multiply(&before.cells, 2 * before.left, left, &rest, inner);
            before.right = inner;
            self.centre -= 1;
        }
    }

    /// Applies a matrix to sites `first..first + count`; the first is the lowest bit.
    fn apply_at(&mut self, first: usize, count: usize, matrix: &crate::ir::Matrix) {
        self.centre_on(first);
        // All sites as one: left bond, bits from the first site on, right bond.
        let mut whole = self.sites[first].clone();
        let mut bits = 2;
        for site in &self.sites[first + 1..first + count] {
            whole.cells = multiply(
                &whole.cells,
                whole.left * bits,
                whole.right,
                &site.cells,
                2 * site.right,
            );
            whole.right = site.right;
            bits *= 2;
        }
        let flip = |x: usize| (0..count).fold(0, |y, i| y | ((x >> i & 1) << (count - 1 - i)));
        let mut new = vec![C64::ZERO; whole.cells.len()];
        for left in 0..whole.left {
            for row in 0..bits {
                for column in 0..bits {
                    let factor = matrix.at(flip(row), flip(column));
                    if factor == C64::ZERO {
                        continue;
                    }
                    let (to, from) = (
                        (left * bits + row) * whole.right,
                        (left * bits + column) * whole.right,
                    );
                    for r in 0..whole.right {
                        new[to + r] += factor * whole.cells[from + r];
                    }
                }
            }
        }
        let (mut left, mut rest, mut width) = (whole.left, new, bits * whole.right);
        for site in first..first + count - 1 {
            width /= 2;
            let matrix = columns(&rest, 2 * left, width);
            let parts = singular(&matrix);
            let total: f64 = parts.iter().map(|p| p.0).sum();
            let wanted = parts.iter().take_while(|p| p.0 > NOTHING * total).count();
            let keep = wanted.clamp(1, self.bond);
            let lost: f64 = parts.iter().skip(keep).map(|p| p.0).sum::<f64>() / total;
            if wanted > keep {
                self.distance += (2.0 * lost).sqrt();
            }
            let basis: Columns = parts.into_iter().take(keep).map(|p| p.1).collect();
            rest = project(&basis, &matrix);
            if lost > 0.0 {
                let scale = 1.0 / (1.0 - lost).sqrt();
                rest.iter_mut().for_each(|x| *x *= scale);
            }
            self.sites[site] = isometry(&basis, left);
            left = basis.len();
        }
        self.sites[first + count - 1] = Site {
            left,
            right: whole.right,
            cells: rest,
        };
        self.centre = first + count - 1;
    }

    fn exchange(&mut self, site: usize) {
        self.apply_at(site, 2, &crate::ir::Base::Swap.matrix(&[]));
        let (a, b) = (self.qubit[site], self.qubit[site + 1]);
        self.qubit.swap(site, site + 1);
        self.place.swap(a, b);
    }

    fn gate(&mut self, gate: &Gate) {
        if gate.qubits.is_empty() {
            let phase = gate.target_matrix().at(0, 0);
            let centre = self.centre;
            self.sites[centre]
                .cells
                .iter_mut()
                .for_each(|x| *x *= phase);
            return;
        }
        let count = gate.qubits.len();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&i| self.place[gate.qubits[i] as usize]);
        // The others come to the one in the middle.
        let middle = count / 2;
        let home = self.place[gate.qubits[order[middle]] as usize];
        for i in (0..middle).rev() {
            let mut at = self.place[gate.qubits[order[i]] as usize];
            while at < home - (middle - i) {
                self.exchange(at);
                at += 1;
            }
        }
        for (i, &which) in order.iter().enumerate().skip(middle + 1) {
            let mut at = self.place[gate.qubits[which] as usize];
            while at > home + (i - middle) {
                self.exchange(at - 1);
                at -= 1;
            }
        }
        let matrix = gate.target_matrix().controlled(gate.controls);
        let place = |x: usize| {
            order
                .iter()
                .enumerate()
                .fold(0, |y, (i, &q)| y | ((x >> q & 1) << i))
        };
        let mut cells = vec![C64::ZERO; matrix.cells().len()];
        let size = matrix.size();
        for row in 0..size {
            for column in 0..size {
                cells[place(row) * size + place(column)] = matrix.at(row, column);
            }
        }
        if let Some(matrix) = crate::ir::Matrix::new(size, cells) {
            self.apply_at(home - middle, count, &matrix);
        }
    }

    /// The vector on the bond after a site that had these bits, from the vector before it.
    fn step(site: &Site, before: &[C64], bit: usize) -> Vec<C64> {
        let mut after = vec![C64::ZERO; site.right];
        for (left, &factor) in before.iter().enumerate() {
            let row = &site.cells[(2 * left + bit) * site.right..][..site.right];
            after
                .iter_mut()
                .zip(row)
                .for_each(|(a, x)| *a += factor * x);
        }
        after
    }
}

/// `basis^dagger * matrix`, row by row.
fn project(basis: &Columns, matrix: &Columns) -> Vec<C64> {
    let mut out = Vec::with_capacity(basis.len() * matrix.len());
    for q in basis {
        for m in matrix {
            out.push(q.iter().zip(m).map(|(a, b)| a.conj() * b).sum());
        }
    }
    out
}

fn isometry(basis: &Columns, left: usize) -> Site {
    let right = basis.len();
    let mut cells = vec![C64::ZERO; 2 * left * right];
    for (c, column) in basis.iter().enumerate() {
        for (r, &x) in column.iter().enumerate() {
            cells[r * right + c] = x;
        }
    }
    Site { left, right, cells }
}

/// The product of two matrices, row by row.
fn multiply(a: &[C64], rows: usize, inner: usize, b: &[C64], width: usize) -> Vec<C64> {
    let mut out = vec![C64::ZERO; rows * width];
    for row in 0..rows {
        let target = &mut out[row * width..(row + 1) * width];
        for k in 0..inner {
            let factor = a[row * inner + k];
            for (t, x) in target.iter_mut().zip(&b[k * width..(k + 1) * width]) {
                *t += factor * x;
            }
        }
    }
    out
}

impl Method for Chain {
    fn apply(&mut self, gates: &[&Gate], watch: &Watch) -> Result<(), Error> {
        watch.expect(gates.len() as u64);
        for gate in gates {
            watch.check()?;
            if gate.qubits.len() > crate::ir::MATRIX_QUBITS_MAX {
                return Err(Error::Unsupported {
                    method: "the mps method",
                    what: format!(
                        "apply {} to {} qubits at once",
                        gate.name(),
                        gate.qubits.len()
                    ),
                });
            }
            self.gate(gate);
            watch.advance(1);
        }
        Ok(())
    }

    fn one(&mut self, qubit: u32) -> f64 {
        let place = self.place[qubit as usize];
        self.centre_on(place);
        let site = &self.sites[place];
        let (mut one, mut all) = (0.0, 0.0);
        for (row, cells) in site.cells.chunks(site.right).enumerate() {
            let weight: f64 = cells.iter().map(C64::norm_sqr).sum();
            all += weight;
            one += if row & 1 == 1 { weight } else { 0.0 };
        }
        one / all
    }

    fn collapse(&mut self, qubit: u32, bit: bool) {
        let place = self.place[qubit as usize];
        self.centre_on(place);
        let site = &mut self.sites[place];
        for (row, cells) in site.cells.chunks_mut(site.right).enumerate() {
            if (row & 1 == 1) != bit {
                cells.fill(C64::ZERO);
            }
        }
        let weight: f64 = site.cells.iter().map(C64::norm_sqr).sum();
        let scale = 1.0 / weight.sqrt();
        site.cells.iter_mut().for_each(|x| *x *= scale);
    }

    fn damp(&mut self, qubit: u32, one: f64, all: f64) -> Result<(), Error> {
        let place = self.place[qubit as usize];
        self.centre_on(place);
        let site = &mut self.sites[place];
        for (row, cells) in site.cells.chunks_mut(site.right).enumerate() {
            let factor = if row & 1 == 1 { one * all } else { all };
            cells.iter_mut().for_each(|x| *x *= factor);
        }
        Ok(())
    }

    fn copied(&self) -> Result<Self, Error> {
        Ok(self.clone())
    }

    fn sample(&mut self, draws: &mut [Rng]) -> Result<Vec<Bits>, Error> {
        self.centre_on(0);
        let words = self.place.len().div_ceil(64).max(1);
        let mut samples = Vec::with_capacity(draws.len());
        for rng in draws {
            let mut bits = vec![0u64; words];
            let mut vector = vec![C64::ONE];
            for (site, &qubit) in self.sites.iter().zip(&self.qubit) {
                let [zero, one] = [0, 1].map(|bit| Self::step(site, &vector, bit));
                let weight = |v: &[C64]| v.iter().map(C64::norm_sqr).sum::<f64>();
                let (w0, w1) = (weight(&zero), weight(&one));
                let value = rng.unit() * (w0 + w1) >= w0;
                let (mut next, w) = if value { (one, w1) } else { (zero, w0) };
                let scale = 1.0 / w.sqrt();
                next.iter_mut().for_each(|x| *x *= scale);
                vector = next;
                bits[qubit / 64] |= u64::from(value) << (qubit % 64);
            }
            samples.push(bits);
        }
        Ok(samples)
    }

    fn expectation(&mut self, x: &[u64], z: &[u64]) -> Result<f64, Error> {
        let bit = |w: &[u64], q: usize| w.get(q / 64).is_some_and(|w| w >> (q % 64) & 1 == 1);
        // The overlap of the chain's left part with itself, the Paulis in between.
        let mut overlap = vec![C64::ONE];
        let mut turns = 0;
        for (site, &qubit) in self.sites.iter().zip(&self.qubit) {
            let (flips, signs) = (bit(x, qubit), bit(z, qubit));
            turns += u32::from(flips && signs);
            let mut next = vec![C64::ZERO; site.right * site.right];
            for s in 0..2 {
                // <.. s' ..| P |.. s ..> with s' = s flipped where there is an X part.
                let other = s ^ usize::from(flips);
                let sign = if signs && s == 1 { -1.0 } else { 1.0 };
                let row =
                    |l: usize, s: usize| &site.cells[(2 * l + s) * site.right..][..site.right];
                for above in 0..site.left {
                    let mut sum = vec![C64::ZERO; site.right];
                    for below in 0..site.left {
                        let factor = overlap[above * site.left + below] * sign;
                        sum.iter_mut()
                            .zip(row(below, s))
                            .for_each(|(a, x)| *a += factor * x);
                    }
                    for (i, c) in row(above, other).iter().enumerate() {
                        let target = &mut next[i * site.right..(i + 1) * site.right];
                        target
                            .iter_mut()
                            .zip(&sum)
                            .for_each(|(t, x)| *t += c.conj() * x);
                    }
                }
            }
            overlap = next;
        }
        Ok((overlap[0] * C64::I.powu(turns % 4)).re)
    }

    fn amplitude(&mut self, basis: &[u64]) -> Result<C64, Error> {
        let mut vector = vec![C64::ONE];
        for (site, &qubit) in self.sites.iter().zip(&self.qubit) {
            let bit = basis.get(qubit / 64).map_or(0, |w| w >> (qubit % 64) & 1);
            vector = Self::step(site, &vector, bit as usize);
        }
        Ok(vector[0])
    }

    fn discarded(&self) -> f64 {
        self.distance.min(1.0)
    }

    fn bytes(&self) -> u128 {
        self.sites.iter().map(|s| s.cells.len() as u128 * 16).sum()
    }
}
