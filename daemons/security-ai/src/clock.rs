//! The two clocks: that of the kernel's events, and that of people.

use nix::time::{ClockId, clock_gettime};

/// Microseconds of the real-time clock for nanoseconds of the boot clock.
#[must_use]
pub fn real_time(boot: u64) -> u64 {
    let age = (boot_time() / 1000).saturating_sub(boot / 1000);
    (nanoseconds(ClockId::CLOCK_REALTIME) / 1000).saturating_sub(age)
}

/// Nanoseconds of the boot clock, in which events count.
#[must_use]
pub fn boot_time() -> u64 {
    nanoseconds(ClockId::CLOCK_BOOTTIME)
}

fn nanoseconds(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| {
        (time.tv_sec() as u64).saturating_mul(1_000_000_000) + time.tv_nsec() as u64
    })
}
