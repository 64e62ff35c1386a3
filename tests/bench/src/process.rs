//! Daemons as processes of this machine, and what they have taken, as the kernel accounts for it.

use std::process::Child;
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use procfs::process::Process;

use crate::Failure;

/// A daemon as a process of its own; killed with the value.
pub struct Served(pub Child);

impl Drop for Served {
    fn drop(&mut self) {
        // Either may fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processor time of the process until now, threads that have ended included, in the program and in the kernel for it.
///
/// # Errors
/// When there is no such process.
pub fn processor_time(process: u32) -> Result<Duration, Failure> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(process)?))?;
    Ok(clock_gettime(clock)?.into())
}

/// Proportional set size, in MiB.
///
/// # Errors
/// When there is no such process.
pub fn proportional_share(process: u32) -> Result<f64, Failure> {
    let rollup = Process::new(i32::try_from(process)?)?.smaps_rollup()?;
    let map = rollup.memory_map_rollup.0.first();
    let bytes = map.and_then(|map| map.extension.map.get("Pss"));
    let bytes = bytes.ok_or("smaps_rollup has no Pss")?;
    Ok(*bytes as f64 / f64::from(1 << 20))
}
