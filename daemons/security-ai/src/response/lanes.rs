//! Turns: what concerns one subject is done one thing after another, in the order in which it was asked for, and
//! nobody waits for another subject.

use std::collections::HashMap;
use tokio::sync::oneshot::{self, error::TryRecvError};

/// Who came last, by subject.
#[derive(Debug, Default)]
pub struct Lanes {
    last: HashMap<String, oneshot::Receiver<()>>,
}

/// A place in the line of a subject, given up when it is dropped.
#[derive(Debug)]
pub struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _end: oneshot::Sender<()>,
}

impl Lanes {
    /// Joins the line of a subject at its end.
    pub fn join(&mut self, subject: String) -> Turn {
        let is_under_way =
            |end: &mut oneshot::Receiver<()>| end.try_recv() == Err(TryRecvError::Empty);
        self.last.retain(|_, end| is_under_way(end));
        let (end, ended) = oneshot::channel();
        Turn {
            before: self.last.insert(subject, ended),
            _end: end,
        }
    }

    /// How many subjects somebody is at.
    #[must_use]
    pub fn len(&self) -> usize {
        self.last.len()
    }

    /// Whether nobody has come, or all have gone and somebody came since.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }
}

impl Turn {
    /// Waits until all who came earlier have gone.
    pub async fn come(&mut self) {
        if let Some(before) = self.before.as_mut() {
            // Nothing is sent: the other end goes when its turn is over.
            let _ = before.await;
            self.before = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::task::JoinSet;

    /// What has been polled once and is not over, waits.
    async fn waits(turn: &mut Turn) -> bool {
        tokio::select! {
            biased;
            () = turn.come() => false,
            () = std::future::ready(()) => true,
        }
    }

    #[tokio::test]
    async fn one_subject_is_in_order_and_others_do_not_wait() {
        let mut lanes = Lanes::default();
        let [mut first, mut second, mut third] =
            ["a", "a", "a"].map(|name| lanes.join(name.into()));
        let mut other = lanes.join("b".into());
        assert!(!waits(&mut first).await && !waits(&mut other).await);
        assert!(waits(&mut second).await && waits(&mut third).await);
        drop(first);
        assert!(waits(&mut third).await, "the second is not over");
        assert!(!waits(&mut second).await);
        drop(second);
        assert!(!waits(&mut third).await);
        drop((third, other));
        // Whoever is gone is forgotten.
        let _last = lanes.join("c".into());
        assert_eq!(lanes.len(), 1);
    }

    #[tokio::test]
    async fn many_at_once_keep_the_order_of_each() {
        let (mut lanes, done) = (Lanes::default(), Arc::new(Mutex::new(Vec::new())));
        let mut jobs = JoinSet::new();
        for n in 0..60_u32 {
            let (mut turn, done) = (lanes.join((n % 3).to_string()), done.clone());
            jobs.spawn(async move {
                turn.come().await;
                for _ in 0..n % 5 {
                    tokio::task::yield_now().await;
                }
                done.lock().unwrap().push(n);
            });
        }
        jobs.join_all().await;
        let done = done.lock().unwrap();
        for subject in 0..3 {
            let of_subject: Vec<u32> = done.iter().copied().filter(|n| n % 3 == subject).collect();
            assert_eq!(of_subject.len(), 20);
            assert!(of_subject.is_sorted(), "{of_subject:?}");
        }
    }
}
