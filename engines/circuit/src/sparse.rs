//! The sparse method: only the amplitudes that are not zero, sorted by basis state. Oracles, arithmetic
//! and walks on hundreds of qubits stay small here; what does not is refused when it outgrows its memory.

use std::collections::BTreeMap;

use crate::ir::{Gate, Matrix};
use crate::method::{Bits, Method};
use crate::rng::Rng;
use crate::{C64, Error, Watch};

/// The most qubits.
pub const QUBITS: u32 = 512;
type Key = [u64; QUBITS as usize / 64];
/// Below this squared size an amplitude, or a cell of a product of gates, is what rounding left where things
/// cancel, and goes. What goes is added up.
const NOTHING: f64 = 1e-29;
/// What a gate costs besides the amplitudes that it touches, in amplitudes.
const GATE: u64 = 16;

/// A state as its non-zero amplitudes.
#[derive(Debug, Clone)]
pub struct Sparse {
    qubits: u32,
    entries: Vec<(Key, C64)>,
    /// The most entries that there may be.
    limit: usize,
    available: u64,
    /// The distance from the true state, at most.
    distance: f64,
    /// Amplitudes touched, gates taken, and the most amplitudes at a time, so far.
    work: u64,
    gates: usize,
    peak: usize,
    /// The most amplitudes that may be touched.
    most: u64,
}

/// Bytes of an amplitude, the room for making new ones and for sorting them included.
pub const ENTRY: u64 = 4 * size_of::<(Key, C64)>() as u64;

/// Gates on one qubit that wait for the next gate that needs their qubit: products in which much cancels.
type Waiting = BTreeMap<u32, [C64; 4]>;

impl Sparse {
    /// All qubits 0, in at most that many bytes.
    ///
    /// # Errors
    /// [`Error::Limit`] for more than [`QUBITS`].
    pub fn new(qubits: u32, available: u64) -> Result<Self, Error> {
        if qubits > QUBITS {
            return Err(Error::Limit {
                what: "qubits of the sparse method",
                got: qubits.into(),
                limit: QUBITS.into(),
            });
        }
        Ok(Self {
            qubits,
            entries: vec![([0; QUBITS as usize / 64], C64::ONE)],
            limit: usize::try_from(available / ENTRY)
                .unwrap_or(usize::MAX)
                .max(1),
            available,
            distance: 0.0,
            work: 0,
            gates: 0,
            peak: 1,
            most: u64::MAX,
        })
    }

    /// The same, that gives up where it takes more than `most` amplitudes touched.
    #[must_use]
    pub fn with_work(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// The gate (from 0) that was the last one taken, and the largest number of amplitudes that were not zero at a
    /// time.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.gates.saturating_sub(1), self.peak)
    }

    /// Amplitudes that were touched, and so many for each gate.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.work
    }

    /// A gate: one on one qubit waits, others let those on their qubits go first.
    fn take(&mut self, gate: &Gate, waiting: &mut Waiting) -> Result<(), Error> {
        self.gates += 1;
        self.work += GATE + self.entries.len() as u64;
        if let [qubit] = gate.qubits[..] {
            // Controls alone: a phase where they are 1.
            let matrix = gate.target_matrix().controlled(gate.controls);
            let before = waiting
                .entry(qubit)
                .or_insert([C64::ONE, C64::ZERO, C64::ZERO, C64::ONE]);
            let cell =
                |r: usize, c: usize| matrix.at(r, 0) * before[c] + matrix.at(r, 1) * before[2 + c];
            *before = [cell(0, 0), cell(0, 1), cell(1, 0), cell(1, 1)];
            return Ok(());
        }
        self.release(waiting, Some(&gate.qubits))?;
        let matrix = gate.target_matrix();
        self.transform(&matrix, gate.control_qubits(), gate.target_qubits())
    }

    /// Applies what waits on these qubits, or on all.
    fn release(&mut self, waiting: &mut Waiting, on: Option<&[u32]>) -> Result<(), Error> {
        let all: Vec<u32> = match on {
            Some(qubits) => qubits.to_vec(),
            None => waiting.keys().copied().collect(),
        };
        for qubit in all {
            let cells = waiting.remove(&qubit).map(Vec::from);
            if let Some(matrix) = cells.and_then(|cells| Matrix::new(2, cells)) {
                self.transform(&matrix, &[], &[qubit])?;
            }
        }
        Ok(())
    }

    /// Drops amplitudes that are rounding.
    fn clean(&mut self) {
        let mut lost = 0.0;
        self.entries.retain(|(_, v)| {
            let weight = v.norm_sqr();
            let stays = weight > NOTHING;
            lost += if stays { 0.0 } else { weight };
            stays
        });
        self.distance += lost.sqrt();
    }

    /// How many amplitudes are not zero.
    #[must_use]
    pub fn non_zeros(&self) -> usize {
        self.entries.len()
    }

    fn transform(
        &mut self,
        matrix: &Matrix,
        controls: &[u32],
        targets: &[u32],
    ) -> Result<(), Error> {
        let size = matrix.size();
        // What each column leads to: rows and factors that are not zero.
        let columns: Vec<Vec<(usize, C64)>> = (0..size)
            .map(|c| {
                (0..size)
                    .map(|r| (r, matrix.at(r, c)))
                    .filter(|(_, v)| v.norm_sqr() > NOTHING)
                    .collect()
            })
            .collect();
        let column = |key: &Key| {
            targets
                .iter()
                .enumerate()
                .fold(0, |x, (i, &t)| x | (usize::from(bit(key, t)) << i))
        };
        let with = |key: &Key, row: usize| {
            let mut key = *key;
            for (i, &t) in targets.iter().enumerate() {
                let mask = 1u64 << (t % 64);
                let word = &mut key[t as usize / 64];
                *word = if row >> i & 1 == 1 {
                    *word | mask
                } else {
                    *word & !mask
                };
            }
            key
        };
        let chosen = |key: &Key| controls.iter().all(|&c| bit(key, c));
        if columns.iter().all(|c| c.len() == 1) {
            let moves = columns.iter().enumerate().any(|(i, c)| c[0].0 != i);
            for (key, value) in self.entries.iter_mut().filter(|(key, _)| chosen(key)) {
                let (row, factor) = columns[column(key)][0];
                *value *= factor;
                *key = with(key, row);
            }
            if moves {
                self.entries.sort_unstable_by_key(|e| e.0);
            }
            return Ok(());
        }
        let refused = |entries: usize| Error::Memory {
            method: "sparse",
            needed: entries as u128 * u128::from(ENTRY),
            available: self.available,
            advice: format!("{entries} amplitudes are not zero and more come"),
        };
        let mut new = Vec::with_capacity(2 * self.entries.len());
        for (key, value) in &self.entries {
            if !chosen(key) {
                new.push((*key, *value));
                continue;
            }
            for &(row, factor) in &columns[column(key)] {
                new.push((with(key, row), value * factor));
            }
            if new.len() > 2 * self.limit + size {
                return Err(refused(new.len()));
            }
        }
        // Stable: equal keys are summed in the order of their origin, everywhere alike.
        new.sort_by_key(|e| e.0);
        new.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                first.1 += later.1;
            }
            same
        });
        if new.len() > self.limit {
            return Err(refused(new.len()));
        }
        self.entries = new;
        self.clean();
        self.peak = self.peak.max(self.entries.len());
        Ok(())
    }

    fn norm(&self) -> f64 {
        self.entries.iter().map(|(_, v)| v.norm_sqr()).sum()
    }

    fn find(&self, key: &Key) -> C64 {
        self.entries
            .binary_search_by(|e| e.0.cmp(key))
            .map_or(C64::ZERO, |i| self.entries[i].1)
    }
}

fn bit(key: &Key, qubit: u32) -> bool {
    key[qubit as usize / 64] >> (qubit % 64) & 1 == 1
}

fn key(words: &[u64]) -> Key {
    std::array::from_fn(|i| words.get(i).copied().unwrap_or_default())
}

impl Method for Sparse {
    fn apply(&mut self, gates: &[&Gate], watch: &Watch) -> Result<(), Error> {
        watch.expect(gates.len() as u64);
        let mut waiting = Waiting::new();
        for gate in gates {
            watch.check()?;
            self.take(gate, &mut waiting)?;
            self.within()?;
            watch.advance(1);
        }
        self.release(&mut waiting, None)
    }

    fn one(&mut self, qubit: u32) -> f64 {
        self.work += GATE + self.entries.len() as u64;
        let one: f64 = self
            .entries
            .iter()
            .filter(|(k, _)| bit(k, qubit))
            .map(|(_, v)| v.norm_sqr())
            .sum();
        one / self.norm()
    }

    fn collapse(&mut self, qubit: u32, value: bool) {
        self.entries.retain(|(k, _)| bit(k, qubit) == value);
        let scale = 1.0 / self.norm().sqrt();
        self.entries.iter_mut().for_each(|(_, v)| *v *= scale);
    }

    fn damp(&mut self, qubit: u32, one: f64, all: f64) -> Result<(), Error> {
        for (key, value) in &mut self.entries {
            *value *= if bit(key, qubit) { one * all } else { all };
        }
        self.clean();
        Ok(())
    }

    fn copied(&self) -> Result<Self, Error> {
        Ok(self.clone())
    }

    fn sample(&mut self, draws: &mut [Rng]) -> Result<Vec<Bits>, Error> {
        let mut ends = Vec::with_capacity(self.entries.len());
        let mut sum = 0.0;
        for (_, value) in &self.entries {
            sum += value.norm_sqr();
            ends.push(sum);
        }
        let words = (self.qubits as usize).div_ceil(64).max(1);
        Ok(draws
            .iter_mut()
            .map(|rng| {
                let wanted = rng.unit() * sum;
                let at = ends
                    .partition_point(|&end| end <= wanted)
                    .min(ends.len() - 1);
                self.entries[at].0[..words].to_vec()
            })
            .collect())
    }

    fn expectation(&mut self, x: &[u64], z: &[u64]) -> Result<f64, Error> {
        let (x, z) = (key(x), key(z));
        let turns: u32 = x.iter().zip(&z).map(|(x, z)| (x & z).count_ones()).sum();
        let mut sum = C64::ZERO;
        for (k, value) in &self.entries {
            let there: Key = std::array::from_fn(|i| k[i] ^ x[i]);
            let signs: u32 = k.iter().zip(&z).map(|(k, z)| (k & z).count_ones()).sum();
            let term = self.find(&there).conj() * value;
            sum += if signs & 1 == 1 { -term } else { term };
        }
        Ok((sum * C64::I.powu(turns % 4)).re)
    }

    fn amplitude(&mut self, basis: &[u64]) -> Result<C64, Error> {
        Ok(self.find(&key(basis)))
    }

    fn discarded(&self) -> f64 {
        self.distance.min(1.0)
    }

    fn within(&self) -> Result<(), Error> {
        Error::above("amplitudes touched", self.work, self.most)
    }

    fn bytes(&self) -> u128 {
        self.entries.len() as u128 * u128::from(ENTRY)
    }
}
