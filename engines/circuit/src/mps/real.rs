//! Real matrices, where circuits have no imaginary parts: products and orthonormal rows, in vectors
//! of eight numbers that round alike on every processor.

#![allow(unsafe_code)]

use crate::dense::lanes::{Lanes, Real, Work};

/// Numbers in a vector.
pub const N: usize = 8;

/// Rows of numbers, each filled up with zeros to whole vectors.
#[derive(Debug, Clone)]
pub struct Rows {
    pub count: usize,
    pub len: usize,
    pub(super) stride: usize,
    pub(super) data: Vec<f64>,
}

impl Rows {
    /// Zeros.
    pub fn new(count: usize, len: usize) -> Self {
        let stride = len.next_multiple_of(N).max(N);
        Self {
            count,
            len,
            stride,
            data: vec![0.0; count * stride],
        }
    }

    /// A row.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.stride..][..self.len]
    }

    /// A row, to change.
    pub fn row_mut(&mut self, i: usize) -> &mut [f64] {
        &mut self.data[i * self.stride..][..self.len]
    }

    /// With its vectors' ends.
    pub(super) fn whole(&self, i: usize) -> &[f64] {
        &self.data[i * self.stride..][..self.stride]
    }

    /// Some of the rows.
    pub fn part(&self, which: std::ops::Range<usize>) -> Self {
        let data = self.data[which.start * self.stride..which.end * self.stride].to_vec();
        Self {
            count: which.len(),
            data,
            ..*self
        }
    }

    /// Other rows from one on.
    pub fn replace(&mut self, first: usize, by: &Self) {
        self.data[first * self.stride..][..by.data.len()].copy_from_slice(&by.data);
    }

    /// Rows to columns.
    pub fn transposed(&self) -> Self {
        let mut out = Self::new(self.len, self.count);
        for i in 0..self.count {
            for (j, &x) in self.row(i).iter().enumerate() {
                out.data[j * out.stride + i] = x;
            }
        }
        out
    }
}

/// Rows that a product goes through together.
const HEIGHT: usize = 8;

/// `c += sign * a b`.
struct Product<'a>(&'a Rows, &'a Rows, &'a mut Rows, f64);

impl Work<f64> for Product<'_> {
    #[inline(always)]
    fn run<V: Lanes<f64>>(self) {
        let Product(a, b, c, sign) = self;
        debug_assert!(a.len == b.count && c.count == a.count && c.stride == b.stride);
        let (vectors, stride) = (b.stride / N, b.stride);
        // Two vectors of every row of b, side by side where they are used often: rows of a power of two
        // share few lines of the cache.
        let packs = a.count > 2 * HEIGHT;
        let mut panel = vec![0.0; if packs { 2 * N * a.len } else { 0 }];
        for at in (0..vectors).step_by(2) {
            let width = (vectors - at).min(2);
            let second = if width == 2 { N } else { 0 };
            // SAFETY: vectors `at` and `at + width - 1` are in every row of b.
            let mut from = unsafe { b.data.as_ptr().add(at * N) };
            let (mut step, mut next) = (stride, second);
            if packs {
                for k in 0..a.len {
                    // SAFETY: as above; the panel has two vectors for each row.
                    unsafe {
                        let to = panel.as_mut_ptr().add(k * 2 * N);
                        V::load(from.add(k * stride)).store(to);
                        V::load(from.add(k * stride + second)).store(to.add(N));
                    }
                }
                (from, step, next) = (panel.as_ptr(), 2 * N, N);
            }
            for row in (0..a.count).step_by(HEIGHT) {
                let rows = (a.count - row).min(HEIGHT);
                let mut sums = [[V::splat(0.0); 2]; HEIGHT];
                for k in 0..a.len {
                    // SAFETY: as above; rows past the last are read as the first, and not written.
                    unsafe {
                        let from = from.add(k * step);
                        let (first, second) = (V::load(from), V::load(from.add(next)));
                        for (i, sums) in sums.iter_mut().enumerate() {
                            let i = row + if i < rows { i } else { 0 };
                            let x = V::splat(*a.data.as_ptr().add(i * a.stride + k));
                            sums[0] = x.mul_add(first, sums[0]);
                            sums[1] = x.mul_add(second, sums[1]);
                        }
                    }
                }
                for (i, sums) in sums.iter().enumerate().take(rows) {
                    for (j, sum) in sums.iter().enumerate().take(width) {
                        // SAFETY: `at + width` vectors are within a row of c, `row + rows` rows within c.
                        unsafe {
                            let to = c.data.as_mut_ptr().add((row + i) * stride + (at + j) * N);
                            V::splat(sign).mul_add(*sum, V::load(to)).store(to);
                        }
                    }
                }
            }
        }
    }
}

/// `c = a b^T`: inner products of rows.
struct Dots<'a>(&'a Rows, usize, &'a Rows, usize, &'a mut Rows);

impl Work<f64> for Dots<'_> {
    #[inline(always)]
    fn run<V: Lanes<f64>>(self) {
        let Dots(a, a_rows, b, b_rows, c) = self;
        debug_assert!(a.stride == b.stride && a_rows <= a.count && b_rows <= b.count);
        debug_assert!(c.count >= a_rows && c.len >= b_rows);
        let vectors = a.stride / N;
        for i in (0..a_rows).step_by(4) {
            for j in (0..b_rows).step_by(4) {
                let mut sums = [[V::splat(0.0); 4]; 4];
                for k in 0..vectors {
                    // SAFETY: rows past the last are read as the last; vectors are within rows.
                    unsafe {
                        let row = |m: &Rows, at: usize, most: usize| {
                            m.data.as_ptr().add(at.min(most - 1) * m.stride + k * N)
                        };
                        let mut y = [V::splat(0.0); 4];
                        for (q, y) in y.iter_mut().enumerate() {
                            *y = V::load(row(b, j + q, b_rows));
                        }
                        for (p, sums) in sums.iter_mut().enumerate() {
                            let x = V::load(row(a, i + p, a_rows));
                            for (sum, y) in sums.iter_mut().zip(y) {
                                *sum = x.mul_add(y, *sum);
                            }
                        }
                    }
                }
                for (p, sums) in sums.iter().enumerate().take(a_rows - i.min(a_rows)) {
                    for (q, sum) in sums.iter().enumerate().take(b_rows - j) {
                        c.row_mut(i + p)[j + q] = total(*sum);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn total<V: Lanes<f64>>(sum: V) -> f64 {
    let mut parts = [0.0; N];
    // SAFETY: the array has the length of a vector.
    unsafe { sum.store(parts.as_mut_ptr()) };
    ((parts[0] + parts[4]) + (parts[1] + parts[5]))
        + ((parts[2] + parts[6]) + (parts[3] + parts[7]))
}

/// The product of two matrices.
pub fn product(a: &Rows, b: &Rows) -> Rows {
    let mut c = Rows::new(a.count, b.len);
    f64::dispatch(Product(a, b, &mut c, 1.0));
    c
}

/// The product of a matrix and another's transpose.
pub fn product_transposed(a: &Rows, b: &Rows) -> Rows {
    let mut c = Rows::new(a.count, b.count);
    f64::dispatch(Dots(a, a.count, b, b.count, &mut c));
    c
}

struct Dot<'a>(&'a [f64], &'a [f64], &'a mut f64);

impl Work<f64> for Dot<'_> {
    #[inline(always)]
    fn run<V: Lanes<f64>>(self) {
        let mut sums = [V::splat(0.0); 2];
        for k in 0..self.0.len().min(self.1.len()) / N {
            // SAFETY: vector k is within both.
            unsafe {
                let (x, y) = (
                    V::load(self.0.as_ptr().add(k * N)),
                    V::load(self.1.as_ptr().add(k * N)),
                );
                sums[k & 1] = x.mul_add(y, sums[k & 1]);
            }
        }
        *self.2 = total(sums[0]) + total(sums[1]);
    }
}

/// The inner product of whole vectors.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sum = 0.0;
    f64::dispatch(Dot(a, b, &mut sum));
    sum
}

struct Axpy<'a>(f64, &'a [f64], &'a mut [f64]);

impl Work<f64> for Axpy<'_> {
    #[inline(always)]
    fn run<V: Lanes<f64>>(self) {
        let factor = V::splat(self.0);
        for k in 0..self.1.len().min(self.2.len()) / N {
            // SAFETY: vector k is within both.
            unsafe {
                let to = self.2.as_mut_ptr().add(k * N);
                factor
                    .mul_add(V::load(self.1.as_ptr().add(k * N)), V::load(to))
                    .store(to);
            }
        }
    }
}

/// `y += factor * x`, whole vectors.
pub(super) fn axpy(factor: f64, x: &[f64], y: &mut [f64]) {
    f64::dispatch(Axpy(factor, x, y));
}

/// Rows that are so small a part of what they were are rounding.
const DEPENDENT: f64 = 1e-28;
/// Below this part a row has lost so much that it is cleared of the others again.
const AGAIN: f64 = 1e-4;
/// Rows that are cleared of the basis together.
const BLOCK: usize = 8;

/// Orthonormal rows that span those of a matrix; none for what depends on those before.
pub fn orthonormal(matrix: &Rows) -> Rows {
    let most = matrix.count.min(matrix.len);
    let mut basis = Rows::new(most, matrix.len);
    let stride = basis.stride;
    let mut found = 0;
    for first in (0..matrix.count).step_by(BLOCK) {
        let rows = (matrix.count - first).min(BLOCK);
        let mut block = Rows::new(rows, matrix.len);
        for i in 0..rows {
            block.row_mut(i).copy_from_slice(matrix.row(first + i));
        }
        let before: Vec<f64> = (0..rows)
            .map(|i| dot(block.whole(i), block.whole(i)))
            .collect();
        if found > 0 {
            // Twice is enough.
            for _ in 0..2 {
                let mut along = Rows::new(rows, found);
                f64::dispatch(Dots(&block, rows, &basis, found, &mut along));
                let old = Rows {
                    count: found,
                    len: basis.len,
                    stride,
                    data: std::mem::take(&mut basis.data),
                };
                f64::dispatch(Product(&along, &old, &mut block, -1.0));
                basis.data = old.data;
            }
        }
        let mates = found;
        for (i, before) in before.into_iter().enumerate() {
            if found == most {
                break;
            }
            let row = &mut block.data[i * stride..(i + 1) * stride];
            for _ in 0..2 {
                clear(row, &basis, mates..found);
            }
            let mut left = dot(row, row);
            if left <= before * DEPENDENT || left <= f64::MIN_POSITIVE {
                continue;
            }
            if left < before * AGAIN {
                for _ in 0..2 {
                    let scale = 1.0 / left.sqrt();
                    row.iter_mut().for_each(|x| *x *= scale);
                    clear(row, &basis, 0..found);
                    left = dot(row, row);
                }
            }
            let scale = 1.0 / left.sqrt();
            let to = &mut basis.data[found * stride..(found + 1) * stride];
            to.iter_mut().zip(row).for_each(|(t, x)| *t = *x * scale);
            found += 1;
        }
    }
    basis.count = found;
    basis.data.truncate(found * stride);
    basis
}

/// Takes out what lies along some rows of the basis.
fn clear(row: &mut [f64], basis: &Rows, which: std::ops::Range<usize>) {
    for i in which {
        let along = dot(basis.whole(i), row);
        axpy(-along, basis.whole(i), row);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rng::Rng;

    pub fn random(count: usize, len: usize, rng: &mut Rng) -> Rows {
        let mut rows = Rows::new(count, len);
        for i in 0..count {
            rows.row_mut(i)
                .iter_mut()
                .for_each(|x| *x = rng.unit() - 0.5);
        }
        rows
    }

    #[test]
    fn products_are_those_of_the_definition() {
        let mut rng = Rng::stream(8, 0);
        for (m, k, n) in [(1, 1, 1), (3, 5, 7), (4, 8, 16), (9, 17, 25), (13, 2, 40)] {
            let (a, b) = (random(m, k, &mut rng), random(k, n, &mut rng));
            let (c, d) = (product(&a, &b), product_transposed(&a, &b.transposed()));
            for i in 0..m {
                for j in 0..n {
                    let wanted: f64 = (0..k).map(|l| a.row(i)[l] * b.row(l)[j]).sum();
                    assert!((c.row(i)[j] - wanted).abs() < 1e-13, "{m} {k} {n}");
                    assert!((d.row(i)[j] - wanted).abs() < 1e-13, "{m} {k} {n}");
                }
            }
        }
    }

    #[test]
    fn bases_are_orthonormal_and_of_the_right_size() {
        let mut rng = Rng::stream(8, 1);
        for (rows, inner, len) in [
            (1, 1, 1),
            (5, 5, 9),
            (20, 3, 30),
            (40, 17, 33),
            (24, 30, 16),
        ] {
            let matrix = product(
                &random(rows, inner, &mut rng),
                &random(inner, len, &mut rng),
            );
            let basis = orthonormal(&matrix);
            assert_eq!(
                basis.count,
                rows.min(inner).min(len),
                "{rows} {inner} {len}"
            );
            let square = product_transposed(&basis, &basis);
            let back = product(&product_transposed(&matrix, &basis), &basis);
            for i in 0..basis.count {
                for j in 0..basis.count {
                    let wanted = f64::from(u8::from(i == j));
                    assert!((square.row(i)[j] - wanted).abs() < 1e-13);
                }
            }
            for i in 0..rows {
                for (x, y) in back.row(i).iter().zip(matrix.row(i)) {
                    assert!((x - y).abs() < 1e-12, "{rows} {inner} {len}");
                }
            }
        }
    }
}
