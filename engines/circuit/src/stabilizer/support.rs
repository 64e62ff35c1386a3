//! What measuring every qubit of a stabilizer state can give: one basis state that can be found, and the
//! directions in which the others lie.

use super::product;
use super::tableau::Tableau;
use crate::method::Bits;
use crate::rng::Rng;

/// Directions that a table has all sums of.
const TABLE: usize = 8;
/// Shots that go through the tables together.
const SHOTS: usize = 1024;

/// All outcomes, each as likely as the others.
pub struct Support {
    /// One of them.
    base: Bits,
    /// The others differ from it by a sum of some of these.
    directions: Vec<Bits>,
}

impl Support {
    /// Of a tableau that lies by rows.
    pub fn of(tableau: &Tableau) -> Self {
        let (n, side) = (tableau.qubits, tableau.side());
        let words = side / 64;
        // X bits of each stabilizer, then of which stabilizers it is the product. Signs and Z bits matter
        // only where no X is left, so they are made afterwards.
        let width = 2 * words;
        let mut rows = vec![0u64; n * width];
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            row[..words].copy_from_slice(tableau.row(side + i).0);
            row[words + i / 64] = 1 << (i % 64);
        }
        let mut done = 0;
        let mut pivot = vec![0u64; width];
        for qubit in 0..n {
            let (word, bit) = (qubit / 64, qubit % 64);
            let Some(at) = (done..n).find(|&row| rows[row * width + word] >> bit & 1 == 1) else {
                continue;
            };
            if at != done {
                let (upper, lower) = rows.split_at_mut(at * width);
                upper[done * width..(done + 1) * width].swap_with_slice(&mut lower[..width]);
            }
            pivot.copy_from_slice(&rows[done * width..(done + 1) * width]);
            eliminate(&mut rows[(at + 1) * width..], &pivot, qubit);
            done += 1;
        }
        let directions = rows[..done * width]
            .chunks_exact(width)
            .map(|row| row[..words].to_vec())
            .collect();
        let equations = rows[done * width..]
            .chunks_exact(width)
            .map(|row| equation(tableau, &row[words..]))
            .collect();
        Self {
            base: solved(equations, n, words),
            directions,
        }
    }

    /// An outcome for each stream.
    pub fn sample(&self, draws: &mut [Rng]) -> Vec<Bits> {
        let mut samples = vec![self.base.clone(); draws.len()];
        for (samples, draws) in samples.chunks_mut(SHOTS).zip(draws.chunks_mut(SHOTS)) {
            for group in self.directions.chunks(64) {
                let random: Vec<u64> = draws.iter_mut().map(Rng::bits).collect();
                for (i, some) in group.chunks(TABLE).enumerate() {
                    let shift = TABLE * i;
                    if samples.len() < 1 << TABLE {
                        for (sample, random) in samples.iter_mut().zip(&random) {
                            for (j, direction) in some.iter().enumerate() {
                                if random >> (shift + j) & 1 == 1 {
                                    add(sample, direction);
                                }
                            }
                        }
                        continue;
                    }
                    let table = sums(some, self.base.len());
                    let mask = (1 << some.len()) - 1;
                    for (sample, random) in samples.iter_mut().zip(&random) {
                        let at = (random >> shift) as usize & mask;
                        let words = sample.len();
                        add(sample, &table[at * words..(at + 1) * words]);
                    }
                }
            }
        }
        samples
    }
}

/// All sums of a few directions, one after the other.
fn sums(directions: &[Bits], words: usize) -> Vec<u64> {
    let mut table = vec![0; words << directions.len()];
    for (i, direction) in directions.iter().enumerate() {
        let (old, new) = table.split_at_mut(words << i);
        for (from, to) in old.chunks_exact(words).zip(new.chunks_exact_mut(words)) {
            to.copy_from_slice(from);
            add(to, direction);
        }
    }
    table
}

/// The product of some stabilizers, which has no X: an equation for the bits, and what they sum to.
fn equation(tableau: &Tableau, of: &[u64]) -> (Bits, bool) {
    let (mut x, mut z) = (vec![0; of.len()], vec![0; of.len()]);
    let mut power = 0;
    for i in (0..tableau.qubits).filter(|i| of[i / 64] >> (i % 64) & 1 == 1) {
        let row = tableau.side() + i;
        let (by_x, by_z) = tableau.row(row);
        power += product(&mut x, &mut z, by_x, by_z) + 2 * u32::from(tableau.sign(row));
    }
    (z, power & 3 == 2)
}

/// Bits for which independent equations hold, the free ones 0.
fn solved(mut equations: Vec<(Bits, bool)>, qubits: usize, words: usize) -> Bits {
    let mut base = vec![0u64; words];
    let mut pivots = Vec::new();
    for qubit in 0..qubits {
        let done = pivots.len();
        let bit = |e: &(Bits, bool)| e.0[qubit / 64] >> (qubit % 64) & 1 == 1;
        let Some(pivot) = (done..equations.len()).find(|&i| bit(&equations[i])) else {
            continue;
        };
        equations.swap(pivot, done);
        let (words, sign) = equations[done].clone();
        for (i, other) in equations.iter_mut().enumerate() {
            if i != done && bit(other) {
                add(&mut other.0, &words);
                other.1 ^= sign;
            }
        }
        pivots.push(qubit);
    }
    for (qubit, (_, sign)) in pivots.into_iter().zip(&equations) {
        if *sign {
            base[qubit / 64] |= 1 << (qubit % 64);
        }
    }
    base
}

/// Adds the pivot's row to every row that has the qubit's bit.
#[allow(unsafe_code)]
fn eliminate(rows: &mut [u64], pivot: &[u64], qubit: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the instructions, as just found.
        return unsafe { eliminate_avx2(rows, pivot, qubit) };
    }
    eliminate_any(rows, pivot, qubit);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn eliminate_avx2(rows: &mut [u64], pivot: &[u64], qubit: usize) {
    eliminate_any(rows, pivot, qubit);
}

#[inline(always)]
fn eliminate_any(rows: &mut [u64], pivot: &[u64], qubit: usize) {
    let (word, bit) = (qubit / 64, qubit % 64);
    for row in rows.chunks_exact_mut(pivot.len()) {
        if row[word] >> bit & 1 == 1 {
            // Words before have no bits any more.
            for (a, b) in row[word..].iter_mut().zip(&pivot[word..]) {
                *a ^= b;
            }
        }
    }
}

fn add(to: &mut [u64], by: &[u64]) {
    to.iter_mut().zip(by).for_each(|(a, b)| *a ^= b);
}
