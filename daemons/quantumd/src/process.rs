//! Keeps secrets inside the process: no core dumps, no ptrace by others, no swap.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use std::sync::atomic::{AtomicBool, Ordering};

static LOCKED: AtomicBool = AtomicBool::new(false);

/// Hardens this process. What doesn't work is logged by the caller through [`memory_is_locked`]:
/// a host that can't lock memory still signs.
pub fn harden() {
    // A process that isn't dumpable gives neither a core dump nor its memory to a debugger of
    // the same user; the limit covers a core_pattern that pipes.
    let dumpable = set_dumpable(false);
    let core = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // With a limit, an allocation past it would fail later on, in the middle of a request.
    let unlimited = getrlimit(Resource::RLIMIT_MEMLOCK)
        .is_ok_and(|(soft, _)| soft == RLIM_INFINITY)
        || nix::unistd::geteuid().is_root();
    if unlimited {
        // On fault: pages are locked when first touched, so nothing grows by being locked.
        let flags = MlockAllFlags::MCL_CURRENT
            | MlockAllFlags::MCL_FUTURE
            | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
        LOCKED.store(mlockall(flags).is_ok(), Ordering::Relaxed);
    }
    if dumpable.is_err() || core.is_err() {
        tracing::warn!("could not rule out core dumps");
    }
}

/// Whether all memory is locked against being swapped out.
pub fn memory_is_locked() -> bool {
    LOCKED.load(Ordering::Relaxed)
}
