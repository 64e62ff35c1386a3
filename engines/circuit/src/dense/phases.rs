//! Phases of a tile: factors on sets of wires, applied in one sweep. What is linear in the
//! low bits of the index is multiplied up row by row; what is not is a table, or a sweep of its own.

use super::lanes::Real;
use super::tile::split;
use crate::C64;

/// Low bits above the lanes that make a row with them.
pub const MIDDLE: u32 = 6;

/// A term with its wires outside of the tile.
#[derive(Debug)]
pub struct Linear {
    /// Wires outside that must be 1.
    pub outer: u64,
    /// Bits of the row number that must be 1.
    pub rows: usize,
    /// 0 for none, else one more than the low bit.
    pub column: usize,
    /// The phase.
    pub factor: C64,
}

/// A term that is applied by itself.
#[derive(Debug)]
pub struct Single<T> {
    /// Wires outside that must be 1.
    pub outer: u64,
    /// Bits of the cell number that must be 1.
    pub cells: usize,
    /// A vector of real and one of imaginary parts.
    pub lanes: Vec<T>,
}

/// What a tile needs for its phases.
#[derive(Debug)]
pub struct Phases<T> {
    /// Bits of a row number, of a cell's number in its row, of a lane's number.
    pub shape: [u32; 3],
    /// Terms with at most one low bit.
    pub linear: Vec<Linear>,
    /// The product of the terms that are within the low bits: a cell's vectors after the other; or
    /// nothing.
    pub table: Vec<T>,
    /// The others.
    pub singles: Vec<Single<T>>,
}

impl<T: Real> Phases<T> {
    /// Sorts terms (wires and factor) for tiles of these wires.
    pub fn new(terms: &[(u64, C64)], local: &[u32]) -> Self {
        let lane_bits = T::LANES.trailing_zeros();
        let middle = MIDDLE.min(local.len() as u32 - lane_bits);
        let low_bits = lane_bits + middle;
        let shape = [local.len() as u32 - low_bits, middle, lane_bits];
        let mut phases = Self {
            shape,
            linear: Vec::new(),
            table: Vec::new(),
            singles: Vec::new(),
        };
        let mut within: Vec<(usize, C64)> = Vec::new();
        for &(mask, factor) in terms {
            let (inside, outer) = split(mask, local);
            let (low, rows) = (inside & ((1 << low_bits) - 1), inside >> low_bits);
            if terms.len() <= 2 && inside != 0 {
                phases.singles.push(single(inside, outer, factor));
            } else if low.count_ones() <= 1 {
                phases.linear.push(Linear {
                    outer,
                    rows,
                    column: if low == 0 {
                        0
                    } else {
                        low.trailing_zeros() as usize + 1
                    },
                    factor,
                });
            } else if rows == 0 && outer == 0 {
                within.push((low, factor));
            } else {
                phases.singles.push(single(inside, outer, factor));
            }
        }
        if !within.is_empty() {
            phases.table = table(&within, low_bits);
        }
        phases
    }

    /// For each row, the phase of the row and of each low bit, for the tile at these outer wires.
    pub fn rows(&self, outer: u64) -> Vec<C64> {
        let columns = (self.shape[1] + self.shape[2] + 1) as usize;
        let bits = self.shape[0] as usize;
        let rows = 1usize << bits;
        let mut out = vec![C64::ONE; rows * columns];
        let mut steps = vec![C64::ONE; bits * columns];
        let here = |term: &&Linear| term.outer & outer == term.outer;
        for term in self.linear.iter().filter(here) {
            match term.rows.count_ones() {
                0 => out[term.column] *= term.factor,
                1 => {
                    steps[term.rows.trailing_zeros() as usize * columns + term.column] *=
                        term.factor
                }
                _ => {}
            }
        }
        for bit in 0..bits {
            let half = columns << bit;
            for i in 0..half {
                out[half + i] = out[i] * steps[bit * columns + i % columns];
            }
        }
        for term in self.linear.iter().filter(here) {
            if term.rows.count_ones() > 1 {
                for row in (0..rows).filter(|r| r & term.rows == term.rows) {
                    out[row * columns + term.column] *= term.factor;
                }
            }
        }
        out
    }
}

fn single<T: Real>(inside: usize, outer: u64, e: C64) -> Single<T> {
    let lanes = inside & (T::LANES - 1);
    let values: Vec<C64> = (0..T::LANES)
        .map(|lane| if lane & lanes == lanes { e } else { C64::ONE })
        .collect();
    Single {
        outer,
        cells: inside >> T::LANES.trailing_zeros(),
        lanes: vectors(&values),
    }
}

fn table<T: Real>(terms: &[(usize, C64)], bits: u32) -> Vec<T> {
    let mut factors = vec![C64::ONE; 1 << bits];
    for &(mask, factor) in terms {
        for (_, total) in factors
            .iter_mut()
            .enumerate()
            .filter(|(x, _)| x & mask == mask)
        {
            *total *= factor;
        }
    }
    factors.chunks(T::LANES).flat_map(vectors).collect()
}

/// Real parts, then imaginary parts.
pub fn vectors<T: Real>(values: &[C64]) -> Vec<T> {
    let re = values.iter().map(|v| T::of(v.re));
    re.chain(values.iter().map(|v| T::of(v.im))).collect()
}
