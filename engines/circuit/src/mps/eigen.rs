//! Eigenvectors of real symmetric matrices, as precise as the largest eigenvalue allows.

#![allow(unsafe_code)]

use super::real::{N, Rows, axpy, dot};
use crate::dense::lanes::{Lanes, Real, Work};

/// The eigenvectors of a symmetric matrix to its largest eigenvalues, the largest first, and all eigenvalues.
/// Householder's reflections, then the QL algorithm.
pub fn eigenvectors(mut matrix: Rows, wanted: usize) -> (Vec<f64>, Rows) {
    let n = matrix.count;
    let stride = matrix.stride;
    let (mut diagonal, mut off) = (vec![0.0; n], vec![0.0; n]);
    let mut mirrors = Rows::new(n, n);
    let mut with = vec![0.0; stride];
    for k in 0..n {
        diagonal[k] = matrix.row(k)[k];
        if k + 1 == n {
            break;
        }
        let mut v = vec![0.0; stride];
        v[k + 1..n].copy_from_slice(&matrix.row(k)[k + 1..]);
        let size = dot(&v, &v).sqrt();
        let alpha = if v[k + 1] > 0.0 { -size } else { size };
        off[k] = alpha;
        let rest = size * size - v[k + 1] * v[k + 1];
        if k + 2 == n || rest <= 1e-300 {
            off[k] = v[k + 1];
            continue;
        }
        v[k + 1] -= alpha;
        // Of length sqrt(2): the mirror is 1 - v v^T.
        let scale = (2.0 / dot(&v, &v)).sqrt();
        v.iter_mut().for_each(|x| *x *= scale);
        let start = (k + 1) / N * N;
        for (i, to) in with.iter_mut().enumerate().take(n).skip(k + 1) {
            *to = dot(&matrix.whole(i)[start..], &v[start..]);
        }
        with[..=k].fill(0.0);
        let half = 0.5 * dot(&with, &v);
        axpy(-half, &v, &mut with);
        for i in k + 1..n {
            let (a, b) = (v[i], with[i]);
            let row = &mut matrix.data[i * stride + start..(i + 1) * stride];
            axpy(-a, &with[start..], row);
            axpy(-b, &v[start..], row);
        }
        mirrors.data[k * stride..(k + 1) * stride].copy_from_slice(&v);
    }
    let mut vectors = Rows::new(n, n);
    for i in 0..n {
        vectors.row_mut(i)[i] = 1.0;
    }
    ql(&mut diagonal, &mut off, &mut vectors);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
    let mut out = Rows::new(wanted, n);
    for (i, &from) in order.iter().take(wanted).enumerate() {
        let to = &mut out.data[i * stride..(i + 1) * stride];
        to.copy_from_slice(vectors.whole(from));
        for k in (0..n.saturating_sub(2)).rev() {
            let start = (k + 1) / N * N;
            let mirror = &mirrors.whole(k)[start..];
            let along = dot(mirror, &to[start..]);
            axpy(-along, mirror, &mut to[start..]);
        }
    }
    (order.iter().map(|&i| diagonal[i]).collect(), out)
}

/// Makes a tridiagonal matrix diagonal; what was the identity becomes its eigenvectors.
fn ql(d: &mut [f64], e: &mut [f64], vectors: &mut Rows) {
    let n = d.len();
    let norm = d.iter().chain(e.iter()).fold(0.0f64, |m, x| m.max(x.abs()));
    for l in 0..n {
        for _ in 0..60 {
            let small = |m: usize| {
                e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs())
                    || e[m].abs() <= 1e-17 * norm
            };
            let m = (l..n - 1).find(|&m| small(m)).unwrap_or(n - 1);
            if m == l {
                break;
            }
            let mut g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let mut r = (g * g + 1.0).sqrt();
            g = d[m] - d[l] + e[l] / (g + if g >= 0.0 { r } else { -r });
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut early = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                r = (f * f + g * g).sqrt();
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    early = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                let stride = vectors.stride;
                let (left, right) = vectors.data.split_at_mut((i + 1) * stride);
                f64::dispatch(Turn(c, s, &mut left[i * stride..], &mut right[..stride]));
            }
            if early {
                continue;
            }
            d[l] -= p;
            e[l] = g;
            e[m] = 0.0;
        }
    }
}

struct Turn<'a>(f64, f64, &'a mut [f64], &'a mut [f64]);

impl Work<f64> for Turn<'_> {
    #[inline(always)]
    fn run<V: Lanes<f64>>(self) {
        let (c, s) = (V::splat(self.0), V::splat(self.1));
        for k in 0..self.2.len().min(self.3.len()) / N {
            // SAFETY: vector k is within both.
            unsafe {
                let (low, high) = (
                    self.2.as_mut_ptr().add(k * N),
                    self.3.as_mut_ptr().add(k * N),
                );
                let (x, y) = (V::load(low), V::load(high));
                c.mul_add(y, s.mul(x)).store(high);
                s.neg_mul_add(y, c.mul(x)).store(low);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::real::tests::random;
    use super::super::real::{product, product_transposed};
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn eigenvectors_are_only_stretched() {
        let mut rng = Rng::stream(8, 2);
        for n in [1, 2, 3, 8, 21, 40] {
            let half = random(n, n.div_ceil(2), &mut rng);
            let matrix = product_transposed(&half, &half);
            let (values, vectors) = eigenvectors(matrix.clone(), n);
            let images = product(&vectors, &matrix);
            let square = product_transposed(&vectors, &vectors);
            for (i, value) in values.iter().enumerate() {
                for (x, v) in images.row(i).iter().zip(vectors.row(i)) {
                    assert!((x - value * v).abs() < 1e-12, "{n}: {i}");
                }
                for j in 0..n {
                    let wanted = f64::from(u8::from(i == j));
                    assert!((square.row(i)[j] - wanted).abs() < 1e-12);
                }
            }
            assert!(values.windows(2).all(|w| w[0] >= w[1]));
        }
    }
}
