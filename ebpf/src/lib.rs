//! Loads the eBPF probes, decodes their events and counts what was lost.
//!
//! [`SecurityProbes`] reports what processes do: exec, exit, fork, connections and opens of watched files. What
//! this kernel lets it see is in [`Coverage`], class by class; what a full ring dropped is in
//! [`SecurityProbes::lost`].
//!
//! [`SchedulerLatency`] counts, for each cgroup, how long its tasks wait for a CPU.
//!
//! CAP_BPF and CAP_PERFMON are enough, root is not needed, from kernel
//! 5.11 on (5.10 also wants a high RLIMIT_MEMLOCK). Nothing here reads tracefs.

mod attach;
mod coverage;
mod decode;
mod error;
mod event;
mod histogram;
mod hooks;
mod maps;
mod ring;
mod scheduler;
mod security;
mod stats;
mod watch;

/// Constants and offsets from `probes/events.h`.
#[allow(dead_code)]
mod layout {
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

pub use coverage::{Coverage, State};
pub use decode::{DecodeError, decode};
pub use error::Error;
pub use event::{
    Ancestor, Class, ConnectEvent, Context, Event, ExecEvent, ExitEvent, FileId, ForkEvent,
    Namespaces, OpenEvent, ProcessKey,
};
pub use histogram::{Histogram, SLOTS, upper_bound};
pub use ring::{Drained, Ring, Rings};
pub use scheduler::{SchedulerLatency, SchedulerSettings};
pub use security::{SecurityProbes, Settings};
pub use stats::{ProgramStatistics, RunTime};
pub use watch::{Access, Pattern, Watch};
