//! A bounded history of one cgroup's counters.
//!
//! All counters but the memory are cumulative, so the mean over any span is exact at
//! the samples and linear between them: sampling may be slow while nothing happens and
//! fast under pressure, and the features stay the same.

use std::collections::VecDeque;

/// Most samples kept; at one a second this is a minute and some reserve.
pub const CAPACITY: usize = 96;
/// Samples older than this fall out, in microseconds.
pub const SPAN_US: u64 = 90_000_000;

/// The counters of one cgroup at one time. Times are in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Monotonic time of the reading.
    pub time_us: u64,
    /// Total of `some` in `cpu.pressure`.
    pub cpu_some_us: u64,
    /// Total of `some` in `memory.pressure`.
    pub memory_some_us: u64,
    /// Total of `some` in `io.pressure`.
    pub io_some_us: u64,
    /// CPU time used.
    pub usage_us: u64,
    /// Memory used, in bytes; 0 where the memory controller is off.
    pub memory_bytes: u64,
}

/// Which cumulative counter to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// CPU pressure, `some`.
    Cpu,
    /// Memory pressure, `some`.
    Memory,
    /// IO pressure, `some`.
    Io,
    /// CPU time used.
    Usage,
}

impl Sample {
    /// The counter of a channel, in microseconds.
    pub fn counter(&self, channel: Channel) -> u64 {
        match channel {
            Channel::Cpu => self.cpu_some_us,
            Channel::Memory => self.memory_some_us,
            Channel::Io => self.io_some_us,
            Channel::Usage => self.usage_us,
        }
    }

    fn went_back(&self, before: &Self) -> bool {
        [Channel::Cpu, Channel::Memory, Channel::Io, Channel::Usage]
            .into_iter()
            .any(|channel| self.counter(channel) < before.counter(channel))
    }
}

/// The last minute or so of one cgroup.
#[derive(Debug, Clone, Default)]
pub struct History {
    samples: VecDeque<Sample>,
}

impl History {
    /// Takes a reading. A counter that goes back (the cgroup was made anew) starts the
    /// history again; a reading that is not newer than the last is left out.
    pub fn push(&mut self, sample: Sample) {
        if let Some(last) = self.samples.back() {
            if sample.time_us <= last.time_us {
                return;
            }
            if sample.went_back(last) {
                self.samples.clear();
            }
        }
        while self.samples.len() >= CAPACITY
            || self.samples.front().is_some_and(|first| {
                sample.time_us - first.time_us > SPAN_US && self.samples.len() > 2
            })
        {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// The newest reading.
    pub fn last(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// How much time the history covers, in microseconds.
    pub fn span_us(&self) -> u64 {
        match (self.samples.front(), self.samples.back()) {
            (Some(first), Some(last)) => last.time_us - first.time_us,
            _ => 0,
        }
    }

    /// The mean of a channel over (`from_us`, `to_us`], as a share of time: 1 is stalled
    /// all the time, or one CPU used. `None` where the history does not cover the span.
    pub fn share(&self, channel: Channel, from_us: u64, to_us: u64) -> Option<f64> {
        if to_us <= from_us {
            return None;
        }
        let delta = self.counter_at(channel, to_us)? - self.counter_at(channel, from_us)?;
        Some((delta / (to_us - from_us) as f64).max(0.0))
    }

    /// Memory used at a time, in bytes: the newest reading that is not later.
    pub fn memory_at(&self, time_us: u64) -> Option<u64> {
        let after = self
            .samples
            .partition_point(|sample| sample.time_us <= time_us);
        self.samples
            .get(after.checked_sub(1)?)
            .map(|sample| sample.memory_bytes)
    }

    fn counter_at(&self, channel: Channel, time_us: u64) -> Option<f64> {
        let after = self
            .samples
            .partition_point(|sample| sample.time_us < time_us);
        let right = self.samples.get(after)?;
        // Relative to the first sample, so that a large total loses no precision.
        let base = self.samples.front()?.counter(channel);
        let value = |sample: &Sample| (sample.counter(channel) - base) as f64;
        if right.time_us == time_us {
            return Some(value(right));
        }
        let left = self.samples.get(after.checked_sub(1)?)?;
        let part = (time_us - left.time_us) as f64 / (right.time_us - left.time_us) as f64;
        Some(value(left) + (value(right) - value(left)) * part)
    }
}
