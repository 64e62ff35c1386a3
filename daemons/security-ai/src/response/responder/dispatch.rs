//! The task that takes orders: each becomes a job of its own, so that a unit that is slow to freeze holds nobody else
//! up. What is asked of one subject is done in order, what has had its time is undone, and the number of jobs is bounded.

use super::{Order, Responder, Wanted, now};
use crate::alert::Alert;
use crate::response::grade::Grade;
use crate::response::lanes::Lanes;
use crate::response::record::By;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};

/// The longest sleep: timers stand still while the host is suspended, the boot clock does not.
const LOOK: Duration = Duration::from_secs(60);
/// The most jobs under way or waiting for their turn; who asks for more waits, and alerts say that nothing was done.
const MOST_JOBS: usize = 256;

/// What became of a response whose time was over: what stands in the way, if anything does.
type Expired = Option<String>;

struct Dispatcher {
    responder: Arc<Responder>,
    jobs: JoinSet<Expired>,
    subjects: Lanes,
    /// The responses that are being undone because their time is over, by task.
    expiring: HashMap<Id, u64>,
    /// Those that could not be, and why.
    stuck: BTreeMap<u64, String>,
}

/// Runs until it is told to stop or nobody is left to tell it. What holds goes on holding.
pub async fn run(responder: Responder, mut inbox: mpsc::Receiver<Order>) {
    let mut task = Dispatcher {
        responder: Arc::new(responder),
        jobs: JoinSet::new(),
        subjects: Lanes::default(),
        expiring: HashMap::new(),
        stuck: BTreeMap::new(),
    };
    loop {
        let left = task.left();
        tokio::select! {
            order = inbox.recv(), if task.jobs.len() < MOST_JOBS => match order {
                Some(Order::Stop(done)) => {
                    // What has begun is finished: nothing is left half done.
                    while task.jobs.join_next().await.is_some() {}
                    let _ = done.send(());
                    return;
                }
                Some(order) => task.obey(order).await,
                None => return,
            },
            Some(ended) = task.jobs.join_next_with_id() => task.ended(ended).await,
            () = tokio::time::sleep(left.unwrap_or(LOOK).min(LOOK)), if left.is_some() => {
                task.expire();
            }
        }
    }
}

impl Dispatcher {
    /// Starts what is asked for. Whoever asked may have given up when it is answered.
    async fn obey(&mut self, order: Order) {
        let responder = self.responder.clone();
        match order {
            Order::Plan(wanted, answer) => self.job(async move {
                let _ = answer.send(responder.planned(&wanted).await);
            }),
            Order::Respond(wanted, by, answer) => {
                let mut turn = self.subjects.join(responder.subject(&wanted.aim));
                self.job(async move {
                    turn.come().await;
                    let _ = answer.send(responder.respond(wanted, by).await);
                });
            }
            Order::Undo(id, by, answer) => {
                let mut turn = self.subjects.join(responder.subject_of(id));
                self.job(async move {
                    turn.come().await;
                    let _ = answer.send(responder.undo(id, &by).await);
                });
            }
            Order::UndoAll(grades, by, answer) => self.undo_all(&grades, by, answer),
            Order::Occasion(grade, id, alert) => self.occasion(grade, id, alert),
            Order::Configure(settings, answer) => {
                responder.configure(settings).await;
                let _ = answer.send(());
            }
            Order::Recorded(number, entry, answer) => self.job(async move {
                responder.recorded(number, entry).await;
                let _ = answer.send(());
            }),
            Order::Gone(id) => {
                let mut turn = self.subjects.join(responder.subject_of(id));
                self.job(async move {
                    turn.come().await;
                    responder.gone(id).await;
                });
            }
            Order::Look(id) => {
                let mut turn = self.subjects.join(responder.subject_of(id));
                self.job(async move {
                    turn.come().await;
                    responder.look_at_unit(id).await;
                });
            }
            Order::Stop(_) => {}
        }
    }

    /// Undoes what holds now, each in its turn.
    fn undo_all(&mut self, grades: &[Grade], by: By, answer: oneshot::Sender<(u32, u32)>) {
        let held = self.responder.held(grades);
        let mut each = JoinSet::new();
        for id in held {
            let mut turn = self.subjects.join(self.responder.subject_of(id));
            let (responder, by) = (self.responder.clone(), by.clone());
            each.spawn(async move {
                turn.come().await;
                responder.undo(id, &by).await.is_ok()
            });
        }
        self.job(async move {
            let (mut undone, mut failed) = (0, 0);
            while let Some(ended) = each.join_next().await {
                match ended {
                    Ok(true) => undone += 1,
                    Ok(false) | Err(_) => failed += 1,
                }
            }
            let _ = answer.send((undone, failed));
        });
    }

    /// An alert that calls for a response.
    fn occasion(&mut self, grade: Grade, id: u64, alert: Box<Alert>) {
        if !self.responder.is_within_pace(&alert) {
            return;
        }
        let wanted = Wanted::of(grade, &alert);
        let mut turn = self.subjects.join(self.responder.subject(&wanted.aim));
        let responder = self.responder.clone();
        self.job(async move {
            turn.come().await;
            responder.occasion(wanted, id, &alert).await;
        });
    }

    fn job(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.jobs.spawn(async move {
            work.await;
            None
        });
    }

    /// How long until something has had its time; none when nothing will.
    fn left(&self) -> Option<Duration> {
        let under_way = |id: u64| self.expiring.values().any(|one| *one == id);
        let due = self.responder.deadline(under_way)?;
        Some(Duration::from_micros(due.saturating_sub(now().boot)))
    }

    /// Starts to undo what has had its time.
    fn expire(&mut self) {
        for id in self.responder.due(now().boot) {
            if self.expiring.values().any(|one| *one == id) {
                continue;
            }
            let mut turn = self.subjects.join(self.responder.subject_of(id));
            let responder = self.responder.clone();
            let job = self.jobs.spawn(async move {
                turn.come().await;
                responder.expire(id).await
            });
            self.expiring.insert(job.id(), id);
        }
    }

    async fn ended(&mut self, ended: Result<(Id, Expired), JoinError>) {
        let (job, stuck) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a response ended badly");
                (error.id(), Some(error.to_string()))
            }
        };
        let Some(id) = self.expiring.remove(&job) else {
            return;
        };
        match stuck {
            Some(reason) => drop(self.stuck.insert(id, reason)),
            None => drop(self.stuck.remove(&id)),
        }
        let (responder, stuck) = (&self.responder, &mut self.stuck);
        stuck.retain(|id, _| responder.holds(*id));
        responder.tell_stuck(self.stuck.values()).await;
    }
}
