//! State vectors as vectors: inner products and sums, for states with the same history of exchanged wires.

use super::lanes::Real;
use super::state::State;
use crate::C64;

impl<T: Real> State<T> {
    /// `<self|other>`, for states whose qubits lie on the same wires.
    pub(crate) fn inner(&self, other: &Self) -> C64 {
        debug_assert_eq!(self.map, other.map);
        let mut sum = C64::ZERO;
        let lanes = T::LANES;
        let cells = self.amplitudes.as_slice().chunks(2 * lanes);
        for (a, b) in cells.zip(other.amplitudes.as_slice().chunks(2 * lanes)) {
            for i in 0..lanes {
                let x = C64::new(a[i].into(), a[i + lanes].into());
                let y = C64::new(b[i].into(), b[i + lanes].into());
                sum += x.conj() * y;
            }
        }
        sum * C64::from_polar(1.0, other.phase - self.phase)
    }

    /// Makes every amplitude zero.
    pub(crate) fn clear(&mut self) {
        self.amplitudes.as_mut_slice().fill(T::default());
        self.forget_zeros();
    }

    /// Adds `factor * other`, for states whose qubits lie on the same wires.
    pub(crate) fn add(&mut self, factor: f64, other: &Self) {
        debug_assert_eq!(self.map, other.map);
        let factor = C64::from_polar(factor, other.phase - self.phase);
        let lanes = T::LANES;
        let from = other.amplitudes.as_slice().chunks(2 * lanes);
        for (a, b) in self
            .amplitudes
            .as_mut_slice()
            .chunks_mut(2 * lanes)
            .zip(from)
        {
            for i in 0..lanes {
                let y = C64::new(b[i].into(), b[i + lanes].into()) * factor;
                a[i] = T::of(a[i].into() + y.re);
                a[i + lanes] = T::of(a[i + lanes].into() + y.im);
            }
        }
    }
}
