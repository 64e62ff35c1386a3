//! The clocks: the host's time, the hour in its own time zone, and the kernel's discipline.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use quantumos_dimensions::time::Discipline;

/// `STA_UNSYNC` of adjtimex(2): nothing keeps the clock to a reference.
const UNSYNCHRONISED: i32 = 0x0040;

/// Microseconds since the epoch; 0 on a clock that stands before it.
pub(crate) fn realtime() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| {
            u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
        })
}

/// Microseconds of the monotonic clock.
pub(crate) fn monotonic() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        seconds * 1_000_000 + u64::try_from(time.tv_nsec()).unwrap_or(0) / 1000
    })
}

/// Hours since the epoch in the host's own time zone, at `realtime` microseconds.
pub(crate) fn local_hour(realtime: u64) -> u64 {
    let seconds = i64::try_from(realtime / 1_000_000).unwrap_or(0);
    let offset = offset(seconds).unwrap_or(0);
    u64::try_from(seconds.saturating_add(offset).max(0)).unwrap_or(0) / 3600
}

/// Seconds by which local time is ahead of UTC.
fn offset(seconds: i64) -> Option<i64> {
    // SAFETY: a `tm` of zeros is valid; its zone pointer is not read.
    #[allow(unsafe_code)]
    let mut broken_down: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values that live through the call.
    #[allow(unsafe_code)]
    let result = unsafe { libc::localtime_r(&seconds, &mut broken_down) };
    (!result.is_null()).then_some(broken_down.tm_gmtoff)
}

/// What the kernel says of its clock discipline, without changing it.
///
/// # Errors
/// The sandbox may refuse the system call.
pub(crate) fn discipline() -> std::io::Result<Discipline> {
    // SAFETY: a `timex` of zeros is valid and, as its modes are 0, changes nothing.
    #[allow(unsafe_code)]
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a value that lives through the call.
    #[allow(unsafe_code)]
    let state = unsafe { libc::adjtimex(&mut timex) };
    if state < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(Discipline {
        synchronised: timex.status & UNSYNCHRONISED == 0,
        max_error: u64::try_from(timex.maxerror).ok(),
        estimated_error: u64::try_from(timex.esterror).ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_an_hour_long() {
        let hour = local_hour(1_800_000_000_000_000);
        assert_eq!(local_hour(1_800_000_000_000_000 + 3_600_000_000), hour + 1);
        // No time zone is further than a day from UTC.
        assert!(hour.abs_diff(1_800_000_000 / 3600) <= 24);
    }
}
