//! Memory that was needed once. glibc keeps what is freed for later, and code that ran once (relocation,
//! reading the kernel's type information, parsing models) stays mapped for ever on a host that has memory to
//! spare; a daemon that then idles for months gives both back instead.

use std::ffi::{CStr, c_int, c_void};

/// Keeps the kernel from making huge pages of a heap of a few megabytes: one that starting grew and that was given
/// back since would be filled up again. Programs that this process runs inherit it.
pub(crate) fn small_pages() {
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "huge pages stay");
    }
}

/// Gives freed memory and code that isn't running back to the system; the kernel maps what is called again from
/// its cache of the file, as it does the first time. Takes milliseconds: for after a start or a reload, not for a
/// hot path.
pub fn release() {
    // SAFETY: malloc_trim(3) is thread-safe, takes an integer and touches only free memory.
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
    // SAFETY: `unmap` has the type that dl_iterate_phdr(3) calls, keeps nothing and doesn't unwind.
    #[allow(unsafe_code)]
    unsafe {
        libc::dl_iterate_phdr(Some(unmap), std::ptr::null_mut());
    }
}

/// Unmaps the pages of one object that are the file's own: segments without a right to write, which the dynamic
/// linker never changed.
#[allow(unsafe_code)]
unsafe extern "C" fn unmap(object: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr(3) gives an object that lives during the call, its headers and its name with it.
    let (object, headers, name) = unsafe {
        let object = &*object;
        let headers = std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into());
        (object, headers, CStr::from_ptr(object.dlpi_name))
    };
    // The program itself has no name; the kernel's own object has one that is no path.
    if !name.is_empty() && !name.to_bytes().starts_with(b"/") {
        return 0;
    }
    // SAFETY: sysconf(3) takes an integer and touches no memory of ours.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Ok(page) = usize::try_from(page) else {
        return 1;
    };
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let (Ok(start), Ok(length)) = (
            usize::try_from(object.dlpi_addr + header.p_vaddr),
            usize::try_from(header.p_memsz),
        ) else {
            continue;
        };
        let end = (start + length).next_multiple_of(page);
        let start = start / page * page;
        let range = std::ptr::without_provenance_mut::<c_void>(start);
        // SAFETY: The range is one mapping of a file without a right to write, so each page is the file's and
        // comes back as it was. No secret is in it, so it need not be locked.
        unsafe {
            libc::munlock(range, end - start);
            libc::madvise(range, end - start, libc::MADV_DONTNEED);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    /// Code that was never called before counts as well as code that was.
    #[test]
    fn what_was_given_back_still_works() {
        let resident = || {
            let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let name = std::env::current_exe().unwrap();
            let mut mine = false;
            let mut sum = 0;
            for line in text.lines() {
                if line.contains('-') && line.contains(' ') && !line.contains(" kB") {
                    mine = line.contains(" r-xp ") && line.ends_with(name.to_str().unwrap());
                }
                if mine && let Some(rest) = line.strip_prefix("Rss:") {
                    let number = rest.trim().trim_end_matches(" kB");
                    sum += number.parse::<u64>().unwrap();
                }
            }
            sum
        };
        // Other tests of this program run beside this one and map more; what is never given back only grows.
        let mut most = resident();
        assert!(most > 0);
        let gave_back = (0..100).any(|_| {
            super::release();
            let left = resident();
            let is_less = 0 < left && left < most;
            most = most.max(left);
            is_less
        });
        assert!(gave_back, "{most} KiB stay");
        let text: Vec<String> = (0..1000).map(|n| format!("{n:x}")).collect();
        assert_eq!(text.join("").len(), 16 + 240 * 2 + 744 * 3);
    }
}
