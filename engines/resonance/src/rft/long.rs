//! Vectors of numbers that are each the sum of two doubles, some 32 digits (Dekker, Numer. Math. 18,
//! 1971): what must not add its own rounding to a result in doubles.

/// A number as a sum of two doubles, the first of which is the number rounded.
pub(super) type Number = (f64, f64);

/// A vector of them.
#[derive(Debug, Clone)]
pub(super) struct Long {
    pub(super) high: Vec<f64>,
    low: Vec<f64>,
}

fn two_sum(a: f64, b: f64) -> Number {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// As [`two_sum`] where the first is the larger.
fn quick_sum(a: f64, b: f64) -> Number {
    let sum = a + b;
    (sum, b - (sum - a))
}

fn split(a: f64) -> (f64, f64) {
    let shifted = 134_217_729.0 * a;
    let high = shifted - (shifted - a);
    (high, a - high)
}

fn two_product(a: f64, b: f64) -> Number {
    let product = a * b;
    let ((ah, al), (bh, bl)) = (split(a), split(b));
    (product, ((ah * bh - product) + ah * bl + al * bh) + al * bl)
}

fn times(a: Number, b: Number) -> Number {
    let (high, low) = two_product(a.0, b.0);
    quick_sum(high, low + (a.0 * b.1 + a.1 * b.0))
}

fn plus(a: Number, b: Number) -> Number {
    let (high, low) = two_sum(a.0, b.0);
    quick_sum(high, low + (a.1 + b.1))
}

impl Long {
    pub(super) fn zeros(n: usize) -> Self {
        Self {
            high: vec![0.0; n],
            low: vec![0.0; n],
        }
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = Number> + '_ {
        self.high.iter().copied().zip(self.low.iter().copied())
    }

    pub(super) fn dot(&self, other: &Self) -> Number {
        let products = self.numbers().zip(other.numbers());
        products.fold((0.0, 0.0), |sum, (a, b)| plus(sum, times(a, b)))
    }

    /// Adds a multiple of another.
    pub(super) fn add(&mut self, by: Number, other: &Self) {
        let own = self.high.iter_mut().zip(&mut self.low);
        for ((high, low), x) in own.zip(other.numbers()) {
            (*high, *low) = plus((*high, *low), times(by, x));
        }
    }

    /// Divides it by its length and gives that; one without a length stays as it is.
    pub(super) fn normalise(&mut self) -> Number {
        let square = self.dot(self);
        let root = square.0.sqrt();
        if root == 0.0 {
            return (0.0, 0.0);
        }
        // One step of Newton's each for the root and for its reciprocal.
        let (high, low) = two_product(root, root);
        let length = two_sum(root, ((square.0 - high) - low + square.1) / (2.0 * root));
        let near = root.recip();
        let rest = plus((1.0, 0.0), times((-near, 0.0), length));
        let reciprocal = plus((near, 0.0), times((near, 0.0), rest));
        let own = self.high.iter_mut().zip(&mut self.low);
        for (high, low) in own {
            (*high, *low) = times((*high, *low), reciprocal);
        }
        length
    }
}

impl From<Vec<f64>> for Long {
    fn from(high: Vec<f64>) -> Self {
        Self {
            low: vec![0.0; high.len()],
            high,
        }
    }
}

/// Makes the columns orthonormal, each against those before it (Gram and Schmidt); gives the triangle
/// that gives them back, by columns.
pub(super) fn orthonormalise(columns: &mut [Long]) -> Vec<Vec<Number>> {
    let count = columns.len();
    let mut triangle = Vec::with_capacity(count);
    for j in 0..count {
        let (done, rest) = columns.split_at_mut(j);
        let mut parts = vec![(0.0, 0.0); count];
        let Some(column) = rest.first_mut() else {
            break;
        };
        for (basis, part) in done.iter().zip(&mut parts) {
            *part = basis.dot(column);
            column.add((-part.0, -part.1), basis);
        }
        parts[j] = column.normalise();
        triangle.push(parts);
    }
    triangle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_doubles_lose_is_kept() {
        let tiny = 2f64.powi(-70);
        let a = Long::from(vec![1.0, tiny, -1.0]);
        let b = Long::from(vec![1.0, 3.0, 1.0]);
        assert_eq!(a.dot(&b).0, 3.0 * tiny);
        let mut sum = Long::from(vec![1.0]);
        sum.add((1e-25, 0.0), &Long::from(vec![1.0]));
        sum.add((-1.0, 0.0), &Long::from(vec![1.0]));
        assert!((sum.high[0] - 1e-25).abs() < 1e-33);
    }

    #[test]
    fn a_triangle_gives_the_columns_back() {
        let column = |j: u32| {
            Long::from(
                (1..9)
                    .map(|t| f64::from(t).powi(-(j as i32)))
                    .collect::<Vec<_>>(),
            )
        };
        let columns: Vec<Long> = (1..6).map(column).collect();
        let mut basis = columns.clone();
        let triangle = orthonormalise(&mut basis);
        for (i, a) in basis.iter().enumerate() {
            for (j, b) in basis.iter().enumerate() {
                let (high, low) = a.dot(b);
                let wanted = f64::from(u8::from(i == j));
                assert!((high - wanted + low).abs() < 1e-24, "{i} {j}");
            }
        }
        for (column, parts) in columns.iter().zip(&triangle) {
            let mut rest = column.clone();
            for (basis, part) in basis.iter().zip(parts) {
                rest.add((-part.0, -part.1), basis);
            }
            assert!(rest.high.iter().all(|x| x.abs() < 1e-29));
        }
        let mut nothing = Long::zeros(3);
        assert_eq!(nothing.normalise(), (0.0, 0.0));
    }
}
