//! What happens to a tile, in vectors. Pointers stay within the tile that the caller hands over:
//! every offset is below its number of cells, by construction of the pass.

#![allow(unsafe_code)]

use super::lanes::{Lanes, Real, Work, times};
use super::matrix::Combine;
use super::pass::Pass;
use super::phases::{MIDDLE, Phases, Single, vectors};
use super::rotate::rotate;
use super::tile::TileOp;
use crate::C64;

/// All operations of a pass on one tile.
pub struct TileWork<'a, T> {
    pub pass: &'a Pass<T>,
    /// The tile: cells of one vector of real and one of imaginary parts.
    pub tile: *mut T,
    /// The wires outside that are 1.
    pub outer: u64,
    /// Where the tile is copied from, and to afterwards; nowhere if it is in its place.
    pub copy: Option<Copying<'a, T>>,
}

/// The places of a tile in memory.
pub struct Copying<'a, T> {
    /// The tile's first number.
    pub start: *mut T,
    /// Where its runs start from there.
    pub runs: &'a [usize],
    /// Numbers in a run, whole vectors.
    pub length: usize,
}

impl<T: Real> Copying<'_, T> {
    #[inline(always)]
    unsafe fn fetch<V: Lanes<T>>(&self, tile: *mut T) {
        for (i, run) in self.runs.iter().enumerate() {
            for at in (0..self.length).step_by(T::LANES) {
                // SAFETY: the run is in memory, and the tile has room for all runs.
                unsafe {
                    let here = tile.add(i * self.length + at);
                    V::load(self.start.add(run + at)).store(here);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn put_back<V: Lanes<T>>(&self, tile: *mut T, scale: V) {
        for (i, run) in self.runs.iter().enumerate() {
            for at in (0..self.length).step_by(T::LANES) {
                // SAFETY: as above.
                unsafe {
                    let here = V::load(tile.add(i * self.length + at));
                    here.mul(scale).store(self.start.add(run + at));
                }
            }
        }
    }
}

impl<T: Real> Work<T> for TileWork<'_, T> {
    #[inline(always)]
    fn run<V: Lanes<T>>(self) {
        let cells = (1usize << self.pass.local.len()) / T::LANES;
        let scale = V::splat(self.pass.scale);
        // SAFETY: the caller says that the places are the tile's and nobody else's; the tile has that many
        // cells, and the pass was compiled for it.
        unsafe {
            if let Some(copy) = &self.copy {
                copy.fetch::<V>(self.tile);
            }
            for op in &self.pass.ops {
                once::<T, V>(op, self.tile, cells, self.outer);
            }
            if let Some(copy) = &self.copy {
                copy.put_back::<V>(self.tile, scale);
            } else if self.pass.scale != T::of(1.0) {
                for at in (0..2 * cells * T::LANES).step_by(T::LANES) {
                    let here = self.tile.add(at);
                    V::load(here).mul(scale).store(here);
                }
            }
        }
    }
}

/// One operation on so many cells.
#[inline(always)]
unsafe fn once<T: Real, V: Lanes<T>>(op: &TileOp<T>, tile: *mut T, cells: usize, outer: u64) {
    // SAFETY: handed on from the caller.
    unsafe {
        match op {
            TileOp::Turns(turns) => rotate::<T, V>(turns, tile, cells),
            TileOp::Combine(c) if c.outer & outer == c.outer => combine::<T, V>(c, tile, cells),
            TileOp::Many {
                on,
                controls,
                outer: wanted,
                matrix,
            } if wanted & outer == *wanted => {
                let tile = std::slice::from_raw_parts_mut(tile, cells * 2 * T::LANES);
                many(tile, on, *controls, matrix);
            }
            TileOp::Phases(p) => phases::<T, V>(p, tile, outer),
            _ => {}
        }
    }
}

#[inline(always)]
unsafe fn combine<T: Real, V: Lanes<T>>(c: &Combine<T>, tile: *mut T, cells: usize) {
    // SAFETY: handed on from the caller.
    unsafe {
        match (c.cells.len(), c.exchanges.len(), c.real) {
            (1, 1, false) => sweep::<T, V, 2, 1, false>(c, tile, cells),
            (1, 1, true) => sweep::<T, V, 2, 1, true>(c, tile, cells),
            (0, 2, false) => sweep::<T, V, 1, 2, false>(c, tile, cells),
            (0, 2, true) => sweep::<T, V, 1, 2, true>(c, tile, cells),
            (2, 1, false) => sweep::<T, V, 4, 1, false>(c, tile, cells),
            (2, 1, true) => sweep::<T, V, 4, 1, true>(c, tile, cells),
            (1, 2, false) => sweep::<T, V, 2, 2, false>(c, tile, cells),
            (1, 2, true) => sweep::<T, V, 2, 2, true>(c, tile, cells),
            (0, 4, false) => sweep::<T, V, 1, 4, false>(c, tile, cells),
            _ => sweep::<T, V, 1, 4, true>(c, tile, cells),
        }
    }
}

/// Runs of cell numbers whose bits in `fixed` are those in `ones`: the first of each run. A loop and no
/// closure: a closure would be compiled without the wide instructions.
pub struct Runs {
    cells: usize,
    fixed: usize,
    /// How many cells each has.
    pub run: usize,
    at: usize,
}

impl Runs {
    #[inline(always)]
    pub fn new(cells: usize, fixed: usize) -> Self {
        let run = if fixed == 0 {
            cells
        } else {
            1 << fixed.trailing_zeros()
        };
        Self {
            cells,
            fixed,
            run,
            at: 0,
        }
    }

    #[inline(always)]
    pub fn next(&mut self) -> Option<usize> {
        let at = self.at;
        if at >= self.cells {
            return None;
        }
        // Counting in the bits that are not fixed: the carry runs over the others.
        self.at = ((at | self.fixed | (self.run - 1)) + 1) & !self.fixed;
        Some(at)
    }
}

/// Where each cell of a group is from its first, and all bits of the cell number that make the difference.
#[inline(always)]
pub fn offsets<const C: usize>(cells: &[u32], stride: usize) -> ([usize; C], usize) {
    let mut offsets = [0usize; C];
    let mut bits = 0;
    for (i, &bit) in cells.iter().enumerate() {
        bits |= 1 << bit;
        for (o, offset) in offsets.iter_mut().enumerate() {
            if o >> i & 1 == 1 {
                *offset |= (1 << bit) * stride;
            }
        }
    }
    (offsets, bits)
}

#[inline(always)]
unsafe fn sweep<T: Real, V: Lanes<T>, const C: usize, const S: usize, const REAL: bool>(
    c: &Combine<T>,
    tile: *mut T,
    cells: usize,
) {
    let stride = 2 * T::LANES;
    let (offsets, bits) = offsets::<C>(&c.cells, stride);
    let fixed = bits | c.controls;
    let mut masks = [0usize; S];
    masks.copy_from_slice(&c.exchanges[..S]);
    let k = c.coefficients.as_ptr();
    let mut runs = Runs::new(cells, fixed);
    while let Some(at) = runs.next() {
        let first = at | c.controls;
        for cell in first..first + runs.run {
            // SAFETY: the run plus the offsets are cells of the tile; there are C * C * S
            // coefficients of two vectors each.
            unsafe {
                let base = tile.add(cell * stride);
                let mut re = [[V::splat(T::default()); S]; C];
                let mut im = [[V::splat(T::default()); S]; C];
                for i in 0..C {
                    let x = V::load(base.add(offsets[i]));
                    let y = V::load(base.add(offsets[i] + T::LANES));
                    for s in 0..S {
                        re[i][s] = if s == 0 { x } else { x.exchanged(masks[s]) };
                        im[i][s] = if s == 0 { y } else { y.exchanged(masks[s]) };
                    }
                }
                for (o, &offset) in offsets.iter().enumerate() {
                    let mut sum_re = V::splat(T::default());
                    let mut sum_im = V::splat(T::default());
                    for i in 0..C {
                        for s in 0..S {
                            let at = k.add(((o * C + i) * S + s) * stride);
                            let a = V::load(at);
                            let (x, y) = (re[i][s], im[i][s]);
                            if i == 0 && s == 0 {
                                sum_re = a.mul(x);
                                sum_im = a.mul(y);
                            } else {
                                sum_re = a.mul_add(x, sum_re);
                                sum_im = a.mul_add(y, sum_im);
                            }
                            if !REAL {
                                let b = V::load(at.add(T::LANES));
                                sum_re = b.neg_mul_add(y, sum_re);
                                sum_im = b.mul_add(x, sum_im);
                            }
                        }
                    }
                    sum_re.store(base.add(offset));
                    sum_im.store(base.add(offset + T::LANES));
                }
            }
        }
    }
}

/// Multiplies `count` cells from `first` on by phases that `factor` gives for each.
#[inline(always)]
unsafe fn turn<T: Real, V: Lanes<T>>(cell: *mut T, re: V, im: V) {
    // SAFETY: the caller hands over a cell.
    unsafe {
        let old = (V::load(cell), V::load(cell.add(T::LANES)));
        let (x, y) = times::<T, V>((re, im), old);
        x.store(cell);
        y.store(cell.add(T::LANES));
    }
}

#[inline(always)]
unsafe fn phases<T: Real, V: Lanes<T>>(p: &Phases<T>, tile: *mut T, outer: u64) {
    let stride = 2 * T::LANES;
    let [row_bits, middle_bits, lane_bits] = p.shape;
    for single in p.singles.iter().filter(|s| s.outer & outer == s.outer) {
        // SAFETY: handed on from the caller.
        unsafe { turn_all::<T, V>(single, tile, 1 << (row_bits + middle_bits)) };
    }
    if p.linear.is_empty() && p.table.is_empty() {
        return;
    }
    // SAFETY: the rows' cells are in the tile; the table has a cell for each of a row.
    unsafe {
        if p.linear.is_empty() {
            for row in 0..1usize << row_bits {
                let base = tile.add((row * stride) << middle_bits);
                for i in 0..1usize << middle_bits {
                    let at = p.table.as_ptr().add(i * stride);
                    let (re, im) = (V::load(at), V::load(at.add(T::LANES)));
                    turn::<T, V>(base.add(i * stride), re, im);
                }
            }
            return;
        }
        let rows = p.rows(outer);
        let columns = (middle_bits + lane_bits + 1) as usize;
        for (row, factors) in rows.chunks(columns).enumerate() {
            if p.table.is_empty() && factors.iter().all(|f| *f == C64::ONE) {
                continue;
            }
            let base = tile.add((row * stride) << middle_bits);
            turn_row::<T, V>(&p.table, base, p.shape, factors);
        }
    }
}

/// Multiplies a row of cells by the phases that its bits have.
#[inline(always)]
unsafe fn turn_row<T: Real, V: Lanes<T>>(
    table: &[T],
    row: *mut T,
    [_, middle_bits, lane_bits]: [u32; 3],
    factors: &[C64],
) {
    let stride = 2 * T::LANES;
    let mut lanes = [C64::ONE; 16];
    lanes[0] = factors[0];
    for bit in 0..lane_bits as usize {
        for i in 0..1 << bit {
            lanes[i | 1 << bit] = lanes[i] * factors[1 + bit];
        }
    }
    let (near, far) = factors[1 + lane_bits as usize..].split_at(2.min(middle_bits as usize));
    let lanes: Vec<T> = vectors(&lanes[..T::LANES]);
    // SAFETY: the row has that many cells; so has the table, if it has any.
    unsafe {
        let first = (
            V::load(lanes.as_ptr()),
            V::load(lanes.as_ptr().add(T::LANES)),
        );
        // The phases of every fourth cell; each bit doubles them.
        let mut fourths = [first; 1 << (MIDDLE - 2)];
        for (bit, factor) in far.iter().enumerate() {
            let step = (V::splat(T::of(factor.re)), V::splat(T::of(factor.im)));
            for i in 0..1 << bit {
                fourths[i | 1 << bit] = times::<T, V>(fourths[i], step);
            }
        }
        let mut steps = [first; 2];
        for (step, factor) in steps.iter_mut().zip(near) {
            *step = (V::splat(T::of(factor.re)), V::splat(T::of(factor.im)));
        }
        let group = 1usize << near.len();
        for (i, &phase) in fourths.iter().take(1 << far.len()).enumerate() {
            let second = times::<T, V>(phase, steps[0]);
            let third = times::<T, V>(phase, steps[1]);
            let phases = [phase, second, third, times::<T, V>(third, steps[0])];
            for (cell, &phase) in phases.iter().take(group).enumerate() {
                let at = (i * group + cell) * stride;
                let mut phase = phase;
                if !table.is_empty() {
                    let factor = table.as_ptr().add(at);
                    phase = times::<T, V>(phase, (V::load(factor), V::load(factor.add(T::LANES))));
                }
                turn::<T, V>(row.add(at), phase.0, phase.1);
            }
        }
    }
}

#[inline(always)]
unsafe fn turn_all<T: Real, V: Lanes<T>>(single: &Single<T>, tile: *mut T, cells: usize) {
    let stride = 2 * T::LANES;
    let mut runs = Runs::new(cells, single.cells);
    while let Some(at) = runs.next() {
        let first = at | single.cells;
        for cell in first..first + runs.run {
            // SAFETY: the cells are in the tile, the lanes are two vectors.
            unsafe {
                let at = single.lanes.as_ptr();
                turn::<T, V>(
                    tile.add(cell * stride),
                    V::load(at),
                    V::load(at.add(T::LANES)),
                );
            }
        }
    }
}

/// A matrix on any positions of the index, one group of amplitudes after the other.
fn many<T: Real>(tile: &mut [T], on: &[u32], controls: usize, matrix: &[[T; 2]]) {
    let shift = T::LANES.trailing_zeros();
    let place = |i: usize| ((i >> shift) << (shift + 1)) + (i & (T::LANES - 1));
    let size = 1usize << on.len();
    let mixed = on.iter().fold(0usize, |m, q| m | 1 << q);
    let spread: Vec<usize> = (0..size)
        .map(|x| {
            on.iter()
                .enumerate()
                .fold(0, |m, (i, q)| m | ((x >> i & 1) << q))
        })
        .collect();
    let mut old = vec![[0.0f64; 2]; size];
    for base in (0..tile.len() / 2).filter(|i| i & mixed == 0 && i & controls == controls) {
        for (value, offset) in old.iter_mut().zip(&spread) {
            let at = place(base | offset);
            *value = [tile[at].into(), tile[at + T::LANES].into()];
        }
        for (row, offset) in spread.iter().enumerate() {
            let mut sum = C64::ZERO;
            for (column, value) in old.iter().enumerate() {
                let [re, im] = matrix[row * size + column];
                sum += C64::new(re.into(), im.into()) * C64::new(value[0], value[1]);
            }
            let at = place(base | offset);
            tile[at] = T::of(sum.re);
            tile[at + T::LANES] = T::of(sum.im);
        }
    }
}
