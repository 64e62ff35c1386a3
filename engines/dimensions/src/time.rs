//! TIME: pressure, load, the clock's quality, the boot chain and timers.
//!
//! Sources are `/proc/pressure`, `/proc/loadavg`, `/proc/uptime`, the clock source in sysfs,
//! the kernel's clock discipline and systemd's manager. Health, over the last 10 seconds: any
//! task waiting for a processor 60 % of the time is attention, 90 % critical; all tasks
//! waiting for memory 5 % / 20 %; all tasks waiting for I/O 20 % / 60 %. An unsynchronised
//! clock is state, not ill health: a host may keep its own time.

mod boot;
mod clock;
mod latency;
mod pressure;
mod timer;

pub use boot::Boot;
pub use clock::{Clock, Discipline, booted_at, load};
pub use latency::{Latency, worst};
pub use pressure::{Averages, Pressure, Resource};
pub use timer::{Monotonic, Timer};

use crate::{Deadband, Report, State, health::Checks, text::ParseError};

/// Gauges of this dimension.
pub const DEADBANDS: &[(&str, Deadband)] = &[
    ("CpuSomeAvg10", Deadband::Absolute(2.0)),
    ("CpuSomeAvg60", Deadband::Absolute(2.0)),
    ("MemorySomeAvg10", Deadband::Absolute(1.0)),
    ("MemorySomeAvg60", Deadband::Absolute(1.0)),
    ("MemoryFullAvg10", Deadband::Absolute(1.0)),
    ("MemoryFullAvg60", Deadband::Absolute(1.0)),
    ("IoSomeAvg10", Deadband::Absolute(2.0)),
    ("IoSomeAvg60", Deadband::Absolute(2.0)),
    ("IoFullAvg10", Deadband::Absolute(2.0)),
    ("IoFullAvg60", Deadband::Absolute(2.0)),
    ("Load1", Deadband::Absolute(0.5)),
    ("Load5", Deadband::Absolute(0.5)),
    ("Load15", Deadband::Absolute(0.5)),
    ("BootedAt", Deadband::Absolute(2e6)),
    ("ClockMaxErrorUSec", Deadband::Relative(1.0)),
    ("ClockEstimatedErrorUSec", Deadband::Relative(1.0)),
    ("RunQueueP50NSec", Deadband::Relative(0.5)),
    ("RunQueueP99NSec", Deadband::Relative(0.5)),
    ("NextAt", Deadband::Absolute(2e6)),
    ("LastAt", Deadband::Absolute(2e6)),
    ("NextTimerAt", Deadband::Absolute(2e6)),
];

/// All that was read about the host's time.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// Pressure of each resource that the kernel accounts.
    pub pressure: Vec<(Resource, Pressure)>,
    /// Load over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// When the host booted, in microseconds since the epoch.
    pub booted_at: Option<u64>,
    /// Clock source and discipline.
    pub clock: Clock,
    /// The boot chain, from systemd.
    pub boot: Option<Boot>,
    /// Timer units, from systemd; `None` without it.
    pub timers: Option<Vec<Timer>>,
    /// Run-queue latency, from resource-ai, or why there is none.
    pub latency: Option<Result<Latency, String>>,
    /// Where it came from.
    pub sources: Vec<String>,
    /// What could not be parsed.
    pub errors: Vec<ParseError>,
}

impl Times {
    /// The dimension's report.
    #[must_use]
    pub fn report(&self) -> Report {
        if self.sources.is_empty() {
            return Report::unavailable(
                "no pressure, load, clock source or systemd to read time from",
            );
        }
        let mut state = State::new();
        let mut checks = Checks::default();
        for (resource, pressure) in &self.pressure {
            pressure.put(*resource, &mut state);
            pressure.check(*resource, &mut checks);
        }
        if let Some([one, five, fifteen]) = self.load {
            state.put("Load1", one);
            state.put("Load5", five);
            state.put("Load15", fifteen);
        }
        state.put_some("BootedAt", self.booted_at);
        self.clock.put(&mut state);
        if let Some(boot) = &self.boot {
            boot.put(&mut state);
        }
        if let Some(timers) = &self.timers {
            timer::put(timers, &mut state);
        }
        match &self.latency {
            Some(Ok(latency)) => latency.put(&mut state),
            Some(Err(reason)) => state.put("RunQueueReason", reason),
            None => {}
        }
        Report::found(self.sources.clone(), state, checks, &self.errors)
    }
}
