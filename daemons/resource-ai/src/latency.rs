//! Run-queue latency of each cgroup over the last minute or two, from the eBPF probe's
//! counters, which only ever grow.

use std::collections::BTreeMap;

use quantumos_ebpf::{Histogram, SchedulerLatency};

/// After this long the older reading is replaced, in microseconds.
const SPAN_US: u64 = 60_000_000;

/// The probe and two earlier readings.
pub struct LatencyMeter {
    probe: SchedulerLatency,
    older: BTreeMap<u64, Histogram>,
    newer: BTreeMap<u64, Histogram>,
    turned_us: u64,
}

impl std::fmt::Debug for LatencyMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LatencyMeter")
            .field("turned_us", &self.turned_us)
            .finish_non_exhaustive()
    }
}

impl LatencyMeter {
    /// Loads the probe.
    ///
    /// # Errors
    /// What the kernel lacks or refuses.
    pub fn start(now_us: u64) -> Result<Self, quantumos_ebpf::Error> {
        let probe = SchedulerLatency::load()?;
        Ok(Self {
            probe,
            older: BTreeMap::new(),
            newer: BTreeMap::new(),
            turned_us: now_us,
        })
    }

    /// Takes a new reading once a minute, so that the span that is told stays below two.
    ///
    /// # Errors
    /// When the counters cannot be read.
    pub fn turn(&mut self, now_us: u64) -> Result<(), quantumos_ebpf::Error> {
        if now_us.saturating_sub(self.turned_us) >= SPAN_US {
            let reading = self.probe.read()?;
            self.older = std::mem::replace(&mut self.newer, reading);
            self.turned_us = now_us;
        }
        Ok(())
    }

    /// The waits of the last one to two minutes by cgroup id; cgroups without any left out.
    ///
    /// # Errors
    /// When the counters cannot be read.
    pub fn recent(&self) -> Result<BTreeMap<u64, Histogram>, quantumos_ebpf::Error> {
        let now = self.probe.read()?;
        let recent = now.into_iter().filter_map(|(group, histogram)| {
            let since = self
                .older
                .get(&group)
                .map_or(histogram, |before| histogram.since(before));
            (since.count() > 0).then_some((group, since))
        });
        Ok(recent.collect())
    }
}
