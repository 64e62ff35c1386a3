//! Gates to blocks: runs of gates become one- and two-qubit matrices, diagonal gates collect in
//! lists of phases that one sweep applies, swaps only rename wires.

use crate::C64;
use crate::ir::{Base, Gate, Matrix};

/// What one sweep over the amplitudes does. Masks have a bit per wire.
#[derive(Debug, Clone)]
pub enum Block {
    /// A matrix on one wire, where every control is 1.
    One([C64; 4], u32, u64),
    /// A matrix on two wires (the first is the lower bit), where every control is 1.
    Two([C64; 16], [u32; 2], u64),
    /// A matrix on more wires, where every control is 1.
    Many(Matrix, Vec<u32>, u64),
    /// `exp(i angle)` for each term whose wires are all 1.
    Diagonal(Vec<(u64, f64)>),
}

impl Block {
    /// Wires on which it does more than multiply by phases.
    pub fn mixes(&self) -> u64 {
        match self {
            Self::One(_, q, _) => 1 << q,
            Self::Two(_, [a, b], _) => (1 << a) | (1 << b),
            Self::Many(_, on, _) => on.iter().fold(0, |m, q| m | (1 << q)),
            Self::Diagonal(_) => 0,
        }
    }

    /// Wires that only select.
    pub fn selects(&self) -> u64 {
        match self {
            Self::One(_, _, c) | Self::Two(_, _, c) | Self::Many(_, _, c) => *c,
            Self::Diagonal(terms) => terms.iter().fold(0, |m, t| m | t.0),
        }
    }
}

/// Collects blocks.
#[derive(Debug)]
pub struct Fuser<'a> {
    blocks: Vec<Option<Block>>,
    /// Logical qubit to wire; swaps exchange entries.
    wires: &'a mut [u32],
    /// The last block that touches a wire, and the last that mixes it, as indices plus one.
    touched: Vec<usize>,
    mixed: Vec<usize>,
    last_diagonal: usize,
    /// The global phase.
    pub phase: f64,
}

impl<'a> Fuser<'a> {
    /// For a state with these wires.
    pub fn new(wires: &'a mut [u32]) -> Self {
        Self {
            blocks: Vec::new(),
            touched: vec![0; 64],
            mixed: vec![0; 64],
            wires,
            last_diagonal: 0,
            phase: 0.0,
        }
    }

    /// The blocks, in order, and the global phase.
    pub fn finish(self) -> (Vec<Block>, f64) {
        (self.blocks.into_iter().flatten().collect(), self.phase)
    }

    /// Adds a gate.
    pub fn add(&mut self, gate: &Gate) {
        if gate.base == Base::Id {
            return;
        }
        if gate.base == Base::Swap && gate.controls == 0 {
            self.wires
                .swap(gate.qubits[0] as usize, gate.qubits[1] as usize);
            return;
        }
        let on: Vec<u32> = gate
            .target_qubits()
            .iter()
            .map(|&q| self.wires[q as usize])
            .collect();
        let controls = gate
            .control_qubits()
            .iter()
            .fold(0u64, |mask, &q| mask | (1 << self.wires[q as usize]));
        let matrix = gate.target_matrix();
        if gate.is_diagonal() || matrix.is_diagonal() {
            return self.diagonal(&matrix, &on, controls);
        }
        match on[..] {
            [q] => {
                let m = std::array::from_fn(|i| matrix.cells()[i]);
                self.one(m, q, controls);
            }
            [a, b] => {
                let m = std::array::from_fn(|i| matrix.cells()[i]);
                self.two(m, [a, b], controls);
            }
            _ => self.push(Block::Many(matrix, on, controls)),
        }
    }

    fn push(&mut self, block: Block) {
        let (mixes, selects) = (block.mixes(), block.selects());
        self.blocks.push(Some(block));
        let index = self.blocks.len();
        for q in bits(mixes | selects) {
            self.touched[q] = index;
            if mixes >> q & 1 == 1 {
                self.mixed[q] = index;
            }
        }
    }

    fn block(&mut self, index: usize) -> Option<&mut Block> {
        self.blocks.get_mut(index.wrapping_sub(1))?.as_mut()
    }

    fn one(&mut self, m: [C64; 4], q: u32, controls: u64) {
        if controls == 0 {
            let last = self.touched[q as usize];
            match self.block(last) {
                Some(Block::One(before, at, 0)) if *at == q => *before = times2(&m, before),
                Some(Block::Two(before, on, 0)) => *before = times4(&embed(&m, q == on[1]), before),
                _ => self.push(Block::One(m, q, 0)),
            }
            return;
        }
        if controls.count_ones() == 1 {
            let c = controls.trailing_zeros();
            if self.joins(c, q) || self.alone(c) || self.alone(q) {
                // The control is the lower bit.
                let mut whole = identity4();
                for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    whole[(2 * row + 1) * 4 + 2 * column + 1] = m[2 * row + column];
                }
                return self.two(whole, [c, q], 0);
            }
        }
        self.push(Block::One(m, q, controls));
    }

    /// Whether the last block of both wires is one on these two.
    fn joins(&mut self, a: u32, b: u32) -> bool {
        let last = self.touched[a as usize];
        last == self.touched[b as usize] && matches!(self.block(last), Some(Block::Two(_, _, 0)))
    }

    /// Whether the last block of the wire is one on it alone.
    fn alone(&mut self, q: u32) -> bool {
        let last = self.touched[q as usize];
        matches!(self.block(last), Some(Block::One(_, _, 0)))
    }

    fn two(&mut self, mut m: [C64; 16], on: [u32; 2], controls: u64) {
        if controls != 0 {
            return self.push(Block::Two(m, on, controls));
        }
        let [a, b] = on;
        if self.joins(a, b) {
            let last = self.touched[a as usize];
            if let Some(Block::Two(before, order, _)) = self.block(last) {
                if order[0] != a {
                    m = exchanged(&m);
                }
                *before = times4(&m, before);
            }
            return;
        }
        for (q, upper) in [(a, false), (b, true)] {
            if self.alone(q) {
                let last = self.touched[q as usize];
                if let Some(Some(Block::One(first, ..))) =
                    self.blocks.get_mut(last - 1).map(Option::take)
                {
                    m = times4(&m, &embed(&first, upper));
                }
            }
        }
        self.push(Block::Two(m, on, 0));
    }

    /// A diagonal matrix as phases of subsets: the angle of a set is what it adds to its subsets'.
    fn diagonal(&mut self, matrix: &Matrix, on: &[u32], controls: u64) {
        let mut angles: Vec<f64> = (0..matrix.size()).map(|i| matrix.at(i, i).arg()).collect();
        for bit in 0..on.len() {
            for x in 0..angles.len() {
                if x >> bit & 1 == 1 {
                    angles[x] -= angles[x ^ (1 << bit)];
                }
            }
        }
        for (x, &angle) in angles.iter().enumerate() {
            let mask = on.iter().enumerate().fold(controls, |m, (i, &q)| {
                if x >> i & 1 == 1 { m | (1 << q) } else { m }
            });
            if angle != 0.0 {
                self.phase_of(mask, angle);
            }
        }
    }

    fn phase_of(&mut self, mask: u64, angle: f64) {
        let e = C64::from_polar(1.0, angle);
        if mask == 0 {
            self.phase += angle;
            return;
        }
        let lowest = mask.trailing_zeros();
        let rest = mask & (mask - 1);
        let last = self.touched[lowest as usize];
        if rest == 0 {
            let m = [C64::ONE, C64::ZERO, C64::ZERO, e];
            match self.block(last) {
                Some(Block::One(before, _, 0)) => return *before = times2(&m, before),
                Some(Block::Two(before, on, 0)) => {
                    let upper = lowest == on[1];
                    return *before = times4(&embed(&m, upper), before);
                }
                _ => {}
            }
        } else if rest.count_ones() == 1
            && self.joins(lowest, rest.trailing_zeros())
            && let Some(Block::Two(before, _, _)) = self.block(last)
        {
            let mut m = identity4();
            m[15] = e;
            *before = times4(&m, before);
            return;
        }
        let after = bits(mask).map(|q| self.mixed[q]).max().unwrap_or_default();
        let at = self.last_diagonal;
        if at > after
            && let Some(Block::Diagonal(terms)) = self.block(at)
        {
            match terms.iter_mut().find(|t| t.0 == mask) {
                Some(term) => term.1 += angle,
                None => terms.push((mask, angle)),
            }
            for q in bits(mask) {
                self.touched[q] = self.touched[q].max(at);
            }
            return;
        }
        self.push(Block::Diagonal(vec![(mask, angle)]));
        self.last_diagonal = self.blocks.len();
    }
}

/// The positions of the bits of a mask.
pub fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let bit = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            bit
        })
    })
}

fn identity4() -> [C64; 16] {
    std::array::from_fn(|i| if i % 5 == 0 { C64::ONE } else { C64::ZERO })
}

fn times2(a: &[C64; 4], b: &[C64; 4]) -> [C64; 4] {
    std::array::from_fn(|i| a[i & 2] * b[i & 1] + a[(i & 2) + 1] * b[2 + (i & 1)])
}

fn times4(a: &[C64; 16], b: &[C64; 16]) -> [C64; 16] {
    std::array::from_fn(|i| (0..4).map(|k| a[(i & 12) + k] * b[4 * k + (i & 3)]).sum())
}

/// A one-wire matrix on the lower or upper wire of two.
fn embed(m: &[C64; 4], upper: bool) -> [C64; 16] {
    std::array::from_fn(|i| {
        let (row, column) = (i / 4, i % 4);
        let (shift, other) = if upper { (1, 0) } else { (0, 1) };
        if row >> other & 1 == column >> other & 1 {
            m[2 * (row >> shift & 1) + (column >> shift & 1)]
        } else {
            C64::ZERO
        }
    })
}

/// The same matrix for the two wires in the other order.
fn exchanged(m: &[C64; 16]) -> [C64; 16] {
    let flip = |x: usize| (x & 1) << 1 | x >> 1;
    std::array::from_fn(|i| m[4 * flip(i / 4) + flip(i % 4)])
}
