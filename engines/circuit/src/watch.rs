//! How a caller follows a run and stops it: counters that threads share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::Error;

/// Progress and cancellation of a run.
#[derive(Debug, Default)]
pub struct Watch {
    stop: AtomicBool,
    done: AtomicU64,
    all: AtomicU64,
}

impl Watch {
    /// Asks the run to stop; it ends with [`Error::Cancelled`] soon.
    pub fn cancel(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The part that is done, from 0 to 1. More work may turn up, so it may step back.
    #[must_use]
    pub fn progress(&self) -> f64 {
        let all = self.all.load(Ordering::Relaxed);
        if all == 0 {
            return 0.0;
        }
        (self.done.load(Ordering::Relaxed) as f64 / all as f64).min(1.0)
    }

    /// More work is known.
    pub(crate) fn expect(&self, more: u64) {
        self.all.fetch_add(more, Ordering::Relaxed);
    }

    /// Some of it is done.
    pub(crate) fn advance(&self, by: u64) {
        self.done.fetch_add(by, Ordering::Relaxed);
    }

    /// An error if it was asked to stop.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_cancelled() {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}
