//! Products and factors of the matrices that a chain is made of, given row by row: by the real methods where
//! nothing has an imaginary part, else by the complex ones.

use super::decompose::{Columns, apart, columns, orthonormal, singular};
use super::eigen::eigenvectors;
use super::real::{self, Rows, product, product_transposed};
use crate::C64;

/// Squared singular values below this part of the whole are rounding.
const NOTHING: f64 = 1e-30;
/// Below this part of the largest, eigenvalues of a square are looked for again.
const SMALL: f64 = 1e-8;

/// Directions that are looked at for rounding, and the part of the whole that is rounding after some gates.
const FEW: usize = 4;
const ROUNDED: f64 = 1e-27;

/// A matrix as an isometry and what is left.
pub struct Factors {
    /// The isometry.
    pub basis: Vec<C64>,
    /// How many columns (or rows) it has.
    pub inner: usize,
    /// The rest.
    pub rest: Vec<C64>,
    /// The part of the squared norm that was cut off.
    pub lost: f64,
}

fn real_rows(cells: &[C64], rows: usize, width: usize) -> Option<Rows> {
    if cells.iter().any(|c| c.im != 0.0) {
        return None;
    }
    let mut out = Rows::new(rows, width);
    for (i, from) in cells.chunks_exact(width).enumerate() {
        let to = out.row_mut(i).iter_mut();
        to.zip(from).for_each(|(t, c)| *t = c.re);
    }
    Some(out)
}

fn complex(rows: &Rows) -> Vec<C64> {
    let cells = (0..rows.count).flat_map(|i| rows.row(i));
    cells.map(|&x| C64::new(x, 0.0)).collect()
}

/// The conjugate transpose of a matrix.
pub fn adjoint(cells: &[C64], rows: usize, width: usize) -> Vec<C64> {
    (0..width)
        .flat_map(|c| (0..rows).map(move |r| cells[r * width + c].conj()))
        .collect()
}

/// The product of two matrices.
pub fn multiply(a: &[C64], rows: usize, inner: usize, b: &[C64], width: usize) -> Vec<C64> {
    if rows.min(inner).min(width) > 1
        && let (Some(a), Some(b)) = (real_rows(a, rows, inner), real_rows(b, inner, width))
    {
        return complex(&product(&a, &b));
    }
    let mut out = vec![C64::ZERO; rows * width];
    for row in 0..rows {
        let target = &mut out[row * width..(row + 1) * width];
        for k in 0..inner {
            let factor = a[row * inner + k];
            for (t, x) in target.iter_mut().zip(&b[k * width..(k + 1) * width]) {
                *t += factor * x;
            }
        }
    }
    out
}

/// `basis * rest`, the columns of the basis orthonormal.
pub fn left(cells: &[C64], rows: usize, width: usize) -> Factors {
    match real_rows(cells, rows, width) {
        Some(matrix) => left_real(&matrix, &real::orthonormal(&matrix.transposed()), 0.0),
        None => {
            let matrix = columns(cells, rows, width);
            left_complex(&matrix, &orthonormal(&matrix), rows, 0.0)
        }
    }
}

fn left_real(matrix: &Rows, basis: &Rows, lost: f64) -> Factors {
    Factors {
        inner: basis.count,
        rest: complex(&product(basis, matrix)),
        basis: complex(&basis.transposed()),
        lost,
    }
}

fn left_complex(matrix: &Columns, basis: &Columns, rows: usize, lost: f64) -> Factors {
    let inner = basis.len();
    let mut cells = vec![C64::ZERO; rows * inner];
    for (c, column) in basis.iter().enumerate() {
        for (r, &x) in column.iter().enumerate() {
            cells[r * inner + c] = x;
        }
    }
    Factors {
        basis: cells,
        inner,
        rest: project(basis, matrix),
        lost,
    }
}

/// `rest * basis`, the rows of the basis orthonormal.
pub fn right(cells: &[C64], rows: usize, width: usize) -> Factors {
    if let Some(matrix) = real_rows(cells, rows, width) {
        let basis = real::orthonormal(&matrix);
        return Factors {
            inner: basis.count,
            rest: complex(&product_transposed(&matrix, &basis)),
            basis: complex(&basis),
            lost: 0.0,
        };
    }
    // Mirrored: the conjugated rows are columns.
    let mirrored: Columns = cells
        .chunks(width)
        .map(|row| row.iter().map(C64::conj).collect())
        .collect();
    let basis = orthonormal(&mirrored);
    let inner = basis.len();
    let mut rest = vec![C64::ZERO; rows * inner];
    for (l, row) in cells.chunks(width).enumerate() {
        for (i, q) in basis.iter().enumerate() {
            rest[l * inner + i] = row.iter().zip(q).map(|(a, b)| a * b).sum();
        }
    }
    Factors {
        basis: basis.iter().flatten().map(C64::conj).collect(),
        inner,
        rest,
        lost: 0.0,
    }
}

/// As [`left`], with at most `most` columns: those that lose least. `likely` says that something must
/// probably be cut off.
pub fn cut(cells: &[C64], rows: usize, width: usize, most: usize, likely: bool) -> Factors {
    if let Some(matrix) = real_rows(cells, rows, width) {
        if likely && matrix.count.min(matrix.len) > most {
            return cut_real(&matrix, most);
        }
        let basis = real::orthonormal(&matrix.transposed());
        if basis.count <= most {
            return left_real(&matrix, &basis, 0.0);
        }
        return cut_real(&matrix, most);
    }
    let matrix = columns(cells, rows, width);
    if !likely || rows.min(width) <= most {
        let basis = orthonormal(&matrix);
        if basis.len() <= most {
            return left_complex(&matrix, &basis, rows, 0.0);
        }
    }
    if let Some((basis, lost)) = cut_complex(cells, rows, width, most) {
        return left_complex(&matrix, &basis, rows, lost);
    }
    let parts = singular(&matrix);
    let values: Vec<f64> = parts.iter().map(|p| p.0).collect();
    let (keep, lost) = kept(&values, most);
    let basis: Columns = parts.into_iter().take(keep).map(|p| p.1).collect();
    left_complex(&matrix, &basis, rows, lost)
}

/// How many singular values (squared, the largest first) to keep, and the part of the whole that is lost.
fn kept(values: &[f64], most: usize) -> (usize, f64) {
    let total: f64 = values.iter().sum();
    let wanted = values.iter().take_while(|v| **v > NOTHING * total).count();
    let keep = wanted.clamp(1, most);
    let lost = values[keep..].iter().map(|v| v.max(0.0)).sum::<f64>() / total;
    (keep, if wanted > keep { lost } else { 0.0 })
}

/// Without the directions that rounding made, of a few: where a product stays a product, bonds of it would grow
/// and be dragged along. What goes is told as lost.
pub fn cleared(factors: Factors, rows: usize, width: usize) -> Factors {
    let inner = factors.inner;
    if !(2..=FEW).contains(&inner) || factors.lost > 0.0 {
        return factors;
    }
    let parts = singular(&columns(&factors.rest, inner, width));
    let total: f64 = parts.iter().map(|p| p.0).sum();
    let keep = parts.iter().take_while(|p| p.0 > ROUNDED * total).count();
    if keep == 0 || keep == inner {
        return factors;
    }
    let lost = parts.iter().skip(keep).map(|p| p.0).sum::<f64>() / total;
    let turned: Columns = parts.into_iter().take(keep).map(|p| p.1).collect();
    let turn = left_complex(&columns(&factors.rest, inner, width), &turned, inner, lost);
    Factors {
        basis: multiply(&factors.basis, rows, inner, &turn.basis, keep),
        ..turn
    }
}

/// By the eigenvectors of the matrix's square.
fn cut_real(matrix: &Rows, most: usize) -> Factors {
    let (values, basis) = graded(matrix);
    let (keep, lost) = kept(&values, most);
    left_real(matrix, &basis.part(0..keep), lost)
}

/// The same for a complex matrix, as a real one of twice the size, in which everything is there twice: the basis
/// and what is lost. Nothing where rounding leaves it open which vectors belong together.
fn cut_complex(cells: &[C64], rows: usize, width: usize, most: usize) -> Option<(Columns, f64)> {
    let mut matrix = Rows::new(2 * rows, 2 * width);
    for (r, row) in cells.chunks_exact(width).enumerate() {
        for (c, x) in row.iter().enumerate() {
            (matrix.row_mut(r)[c], matrix.row_mut(r)[width + c]) = (x.re, -x.im);
            let lower = matrix.row_mut(rows + r);
            (lower[c], lower[width + c]) = (x.im, x.re);
        }
    }
    let (values, vectors) = graded(&matrix);
    let once: Vec<f64> = values.iter().copied().step_by(2).collect();
    let (keep, lost) = kept(&once, most);
    let mut basis: Columns = Vec::with_capacity(keep);
    for i in 0..vectors.count {
        if basis.len() == keep {
            break;
        }
        let (re, im) = vectors.row(i).split_at(rows);
        let parts = re.iter().zip(im);
        let found = parts.map(|(&re, &im)| C64::new(re, im)).collect();
        basis.extend(apart(found, &basis));
    }
    (basis.len() == keep).then_some((basis, lost))
}

/// The eigenvectors of a matrix times its transpose, and the eigenvalues, the largest first. Rounding hides
/// eigenvalues below 1e-16 of the largest, so those below 1e-8 are looked for again by themselves, and so on.
fn graded(matrix: &Rows) -> (Vec<f64>, Rows) {
    let n = matrix.count;
    let (mut values, mut basis) = eigenvectors(product_transposed(matrix, matrix), n);
    let nothing = NOTHING * values.iter().sum::<f64>();
    let mut first = 0;
    loop {
        let top = values[first];
        let large = values[first..].partition_point(|&v| v > SMALL * top);
        first += large.max(1);
        if first >= n || top <= nothing {
            return (values, basis);
        }
        let rest = basis.part(first..n);
        let image = product(&rest, matrix);
        let (small, turned) = eigenvectors(product_transposed(&image, &image), n - first);
        values.truncate(first);
        values.extend(small);
        basis.replace(first, &product(&turned, &rest));
    }
}

/// `basis^dagger * matrix`, row by row.
pub fn project(basis: &Columns, matrix: &Columns) -> Vec<C64> {
    let mut out = Vec::with_capacity(basis.len() * matrix.len());
    for q in basis {
        for m in matrix {
            out.push(q.iter().zip(m).map(|(a, b)| a.conj() * b).sum());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::real::tests::random;
    use super::*;
    use crate::rng::Rng;

    /// A matrix with singular values 1, 1/4, 1/16, ... down to where squares have long been rounding.
    fn geometric(n: usize, rng: &mut Rng) -> Rows {
        let mut left = real::orthonormal(&random(n, n, rng));
        let right = real::orthonormal(&random(n, n, rng));
        for i in 0..n {
            let size = 0.25f64.powi(i as i32);
            left.row_mut(i).iter_mut().for_each(|x| *x *= size);
        }
        product(&left.transposed(), &right)
    }

    #[test]
    fn what_is_cut_off_is_the_smallest() {
        let mut rng = Rng::stream(9, 0);
        for (most, turned) in [2, 6, 11, 15, 18]
            .into_iter()
            .flat_map(|m| [(m, false), (m, true)])
        {
            let mut cells = complex(&geometric(24, &mut rng));
            if turned {
                // Phases of the rows and columns change no singular value.
                for (i, cell) in cells.iter_mut().enumerate() {
                    *cell *= C64::from_polar(1.0, ((i / 24) * (i / 24) + 3 * (i % 24)) as f64);
                }
            }
            for likely in [false, true] {
                let factors = cut(&cells, 24, 24, most, likely);
                assert_eq!(factors.inner, most);
                // The geometric series from `most` on, and its beginning.
                let wanted = 0.0625f64.powi(most as i32);
                assert!(
                    (factors.lost / wanted - 1.0).abs() < 1e-3,
                    "{most}: {} {wanted}",
                    factors.lost
                );
                let back = multiply(&factors.basis, 24, most, &factors.rest, 24);
                let off: f64 = back
                    .iter()
                    .zip(&cells)
                    .map(|(a, b)| (a - b).norm_sqr())
                    .sum();
                let wanted = wanted / (1.0 - 0.0625);
                assert!((off / wanted - 1.0).abs() < 1e-3, "{most}: {off} {wanted}");
            }
        }
    }

    #[test]
    fn complex_and_real_factors_are_the_same_up_to_phases() {
        let mut rng = Rng::stream(9, 1);
        for (rows, width) in [(8, 6), (6, 8), (10, 10)] {
            let real = complex(&random(rows, width, &mut rng));
            let turned: Vec<C64> = real.iter().map(|c| c * C64::new(0.6, 0.8)).collect();
            for most in [3, 20] {
                let (a, b) = (
                    cut(&real, rows, width, most, false),
                    cut(&turned, rows, width, most, false),
                );
                assert_eq!(a.inner, b.inner);
                assert!((a.lost - b.lost).abs() < 1e-12);
                let a = multiply(&a.basis, rows, a.inner, &a.rest, width);
                let b = multiply(&b.basis, rows, b.inner, &b.rest, width);
                for (a, b) in a.iter().zip(b) {
                    assert!((a * C64::new(0.6, 0.8) - b).norm() < 1e-12);
                }
            }
        }
    }
}
