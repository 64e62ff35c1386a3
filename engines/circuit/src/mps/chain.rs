//! The chain: gates on neighbours, others brought together by exchanging places; one site is the centre,
//! the tensors to its left and right are isometries.

mod method;
mod order;

use super::decompose::{columns, orthonormal};
use super::factor::{self, Factors, multiply, project};
use crate::ir::Gate;
use crate::{C64, Error};

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
    /// Gates made bonds grow where they are, so that no site is the centre.
    loose: bool,
    /// The centre was asked for: from here on there is one.
    centred: bool,
    /// The next gate is to the left.
    leftwards: bool,
    /// Something was cut off.
    cuts: bool,
    bond: usize,
    /// The distance from the true state, at most.
    distance: f64,
    /// Multiplications so far, roughly.
    work: u64,
    /// Gates so far.
    gates: usize,
    /// The multiplications and the distance with which gates are no longer applied.
    limits: (u64, f64),
}

/// What taking a pair of sites apart costs however small they are, in multiplications.
const PAIR: u64 = 2048;
/// What exchanging two sites costs that nothing holds together.
const ALONE: u64 = 16;

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
            loose: false,
            centred: false,
            leftwards: false,
            cuts: false,
            bond: bond.max(1),
            distance: 0.0,
            work: 0,
            gates: 0,
            limits: (u64::MAX, f64::INFINITY),
        })
    }

    /// The largest bond now.
    #[must_use]
    pub fn largest_bond(&self) -> usize {
        self.sites.iter().map(|s| s.right).max().unwrap_or(1)
    }

    /// The same, that gives up after so many multiplications, or so far from the true state.
    #[must_use]
    pub fn with_limits(self, multiplications: u64, distance: f64) -> Self {
        Self {
            limits: (multiplications, distance),
            ..self
        }
    }

    /// The gate (from 0) that was the last one applied, and multiplications so far.
    #[must_use]
    pub fn progress(&self) -> (usize, u64) {
        (self.gates.saturating_sub(1), self.work)
    }

    fn is_over(&self) -> bool {
        self.work > self.limits.0 || self.distance > self.limits.1
    }

    fn centre_on(&mut self, site: usize) {
        self.centred = true;
        if std::mem::take(&mut self.loose) {
            // One sweep makes everything right of the first site isometries.
            self.move_to(self.sites.len() - 1, 0);
        }
        self.move_to(self.centre, site);
    }

    /// Moves the centre; to the left what is right of it, to the right what is left of it becomes isometries.
    fn move_to(&mut self, from: usize, site: usize) {
        self.centre = from;
        while self.centre < site {
            self.lean_right(self.centre);
            self.centre += 1;
        }
        while self.centre > site {
            self.lean_left(self.centre);
            self.centre -= 1;
        }
    }

    /// A site becomes an isometry, the rest goes to the right.
    fn lean_right(&mut self, site: usize) {
        let here = &self.sites[site];
        let (left, right) = (here.left, here.right);
        self.work += 4 * (left * right * left.min(right)) as u64;
        let parts = factor::left(&here.cells, 2 * left, right);
        self.sites[site] = Site {
            left,
            right: parts.inner,
            cells: parts.basis,
        };
        let next = &mut self.sites[site + 1];
        next.cells = multiply(&parts.rest, parts.inner, right, &next.cells, 2 * next.right);
        next.left = parts.inner;
    }

    /// The same to the left.
    fn lean_left(&mut self, site: usize) {
        let here = &self.sites[site];
        let (left, right) = (here.left, here.right);
        self.work += 4 * (left * right * left.min(right)) as u64;
        let parts = factor::right(&here.cells, left, 2 * right);
        self.sites[site] = Site {
            left: parts.inner,
            right,
            cells: parts.basis,
        };
        let before = &mut self.sites[site - 1];
        before.cells = multiply(
            &before.cells,
            2 * before.left,
            left,
            &parts.rest,
            parts.inner,
        );
        before.right = parts.inner;
    }

    /// A matrix on one site. It is unitary, so isometries stay what they are.
    fn turn(&mut self, site: usize, m: &crate::ir::Matrix) {
        let right = self.sites[site].right;
        for pair in self.sites[site].cells.chunks_exact_mut(2 * right) {
            let (zero, one) = pair.split_at_mut(right);
            for (a, b) in zero.iter_mut().zip(one) {
                let (x, y) = (*a, *b);
                *a = m.at(0, 0) * x + m.at(0, 1) * y;
                *b = m.at(1, 0) * x + m.at(1, 1) * y;
            }
        }
    }

    /// A matrix on a site and the next as a sum of products: the bond grows by as many as there are, and
    /// nothing is cut off. False where it would grow too much.
    fn grow(&mut self, site: usize, m: &crate::ir::Matrix) -> bool {
        let cell = |first: usize, second: usize| {
            let (row, column) = ((first >> 1) | (second & 2), (first & 1) | (second & 1) << 1);
            m.at(row, column)
        };
        let cells: Vec<C64> = (0..16).map(|i| cell(i / 4, i % 4)).collect();
        let matrix = columns(&cells, 4, 4);
        let firsts = orthonormal(&matrix);
        let seconds = project(&firsts, &matrix);
        let terms = firsts.len();
        let bond = self.sites[site].right;
        if bond * terms > self.bond {
            return false;
        }
        let (a, b) = (&self.sites[site], &self.sites[site + 1]);
        let (left, right) = (a.left, b.right);
        let mut new_a = vec![C64::ZERO; 2 * left * bond * terms];
        for l in 0..left {
            for to in 0..2 {
                for r in 0..bond {
                    for (t, first) in firsts.iter().enumerate() {
                        new_a[((2 * l + to) * bond + r) * terms + t] = (0..2)
                            .map(|from| first[2 * to + from] * a.cells[(2 * l + from) * bond + r])
                            .sum();
                    }
                }
            }
        }
        let mut new_b = vec![C64::ZERO; 2 * right * bond * terms];
        for r in 0..bond {
            for t in 0..terms {
                for to in 0..2 {
                    let row = &mut new_b[(2 * (r * terms + t) + to) * right..][..right];
                    for from in 0..2 {
                        let factor = seconds[4 * t + 2 * to + from];
                        if factor != C64::ZERO {
                            let old = &b.cells[(2 * r + from) * right..][..right];
                            row.iter_mut().zip(old).for_each(|(n, o)| *n += factor * o);
                        }
                    }
                }
            }
        }
        let bond = bond * terms;
        self.work += PAIR + (2 * (left + right) * bond) as u64;
        (self.sites[site].cells, self.sites[site].right) = (new_a, bond);
        (self.sites[site + 1].cells, self.sites[site + 1].left) = (new_b, bond);
        self.loose = true;
        // No bond is larger than what lies on its smaller side.
        if bond > 2 * left {
            self.lean_right(site);
        } else if bond > 2 * right {
            self.lean_left(site + 1);
        }
        true
    }

    /// Applies a matrix to sites `first..first + count`; the first is the lowest bit.
    fn apply_at(&mut self, first: usize, count: usize, matrix: &crate::ir::Matrix) {
        // Whichever of the sites is the centre, all of them together are.
        let centre = if self.loose { first } else { self.centre };
        self.centre_on(centre.clamp(first, first + count - 1));
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
        self.work += PAIR + (new.len() * (2 * whole.left).min(bits * whole.right)) as u64;
        whole.cells = new;
        if count == 2 && self.leftwards {
            self.part_leftwards(first, &whole);
        } else {
            self.part(first, count, whole);
        }
    }

    /// Takes apart what sites are together, from the left; the last becomes the centre.
    fn part(&mut self, first: usize, count: usize, whole: Site) {
        let (mut left, mut rest) = (whole.left, whole.cells);
        let mut width = whole.right << count;
        for site in first..first + count - 1 {
            width /= 2;
            let parts = self.parts(&rest, 2 * left, width);
            rest = parts.rest;
            self.sites[site] = Site {
                left,
                right: parts.inner,
                cells: parts.basis,
            };
            left = parts.inner;
        }
        self.sites[first + count - 1] = Site {
            left,
            right: whole.right,
            cells: rest,
        };
        self.centre = first + count - 1;
    }

    /// The same for two sites, from the right; the first becomes the centre.
    fn part_leftwards(&mut self, first: usize, whole: &Site) {
        let (rows, width) = (2 * whole.left, 2 * whole.right);
        let parts = self.parts(&factor::adjoint(&whole.cells, rows, width), width, rows);
        self.sites[first] = Site {
            left: whole.left,
            right: parts.inner,
            cells: factor::adjoint(&parts.rest, parts.inner, rows),
        };
        self.sites[first + 1] = Site {
            left: parts.inner,
            right: whole.right,
            cells: factor::adjoint(&parts.basis, width, parts.inner),
        };
        self.centre = first;
    }

    /// An isometry and what is left, within the bond; what that costs is added up.
    fn parts(&mut self, cells: &[C64], rows: usize, width: usize) -> Factors {
        let parts = factor::cut(cells, rows, width, self.bond, self.cuts);
        let mut parts = factor::cleared(parts, rows, width);
        if parts.inner == self.bond {
            // Its singular values were looked at, by many rotations.
            self.work += 16 * (parts.rest.len() * width) as u64;
        }
        if parts.lost > 0.0 {
            self.cuts |= parts.inner == self.bond;
            self.distance += (2.0 * parts.lost).sqrt();
            let scale = 1.0 / (1.0 - parts.lost).sqrt();
            parts.rest.iter_mut().for_each(|x| *x *= scale);
        }
        parts
    }

    fn exchange(&mut self, site: usize) {
        let (one, other) = (&self.sites[site], &self.sites[site + 1]);
        if one.left * one.right * other.right == 1 {
            // Nothing holds them together: they change places, and the centre goes along.
            self.sites.swap(site, site + 1);
            self.work += ALONE;
            if self.centre == site {
                self.centre = site + 1;
            } else if self.centre == site + 1 {
                self.centre = site;
            }
        } else {
            self.apply_at(site, 2, &crate::ir::Base::Swap.matrix(&[]));
        }
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
        if count == 1 {
            let site = self.place[gate.qubits[0] as usize];
            return self.turn(site, &gate.target_matrix().controlled(gate.controls));
        }
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&i| self.place[gate.qubits[i] as usize]);
        // The others come to the one in the middle.
        let middle = count / 2;
        let home = self.place[gate.qubits[order[middle]] as usize];
        for i in (0..middle).rev() {
            let mut at = self.place[gate.qubits[order[i]] as usize];
            while at < home - (middle - i) && !self.is_over() {
                self.exchange(at);
                at += 1;
            }
        }
        for (i, &which) in order.iter().enumerate().skip(middle + 1) {
            let mut at = self.place[gate.qubits[which] as usize];
            while at > home + (i - middle) && !self.is_over() {
                self.exchange(at - 1);
                at -= 1;
            }
        }
        if self.is_over() {
            return;
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
        let Some(matrix) = crate::ir::Matrix::new(size, cells) else {
            return;
        };
        if count > 2 || self.centred || !self.grow(home - middle, &matrix) {
            self.apply_at(home - middle, count, &matrix);
        }
    }
}
