//! Products of complex vectors, entry by entry.

use rustfft::num_complex::Complex64;

/// `out = a b`.
pub(super) fn multiply(out: &mut [Complex64], a: &[Complex64], b: &[Complex64]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a * b;
    }
}

/// `out += a b`.
pub(super) fn multiply_add(out: &mut [Complex64], a: &[Complex64], b: &[Complex64]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out += a * b;
    }
}
