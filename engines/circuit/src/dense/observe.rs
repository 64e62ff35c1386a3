//! What is read off a state vector: probabilities, samples, collapse, expectation values. Sums go over
//! fixed chunks in a fixed order, so that they do not depend on the number of threads.

use super::lanes::Real;
use super::state::State;
use crate::C64;
use crate::rng::Rng;

/// Cells that are summed as one.
const CHUNK: usize = 1 << 9;

impl<T: Real> State<T> {
    /// Calls `part` for each chunk of cells (first cell and their numbers) on all threads; the results in order.
    fn chunks<R: Send>(&self, part: impl Fn(usize, &[T]) -> R + Sync) -> Vec<R> {
        let all = self.amplitudes.as_slice();
        let size = CHUNK * 2 * T::LANES;
        let count = all.len().div_ceil(size);
        let threads = self.threads.min(count.div_ceil(16)).max(1);
        let share = count.div_ceil(threads);
        let one = |first: usize| {
            all.chunks(size)
                .enumerate()
                .skip(first)
                .take(share)
                .map(|(i, chunk)| part(i * CHUNK, chunk))
                .collect::<Vec<R>>()
        };
        if threads == 1 {
            return one(0);
        }
        std::thread::scope(|scope| {
            let one = &one;
            let handles: Vec<_> = (0..threads)
                .map(|t| scope.spawn(move || one(t * share)))
                .collect();
            handles
                .into_iter()
                .flat_map(|h| h.join().unwrap_or_default())
                .collect()
        })
    }

    /// The squared norm, which is 1 up to rounding.
    #[must_use]
    pub fn norm(&self) -> f64 {
        self.chunks(|_, cells| weight(cells)).iter().sum()
    }

    /// The probability that measuring a qubit gives 1.
    #[must_use]
    pub fn probability_of_one(&self, qubit: u32) -> f64 {
        let wire = self.map[qubit as usize];
        let sums = self.chunks(|first, cells| {
            let (mut one, mut all) = (0.0, 0.0);
            for (i, cell) in cells.chunks(2 * T::LANES).enumerate() {
                for lane in 0..T::LANES {
                    let p = probability(cell, lane);
                    all += p;
                    let index = (first + i) * T::LANES + lane;
                    if index >> wire & 1 == 1 {
                        one += p;
                    }
                }
            }
            (one, all)
        });
        let (one, all) = sums.iter().fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
        if all > 0.0 { one / all } else { 0.0 }
    }

    /// Keeps only the part where the qubit is that bit, scaled to norm 1.
    pub fn collapse(&mut self, qubit: u32, bit: bool) {
        let one = self.probability_of_one(qubit);
        let norm = self.norm();
        let kept = (if bit { one } else { 1.0 - one }) * norm;
        let scale = if kept > 0.0 { 1.0 / kept.sqrt() } else { 0.0 };
        let wire = self.map[qubit as usize];
        self.each_amplitude(|index, a| {
            if (index >> wire & 1 == 1) == bit {
                a * scale
            } else {
                C64::ZERO
            }
        });
    }

    /// Multiplies by a number (for the operators of noise, which are not unitary).
    pub fn scale(&mut self, by: f64) {
        self.each_amplitude(|_, a| a * by);
    }

    /// Multiplies every amplitude by what a 2 by 2 matrix (row by row) does on a qubit; it need not be unitary.
    pub fn apply_matrix(&mut self, m: [C64; 4], qubit: u32) {
        self.forget_zeros();
        let bit = 1usize << self.map[qubit as usize];
        let count = 1usize << self.wires;
        for index in (0..count).filter(|i| i & bit == 0) {
            let (a, b) = (self.raw(index), self.raw(index | bit));
            self.put(index, m[0] * a + m[1] * b);
            self.put(index | bit, m[2] * a + m[3] * b);
        }
    }

    fn put(&mut self, index: usize, value: C64) {
        let shift = T::LANES.trailing_zeros();
        let at = ((index >> shift) << (shift + 1)) + (index & (T::LANES - 1));
        let all = self.amplitudes.as_mut_slice();
        all[at] = T::of(value.re);
        all[at + T::LANES] = T::of(value.im);
    }

    fn each_amplitude(&mut self, new: impl Fn(usize, C64) -> C64) {
        for (cell, numbers) in self
            .amplitudes
            .as_mut_slice()
            .chunks_mut(2 * T::LANES)
            .enumerate()
        {
            for lane in 0..T::LANES {
                let old = C64::new(numbers[lane].into(), numbers[lane + T::LANES].into());
                let value = new(cell * T::LANES + lane, old);
                numbers[lane] = T::of(value.re);
                numbers[lane + T::LANES] = T::of(value.im);
            }
        }
    }

    /// One basis state for each draw, with the chance that it has. Bit q of a result is qubit q.
    #[must_use]
    pub fn sample(&self, draws: &mut [Rng]) -> Vec<u64> {
        let sums = self.chunks(|_, cells| weight(cells));
        let total: f64 = sums.iter().sum();
        let mut wanted: Vec<(f64, usize)> = draws
            .iter_mut()
            .enumerate()
            .map(|(i, rng)| (rng.unit() * total, i))
            .collect();
        wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut found = vec![0u64; draws.len()];
        let mut wanted = wanted.into_iter().peekable();
        let mut before = 0.0;
        let all = self.amplitudes.as_slice();
        let mut last = 0;
        for (chunk, sum) in sums.iter().enumerate() {
            let end = before + sum;
            let mut running = before;
            if wanted.peek().is_some_and(|w| w.0 < end) {
                let first = chunk * CHUNK;
                let cells = &all[first * 2 * T::LANES..];
                for index in 0..(CHUNK * T::LANES).min(cells.len() / 2) {
                    let (cell, lane) = (index / T::LANES, index % T::LANES);
                    let p = probability(&cells[cell * 2 * T::LANES..], lane);
                    if p > 0.0 {
                        running += p;
                        last = first * T::LANES + index;
                        while let Some((_, draw)) = wanted.next_if(|w| w.0 < running) {
                            found[draw] = self.logical(last);
                        }
                    }
                }
                // Rounding may leave a draw between the running sum and the chunk's.
                while let Some((_, draw)) = wanted.next_if(|w| w.0 < end) {
                    found[draw] = self.logical(last);
                }
            }
            before = end;
        }
        for (_, draw) in wanted {
            found[draw] = self.logical(last);
        }
        found
    }

    fn logical(&self, index: usize) -> u64 {
        self.map
            .iter()
            .enumerate()
            .fold(0, |x, (q, &wire)| x | ((index >> wire & 1) as u64) << q)
    }

    /// The probabilities of the values of these qubits (the first is the lowest bit).
    #[must_use]
    pub fn probabilities(&self, qubits: &[u32]) -> Vec<f64> {
        let wires: Vec<u32> = qubits.iter().map(|&q| self.map[q as usize]).collect();
        let mut all = vec![0.0; 1 << qubits.len()];
        for (cell, numbers) in self.amplitudes.as_slice().chunks(2 * T::LANES).enumerate() {
            for lane in 0..T::LANES {
                let index = cell * T::LANES + lane;
                let value = wires
                    .iter()
                    .enumerate()
                    .fold(0, |v, (i, w)| v | (index >> w & 1) << i);
                all[value] += probability(numbers, lane);
            }
        }
        all
    }

    /// The expectation value of a product of Paulis, given by the qubits that have an X part and those
    /// that have a Z part (both is Y).
    #[must_use]
    pub fn expectation(&self, x: u64, z: u64) -> f64 {
        let (flip, sign) = (self.physical(x), self.physical(z));
        let turns = (x & z).count_ones();
        let sums = self.chunks(|first, cells| {
            let mut sum = C64::ZERO;
            for index in 0..cells.len() / 2 {
                let (cell, lane) = (index / T::LANES, index % T::LANES);
                let numbers = &cells[cell * 2 * T::LANES..];
                let here = C64::new(numbers[lane].into(), numbers[lane + T::LANES].into());
                let whole = first * T::LANES + index;
                let there = if flip == 0 {
                    here
                } else {
                    self.raw(whole ^ flip)
                };
                let value = there.conj() * here;
                sum += if (whole & sign).count_ones() & 1 == 1 {
                    -value
                } else {
                    value
                };
            }
            sum
        });
        let sum: C64 = sums.iter().sum();
        (sum * C64::I.powu(turns)).re
    }
}

fn probability<T: Real>(cell: &[T], lane: usize) -> f64 {
    let (re, im): (f64, f64) = (cell[lane].into(), cell[lane + T::LANES].into());
    re * re + im * im
}

fn weight<T: Real>(cells: &[T]) -> f64 {
    cells
        .iter()
        .map(|&x| {
            let x: f64 = x.into();
            x * x
        })
        .sum()
}
