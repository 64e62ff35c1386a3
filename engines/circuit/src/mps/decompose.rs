//! Orthogonal factors of complex matrices: by Gram and Schmidt, and by Jacobi rotations where the
//! singular values matter. Matrices are kept column by column.

use crate::C64;

/// The part of a unit vector that is a direction of its own, squared, and no rounding.
const APART: f64 = 1e-6;

/// A matrix by its columns.
pub type Columns = Vec<Vec<C64>>;

/// The columns of a matrix that is given row by row.
pub fn columns(cells: &[C64], rows: usize, width: usize) -> Columns {
    (0..width)
        .map(|c| (0..rows).map(|r| cells[r * width + c]).collect())
        .collect()
}

fn dot(a: &[C64], b: &[C64]) -> C64 {
    let (mut re, mut im) = ([0.0; 4], [0.0; 4]);
    for (x, y) in a.chunks(4).zip(b.chunks(4)) {
        for (i, (x, y)) in x.iter().zip(y).enumerate() {
            re[i] += x.re * y.re + x.im * y.im;
            im[i] += x.re * y.im - x.im * y.re;
        }
    }
    C64::new(re.iter().sum(), im.iter().sum())
}

fn norm(a: &[C64]) -> f64 {
    a.iter().map(C64::norm_sqr).sum()
}

/// Orthonormal columns that span those of a matrix; none for what depends on the others.
pub fn orthonormal(matrix: &Columns) -> Columns {
    let mut basis: Columns = Vec::new();
    for column in matrix {
        let before = norm(column);
        let mut rest = column.clone();
        // Twice is enough.
        for _ in 0..2 {
            for q in &basis {
                let along = dot(q, &rest);
                rest.iter_mut().zip(q).for_each(|(r, q)| *r -= along * q);
            }
        }
        let left = norm(&rest);
        if left > before * 1e-30 && left > 0.0 {
            let scale = 1.0 / left.sqrt();
            rest.iter_mut().for_each(|r| *r *= scale);
            basis.push(rest);
        }
    }
    basis
}

/// A unit vector without what lies along a basis, made a unit vector again; nothing where hardly anything is left.
pub fn apart(mut vector: Vec<C64>, basis: &Columns) -> Option<Vec<C64>> {
    // Twice is enough.
    for _ in 0..2 {
        for q in basis {
            let along = dot(q, &vector);
            vector.iter_mut().zip(q).for_each(|(v, q)| *v -= along * q);
        }
        let left = norm(&vector);
        if left < APART {
            return None;
        }
        let scale = 1.0 / left.sqrt();
        vector.iter_mut().for_each(|v| *v *= scale);
    }
    Some(vector)
}

/// The left singular vectors of a matrix with their singular values squared, the largest first.
pub fn singular(matrix: &Columns) -> Vec<(f64, Vec<C64>)> {
    // In a basis of their own, the columns are as few numbers as their rank.
    let basis = orthonormal(matrix);
    let rank = basis.len();
    if rank == 0 {
        return Vec::new();
    }
    // The rows of basis^dagger * matrix, conjugated, are columns to be rotated apart: as many as the
    // rank, and the rotations make the left singular vectors.
    let mut work: Columns = basis
        .iter()
        .map(|q| matrix.iter().map(|m| dot(m, q)).collect())
        .collect();
    let mut turned: Columns = basis;
    let total: f64 = work.iter().map(|w| norm(w)).sum();
    for _ in 0..40 {
        let mut rotated = false;
        for p in 0..rank {
            for q in p + 1..rank {
                let (left, right) = work.split_at_mut(q);
                let (a, b) = (&mut left[p], &mut right[0]);
                let (x, y, overlap) = (norm(a), norm(b), dot(a, b));
                let size = overlap.norm();
                if size <= 1e-15 * (x * y).sqrt() || size <= 1e-32 * total {
                    continue;
                }
                rotated = true;
                let zeta = (y - x) / (2.0 * size);
                let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
                let t = if zeta == 0.0 { 1.0 } else { t };
                let c = 1.0 / (1.0 + t * t).sqrt();
                let phase = overlap / size;
                rotate(a, b, c, c * t, phase);
                let (left, right) = turned.split_at_mut(q);
                rotate(&mut left[p], &mut right[0], c, c * t, phase);
            }
        }
        if !rotated {
            break;
        }
    }
    let mut all: Vec<(f64, Vec<C64>)> = work.iter().map(|w| norm(w)).zip(turned).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all
}

/// `a, b` become `c a - s conj(phase) b, s phase a + c b`.
fn rotate(a: &mut [C64], b: &mut [C64], c: f64, s: f64, phase: C64) {
    let (minus, plus) = (phase.conj() * s, phase * s);
    for (x, y) in a.iter_mut().zip(b) {
        let (old_x, old_y) = (*x, *y);
        *x = old_x * c - minus * old_y;
        *y = plus * old_x + old_y * c;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn singular_vectors_rebuild_the_matrix() {
        let mut rng = Rng::stream(4, 4);
        for (rows, width) in [(1, 1), (4, 6), (6, 4), (8, 8), (20, 3)] {
            let mut random = || C64::new(rng.unit() - 0.5, rng.unit() - 0.5);
            let cells: Vec<C64> = (0..rows * width).map(|_| random()).collect();
            let matrix = columns(&cells, rows, width);
            let parts = singular(&matrix);
            let whole: f64 = matrix.iter().map(|c| norm(c)).sum();
            assert!((parts.iter().map(|p| p.0).sum::<f64>() - whole).abs() < 1e-12);
            assert!(parts.windows(2).all(|w| w[0].0 >= w[1].0));
            for (i, (value, u)) in parts.iter().enumerate() {
                for (j, (_, v)) in parts.iter().enumerate() {
                    let wanted = f64::from(u8::from(i == j));
                    assert!((dot(u, v) - wanted).norm() < 1e-12, "{rows} by {width}");
                }
                // The matrix's part along a vector weighs as much as its singular value says.
                let weight: f64 = matrix.iter().map(|m| dot(u, m).norm_sqr()).sum();
                assert!(
                    (weight - value).abs() < 1e-12,
                    "{rows} by {width}: {weight} {value}"
                );
            }
        }
    }

    #[test]
    fn what_depends_is_left_out() {
        let one = vec![C64::ONE, C64::I];
        let twice = one.iter().map(|x| x * 2.0).collect();
        let zero = vec![C64::ZERO; 2];
        assert_eq!(
            orthonormal(&vec![one.clone(), twice, zero.clone()]).len(),
            1
        );
        assert_eq!(singular(&vec![one.clone(), one]).len(), 1);
        assert!(singular(&vec![zero]).is_empty());
    }
}
