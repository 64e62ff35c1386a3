//! What the kernel tests share: skipping where the kernel or the rights are missing, and waiting for events with
//! a deadline.

#![allow(dead_code, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use quantumos_ebpf::{Error, Event, Rings, SecurityProbes, Settings};
use std::os::fd::AsFd;

/// Loads the probes; where they cannot be loaded at all, says so and gives nothing.
pub fn load(settings: &Settings) -> Option<(SecurityProbes, Rings)> {
    match SecurityProbes::load(settings) {
        Ok(mut probes) => {
            for row in probes.coverage() {
                eprintln!(
                    "{:22} {:32} {:12} {}",
                    row.name(),
                    row.hook,
                    row.state,
                    row.reason
                );
            }
            let rings = probes.take_rings().expect("the rings are taken once");
            Some((probes, rings))
        }
        Err(error @ (Error::NoKernelTypes(_) | Error::Load(_))) if !privileged() => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("the probes do not load: {error}"),
    }
}

/// Whether CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) are there, and the kernel has BTF.
pub fn privileged() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("own status");
    let bits = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .expect("CapEff");
    let bits = u64::from_str_radix(bits.trim(), 16).expect("a hexadecimal set");
    let has = |bit: u32| bits & (1 << bit) != 0;
    (has(21) || (has(38) && has(39))) && std::path::Path::new("/sys/kernel/btf/vmlinux").exists()
}

/// Waits until `wanted` gives something for an event; panics after 20 s.
pub fn wait_for<T>(
    rings: &mut Rings,
    what: &str,
    mut wanted: impl FnMut(&Event) -> Option<T>,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut found = None;
    while found.is_none() {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no event: {what}");
        // Not every record wakes.
        wait(rings, left.min(Rings::AGAIN));
        rings.drain(4096, &mut |event| {
            if found.is_none() {
                found = wanted(&event);
            }
        });
    }
    found.expect("the loop ends with one")
}

/// Waits until the rings hold something.
pub fn wait(rings: &Rings, at_most: Duration) {
    let millis = u16::try_from(at_most.as_millis()).unwrap_or(u16::MAX);
    let mut fds = [PollFd::new(rings.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(millis)).expect("poll");
}
