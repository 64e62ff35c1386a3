//! Ridge regression by the normal equations: the linear part that the network starts
//! from. Plain f64 arithmetic in a fixed order, so the result is the same everywhere.

use crate::Error;

/// Solves `(XᵀX + lambda n I) w = Xᵀy` for rows `x` with one target each. The first
/// column is expected to be the constant 1 and is not shrunk.
pub fn fit(x: &[Vec<f64>], y: &[f64], lambda: f64) -> Result<Vec<f64>, Error> {
    let width = x.first().map_or(0, Vec::len);
    if width == 0 || x.len() != y.len() {
        return Err(Error::Training("no rows, or rows without a target".into()));
    }
    let mut a = vec![vec![0.0; width]; width];
    let mut b = vec![0.0; width];
    for (row, target) in x.iter().zip(y) {
        for i in 0..width {
            b[i] += row[i] * target;
            for j in 0..=i {
                a[i][j] += row[i] * row[j];
            }
        }
    }
    for (i, row) in a.iter_mut().enumerate().skip(1) {
        row[i] += lambda * x.len() as f64;
    }
    cholesky(&mut a)?;
    // Forward, then backward substitution.
    for i in 0..width {
        let done: f64 = (0..i).map(|j| a[i][j] * b[j]).sum();
        b[i] = (b[i] - done) / a[i][i];
    }
    for i in (0..width).rev() {
        let done: f64 = (i + 1..width).map(|j| a[j][i] * b[j]).sum();
        b[i] = (b[i] - done) / a[i][i];
    }
    Ok(b)
}

/// Replaces the lower triangle of a symmetric positive matrix by its Cholesky factor.
fn cholesky(a: &mut [Vec<f64>]) -> Result<(), Error> {
    for i in 0..a.len() {
        for j in 0..=i {
            let done: f64 = (0..j).map(|k| a[i][k] * a[j][k]).sum();
            let rest = a[i][j] - done;
            if i == j {
                if rest.is_nan() || rest <= 0.0 {
                    return Err(Error::Training(format!(
                        "column {i} does not add anything: raise lambda"
                    )));
                }
                a[i][i] = rest.sqrt();
            } else {
                a[i][j] = rest / a[j][j];
            }
        }
    }
    Ok(())
}
