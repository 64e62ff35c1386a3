//! Sums of outer products with as few terms as they need: a singular value decomposition whose only
//! errors are that each number of the result is rounded. Noise that has no structure grows when the
//! sum is the displacement of a matrix, so doubles alone would cost a digit.

use super::long::{Long, orthonormalise};

/// `sum of left[j] right[j]^T`, the largest first. The right ones are orthonormal, the left ones orthogonal.
#[derive(Debug, Clone)]
pub(super) struct Outer {
    pub(super) left: Vec<Vec<f64>>,
    pub(super) right: Vec<Vec<f64>>,
}

/// The singular value decomposition of `sum of left[j] right[j]^T`.
pub(super) fn decompose(left: Vec<Vec<f64>>, right: Vec<Vec<f64>>) -> Outer {
    let n = left.first().map_or(0, Vec::len);
    let mut basis: Vec<Long> = right.into_iter().map(Long::from).collect();
    let triangle = orthonormalise(&mut basis);
    // The sum is parts basis^T with parts = left triangle^T.
    let mut parts = vec![Long::zeros(n); basis.len()];
    for (left, row) in left.into_iter().map(Long::from).zip(&triangle) {
        for (part, by) in parts.iter_mut().zip(row) {
            part.add(*by, &left);
        }
    }
    // Rotations that make the parts orthogonal but for rounding, and the rotations orthogonal beyond that.
    let (_, mut core) = orthonormal(parts.iter().map(|part| part.high.clone()).collect());
    let turned = jacobi(&mut core);
    let mut order: Vec<usize> = (0..core.len()).collect();
    let size = |j: usize| dot(&core[j], &core[j]);
    order.sort_by(|a, b| size(*b).total_cmp(&size(*a)));
    let mut turned: Vec<Long> = order.iter().map(|j| turned[*j].clone().into()).collect();
    orthonormalise(&mut turned);
    let turn = |columns: &[Long]| {
        let rotated = turned.iter().map(|by| {
            let mut sum = Long::zeros(n);
            for (column, by) in columns.iter().zip(by.numbers()) {
                sum.add(by, column);
            }
            sum.high
        });
        rotated.collect()
    };
    Outer {
        left: turn(&parts),
        right: turn(&basis),
    }
}

/// An orthonormal basis of the columns and the triangle that gives them back, by columns (Gram and
/// Schmidt, each column twice). A column that adds nothing gets a zero vector.
fn orthonormal(columns: Vec<Vec<f64>>) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let count = columns.len();
    let (mut basis, mut triangle) = (Vec::<Vec<f64>>::with_capacity(count), Vec::new());
    for mut column in columns {
        let mut parts = vec![0.0; count];
        let before = dot(&column, &column).sqrt();
        for _ in 0..2 {
            for (vector, sum) in basis.iter().zip(&mut parts) {
                let part = dot(vector, &column);
                *sum += part;
                add(&mut column, -part, vector);
            }
        }
        let size = dot(&column, &column).sqrt();
        if size > 1e-18 * before {
            parts[basis.len()] = size;
            column.iter_mut().for_each(|x| *x /= size);
        } else {
            column.fill(0.0);
        }
        basis.push(column);
        triangle.push(parts);
    }
    (basis, triangle)
}

/// Turns the columns until they are orthogonal; gives the product of the rotations, by columns.
fn jacobi(columns: &mut [Vec<f64>]) -> Vec<Vec<f64>> {
    let count = columns.len();
    let mut turned: Vec<Vec<f64>> = (0..count)
        .map(|j| (0..count).map(|i| f64::from(u8::from(i == j))).collect())
        .collect();
    for _ in 0..SWEEPS {
        let mut still = true;
        for i in 0..count {
            for j in i + 1..count {
                let (a, b) = (dot(&columns[i], &columns[i]), dot(&columns[j], &columns[j]));
                let both = dot(&columns[i], &columns[j]);
                if both.abs() <= 1e-16 * (a * b).sqrt() {
                    continue;
                }
                still = false;
                let zeta = (b - a) / (2.0 * both);
                let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let cosine = tangent.hypot(1.0).recip();
                rotate(columns, i, j, cosine, tangent * cosine);
                rotate(&mut turned, i, j, cosine, tangent * cosine);
            }
        }
        if still {
            break;
        }
    }
    turned
}

/// More than the rotations take; they converge quadratically.
const SWEEPS: usize = 40;

fn rotate(columns: &mut [Vec<f64>], i: usize, j: usize, cosine: f64, sine: f64) {
    let (head, tail) = columns.split_at_mut(j);
    for (x, y) in head[i].iter_mut().zip(&mut tail[0]) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

fn add(to: &mut [f64], by: f64, what: &[f64]) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += by * what;
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of slow waves: their outer products need fewer terms than they are.
    fn waves(count: usize, n: usize, by: f64) -> Vec<Vec<f64>> {
        let wave = |j: usize| (0..n).map(move |t| (by * (j % 5 + 1) as f64 * t as f64).sin());
        (0..count).map(|j| wave(j).collect()).collect()
    }

    #[test]
    fn the_sum_stays_and_needs_no_more_terms_than_its_rank() {
        for (count, n) in [(1, 1), (3, 8), (8, 40), (12, 33)] {
            let (left, right) = (waves(count, n, 0.3), waves(count, n, 0.7));
            let outer = decompose(left.clone(), right.clone());
            let entry = |l: &[Vec<f64>], r: &[Vec<f64>], i: usize, k: usize| -> f64 {
                l.iter().zip(r).map(|(l, r)| l[i] * r[k]).sum()
            };
            for i in 0..n {
                for k in 0..n {
                    let apart = entry(&left, &right, i, k) - entry(&outer.left, &outer.right, i, k);
                    assert!(apart.abs() < 1e-13, "{count} {n}: {apart:e}");
                }
            }
            let sizes: Vec<f64> = outer.left.iter().map(|x| dot(x, x).sqrt()).collect();
            let rank = count.min(5);
            assert!(
                sizes[..rank].is_sorted_by(|a, b| a >= b),
                "{count} {n}: {sizes:?}"
            );
            assert!(
                sizes.iter().skip(rank).all(|size| *size < 1e-13),
                "{sizes:?}"
            );
            for (i, a) in outer.left.iter().enumerate() {
                for b in &outer.left[i + 1..] {
                    assert!(dot(a, b).abs() < 1e-13 * sizes[0] * sizes[0]);
                }
            }
        }
    }
}
