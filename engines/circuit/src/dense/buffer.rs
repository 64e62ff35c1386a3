//! Memory for amplitudes: zero pages straight from the kernel, in huge pages where it has them, so
//! that a state that does not fit is an error and untouched parts cost nothing.

#![allow(unsafe_code)]

use crate::Error;

const HUGE: usize = 2 << 20;

/// Numbers that start as zero. Threads share it through pointers and keep to parts of their own.
#[derive(Debug)]
pub struct Buffer<T> {
    start: *mut T,
    len: usize,
    mapped: (*mut libc::c_void, usize),
}

// SAFETY: it is plain memory; who writes where is up to the methods' contracts.
unsafe impl<T: Send> Send for Buffer<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Buffer<T> {}

impl<T: Copy> Buffer<T> {
    /// That many numbers, all of them zero bits.
    pub fn zeroed(len: usize) -> Result<Self, Error> {
        let bytes = len.saturating_mul(size_of::<T>()).max(1);
        let large = bytes >= HUGE;
        // Small ones are touched all over at once: a fault for every page would take longer than the work.
        let (whole, populate) = if large {
            (bytes.saturating_add(HUGE), 0)
        } else {
            (bytes, libc::MAP_POPULATE)
        };
        // SAFETY: a fresh private mapping; nothing else knows its address.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                whole,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | populate,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(Error::Memory {
                method: "dense",
                needed: bytes as u128,
                available: 0,
                advice: "the kernel refuses the memory".to_owned(),
            });
        }
        let mut aligned = start.cast::<u8>();
        if large {
            aligned = aligned.wrapping_add(start.align_offset(HUGE));
            // SAFETY: the range lies in the mapping; a refusal only costs speed.
            unsafe { libc::madvise(aligned.cast(), bytes, libc::MADV_HUGEPAGE) };
        }
        Ok(Self {
            start: aligned.cast(),
            len,
            mapped: (start, whole),
        })
    }

    /// Where it starts.
    pub fn pointer(&self) -> *mut T {
        self.start
    }

    /// All of it.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: the mapping holds that many numbers; writers hold `&mut` or run in passes of their own.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    /// All of it, to change.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above, and `&mut self` is the only way in.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }

    /// A copy.
    pub fn copied(&self) -> Result<Self, Error> {
        let mut copy = Self::zeroed(self.len)?;
        copy.as_mut_slice().copy_from_slice(self.as_slice());
        Ok(copy)
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `zeroed` and is unmapped once.
        unsafe { libc::munmap(self.mapped.0, self.mapped.1) };
    }
}
