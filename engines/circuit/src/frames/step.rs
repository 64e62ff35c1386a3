//! What the steps do to the frames of 1024 shots: a row of 16 words for X and one for Z of each qubit.

use super::program::{Basis, Noise, Program, Step};
use super::rare;
use crate::rng::Rng;
use crate::{Error, Watch};

/// Words of a row.
pub const WORDS: usize = 16;
/// Shots of a block.
pub const SHOTS: u64 = 64 * WORDS as u64;

/// A bit of each shot.
pub type Row = [u64; WORDS];

/// The frames of a block, and what was measured.
pub struct Frames {
    x: Vec<Row>,
    z: Vec<Row>,
    fired: Row,
    rng: Rng,
    /// Where measurements differ from the reference.
    pub record: Vec<Row>,
    /// Detectors.
    pub detectors: Vec<Row>,
    /// Observables.
    pub observables: Vec<Row>,
}

impl Frames {
    /// The block with that random stream.
    pub fn run(program: &Program, rng: Rng, watch: &Watch) -> Result<Self, Error> {
        let n = program.qubits as usize;
        let mut frames = Self {
            x: vec![[0; WORDS]; n],
            z: vec![[0; WORDS]; n],
            fired: [0; WORDS],
            rng,
            record: Vec::with_capacity(program.measurements as usize),
            detectors: Vec::with_capacity(program.detectors as usize),
            observables: vec![[0; WORDS]; program.observables as usize],
        };
        // Z does nothing to 0: whatever is free at the start is drawn.
        for q in 0..n {
            frames.z[q] = frames.random();
        }
        frames.block(program.steps(), watch)?;
        Ok(frames)
    }

    fn random(&mut self) -> Row {
        std::array::from_fn(|_| self.rng.bits())
    }

    fn block(&mut self, steps: &[Step], watch: &Watch) -> Result<(), Error> {
        for step in steps {
            watch.check()?;
            if let Step::Repeat(times, steps) = step {
                for _ in 0..*times {
                    self.block(steps, watch)?;
                }
            } else {
                self.step(step);
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Gate(gate, on) if gate.qubits == 1 => {
                on.iter().for_each(|&q| self.one(&gate.linear, q as usize));
            }
            Step::Gate(gate, on) => {
                for pair in on.chunks_exact(2) {
                    self.two(&gate.linear, pair[0] as usize, pair[1] as usize);
                }
            }
            Step::Measure(basis, chance, on) => {
                let first = self.record.len();
                for &(qubit, _) in on {
                    let flips = self.differs(qubit, *basis);
                    self.record.push(flips);
                    let random = self.random();
                    self.strike(qubit, *basis, &random);
                }
                self.misread(*chance, first);
            }
            Step::Product(chance, _, paulis) => {
                let first = self.record.len();
                let flips = self.differences(paulis);
                self.record.push(flips);
                let random = self.random();
                for &(qubit, basis) in paulis {
                    self.strike(qubit, basis, &random);
                }
                self.misread(*chance, first);
            }
            Step::Reset(basis, on) => {
                for &qubit in on {
                    (self.x[qubit as usize], self.z[qubit as usize]) = ([0; WORDS], [0; WORDS]);
                    let random = self.random();
                    self.strike(qubit, *basis, &random);
                }
            }
            Step::Noise(noise, on) => self.noise(noise, on),
            Step::Correlated(chance, otherwise, paulis) => {
                let mut bits = self.drawn(*chance);
                if *otherwise {
                    for (bit, fired) in bits.iter_mut().zip(&mut self.fired) {
                        *bit &= !*fired;
                        *fired |= *bit;
                    }
                } else {
                    self.fired = bits;
                }
                for &(qubit, basis) in paulis {
                    self.strike(qubit, basis, &bits);
                }
            }
            Step::Pad(chance, bits) => {
                let first = self.record.len();
                self.record.resize(first + bits.len(), [0; WORDS]);
                self.misread(*chance, first);
            }
            Step::Feedback(basis, back, qubit) => {
                let bits = self.looked(*back);
                self.strike(*qubit, *basis, &bits);
            }
            Step::Detector(back) => {
                let sum = self.sum(back);
                self.detectors.push(sum);
            }
            Step::Observable(index, back, paulis) => {
                let mut sum = self.sum(back);
                add(&mut sum, &self.differences(paulis));
                add(&mut self.observables[*index as usize], &sum);
            }
            Step::Repeat(..) => {}
        }
    }

    fn one(&mut self, linear: &[u8; 4], q: usize) {
        let (x, z) = (&mut self.x[q], &mut self.z[q]);
        match linear[..2] {
            [1, 2] => {}
            [2, 1] => std::mem::swap(x, z),
            [1, 3] => add(z, x),
            [3, 2] => add(x, z),
            [2, 3] => {
                std::mem::swap(x, z);
                add(z, x);
            }
            _ => {
                std::mem::swap(x, z);
                add(x, z);
            }
        }
    }

    fn two(&mut self, linear: &[u8; 4], a: usize, b: usize) {
        match linear {
            // Controlled X, from the first or the second, and controlled Z.
            [1, 10, 5, 8] => {
                let x = self.x[a];
                add(&mut self.x[b], &x);
                let z = self.z[b];
                add(&mut self.z[a], &z);
            }
            [5, 2, 4, 10] => self.two(&[1, 10, 5, 8], b, a),
            [1, 6, 4, 9] => {
                let (xa, xb) = (self.x[a], self.x[b]);
                add(&mut self.z[a], &xb);
                add(&mut self.z[b], &xa);
            }
            _ => {
                let old = [self.x[a], self.z[a], self.x[b], self.z[b]];
                let sum = |set: u8| {
                    let mut sum = [0; WORDS];
                    (0..4)
                        .filter(|i| set >> i & 1 == 1)
                        .for_each(|i| add(&mut sum, &old[i]));
                    sum
                };
                self.x[a] = sum(linear[0]);
                self.z[a] = sum(linear[1]);
                self.x[b] = sum(linear[2]);
                self.z[b] = sum(linear[3]);
            }
        }
    }

    /// Where the frame anticommutes with a Pauli.
    fn differs(&self, qubit: u32, basis: Basis) -> Row {
        let (x, z) = (&self.x[qubit as usize], &self.z[qubit as usize]);
        match basis {
            Basis::X => *z,
            Basis::Z => *x,
            Basis::Y => std::array::from_fn(|i| x[i] ^ z[i]),
        }
    }

    fn differences(&self, paulis: &[(u32, Basis)]) -> Row {
        let mut sum = [0; WORDS];
        for &(qubit, basis) in paulis {
            add(&mut sum, &self.differs(qubit, basis));
        }
        sum
    }

    /// A Pauli where bits are 1.
    fn strike(&mut self, qubit: u32, basis: Basis, bits: &Row) {
        if basis != Basis::Z {
            add(&mut self.x[qubit as usize], bits);
        }
        if basis != Basis::X {
            add(&mut self.z[qubit as usize], bits);
        }
    }

    fn looked(&self, back: u32) -> Row {
        let at = self.record.len().wrapping_sub(back as usize);
        self.record.get(at).copied().unwrap_or([0; WORDS])
    }

    fn sum(&self, back: &[u32]) -> Row {
        let mut sum = [0; WORDS];
        for &b in back {
            add(&mut sum, &self.looked(b));
        }
        sum
    }

    fn misread(&mut self, chance: f64, first: usize) {
        let rows = &mut self.record[first..];
        rare::each(chance, rows.len() as u64 * SHOTS, &mut self.rng, |i, _| {
            let (row, shot) = ((i / SHOTS) as usize, i % SHOTS);
            rows[row][shot as usize / 64] ^= 1 << (shot % 64);
        });
    }

    fn drawn(&mut self, chance: f64) -> Row {
        let mut bits = [0; WORDS];
        rare::each(chance, SHOTS, &mut self.rng, |i, _| {
            bits[i as usize / 64] |= 1 << (i % 64);
        });
        bits
    }

    fn noise(&mut self, noise: &Noise, on: &[u32]) {
        let mut rng = self.rng.clone();
        let all = on.len() as u64 * SHOTS;
        match noise {
            Noise::Single(basis, chance) => {
                rare::each(*chance, all, &mut rng, |i, _| {
                    self.hit(on[(i / SHOTS) as usize], *basis as u8, i % SHOTS);
                });
            }
            Noise::One(chances) => {
                let total = chances.iter().sum();
                let even = chances.iter().all(|c| *c == chances[0]);
                rare::each(total, all, &mut rng, |i, rng| {
                    let which = pick(chances, total, even, rng);
                    self.hit(on[(i / SHOTS) as usize], [1, 3, 2][which], i % SHOTS);
                });
            }
            Noise::Two(chances) => {
                let total = chances.iter().sum();
                let even = chances.iter().all(|c| *c == chances[0]);
                rare::each(total, all / 2, &mut rng, |i, rng| {
                    let which = pick(chances, total, even, rng) + 1;
                    let pair = 2 * (i / SHOTS) as usize;
                    self.hit(on[pair], [0, 1, 3, 2][which / 4], i % SHOTS);
                    self.hit(on[pair + 1], [0, 1, 3, 2][which % 4], i % SHOTS);
                });
            }
            Noise::Heralded(chances) => {
                let total = chances.iter().sum();
                let first = self.record.len();
                self.record.resize(first + on.len(), [0; WORDS]);
                rare::each(total, all, &mut rng, |i, rng| {
                    let which = pick(chances, total, false, rng);
                    let (row, shot) = ((i / SHOTS) as usize, i % SHOTS);
                    self.hit(on[row], [0, 1, 3, 2][which], shot);
                    self.record[first + row][shot as usize / 64] |= 1 << (shot % 64);
                });
            }
        }
        self.rng = rng;
    }

    /// A Pauli (bits x and z) in one shot.
    fn hit(&mut self, qubit: u32, pauli: u8, shot: u64) {
        let (word, bit) = (shot as usize / 64, shot % 64);
        self.x[qubit as usize][word] ^= u64::from(pauli & 1) << bit;
        self.z[qubit as usize][word] ^= u64::from(pauli >> 1) << bit;
    }
}

/// One of the cases, by their chances.
fn pick(chances: &[f64], total: f64, even: bool, rng: &mut Rng) -> usize {
    if even {
        return ((u128::from(rng.bits()) * chances.len() as u128) >> 64) as usize;
    }
    let draw = rng.unit() * total;
    let mut sum = 0.0;
    for (i, chance) in chances.iter().enumerate() {
        sum += chance;
        if draw < sum {
            return i;
        }
    }
    chances.iter().rposition(|&c| c > 0.0).unwrap_or_default()
}

fn add(to: &mut Row, by: &Row) {
    to.iter_mut().zip(by).for_each(|(a, b)| *a ^= b);
}
