//! Matrices on one qubit as phases and a real rotation between them, which costs a quarter of the
//! arithmetic: `exp(i a) Rz Ry Rz` with the rotation's larger number taken out as a factor, so that each
//! amplitude takes one multiply-add a part. Controlled ones as phases between changes of the basis.

use crate::C64;

/// A 2 by 2 matrix, row by row.
pub type Two = [C64; 4];

/// What is taken for zero: rounding of a few products of unitary matrices.
const NOTHING: f64 = 1e-15;
/// How far from unitary a matrix may be to be taken apart.
const UNITARY: f64 = 1e-12;

/// `cosine * [[1, -tangent], [tangent, 1]]`, or with exchanged columns
/// `cosine * [[-tangent, 1], [1, tangent]]`; the tangent is from 0 to about 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    /// The smaller number, divided by the larger.
    pub tangent: f64,
    /// Whether the larger number stands off the diagonal.
    pub exchanged: bool,
    /// The larger number.
    pub cosine: f64,
}

impl Turn {
    /// The whole matrix.
    pub fn matrix(&self) -> Two {
        let (c, s) = (
            C64::new(self.cosine, 0.0),
            C64::new(self.cosine * self.tangent, 0.0),
        );
        if self.exchanged {
            [-s, c, c, s]
        } else {
            [c, -s, s, c]
        }
    }
}

/// A unitary matrix as a factor on 1, a rotation, and factors on 0 and 1, in the order in which they act.
pub fn apart(m: &Two) -> (C64, Turn, [C64; 2]) {
    let exchanged = m[0].norm_sqr() < m[2].norm_sqr();
    // Phases come from the larger numbers wherever there is a choice: those of small ones are rounding.
    let (large, small, zero, one, before) = if exchanged {
        let (one, zero) = (unit(m[2]), unit(-m[0]));
        (m[2], m[0], zero, one, unit(m[1] * zero.conj()))
    } else {
        let (zero, one) = (unit(m[0]), unit(m[2]));
        (m[0], m[2], zero, one, unit(m[3] * one.conj()))
    };
    let cosine = large.norm_sqr().sqrt();
    let turn = Turn {
        tangent: small.norm_sqr().sqrt() / cosine,
        exchanged,
        cosine,
    };
    (before, turn, [zero, one])
}

/// The number without its size; 1 for zero.
pub fn unit(z: C64) -> C64 {
    let square = z.norm_sqr();
    if square > f64::MIN_POSITIVE {
        z / square.sqrt()
    } else {
        C64::ONE
    }
}

/// A unitary matrix as `basis * diag(values) * basis.dagger()`.
pub fn spectrum(m: &Two) -> (Two, [C64; 2]) {
    // The matrix is a multiple of 1 and a multiple of a real combination of the Pauli matrices.
    let parts = [
        (m[1] + m[2]) / 2.0,
        (m[1] - m[2]) * C64::I / 2.0,
        (m[0] - m[3]) / 2.0,
    ];
    let large = parts.iter().fold(
        C64::ZERO,
        |l, p| {
            if p.norm_sqr() > l.norm_sqr() { *p } else { l }
        },
    );
    let one = [C64::ONE, C64::ZERO, C64::ZERO, C64::ONE];
    if tiny(large, NOTHING) {
        return (one, [unit(m[0]), unit(m[3])]);
    }
    let [x, y, z] = parts.map(|p| (p / large).re);
    let length = (x * x + y * y + z * z).sqrt();
    let [x, y, z] = [x / length, y / length, z / length];
    let (a, b) = if z >= 0.0 {
        (C64::new(1.0 + z, 0.0), C64::new(x, y))
    } else {
        (C64::new(x, -y), C64::new(1.0 - z, 0.0))
    };
    let norm = (a.norm_sqr() + b.norm_sqr()).sqrt().recip();
    let (a, b) = (a * norm, b * norm);
    let basis = [a, -b.conj(), b, a.conj()];
    let turned = product(&dagger(&basis), &product(m, &basis));
    (basis, [unit(turned[0]), unit(turned[3])])
}

/// `after * before`.
pub fn product(after: &Two, before: &Two) -> Two {
    std::array::from_fn(|i| after[i & 2] * before[i & 1] + after[(i & 2) + 1] * before[2 + (i & 1)])
}

/// The conjugate transpose.
pub fn dagger(m: &Two) -> Two {
    [m[0].conj(), m[2].conj(), m[1].conj(), m[3].conj()]
}

/// Whether it only multiplies by phases, up to rounding.
pub fn is_diagonal(m: &Two) -> bool {
    tiny(m[1], NOTHING) && tiny(m[2], NOTHING)
}

/// Whether it is the identity up to rounding.
pub fn is_identity(m: &Two) -> bool {
    is_diagonal(m) && tiny(m[0] - C64::ONE, NOTHING) && tiny(m[3] - C64::ONE, NOTHING)
}

/// Whether it is unitary, up to what callers' matrices are rounded to.
pub fn is_unitary(m: &Two) -> bool {
    let one = product(m, &dagger(m));
    [one[0] - C64::ONE, one[1], one[2], one[3] - C64::ONE]
        .iter()
        .all(|d| tiny(*d, UNITARY))
}

fn tiny(z: C64, limit: f64) -> bool {
    z.norm_sqr() < limit * limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn distance(a: &Two, b: &Two) -> f64 {
        a.iter().zip(b).map(|(x, y)| (x - y).norm()).sum()
    }

    fn diagonal(values: [C64; 2]) -> Two {
        [values[0], C64::ZERO, C64::ZERO, values[1]]
    }

    fn unitaries() -> Vec<Two> {
        let e = |angle: f64| C64::from_polar(1.0, angle);
        let mut rng = Rng::stream(7, 0);
        let mut all = Vec::new();
        // Rotations by next to nothing, by almost a quarter and by almost a half have an entry of rounding.
        let edges = [0.0, 1e-17, 1e-9, 0.5, 1.0, 1.5, 2.0];
        for i in 0..400 {
            let half = match edges.get(i % 9) {
                Some(edge) => edge * std::f64::consts::FRAC_PI_4,
                None => rng.unit() * std::f64::consts::TAU,
            };
            let [a, b, c] =
                [(); 3].map(|()| (rng.unit() * 16.0).floor() * std::f64::consts::FRAC_PI_8);
            let (co, s) = (C64::new(half.cos(), 0.0), C64::new(half.sin(), 0.0));
            let middle = [co, -s, s, co];
            let after = diagonal([e(a), e(a + b)]);
            all.push(product(
                &after,
                &product(&middle, &diagonal([C64::ONE, e(c)])),
            ));
        }
        all
    }

    #[test]
    fn what_is_taken_apart_is_the_whole() {
        for m in unitaries() {
            let (before, turn, after) = apart(&m);
            assert!((0.0..=1.0 + 1e-12).contains(&turn.tangent), "{turn:?}");
            let first = diagonal([C64::ONE, before]);
            let whole = product(&diagonal(after), &product(&turn.matrix(), &first));
            assert!(distance(&whole, &m) < 1e-14, "{m:?} became {whole:?}");
        }
    }

    #[test]
    fn a_spectrum_is_the_matrix_in_its_own_basis() {
        for m in unitaries() {
            let (basis, values) = spectrum(&m);
            assert!(is_unitary(&basis));
            let phases = diagonal(values);
            let whole = product(&basis, &product(&phases, &dagger(&basis)));
            assert!(distance(&whole, &m) < 1e-13, "{m:?} became {whole:?}");
        }
    }
}
