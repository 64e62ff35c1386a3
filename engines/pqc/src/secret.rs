//! Fixed-size secret bytes. They are wiped when dropped, compared in constant time and redacted
//! in debug output. Locking pages into memory is the process's affair, not this crate's.

use crate::Error;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Fresh random bytes from the library's generator (seeded by the kernel).
    ///
    /// # Errors
    /// [`Error::Library`] when the generator fails.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = Box::new([0u8; N]);
        aws_lc_rs::rand::fill(bytes.as_mut_slice())
            .map_err(|_| Error::Library("the random generator"))?;
        Ok(Self(bytes))
    }

    /// Takes exactly `N` bytes; `what` names the value in the error.
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn from_slice(what: &'static str, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != N {
            return Err(Error::Length {
                what,
                want: N,
                got: bytes.len(),
            });
        }
        let mut own = Box::new([0u8; N]);
        own.copy_from_slice(bytes);
        Ok(Self(own))
    }

    /// The bytes themselves. The name is meant to be found by a reviewer.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Lets `fill` write the bytes in place, so that no copy is left on the stack.
    ///
    /// # Errors
    /// What `fill` gives.
    pub(crate) fn fill_with(
        fill: impl FnOnce(&mut [u8; N]) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut own = Self(Box::new([0u8; N]));
        fill(&mut own.0)?;
        Ok(own)
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&*self.0, &*other.0).is_ok()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte() {
        let secret = Secret::<4>::from_slice("test", &[0xAB, 0xCD, 0xEF, 0x01]).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret<4>(redacted)");
    }

    #[test]
    fn length_is_checked() {
        let e = Secret::<4>::from_slice("test", &[1, 2, 3]).unwrap_err();
        assert_eq!(e.to_string(), "test is 3 bytes long, expected 4");
    }

    #[test]
    fn random_differs_and_equality_is_by_value() {
        let (a, b) = (
            Secret::<32>::random().unwrap(),
            Secret::<32>::random().unwrap(),
        );
        assert_ne!(a, b);
        assert_eq!(a, a.clone());
    }
}
