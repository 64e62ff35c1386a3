//! A job as who works on it and who looks at it share it: state, progress, the wish to cancel it and
//! what came of it. Says nothing of the bus; who starts and keeps jobs is `bus/jobs.rs`.

use crate::record::now;
use quantumos_dbus::Error as BusError;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use tokio::sync::watch;

/// What came of a job that was done.
#[derive(Debug, Clone)]
pub struct Outcome {
    memory: Arc<OwnedFd>,
    media_type: &'static str,
}

impl Outcome {
    /// A descriptor that nobody can write to any more (a sealed memfd), and what it holds.
    #[must_use]
    pub fn new(memory: OwnedFd, media_type: &'static str) -> Self {
        let memory = Arc::new(memory);
        Self { memory, media_type }
    }

    /// The descriptor.
    #[must_use]
    pub fn memory(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }

    /// The media type, such as `application/json`.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }
}

/// Where a job is.
#[derive(Debug, Clone)]
pub enum State {
    /// Others have to end first.
    Waiting,
    /// Under way.
    Running,
    /// Ended well.
    Done(Outcome),
    /// Ended by an error.
    Failed(BusError),
    /// Ended because somebody wanted it to.
    Cancelled,
}

impl State {
    /// As on the bus.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done(_) => "done",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing comes any more.
    #[must_use]
    pub fn ended(&self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// All that changes of a job.
#[derive(Debug, Clone)]
pub struct Status {
    /// Where it is.
    pub state: State,
    /// From 0 to 1.
    pub progress: f64,
    /// Microseconds of CLOCK_REALTIME; 0 before the end.
    pub ended_at: u64,
}

/// A job, for who looks at it.
#[derive(Debug)]
pub struct Job {
    /// What it does, as the method that started it says.
    pub kind: &'static str,
    /// User id of who started it.
    pub owner: u32,
    /// Microseconds of CLOCK_REALTIME.
    pub created_at: u64,
    status: watch::Sender<Status>,
    cancel: watch::Sender<bool>,
}

impl Job {
    /// A job that waits.
    #[must_use]
    pub fn new(kind: &'static str, owner: u32) -> Arc<Self> {
        let status = Status {
            state: State::Waiting,
            progress: 0.0,
            ended_at: 0,
        };
        Arc::new(Self {
            kind,
            owner,
            created_at: now(),
            status: watch::Sender::new(status),
            cancel: watch::Sender::new(false),
        })
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Follows how it is.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Wishes that it ended.
    pub fn cancel(&self) {
        self.cancel.send_replace(true);
    }

    /// Ends it by what its work gave. An error of work that was to be cancelled counts as that.
    pub fn end(&self, result: Result<Outcome, BusError>) {
        let state = match result {
            Ok(outcome) => State::Done(outcome),
            Err(_) if *self.cancel.borrow() => State::Cancelled,
            Err(error) => State::Failed(error),
        };
        self.status.send_if_modified(|status| {
            if status.state.ended() {
                return false;
            }
            if matches!(state, State::Done(_)) {
                status.progress = 1.0;
            }
            status.state = state;
            status.ended_at = now();
            true
        });
    }

    /// The side of who works on it.
    #[must_use]
    pub fn worker(self: &Arc<Self>) -> Worker {
        Worker(self.clone())
    }
}

/// A job, for who works on it. Cheap to clone, and good for threads as well as for tasks.
#[derive(Debug, Clone)]
pub struct Worker(Arc<Job>);

impl Worker {
    /// User id of who started it.
    #[must_use]
    pub fn owner(&self) -> u32 {
        self.0.owner
    }

    /// Says that the work begins.
    pub fn running(&self) {
        self.0.status.send_if_modified(|status| {
            let waits = matches!(status.state, State::Waiting);
            if waits {
                status.state = State::Running;
            }
            waits
        });
    }

    /// Says how much is done, from 0 to 1. It never goes back, and anything else is ignored.
    pub fn progress(&self, part: f64) {
        self.0.status.send_if_modified(|status| {
            let more = (0.0..=1.0).contains(&part) && part > status.progress;
            if more && !status.state.ended() {
                status.progress = part;
                return true;
            }
            false
        });
    }

    /// Whether the work should end now: with any error, and nothing left behind.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.cancel.borrow()
    }

    /// Waits until the work should end.
    pub async fn cancelled(&self) {
        // The sender is in `self`, so the channel can't close before.
        let _ = self.0.cancel.subscribe().wait_for(|wish| *wish).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome::new(tempfile::tempfile().unwrap().into(), "text/plain")
    }

    #[test]
    fn a_job_ends_once_and_progress_never_goes_back() {
        let job = Job::new("test", 7);
        let worker = job.worker();
        assert_eq!(job.status().state.name(), "waiting");
        worker.running();
        assert_eq!(job.status().state.name(), "running");
        for (said, held) in [
            (0.25, 0.25),
            (0.1, 0.25),
            (f64::NAN, 0.25),
            (1.5, 0.25),
            (-1.0, 0.25),
            (0.5, 0.5),
        ] {
            worker.progress(said);
            assert_eq!(job.status().progress, held, "{said}");
        }
        job.end(Ok(outcome()));
        let done = job.status();
        assert_eq!((done.state.name(), done.progress), ("done", 1.0));
        assert!(done.ended_at >= job.created_at);
        job.end(Err(BusError::Internal("late".into())));
        worker.running();
        assert_eq!(job.status().state.name(), "done");
    }

    #[test]
    fn an_error_after_the_wish_to_cancel_is_the_cancellation() {
        for (wish, good, ends) in [
            (false, false, "failed"),
            (true, false, "cancelled"),
            (true, true, "done"),
        ] {
            let job = Job::new("test", 7);
            if wish {
                job.cancel();
            }
            assert_eq!(job.worker().is_cancelled(), wish);
            let error = BusError::Io("disk".into());
            job.end(if good { Ok(outcome()) } else { Err(error) });
            assert_eq!(job.status().state.name(), ends);
        }
    }

    #[tokio::test]
    async fn who_waits_for_the_wish_to_cancel_hears_it() {
        let job = Job::new("test", 7);
        let worker = job.worker();
        let waits = tokio::spawn(async move { worker.cancelled().await });
        job.cancel();
        waits.await.unwrap();
        job.worker().cancelled().await;
    }
}
