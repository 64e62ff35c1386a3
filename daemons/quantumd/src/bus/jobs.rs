//! Starts jobs, puts them on the bus and keeps them: tells their owners what changes, and removes
//! them when the connection that started them leaves or a while after their end.

use super::failure::Answer;
use super::job::Job1;
use crate::Error;
use crate::job::{Job, Outcome, Status, Worker};
use crate::record::KeyId;
use crate::settings::JobSettings;
use futures_util::StreamExt;
use quantumos_dbus::{Error as BusError, path};
use quantumos_service::{Authority, Caller};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use zbus::names::{BusName, OwnedUniqueName};
use zbus::object_server::SignalEmitter;
use zbus::{Connection, OwnedObjectPath, fdo};

/// Progress is told about this often at most.
const PAUSE: Duration = Duration::from_millis(100);

/// The object path of a job.
pub(super) fn job_path(id: KeyId) -> Answer<OwnedObjectPath> {
    OwnedObjectPath::try_from(format!("{}/{id}", path::JOBS))
        .map_err(|error| BusError::Internal(error.to_string()))
}

/// All jobs.
#[derive(Debug)]
pub(crate) struct Jobs {
    connection: Connection,
    authority: Authority,
    list: Mutex<BTreeMap<KeyId, Kept>>,
    settings: Mutex<JobSettings>,
}

#[derive(Debug)]
struct Kept {
    job: Arc<Job>,
    /// Dropped, it ends who keeps the job.
    _forget: oneshot::Sender<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ids of jobs that a user may see, the oldest first.
fn seen_by(list: &BTreeMap<KeyId, Kept>, user: u32) -> Vec<KeyId> {
    let mut seen: Vec<_> = list
        .iter()
        .filter(|(_, kept)| user == 0 || kept.job.owner == user)
        .map(|(id, kept)| (kept.job.created_at, *id))
        .collect();
    seen.sort_unstable();
    seen.into_iter().map(|(_, id)| id).collect()
}

impl Jobs {
    pub(super) fn new(
        connection: &Connection,
        authority: &Authority,
        settings: JobSettings,
    ) -> Arc<Self> {
        Arc::new(Self {
            connection: connection.clone(),
            authority: authority.clone(),
            list: Mutex::default(),
            settings: Mutex::new(settings),
        })
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn reconfigure(&self, settings: JobSettings) {
        *lock(&self.settings) = settings;
    }

    /// The jobs that a user may see, the oldest first.
    pub(super) fn of(&self, user: u32) -> Vec<KeyId> {
        seen_by(&lock(&self.list), user)
    }

    /// Ends and removes a job, if it is there still.
    pub(super) fn forget(&self, id: KeyId) {
        lock(&self.list).remove(&id);
    }

    /// Asks all jobs to end.
    pub(crate) fn cancel_all(&self) {
        lock(&self.list).values().for_each(|kept| kept.job.cancel());
    }

    /// Starts `work` for a caller who was authorised, and gives the path of its object. Work is told
    /// through its [`Worker`] when it should end, and then has to end soon with any error. A
    /// `detached` job stays when the caller leaves the bus.
    pub(super) async fn start<F, Work>(
        self: &Arc<Self>,
        caller: Caller,
        kind: &'static str,
        detached: bool,
        work: F,
    ) -> Answer<OwnedObjectPath>
    where
        F: FnOnce(Worker) -> Work,
        Work: Future<Output = Answer<Outcome>> + Send + 'static,
    {
        let (id, job) = (KeyId::random()?, Job::new(kind, caller.uid));
        let (forget, forgotten) = oneshot::channel();
        let kept = Kept {
            job: job.clone(),
            _forget: forget,
        };
        self.admit(id, kept)?;
        let path = job_path(id)?;
        let object = Job1 {
            jobs: self.clone(),
            id,
            job: job.clone(),
        };
        let server = self.connection.object_server();
        if let Err(error) = server.at(path.clone(), object).await {
            self.forget(id);
            return Err(error.into());
        }
        let work = tokio::spawn(work(job.worker()));
        let ends = job.clone();
        tokio::spawn(async move {
            let gone = |_| Err(Error::Worker.into());
            ends.end(work.await.unwrap_or_else(gone));
        });
        let keeper = Keeper {
            jobs: self.clone(),
            job,
            path: path.clone(),
            starter: (!detached).then_some(caller.name),
        };
        tokio::spawn(async move { keeper.keep(id, forgotten).await });
        Ok(path)
    }

    /// Makes room for one more job of its owner's, at the cost of the one that ended first.
    fn admit(&self, id: KeyId, kept: Kept) -> Answer<()> {
        let limit = lock(&self.settings).per_owner as usize;
        let mut list = lock(&self.list);
        let owner = kept.job.owner;
        let count = list.values().filter(|k| k.job.owner == owner).count();
        if count >= limit {
            let of_owner = list.iter().filter(|(_, kept)| kept.job.owner == owner);
            let ended = of_owner.filter_map(|(id, kept)| {
                let status = kept.job.status();
                status.state.ended().then_some((status.ended_at, *id))
            });
            let Some((_, oldest)) = ended.min() else {
                let text =
                    format!("user {owner} has {limit} jobs, as many as jobs.per-owner allows");
                return Err(BusError::LimitExceeded(text));
            };
            list.remove(&oldest);
        }
        list.insert(id, kept);
        Ok(())
    }
}

/// Who looks after one job.
struct Keeper {
    jobs: Arc<Jobs>,
    job: Arc<Job>,
    path: OwnedObjectPath,
    /// Whose leaving ends it.
    starter: Option<OwnedUniqueName>,
}

impl Keeper {
    async fn keep(self, id: KeyId, forgotten: oneshot::Receiver<()>) {
        tokio::select! {
            () = self.live() => {}
            () = self.starter_left() => {}
            _ = forgotten => {}
        }
        self.job.cancel();
        self.jobs.forget(id);
        let server = self.jobs.connection.object_server();
        if let Err(error) = server.remove::<Job1, _>(&self.path).await {
            tracing::debug!(%error, "could not take a job from the bus");
        }
    }

    /// Ends when the connection that started the job has left.
    async fn starter_left(&self) {
        let Some(name) = &self.starter else {
            return std::future::pending().await;
        };
        if let Err(error) = self.wait_for_leaving(name).await {
            tracing::warn!(%error, "could not watch who started a job, which stays its time");
            std::future::pending().await
        }
    }

    async fn wait_for_leaving(&self, name: &OwnedUniqueName) -> zbus::Result<()> {
        let bus = fdo::DBusProxy::new(&self.jobs.connection).await?;
        let filter = [(0, name.as_str())];
        let mut changes = bus.receive_name_owner_changed_with_args(&filter).await?;
        if !bus.name_has_owner(name.to_owned().into()).await? {
            return Ok(());
        }
        while let Some(change) = changes.next().await {
            if change.args()?.new_owner().is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Tells what changes until some time after the end.
    async fn live(&self) {
        let mut status = self.job.follow();
        let mut told = status.borrow_and_update().clone();
        while !told.state.ended() {
            if status.changed().await.is_err() {
                return;
            }
            let new = status.borrow_and_update().clone();
            if let Err(error) = self.tell(&told, &new).await {
                tracing::debug!(%error, "could not tell how a job is");
            }
            told = new;
            if !told.state.ended() {
                self.pause(&mut status).await;
            }
        }
        let keep = lock(&self.jobs.settings).keep_seconds;
        tokio::time::sleep(Duration::from_secs(keep)).await;
    }

    /// A moment without telling, or until the end.
    async fn pause(&self, status: &mut watch::Receiver<Status>) {
        let mut watched = status.clone();
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = watched.wait_for(|status| status.state.ended()) => {}
        }
    }

    /// Announces what is new to who started the job, and to nobody else.
    async fn tell(&self, old: &Status, new: &Status) -> zbus::Result<()> {
        let Some(starter) = &self.starter else {
            return Ok(());
        };
        let to = BusName::from(starter.clone().into_inner());
        let emitter = SignalEmitter::new(&self.jobs.connection, &self.path)?.set_destination(to);
        let server = self.jobs.connection.object_server();
        let reference = server.interface::<_, Job1>(&self.path).await?;
        let object = reference.get().await;
        if new.progress > old.progress {
            object.progress_changed(&emitter).await?;
        }
        if old.state.name() == new.state.name() {
            return Ok(());
        }
        if new.state.ended() {
            object.ended_at_changed(&emitter).await?;
            object.error_changed(&emitter).await?;
        }
        object.state_changed(&emitter).await
    }
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
