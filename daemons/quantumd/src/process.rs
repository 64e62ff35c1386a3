//! Keeps secrets inside the process: no core dumps, no ptrace by others, no swap, private files.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use std::sync::atomic::{AtomicBool, Ordering};

static LOCKED: AtomicBool = AtomicBool::new(false);

/// Hardens this process. Memory is locked where the host allows it, see [`memory_is_locked`]: a
/// host that doesn't still signs.
///
/// # Errors
/// When core dumps can't be ruled out.
pub fn harden() -> nix::Result<()> {
    // State is nobody else's, also where the unit doesn't say so.
    umask(Mode::from_bits_truncate(0o077));
    // With a limit, an allocation past it would fail later on, in the middle of a request.
    let unlimited = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).is_ok()
        || getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY);
    if unlimited {
        // On fault: pages are locked when first touched, so nothing grows by being locked.
        let flags = MlockAllFlags::MCL_CURRENT
            | MlockAllFlags::MCL_FUTURE
            | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
        LOCKED.store(mlockall(flags).is_ok(), Ordering::Relaxed);
    }
    // A process that isn't dumpable gives neither a core dump nor its memory to a debugger of
    // the same user; the limit covers a core_pattern that pipes.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    set_dumpable(false)
}

/// Whether all memory is locked against being swapped out.
pub fn memory_is_locked() -> bool {
    LOCKED.load(Ordering::Relaxed)
}
