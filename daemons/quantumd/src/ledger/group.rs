//! Group commit: one thread takes all requests that wait, does them at once, and answers each. So many
//! callers share one wait for the disk, and each still has its answer only after it.

use crate::Error;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Requests that may wait; further ones are refused.
const WAITING: usize = 4096;

/// A request and where its answer goes.
type Job<T, R> = (T, oneshot::Sender<R>);

/// A thread that does requests in batches, in the order in which they came.
#[derive(Debug)]
pub struct Group<T, R> {
    sender: Option<SyncSender<Job<T, R>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static, R: Send + 'static> Group<T, R> {
    /// Starts the thread. `commit` gets at most `most` requests at once and gives an answer for each, in
    /// their order.
    ///
    /// # Errors
    /// [`Error::Worker`] when no thread can be had.
    pub fn start(
        most: usize,
        commit: impl FnMut(Vec<T>) -> Vec<R> + Send + 'static,
    ) -> Result<Self, Error> {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || run(&receiver, most, commit))
            .map_err(|_| Error::Worker)?;
        Ok(Self {
            sender: Some(sender),
            thread: Some(thread),
        })
    }

    /// Hands a request in; the answer comes when it is done.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait, [`Error::Worker`] when the thread is gone.
    pub fn submit(&self, request: T) -> Result<oneshot::Receiver<R>, Error> {
        let (answer, answered) = oneshot::channel();
        let sender = self.sender.as_ref().ok_or(Error::Worker)?;
        match sender.try_send((request, answer)) {
            Ok(()) => Ok(answered),
            Err(TrySendError::Full(_)) => Err(Error::Busy(WAITING)),
            Err(TrySendError::Disconnected(_)) => Err(Error::Worker),
        }
    }
}

fn run<T, R>(
    receiver: &Receiver<Job<T, R>>,
    most: usize,
    mut commit: impl FnMut(Vec<T>) -> Vec<R>,
) {
    while let Ok(first) = receiver.recv() {
        let more = receiver.try_iter().take(most.saturating_sub(1));
        let jobs: Vec<Job<T, R>> = std::iter::once(first).chain(more).collect();
        let (requests, answers): (Vec<T>, Vec<_>) = jobs.into_iter().unzip();
        for (answer, done) in answers.into_iter().zip(commit(requests)) {
            // Who asked may have gone away.
            let _ = answer.send(done);
        }
    }
}

/// What was handed in is done before the thread ends.
impl<T, R> Drop for Group<T, R> {
    fn drop(&mut self) {
        self.sender.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the ledger's thread ended by a panic");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn who_waits_is_served_together_and_in_order() {
        let (release, hold) = mpsc::channel::<()>();
        let mut batches = 0;
        let group = Group::start(3, move |requests: Vec<u32>| {
            hold.recv().unwrap();
            batches += 1;
            let batch = batches;
            requests.into_iter().map(|n| (n, batch)).collect()
        })
        .unwrap();
        // The first goes alone or with some that came in time: all the others are handed in before
        // it is done.
        let answers: Vec<_> = (0..10).map(|n| group.submit(n).unwrap()).collect();
        for _ in 0..10 {
            release.send(()).unwrap();
        }
        let done: Vec<(u32, u32)> = answers
            .into_iter()
            .map(|answer| answer.blocking_recv().unwrap())
            .collect();
        let numbers: Vec<u32> = done.iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        assert!(done.is_sorted_by_key(|(_, batch)| *batch));
        let last = done[9].1;
        assert!((4..=5).contains(&last), "{last} batches");
    }

    #[test]
    fn too_many_are_refused_and_the_rest_is_done_before_the_end() {
        let (release, hold) = mpsc::channel::<()>();
        let (done, seen) = mpsc::channel();
        let group = Group::start(usize::MAX, move |requests: Vec<usize>| {
            let _ = hold.recv();
            done.send(requests.len()).unwrap();
            requests
        })
        .unwrap();
        let refused = (0..2 * WAITING + 1).find(|n| group.submit(*n).is_err());
        let taken = refused.unwrap();
        assert!(matches!(group.submit(0), Err(Error::Busy(WAITING))));
        drop(release);
        drop(group);
        assert_eq!(seen.iter().sum::<usize>(), taken);
    }
}
