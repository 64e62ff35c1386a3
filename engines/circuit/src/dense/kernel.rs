//! What happens to a tile, in vectors. Pointers stay within the tile that the caller hands over:
//! every offset is below its number of cells, by construction of the pass.

#![allow(unsafe_code)]

use super::lanes::{Lanes, Real, Work};
use super::pass::{Combine, Pass, TileOp};
use super::phases::{Phases, Single, vectors};
use crate::C64;

/// All operations of a pass on one tile.
pub struct TileWork<'a, T> {
    pub pass: &'a Pass<T>,
    /// The tile: cells of one vector of real and one of imaginary parts.
    pub tile: *mut T,
    /// The wires outside that are 1.
    pub outer: u64,
}

impl<T: Real> Work<T> for TileWork<'_, T> {
    #[inline(always)]
    fn run<V: Lanes<T>>(self) {
        let cells = (1usize << self.pass.local.len()) / T::LANES;
        let mut rows = Vec::new();
        for op in &self.pass.ops {
            match op {
                // SAFETY: the tile has that many cells, and the pass was compiled for it.
                TileOp::Combine(c) if c.outer & self.outer == c.outer => unsafe {
                    combine::<T, V>(c, self.tile, cells);
                },
                TileOp::Many {
                    on,
                    controls,
                    outer,
                    matrix,
                } if outer & self.outer == *outer => {
                    // SAFETY: as above.
                    let tile =
                        unsafe { std::slice::from_raw_parts_mut(self.tile, cells * 2 * T::LANES) };
                    many(tile, on, *controls, matrix);
                }
                TileOp::Phases(p) => {
                    // SAFETY: as above.
                    unsafe { phases::<T, V>(p, self.tile, self.outer, &mut rows) };
                }
                _ => {}
            }
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
struct Runs {
    cells: usize,
    fixed: usize,
    run: usize,
    at: usize,
}

impl Runs {
    #[inline(always)]
    fn new(cells: usize, fixed: usize) -> Self {
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
    fn next(&mut self) -> Option<usize> {
        let at = self.at;
        if at >= self.cells {
            return None;
        }
        // Counting in the bits that are not fixed: the carry runs over the others.
        self.at = ((at | self.fixed | (self.run - 1)) + 1) & !self.fixed;
        Some(at)
    }
}

#[inline(always)]
unsafe fn sweep<T: Real, V: Lanes<T>, const C: usize, const S: usize, const REAL: bool>(
    c: &Combine<T>,
    tile: *mut T,
    cells: usize,
) {
    let stride = 2 * T::LANES;
    let mut offsets = [0usize; C];
    let mut fixed = c.controls;
    for (i, &bit) in c.cells.iter().enumerate() {
        fixed |= 1 << bit;
        for (o, offset) in offsets.iter_mut().enumerate() {
            if o >> i & 1 == 1 {
                *offset |= (1 << bit) * stride;
            }
        }
    }
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
        let (x, y) = (V::load(cell), V::load(cell.add(T::LANES)));
        let new_x = im.neg_mul_add(y, re.mul(x));
        let new_y = im.mul_add(x, re.mul(y));
        new_x.store(cell);
        new_y.store(cell.add(T::LANES));
    }
}

#[inline(always)]
unsafe fn phases<T: Real, V: Lanes<T>>(
    p: &Phases<T>,
    tile: *mut T,
    outer: u64,
    rows: &mut Vec<C64>,
) {
    let stride = 2 * T::LANES;
    let [row_bits, middle_bits, lane_bits] = p.shape;
    for single in p.singles.iter().filter(|s| s.outer & outer == s.outer) {
        // SAFETY: handed on from the caller.
        unsafe { turn_all::<T, V>(single, tile, 1 << (row_bits + middle_bits)) };
    }
    if p.linear.is_empty() && p.table.is_empty() {
        return;
    }
    p.rows(outer, rows);
    let columns = (middle_bits + lane_bits + 1) as usize;
    let cells = 1usize << middle_bits;
    let mut middle = vec![C64::ONE; cells];
    for (row, factors) in rows.chunks(columns).enumerate() {
        if p.table.is_empty() && factors.iter().all(|f| *f == C64::ONE) {
            continue;
        }
        let mut lanes = [C64::ONE; 16];
        lanes[0] = factors[0];
        for bit in 0..lane_bits as usize {
            for i in 0..1 << bit {
                lanes[i | 1 << bit] = lanes[i] * factors[1 + bit];
            }
        }
        for bit in 0..middle_bits as usize {
            for i in 0..1 << bit {
                middle[i | 1 << bit] = middle[i] * factors[1 + lane_bits as usize + bit];
            }
        }
        let lanes: Vec<T> = vectors(&lanes[..T::LANES]);
        // SAFETY: the row's cells are in the tile; the table has a cell for each of them.
        unsafe {
            let (lane_re, lane_im) = (
                V::load(lanes.as_ptr()),
                V::load(lanes.as_ptr().add(T::LANES)),
            );
            let base = tile.add(row * cells * stride);
            for (i, m) in middle.iter().enumerate() {
                let (a, b) = (V::splat(T::of(m.re)), V::splat(T::of(m.im)));
                let mut re = b.neg_mul_add(lane_im, a.mul(lane_re));
                let mut im = b.mul_add(lane_re, a.mul(lane_im));
                if !p.table.is_empty() {
                    let at = p.table.as_ptr().add(i * stride);
                    let (x, y) = (V::load(at), V::load(at.add(T::LANES)));
                    (re, im) = (im.neg_mul_add(y, re.mul(x)), im.mul_add(x, re.mul(y)));
                }
                turn::<T, V>(base.add(i * stride), re, im);
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
