//! Pressure triggers: the text that is written to a pressure file so that poll()
//! wakes up when tasks were stalled for long enough within a window. Limits are the
//! kernel's (Documentation/accounting/psi.rst).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Shortest window of a privileged caller, in microseconds.
pub const MIN_WINDOW_US: u64 = 500_000;
/// Longest window, in microseconds.
pub const MAX_WINDOW_US: u64 = 10_000_000;
/// Without CAP_SYS_RESOURCE a window has to be a multiple of this (kernel 6.5 and later).
pub const UNPRIVILEGED_STEP_US: u64 = 2_000_000;

/// Which line of the pressure file counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Some task was stalled.
    Some,
    /// Every task that wanted to run was stalled.
    Full,
}

impl Kind {
    /// The word in the kernel's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Some => "some",
            Self::Full => "full",
        }
    }
}

/// One trigger: wake up when `stall_us` of `window_us` were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Which line counts.
    pub kind: Kind,
    /// Stalled time that wakes up, in microseconds.
    pub stall_us: u64,
    /// The window it is measured in, in microseconds.
    pub window_us: u64,
}

impl Trigger {
    /// A trigger that the kernel takes, with (`privileged`) or without CAP_SYS_RESOURCE.
    ///
    /// # Errors
    /// `Error::Trigger` names the limit that is not kept.
    pub fn new(kind: Kind, stall_us: u64, window_us: u64, privileged: bool) -> Result<Self, Error> {
        if !(MIN_WINDOW_US..=MAX_WINDOW_US).contains(&window_us) {
            return Err(Error::Trigger(format!(
                "window of {window_us} us is outside {MIN_WINDOW_US} to {MAX_WINDOW_US} us"
            )));
        }
        if !privileged && !window_us.is_multiple_of(UNPRIVILEGED_STEP_US) {
            return Err(Error::Trigger(format!(
                "window of {window_us} us is not a multiple of {UNPRIVILEGED_STEP_US} us, which the kernel wants without CAP_SYS_RESOURCE"
            )));
        }
        if stall_us == 0 || stall_us > window_us {
            return Err(Error::Trigger(format!(
                "stall of {stall_us} us does not fit a window of {window_us} us"
            )));
        }
        Ok(Self {
            kind,
            stall_us,
            window_us,
        })
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.kind.as_str(),
            self.stall_us,
            self.window_us
        )
    }
}
