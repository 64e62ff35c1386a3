//! Threads for what blocks: few at a time, so that a flood of requests neither makes a thread each
//! nor starves the bus, and with a bound on how many may wait.

use super::turns::Turns;
use crate::Error;
use crate::job::Worker;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A request that follows so soon on one that was done at once was there before that had ended: its caller
/// waited, and so may others.
const QUEUED: Duration = Duration::from_micros(60);

/// A bound on concurrent and on waiting work.
#[derive(Debug)]
pub(super) struct Workers {
    turns: Turns,
    /// When what was done at once ended last.
    at_once: Mutex<Option<Instant>>,
}

impl Workers {
    fn new(at_once: usize, most_waiting: usize) -> Self {
        Self {
            turns: Turns::new(at_once, most_waiting),
            at_once: Mutex::default(),
        }
    }

    /// As many as there are processors, at most four: signing is all computation.
    pub(super) fn for_signing() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(processors.min(4), 256)
    }

    /// As many as there are processors, at most four: jobs seal, open and transform.
    pub(super) fn for_jobs() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(processors.min(4), 4096)
    }

    /// Two at once: each uses all processors and much of the memory.
    pub(super) fn for_circuits() -> Self {
        Self::new(2, 256)
    }

    /// Two at once: each may hold 64 MiB.
    pub(super) fn for_descriptors() -> Self {
        Self::new(2, 16)
    }

    /// Runs `work` here and now when nobody else is served or waits, so that a lone caller does not pay for two
    /// changes of threads; gives nothing otherwise. `work` computes for less than a millisecond and waits for nothing.
    pub(super) fn run_at_once<T>(&self, work: impl FnOnce() -> Option<T>) -> Option<T> {
        let idle = self.turns.idle();
        let mut ended = self.at_once.lock().unwrap_or_else(PoisonError::into_inner);
        let queued = ended.take().is_some_and(|at| at.elapsed() < QUEUED);
        if !idle || queued {
            return None;
        }
        let done = work();
        *ended = done.is_some().then(Instant::now);
        done
    }

    /// Runs `work` on a thread of its own as soon as there's room.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = self.turns.admit(None).await?;
        let done = tokio::task::spawn_blocking(work).await;
        drop(permit);
        done.map_err(|_| Error::Worker)?
    }

    /// Runs the work of a job, which may be cancelled while it waits; once it runs, it has to look
    /// itself whether it should end.
    pub(super) async fn run_job<T: Send + 'static>(
        &self,
        job: Worker,
        work: impl FnOnce(&Worker) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = tokio::select! {
            permit = self.turns.admit(Some(job.owner())) => permit?,
            () = job.cancelled() => return Err(Error::Cancelled),
        };
        job.running();
        let done = tokio::task::spawn_blocking(move || work(&job)).await;
        drop(permit);
        done.map_err(|_| Error::Worker)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, mpsc};

    #[tokio::test]
    async fn more_wait_and_too_many_are_refused() {
        let workers = Arc::new(Workers::new(1, 1));
        let (release, hold) = mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let one = workers.clone();
        let first = tokio::spawn(async move {
            one.run(move || {
                let _ = started.send(());
                let _ = hold.recv();
                Ok(1)
            })
            .await
        });
        running.await.unwrap();
        let two = workers.clone();
        let second = tokio::spawn(async move { two.run(|| Ok(2)).await });
        while workers.turns.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(workers.run(|| Ok(3)).await, Err(Error::Busy(1))));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(second.await.unwrap().unwrap(), 2);
        assert_eq!(workers.run(|| Ok(4)).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn at_once_only_when_nobody_else_is_served_or_waits() {
        let workers = Arc::new(Workers::new(2, 1));
        assert_eq!(workers.run_at_once(|| None::<u32>), None);
        assert_eq!(workers.run_at_once(|| Some(1)), Some(1));
        // As if that had ended just now, or long ago.
        let ended = |ago| *workers.at_once.lock().unwrap() = Instant::now().checked_sub(ago);
        ended(Duration::ZERO);
        // The clock may have been slow to get here; it is not asked about twice.
        let _ = workers.run_at_once(|| Some(2));
        ended(QUEUED);
        assert_eq!(workers.run_at_once(|| Some(3)), Some(3));
        ended(QUEUED);
        let (release, hold) = mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let one = workers.clone();
        let other = tokio::spawn(async move {
            one.run(move || {
                let _ = started.send(());
                let _ = hold.recv();
                Ok(())
            })
            .await
        });
        running.await.unwrap();
        assert_eq!(workers.run_at_once(|| Some(4)), None);
        release.send(()).unwrap();
        other.await.unwrap().unwrap();
        ended(QUEUED);
        assert_eq!(workers.run_at_once(|| Some(5)), Some(5));
    }

    #[tokio::test]
    async fn a_panic_in_a_worker_is_an_error() {
        let workers = Workers::new(1, 1);
        let failed = workers
            .run(|| -> Result<(), Error> { panic!("as tested") })
            .await;
        assert!(matches!(failed, Err(Error::Worker)));
        workers.run(|| Ok(())).await.unwrap();
    }
}
