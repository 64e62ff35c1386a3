//! A matrix on one or two wires of a tile, laid out for vectors: which cells and which exchanged lanes each
//! new cell is a sum of, with a coefficient for each lane.

use super::lanes::Real;
use super::tile::{position, split};
use crate::C64;
use crate::ir::Matrix;

/// `new[cell o] = sum over cells i and exchanges s of coefficient[o][i][s] * exchanged(old[i], s)`.
#[derive(Debug)]
pub struct Combine<T> {
    /// Bits of the cell number that the wires above the lanes are.
    pub cells: Vec<u32>,
    /// By which masks lanes are exchanged; the first is 0.
    pub exchanges: Vec<usize>,
    /// Bits of the cell number that must be 1.
    pub controls: usize,
    /// Wires outside of the tile that must be 1.
    pub outer: u64,
    /// A vector of real and one of imaginary parts for each coefficient.
    pub coefficients: Vec<T>,
    /// Whether every imaginary part is zero.
    pub real: bool,
}

/// A matrix's cells in the precision of the state.
pub fn narrow<T: Real>(matrix: &Matrix) -> Vec<[T; 2]> {
    matrix
        .cells()
        .iter()
        .map(|c| [T::of(c.re), T::of(c.im)])
        .collect()
}

/// A matrix on one or two wires, where every control is 1.
pub fn combine<T: Real>(m: &[C64], on: &[u32], controls: u64, local: &[u32]) -> Combine<T> {
    let on: Vec<u32> = on.iter().map(|&w| position(w, local)).collect();
    let (controls, outer) = split(controls, local);
    let shift = T::LANES.trailing_zeros();
    let size = 1 << on.len();
    let lane_controls = controls & (T::LANES - 1);
    // Which of the matrix's bits are cells, which are lanes.
    let (above, below): (Vec<usize>, Vec<usize>) = (0..on.len()).partition(|&i| on[i] >= shift);
    let spread = |bits: &[usize], value: usize| {
        bits.iter()
            .enumerate()
            .fold(0, |x, (i, &bit)| x | ((value >> i & 1) << bit))
    };
    let lane_mask = |value: usize| {
        below
            .iter()
            .enumerate()
            .fold(0, |x, (i, &bit)| x | ((value >> i & 1) << on[bit]))
    };
    let (cells, exchanges) = (1usize << above.len(), 1usize << below.len());
    let mut coefficients = Vec::with_capacity(cells * cells * exchanges * 2 * T::LANES);
    let mut real = true;
    for o in 0..cells {
        for i in 0..cells {
            for s in 0..exchanges {
                let values: Vec<C64> = (0..T::LANES)
                    .map(|lane| {
                        let lane_bits = below
                            .iter()
                            .fold(0, |x, &bit| x | ((lane >> on[bit] & 1) << bit));
                        let row = spread(&above, o) | lane_bits;
                        let column = spread(&above, i) | (lane_bits ^ spread(&below, s));
                        if lane & lane_controls == lane_controls {
                            m[row * size + column]
                        } else if row == column {
                            C64::ONE
                        } else {
                            C64::ZERO
                        }
                    })
                    .collect();
                real &= values.iter().all(|v| v.im == 0.0);
                coefficients.extend(values.iter().map(|v| T::of(v.re)));
                coefficients.extend(values.iter().map(|v| T::of(v.im)));
            }
        }
    }
    Combine {
        cells: above.iter().map(|&i| on[i] - shift).collect(),
        exchanges: (0..exchanges).map(lane_mask).collect(),
        controls: controls >> shift,
        outer,
        coefficients,
        real,
    }
}
