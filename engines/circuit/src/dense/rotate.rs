//! Rotations with phases between them, in vectors. Pointers stay within the tile that the caller hands
//! over: every offset is below its number of cells, by construction of the pass.

#![allow(unsafe_code)]

use super::kernel::{Runs, offsets};
use super::lanes::{Lanes, Real, times};
use super::turns::{Factors, Turns};

/// Does one sweep over a tile of so many cells.
///
/// # Safety
/// The tile has that many cells, and the sweep was made for it.
#[inline(always)]
pub unsafe fn rotate<T: Real, V: Lanes<T>>(turns: &Turns<T>, tile: *mut T, cells: usize) {
    // SAFETY: handed on from the caller.
    unsafe {
        match turns.cells.len() {
            0 => sweep::<T, V, 1>(turns, tile, cells),
            1 => sweep::<T, V, 2>(turns, tile, cells),
            2 => sweep::<T, V, 4>(turns, tile, cells),
            _ => sweep::<T, V, 8>(turns, tile, cells),
        }
    }
}

#[inline(always)]
unsafe fn sweep<T: Real, V: Lanes<T>, const C: usize>(
    turns: &Turns<T>,
    tile: *mut T,
    cells: usize,
) {
    let stride = 2 * T::LANES;
    let (offsets, fixed) = offsets::<C>(&turns.cells, stride);
    let mut from = [0usize; C];
    for (i, from) in from.iter_mut().enumerate() {
        *from = offsets[i ^ turns.exchanged];
    }
    let tangent = |i: usize| V::splat(turns.tangents.get(i).copied().unwrap_or_default());
    let tangents = [tangent(0), tangent(1), tangent(2)];
    let phases = |i: usize| turns.phases.get(i).and_then(Option::as_ref);
    let phases = [phases(0), phases(1), phases(2), phases(3)];
    let mut runs = Runs::new(cells, fixed);
    while let Some(first) = runs.next() {
        for cell in first..first + runs.run {
            // SAFETY: the run plus the offsets are cells of the tile.
            unsafe {
                let base = tile.add(cell * stride);
                let mut re = [V::splat(T::default()); C];
                let mut im = [V::splat(T::default()); C];
                for i in 0..C {
                    re[i] = V::load(base.add(from[i]));
                    im[i] = V::load(base.add(from[i] + T::LANES));
                }
                multiply::<T, V, C>(phases[0], &mut re, &mut im);
                if C >= 2 {
                    turn::<T, V, C, 1>(tangents[0], &mut re, &mut im);
                    multiply::<T, V, C>(phases[1], &mut re, &mut im);
                }
                if C >= 4 {
                    turn::<T, V, C, 2>(tangents[1], &mut re, &mut im);
                    multiply::<T, V, C>(phases[2], &mut re, &mut im);
                }
                if C >= 8 {
                    turn::<T, V, C, 4>(tangents[2], &mut re, &mut im);
                    multiply::<T, V, C>(phases[3], &mut re, &mut im);
                }
                for lane in &turns.lanes {
                    let tangents = V::load(lane.tangents.as_ptr());
                    for i in 0..C {
                        let (x, y) = (re[i].exchanged(lane.mask), im[i].exchanged(lane.mask));
                        if lane.exchanged {
                            re[i] = tangents.mul_add(re[i], x);
                            im[i] = tangents.mul_add(im[i], y);
                        } else {
                            re[i] = tangents.mul_add(x, re[i]);
                            im[i] = tangents.mul_add(y, im[i]);
                        }
                    }
                    multiply::<T, V, C>(lane.then.as_ref(), &mut re, &mut im);
                }
                for i in 0..C {
                    re[i].store(base.add(offsets[i]));
                    im[i].store(base.add(offsets[i] + T::LANES));
                }
            }
        }
    }
}

/// `[[1, -tangent], [tangent, 1]]` on pairs of cells that are `STEP` apart.
#[inline(always)]
fn turn<T: Real, V: Lanes<T>, const C: usize, const STEP: usize>(
    tangent: V,
    re: &mut [V; C],
    im: &mut [V; C],
) {
    for i in 0..C {
        if i & STEP == 0 && i | STEP < C {
            let j = i | STEP;
            let (x, y) = (re[i], im[i]);
            re[i] = tangent.neg_mul_add(re[j], x);
            im[i] = tangent.neg_mul_add(im[j], y);
            re[j] = tangent.mul_add(x, re[j]);
            im[j] = tangent.mul_add(y, im[j]);
        }
    }
}

/// Multiplies cells by their factors, if there are any.
#[inline(always)]
unsafe fn multiply<T: Real, V: Lanes<T>, const C: usize>(
    factors: Option<&Factors<T>>,
    re: &mut [V; C],
    im: &mut [V; C],
) {
    let Some(factors) = factors else { return };
    for i in 0..C {
        if factors.cells >> i & 1 == 1 {
            // SAFETY: there are two vectors for each cell.
            let (a, b) = unsafe {
                let at = factors.values.as_ptr().add(i * 2 * T::LANES);
                (V::load(at), V::load(at.add(T::LANES)))
            };
            (re[i], im[i]) = times::<T, V>((a, b), (re[i], im[i]));
        }
    }
}
