//! Small square complex matrices: what a gate does to the qubits it touches.

use crate::C64;

/// A square matrix, row by row. Bit i of a row or column number belongs to the gate's qubit i.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    size: usize,
    cells: Vec<C64>,
}

impl Matrix {
    /// A matrix from its rows; `None` unless the number of cells is a square.
    #[must_use]
    pub fn new(size: usize, cells: Vec<C64>) -> Option<Self> {
        (cells.len() == size * size).then_some(Self { size, cells })
    }

    /// The identity.
    #[must_use]
    pub fn identity(size: usize) -> Self {
        let mut cells = vec![C64::ZERO; size * size];
        for i in 0..size {
            cells[i * size + i] = C64::ONE;
        }
        Self { size, cells }
    }

    /// A matrix with this diagonal.
    #[must_use]
    pub fn diagonal(values: &[C64]) -> Self {
        let mut matrix = Self::identity(values.len());
        for (i, &value) in values.iter().enumerate() {
            matrix.cells[i * values.len() + i] = value;
        }
        matrix
    }

    /// Rows (and columns).
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The cells, row by row.
    #[must_use]
    pub fn cells(&self) -> &[C64] {
        &self.cells
    }

    /// The cell of a row and a column.
    #[must_use]
    pub fn at(&self, row: usize, column: usize) -> C64 {
        self.cells[row * self.size + column]
    }

    /// This matrix times another of the same size: the other acts first.
    #[must_use]
    pub fn times(&self, first: &Self) -> Self {
        let n = self.size;
        let mut cells = vec![C64::ZERO; n * n];
        for row in 0..n {
            for k in 0..n {
                let left = self.at(row, k);
                if left != C64::ZERO {
                    for column in 0..n {
                        cells[row * n + column] += left * first.at(k, column);
                    }
                }
            }
        }
        Self { size: n, cells }
    }

    /// The conjugate transpose.
    #[must_use]
    pub fn dagger(&self) -> Self {
        let n = self.size;
        let cells = (0..n * n).map(|i| self.at(i % n, i / n).conj()).collect();
        Self { size: n, cells }
    }

    /// The largest deviation of `self * self.dagger()` from the identity.
    #[must_use]
    pub fn unitary_error(&self) -> f64 {
        let product = self.times(&self.dagger());
        let identity = Self::identity(self.size);
        product
            .cells
            .iter()
            .zip(&identity.cells)
            .map(|(a, b)| (a - b).norm())
            .fold(
                0.0,
                |worst, x| if x > worst || x.is_nan() { x } else { worst },
            )
    }

    /// With that many more controls, which come first among the qubits.
    #[must_use]
    pub fn controlled(&self, controls: u32) -> Self {
        let mask = (1usize << controls) - 1;
        let size = self.size << controls;
        let mut matrix = Self::identity(size);
        for row in 0..self.size {
            for column in 0..self.size {
                matrix.cells[((row << controls) | mask) * size + ((column << controls) | mask)] =
                    self.at(row, column);
            }
        }
        matrix
    }

    /// Whether every cell off the diagonal is exactly zero.
    #[must_use]
    pub fn is_diagonal(&self) -> bool {
        let n = self.size;
        (0..n * n).all(|i| i / n == i % n || self.cells[i] == C64::ZERO)
    }
}
