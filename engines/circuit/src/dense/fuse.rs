//! Gates to steps: what acts on one qubit gathers until something else meets it, and is then taken apart
//! into phases and a real rotation; diagonal gates are lists of phases; swaps only rename wires.

use std::collections::HashMap;

use super::turn::{self, Turn, apart, dagger, product, spectrum, unit};
use crate::C64;
use crate::ir::{Base, Gate, Matrix};

/// What happens to the amplitudes. Masks have a bit per wire.
#[derive(Debug, Clone)]
pub enum Step {
    /// A rotation of a wire.
    Turn(Turn, u32),
    /// A factor of size 1 where all wires of the mask are 1.
    Phase(u64, C64),
    /// A matrix on one wire, where every control is 1.
    One([C64; 4], u32, u64),
    /// A matrix on two wires (the first is the lower bit), where every control is 1.
    Two(Box<[C64; 16]>, [u32; 2], u64),
    /// A matrix on more wires, where every control is 1.
    Many(Matrix, Vec<u32>, u64),
}

/// The wires that a step is on, as masks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wires {
    /// Those on which it does more than multiply by phases.
    pub mixes: u64,
    /// Those that only select.
    pub selects: u64,
}

impl Step {
    /// The wires that it is on.
    #[inline]
    pub fn wires(&self) -> Wires {
        let (mixes, selects) = match self {
            Self::Turn(_, q) => (1 << q, 0),
            Self::Phase(mask, _) => (0, *mask),
            Self::One(_, q, controls) => (1 << q, *controls),
            Self::Two(_, [a, b], controls) => ((1 << a) | (1 << b), *controls),
            Self::Many(_, on, controls) => (on.iter().fold(0, |m, q| m | (1 << q)), *controls),
        };
        Wires { mixes, selects }
    }

    /// Wires on which it does more than multiply by phases.
    #[inline]
    pub fn mixes(&self) -> u64 {
        self.wires().mixes
    }

    /// Wires that only select.
    #[inline]
    pub fn selects(&self) -> u64 {
        self.wires().selects
    }
}

/// Collects steps.
#[derive(Debug)]
pub struct Fuser<'a> {
    steps: Vec<Step>,
    /// Logical qubit to wire; swaps exchange entries.
    wires: &'a mut [u32],
    /// What has gathered on a wire and comes after all steps.
    gathered: Vec<turn::Two>,
    /// The last step that touches a wire, and the last that mixes it, as indices plus one.
    touched: Vec<usize>,
    mixed: Vec<usize>,
    /// The last phase on a set of wires.
    phases: HashMap<u64, usize>,
    /// The global phase, as a factor.
    phase: C64,
    /// Whether a control becomes a matrix on two wires at once, and nothing else is looked for.
    small: bool,
}

const IDENTITY: turn::Two = [C64::ONE, C64::ZERO, C64::ZERO, C64::ONE];

impl<'a> Fuser<'a> {
    /// For a state with these wires; a small one is changed faster than the best way to do it is found.
    pub fn new(wires: &'a mut [u32], small: bool) -> Self {
        Self {
            steps: Vec::new(),
            gathered: vec![IDENTITY; 64],
            touched: vec![0; 64],
            mixed: vec![0; 64],
            phases: HashMap::new(),
            wires,
            phase: C64::ONE,
            small,
        }
    }

    /// The steps, in order, and the angle of the global phase.
    pub fn finish(mut self) -> (Vec<Step>, f64) {
        for q in 0..64 {
            self.empty(q);
        }
        (self.steps, self.phase.arg())
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
            _ => {
                let all = on.iter().fold(controls, |m, q| m | (1 << q));
                bits(all).for_each(|q| self.empty(q));
                self.push(Step::Many(matrix, on, controls));
            }
        }
    }

    fn push(&mut self, step: Step) {
        let Wires { mixes, selects } = step.wires();
        self.steps.push(step);
        let index = self.steps.len();
        for q in bits(mixes | selects) {
            self.touched[q] = index;
            if mixes >> q & 1 == 1 {
                self.mixed[q] = index;
            }
        }
    }

    /// The matrix on two wires that nothing has touched since, if it is the last step of this one.
    fn last_two(&mut self, q: usize) -> Option<(&mut [C64; 16], [u32; 2])> {
        match self.steps.get_mut(self.touched[q].wrapping_sub(1))? {
            Step::Two(m, on, 0) => Some((m, *on)),
            _ => None,
        }
    }

    /// Makes steps of what mixes the wire; phases may stay.
    fn settle(&mut self, q: usize) {
        let m = self.gathered[q];
        if turn::is_diagonal(&m) {
            return;
        }
        if let Some((before, on)) = self.last_two(q) {
            *before = times4(&embed(&m, q as u32 == on[1]), before);
            self.gathered[q] = IDENTITY;
            return;
        }
        if !turn::is_unitary(&m) {
            self.push(Step::One(m, q as u32, 0));
            self.gathered[q] = IDENTITY;
            return;
        }
        let (before, turn, after) = apart(&m);
        self.phase_of(1 << q, before);
        self.push(Step::Turn(turn, q as u32));
        self.gathered[q] = [after[0], C64::ZERO, C64::ZERO, after[1]];
    }

    /// Makes steps of everything that has gathered on the wire.
    fn empty(&mut self, q: usize) {
        self.settle(q);
        let m = std::mem::replace(&mut self.gathered[q], IDENTITY);
        if !turn::is_identity(&m) {
            let zero = unit(m[0]);
            self.phase *= zero;
            self.phase_of(1 << q, unit(m[3]) * zero.conj());
        }
    }

    fn one(&mut self, m: turn::Two, q: u32, controls: u64) {
        let at = q as usize;
        if controls == 0 {
            self.gathered[at] = product(&m, &self.gathered[at]);
            return;
        }
        if controls.count_ones() == 1 {
            let c = controls.trailing_zeros() as usize;
            if self.joins(c, at) {
                return self.join(&controlled(&m), [c as u32, q]);
            }
            let turning = |q: usize| !turn::is_diagonal(&self.gathered[q]);
            if self.small && (turning(c) || turning(at)) {
                return self.two(controlled(&m), [c as u32, q], 0);
            }
            // A rotation that is due anyway takes the change of basis with it.
            if turning(at) && turn::is_unitary(&m) {
                self.settle(c);
                let (basis, [zero, one]) = spectrum(&m);
                self.gathered[at] = product(&dagger(&basis), &self.gathered[at]);
                self.turned(c, zero);
                self.phases_of(controls | (1 << q), one * zero.conj());
                self.gathered[at] = product(&basis, &self.gathered[at]);
                return;
            }
        }
        bits(controls).for_each(|c| self.settle(c));
        self.empty(at);
        self.push(Step::One(m, q, controls));
    }

    /// Whether the last step of both wires is a matrix on these two.
    fn joins(&mut self, a: usize, b: usize) -> bool {
        self.touched[a] == self.touched[b] && self.last_two(a).is_some()
    }

    fn join(&mut self, m: &[C64; 16], on: [u32; 2]) {
        for q in on {
            let gathered = std::mem::replace(&mut self.gathered[q as usize], IDENTITY);
            if let Some((before, order)) = self.last_two(q as usize) {
                *before = times4(&embed(&gathered, q == order[1]), before);
            }
        }
        if let Some((before, order)) = self.last_two(on[0] as usize) {
            let m = if order[0] == on[0] { *m } else { exchanged(m) };
            *before = times4(&m, before);
        }
    }

    fn two(&mut self, mut m: [C64; 16], on: [u32; 2], controls: u64) {
        let [a, b] = on.map(|q| q as usize);
        if controls != 0 {
            bits(controls).for_each(|c| self.settle(c));
            self.empty(a);
            self.empty(b);
            return self.push(Step::Two(Box::new(m), on, controls));
        }
        if self.joins(a, b) {
            return self.join(&m, on);
        }
        for (q, upper) in [(a, false), (b, true)] {
            let first = std::mem::replace(&mut self.gathered[q], IDENTITY);
            m = times4(&m, &embed(&first, upper));
        }
        self.push(Step::Two(Box::new(m), on, 0));
    }

    /// A diagonal matrix as phases of subsets: the factor of a set is what it adds to its subsets'.
    fn diagonal(&mut self, matrix: &Matrix, on: &[u32], controls: u64) {
        let mut factors: Vec<C64> = (0..matrix.size()).map(|i| unit(matrix.at(i, i))).collect();
        for bit in 0..on.len() {
            for x in 0..factors.len() {
                if x >> bit & 1 == 1 {
                    let subset = factors[x ^ (1 << bit)];
                    factors[x] *= subset.conj();
                }
            }
        }
        for (x, &factor) in factors.iter().enumerate() {
            let mask = on.iter().enumerate().fold(controls, |m, (i, &q)| {
                if x >> i & 1 == 1 { m | (1 << q) } else { m }
            });
            self.phases_of(mask, factor);
        }
    }

    /// A phase after all that has gathered on its wires.
    fn phases_of(&mut self, mask: u64, factor: C64) {
        match mask.count_ones() {
            _ if factor == C64::ONE => {}
            0 => self.phase *= factor,
            1 => self.turned(mask.trailing_zeros() as usize, factor),
            _ => {
                bits(mask).for_each(|q| self.settle(q));
                self.phase_of(mask, factor);
            }
        }
    }

    /// Gathers a phase.
    fn turned(&mut self, q: usize, factor: C64) {
        self.gathered[q][2] *= factor;
        self.gathered[q][3] *= factor;
    }

    /// A phase as a step, or as part of an earlier one.
    fn phase_of(&mut self, mask: u64, factor: C64) {
        if factor == C64::ONE {
            return;
        }
        let lowest = mask.trailing_zeros() as usize;
        let rest = mask & (mask - 1);
        if rest.count_ones() == 1
            && self.joins(lowest, rest.trailing_zeros() as usize)
            && let Some((before, _)) = self.last_two(lowest)
        {
            let mut m = identity4();
            m[15] = factor;
            *before = times4(&m, before);
            return;
        }
        let after = bits(mask).map(|q| self.mixed[q]).max().unwrap_or_default();
        if let Some(&index) = self.phases.get(&mask)
            && index > after
            && let Some(Step::Phase(_, before)) = self.steps.get_mut(index - 1)
        {
            *before *= factor;
            return;
        }
        self.push(Step::Phase(mask, factor));
        self.phases.insert(mask, self.steps.len());
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

/// The identity on two wires.
pub fn identity4() -> [C64; 16] {
    std::array::from_fn(|i| if i % 5 == 0 { C64::ONE } else { C64::ZERO })
}

/// `a * b` on two wires.
pub fn times4(a: &[C64; 16], b: &[C64; 16]) -> [C64; 16] {
    std::array::from_fn(|i| (0..4).map(|k| a[(i & 12) + k] * b[4 * k + (i & 3)]).sum())
}

/// A one-wire matrix on the lower or upper wire of two.
pub fn embed(m: &[C64; 4], upper: bool) -> [C64; 16] {
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

/// A matrix on the upper wire, where the lower is 1.
pub fn controlled(m: &[C64; 4]) -> [C64; 16] {
    let mut whole = identity4();
    for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        whole[(2 * row + 1) * 4 + 2 * column + 1] = m[2 * row + column];
    }
    whole
}

/// The same matrix for the two wires in the other order.
pub fn exchanged(m: &[C64; 16]) -> [C64; 16] {
    let flip = |x: usize| (x & 1) << 1 | x >> 1;
    std::array::from_fn(|i| m[4 * flip(i / 4) + flip(i % 4)])
}
