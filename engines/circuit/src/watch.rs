//! How a caller follows a run and stops it: counters that threads share, and what is kept for a later run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::Error;
use crate::kept::Kept;

/// Progress and cancellation of a run.
#[derive(Debug, Default)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    done: AtomicU64,
    all: AtomicU64,
    /// Whether work is counted in steps of shots, not by the methods.
    by_steps: AtomicBool,
    kept: Option<Kept>,
}

impl Watch {
    /// One that keeps the shots that are done, for another run of the same circuit and request to go on
    /// from, and begins with the lines that an earlier run gave.
    #[must_use]
    pub fn keeping(lines: &[String]) -> Self {
        Self {
            kept: Some(Kept::new(lines)),
            ..Self::default()
        }
    }

    /// One for a part of the work: it stops when this one is asked to, counts for itself, and keeps nothing.
    pub(crate) fn part(&self) -> Self {
        Self {
            stop: self.stop.clone(),
            ..Self::default()
        }
    }

    /// What was done since this was asked before: lines of at most 60 KiB, to be stored in any order.
    #[must_use]
    pub fn fresh(&self) -> Vec<String> {
        self.kept.as_ref().map(Kept::lines).unwrap_or_default()
    }

    pub(crate) fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

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
    pub fn expect(&self, more: u64) {
        if self.by_steps.load(Ordering::Relaxed) {
            return;
        }
        self.all.fetch_add(more, Ordering::Relaxed);
    }

    /// Some of it is done.
    pub fn advance(&self, by: u64) {
        if self.by_steps.load(Ordering::Relaxed) {
            return;
        }
        self.done.fetch_add(by, Ordering::Relaxed);
    }

    /// From here on work is counted in steps of shots, this many in all (if nothing is repeated).
    pub(crate) fn expect_steps(&self, all: u64) {
        self.all.store(all, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        self.by_steps.store(true, Ordering::Relaxed);
    }

    /// So many steps of shots are done.
    pub(crate) fn advance_steps(&self, by: u64) {
        self.done.fetch_add(by, Ordering::Relaxed);
    }

    /// An error if it was asked to stop.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn check(&self) -> Result<(), Error> {
        if self.is_cancelled() {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}
