//! Memory that was needed once: the kernel's type information, rules' text, models as they are read.
//! glibc keeps what is freed for later; a daemon that then idles for months gives it back instead.

/// Gives freed memory back to the system. Takes milliseconds: for after a start or a reload, not for a hot path.
pub fn release() {
    // SAFETY: malloc_trim(3) is thread-safe, takes an integer and touches only free memory.
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}
