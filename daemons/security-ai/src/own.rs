//! What this daemon itself costs, as the kernel counts it.

use crate::budget::Usage;
use nix::sys::resource::{UsageWho, getrusage};
use quantumos_ebpf::ProgramStatistics;
use std::time::{Duration, Instant};

/// Processor time and memory of this process, sampled.
#[derive(Debug)]
pub struct Own {
    last: Option<(Instant, Duration)>,
    cpu: Duration,
    memory: u64,
}

impl Own {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            last: None,
            cpu: Duration::ZERO,
            memory: 0,
        }
    }

    /// Processor time since start, that of the probes among it as far as the kernel measures it.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.cpu
    }

    /// Resident memory, in KiB.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// Takes a sample; the usage since the one before, none for the first.
    pub fn sample(&mut self, programs: &[ProgramStatistics]) -> Option<Usage> {
        let now = Instant::now();
        let probes: Duration = programs.iter().map(|program| program.run_time).sum();
        self.cpu = own_time().unwrap_or(self.cpu) + probes;
        self.memory = resident().unwrap_or(self.memory);
        let last = self.last.replace((now, self.cpu));
        let (then, cpu) = last?;
        Some(Usage {
            cpu: per_mille(self.cpu.saturating_sub(cpu), now.duration_since(then)),
            memory: self.memory,
        })
    }
}

impl Default for Own {
    fn default() -> Self {
        Self::new()
    }
}

/// Thousandths of one core.
fn per_mille(used: Duration, time: Duration) -> u64 {
    let time = time.as_micros().max(1);
    u64::try_from(used.as_micros().saturating_mul(1000) / time).unwrap_or(u64::MAX)
}

fn own_time() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let of = |time: nix::sys::time::TimeVal| {
        let (seconds, micros) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_usec()));
        Some(Duration::from_secs(seconds.ok()?) + Duration::from_micros(micros.ok()?))
    };
    Some(of(usage.user_time())? + of(usage.system_time())?)
}

fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages.saturating_mul(u64::try_from(size).ok()?) / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_one_core() {
        let ms = Duration::from_millis;
        for (used, time, wanted) in [(20, 1000, 20), (2000, 1000, 2000), (0, 0, 0), (1, 500, 2)] {
            assert_eq!(per_mille(ms(used), ms(time)), wanted);
        }
    }

    #[test]
    fn this_process_has_both() {
        let mut own = Own::new();
        assert_eq!(own.sample(&[]), None);
        let usage = own.sample(&[]).unwrap();
        assert!(usage.memory > 100 && own.memory() == usage.memory);
        assert!(own.cpu() > Duration::ZERO);
    }
}
