//! Which blocks go into which pass, and what a pass does to each of its tiles.

use super::fuse::{Block, bits};
use super::lanes::Real;
use super::phases::Phases;
use crate::C64;
use crate::ir::Matrix;

/// Wires of a tile: 2^15 amplitudes are half a mebibyte in double precision.
pub const TILE: u32 = 15;
/// The lowest wires that every tile has, so that it is copied in runs of 2^LOW amplitudes.
pub const LOW: u32 = 6;

/// One sweep over memory.
#[derive(Debug)]
pub struct Pass<T> {
    /// The wires of a tile, in order.
    pub local: Vec<u32>,
    /// The other wires that are not known to be 0.
    pub outer: Vec<u32>,
    /// What is done to a tile.
    pub ops: Vec<TileOp<T>>,
}

/// One block, compiled for the tile.
#[derive(Debug)]
pub enum TileOp<T> {
    /// Sums over cells and exchanged lanes, with a coefficient for each lane.
    Combine(Combine<T>),
    /// A matrix on any wires, one amplitude at a time.
    Many {
        /// Positions in the tile's index.
        on: Vec<u32>,
        /// Bits of the tile's index that must be 1.
        controls: usize,
        /// Wires outside that must be 1.
        outer: u64,
        /// Cells of the matrix.
        matrix: Vec<[T; 2]>,
    },
    /// Phases.
    Phases(Phases<T>),
}

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

/// Plans passes for blocks on that many wires; `zero` are wires known to be 0, kept up to date.
pub fn plan<T: Real>(blocks: Vec<Block>, wires: u32, zero: &mut u64) -> Vec<Pass<T>> {
    let mut rest = blocks;
    let mut passes = Vec::new();
    while !rest.is_empty() {
        let (local, now, later) = choose(rest, wires);
        rest = later;
        let mixed = now.iter().fold(0, |m, b| m | b.mixes());
        let inside = local.iter().fold(0u64, |m, w| m | (1 << w));
        let outer = (0..wires)
            .filter(|w| (inside | *zero) >> w & 1 == 0)
            .collect();
        let ops = now.iter().map(|b| compile(b, &local)).collect();
        *zero &= !mixed;
        passes.push(Pass { local, outer, ops });
    }
    passes
}

/// Takes as many blocks as one tile can hold; the wires, those blocks, and what is left.
fn choose(blocks: Vec<Block>, wires: u32) -> (Vec<u32>, Vec<Block>, Vec<Block>) {
    let size = TILE.min(wires);
    let mut inside: u64 = (1u64 << LOW.min(size)) - 1;
    // Wires on which something left behind mixes, or selects.
    let (mut left_mixes, mut left_selects) = (0u64, 0u64);
    let (mut now, mut later) = (Vec::new(), Vec::new());
    for block in blocks {
        if let Block::Diagonal(terms) = block {
            let (go, stay): (Vec<_>, Vec<_>) =
                terms.into_iter().partition(|t| t.0 & left_mixes == 0);
            if !go.is_empty() {
                now.push(Block::Diagonal(go));
            }
            if !stay.is_empty() {
                let stay = Block::Diagonal(stay);
                left_selects |= stay.selects();
                later.push(stay);
            }
            continue;
        }
        let (mixes, selects) = (block.mixes(), block.selects());
        let free = mixes & (left_mixes | left_selects) == 0 && selects & left_mixes == 0;
        if free && (inside | mixes).count_ones() <= size {
            inside |= mixes;
            now.push(block);
        } else {
            left_mixes |= mixes;
            left_selects |= selects;
            later.push(block);
        }
    }
    // The tile is filled up from below: longer runs.
    for wire in 0..wires {
        if inside.count_ones() < size {
            inside |= 1 << wire;
        }
    }
    (bits(inside).map(|w| w as u32).collect(), now, later)
}

/// A mask of wires, split into bits of the tile's index and wires outside.
pub fn split(mask: u64, local: &[u32]) -> (usize, u64) {
    let mut inside = 0;
    let mut outside = mask;
    for (i, &wire) in local.iter().enumerate() {
        if mask >> wire & 1 == 1 {
            inside |= 1 << i;
            outside &= !(1 << wire);
        }
    }
    (inside, outside)
}

fn compile<T: Real>(block: &Block, local: &[u32]) -> TileOp<T> {
    let at = |wire: u32| local.iter().position(|&w| w == wire).unwrap_or_default() as u32;
    match block {
        Block::One(m, q, controls) => combine(m, &[at(*q)], split(*controls, local)),
        Block::Two(m, on, controls) => combine(m, &on.map(at), split(*controls, local)),
        Block::Many(matrix, on, controls) => {
            let (controls, outer) = split(*controls, local);
            TileOp::Many {
                on: on.iter().map(|&q| at(q)).collect(),
                controls,
                outer,
                matrix: narrow(matrix),
            }
        }
        Block::Diagonal(terms) => TileOp::Phases(Phases::new(terms, local)),
    }
}

fn narrow<T: Real>(matrix: &Matrix) -> Vec<[T; 2]> {
    matrix
        .cells()
        .iter()
        .map(|c| [T::of(c.re), T::of(c.im)])
        .collect()
}

/// A matrix on one or two positions of the tile's index.
fn combine<T: Real>(m: &[C64], on: &[u32], (controls, outer): (usize, u64)) -> TileOp<T> {
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
    TileOp::Combine(Combine {
        cells: above.iter().map(|&i| on[i] - shift).collect(),
        exchanges: (0..exchanges).map(lane_mask).collect(),
        controls: controls >> shift,
        outer,
        coefficients,
        real,
    })
}
