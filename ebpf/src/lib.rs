//! Loads the eBPF probes, decodes their events and counts what was lost.
//!
//! [`SecurityProbes`] reports what processes do: exec, exit, fork, connections and opens of watched files. What
//! this kernel lets it see is in [`Coverage`], class by class; what a full ring dropped is in
//! [`SecurityProbes::lost`].
//!
//! [`SchedulerLatency`] counts, for each cgroup, how long its tasks wait for a CPU.
//!
//! CAP_BPF and CAP_PERFMON are enough, root is not needed, from kernel 5.11 on (5.10 also wants a high
//! RLIMIT_MEMLOCK). Nothing here reads tracefs. Tested on 5.10 (opens through the end of system calls, since its BPF
//! has no atomics), 6.1, 6.12 (security hooks) and 6.18.
//!
//! Traps: classes have rings of their own, so that order across them holds only within one
//! [`Rings::drain`]. Process numbers are those of the initial PID namespace, users those of the
//! initial user namespace. Paths start at the root of the file's mount namespace: not at a chroot, and
//! not at the host's root for a container.

mod action;
mod actions;
mod attach;
mod calls;
mod coverage;
mod decode;
mod deny;
#[cfg(feature = "measure")]
mod deny_cost;
mod error;
mod event;
mod expected;
mod histogram;
mod hooks;
mod maps;
mod ring;
mod scheduler;
mod security;
mod stats;
mod steering;
mod watch;

/// Constants and offsets from `probes/events.h`.
#[allow(dead_code)]
mod layout {
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

pub use action::{Action, ActionEvent, Peer, Target};
pub use coverage::{Coverage, State};
pub use decode::{DecodeError, decode};
pub use deny::Denial;
#[cfg(feature = "measure")]
pub use deny_cost::DenyCost;
pub use error::Error;
pub use event::{
    Ancestor, Class, ConnectEvent, Context, Event, ExecEvent, ExitEvent, FileId, ForkEvent,
    Namespaces, OpenEvent, ProcessKey,
};
pub use expected::Tampering;
pub use histogram::{Histogram, SLOTS, upper_bound};
pub use ring::{Drained, Ring, Rings};
pub use scheduler::{SchedulerLatency, SchedulerSettings};
pub use security::{SecurityProbes, Settings};
pub use stats::{ProgramStatistics, RunTime};
pub use watch::{Access, Pattern, Watch};
