//! Turns at something of which there is room for few at a time. Users take turns: who has many waiting
//! delays another's first one by no more than what runs already.

use crate::Error;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Whose turn it is about: a user's, or that of all who call a method and wait for its answer.
pub(super) type Who = Option<u32>;

/// Room for so many, and a bound on how many wait for it.
#[derive(Debug)]
pub(super) struct Turns {
    line: Arc<Mutex<Line>>,
    at_once: usize,
    most_waiting: usize,
}

/// Who runs and who waits.
#[derive(Debug)]
struct Line {
    free: usize,
    running: BTreeMap<Who, usize>,
    /// Those who wait, by whose turn comes first.
    queues: VecDeque<(Who, VecDeque<oneshot::Sender<Permit>>)>,
}

/// Room to run; dropped, it goes to whoever is next.
#[derive(Debug)]
pub(super) struct Permit {
    turns: Option<Arc<Mutex<Line>>>,
    who: Who,
}

impl Permit {
    /// Makes its drop do nothing.
    fn disarm(mut self) {
        self.turns = None;
    }
}

fn lock(turns: &Mutex<Line>) -> MutexGuard<'_, Line> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    fn begin(&mut self, who: Who) {
        self.free -= 1;
        *self.running.entry(who).or_default() += 1;
    }

    fn end(&mut self, who: Who) {
        self.free += 1;
        if let Some(count) = self.running.get_mut(&who) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(&who);
            }
        }
    }

    /// Takes those off who wait no more.
    fn sweep(&mut self) {
        for (_, queue) in &mut self.queues {
            queue.retain(|waiting| !waiting.is_closed());
        }
        self.queues.retain(|(_, queue)| !queue.is_empty());
    }

    fn waiting(&self) -> usize {
        self.queues.iter().map(|(_, queue)| queue.len()).sum()
    }

    /// Whose turn it is: of those for whom the least runs who had none for longest.
    fn next(&mut self) -> Option<(Who, oneshot::Sender<Permit>)> {
        self.sweep();
        let runs = |who: &Who| self.running.get(who).copied().unwrap_or(0);
        let each = self.queues.iter().enumerate();
        let (place, _) = each.min_by_key(|(place, (who, _))| (runs(who), *place))?;
        let (who, mut queue) = self.queues.remove(place)?;
        let first = queue.pop_front()?;
        if !queue.is_empty() {
            self.queues.push_back((who, queue));
        }
        Some((who, first))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(shared) = self.turns.take() else {
            return;
        };
        let mut turns = lock(&shared);
        turns.end(self.who);
        while turns.free > 0 {
            let Some((who, waiting)) = turns.next() else {
                return;
            };
            turns.begin(who);
            let permit = Permit {
                turns: Some(shared.clone()),
                who,
            };
            if let Err(refused) = waiting.send(permit) {
                // Its own drop would wait for the lock that is held here.
                refused.disarm();
                turns.end(who);
            }
        }
    }
}

impl Turns {
    pub(super) fn new(at_once: usize, most_waiting: usize) -> Self {
        let line = Line {
            free: at_once,
            running: BTreeMap::new(),
            queues: VecDeque::new(),
        };
        Self {
            line: Arc::new(Mutex::new(line)),
            at_once,
            most_waiting,
        }
    }

    /// Whether nothing runs or waits.
    pub(super) fn idle(&self) -> bool {
        lock(&self.line).free == self.at_once
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.line).waiting()
    }

    /// Waits for room.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait.
    pub(super) async fn admit(&self, who: Who) -> Result<Permit, Error> {
        let turn = {
            let mut turns = lock(&self.line);
            if turns.free > 0 {
                turns.begin(who);
                return Ok(Permit {
                    turns: Some(self.line.clone()),
                    who,
                });
            }
            if turns.waiting() >= self.most_waiting {
                turns.sweep();
            }
            if turns.waiting() >= self.most_waiting {
                return Err(Error::Busy(self.most_waiting));
            }
            let (sender, turn) = oneshot::channel();
            match turns.queues.iter_mut().find(|(user, _)| *user == who) {
                Some((_, queue)) => queue.push_back(sender),
                None => turns.queues.push_back((who, VecDeque::from([sender]))),
            }
            turn
        };
        turn.await.map_err(|_| Error::Worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One user's thousand before another's one, and one that was given up: round robin.
    #[tokio::test]
    async fn users_take_turns() {
        let turns = Arc::new(Turns::new(1, 2000));
        let held = turns.admit(Some(1)).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        let users = std::iter::repeat_n(1, 1000).chain([2, 3, 3]);
        for (count, user) in users.enumerate() {
            let (own, order) = (turns.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let _permit = own.admit(Some(user)).await.unwrap();
                order.lock().unwrap().push(user);
            }));
            while lock(&turns.line).waiting() <= count {
                tokio::task::yield_now().await;
            }
        }
        // The first of user 1 gives up while it waits.
        tasks.remove(0).abort();
        tokio::task::yield_now().await;
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        let order = order.lock().unwrap();
        assert_eq!(order.len(), 1002);
        assert_eq!(order[..6], [1, 2, 3, 1, 3, 1]);
        assert_eq!(lock(&turns.line).free, 1);
        assert!(lock(&turns.line).running.is_empty());
    }
}
