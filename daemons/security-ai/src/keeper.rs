//! The task that owns the alerts: it folds, stores, shows, signals and writes the journal, one thing after another.
//!
//! An alert is stored before it is signalled, so that a kill in between loses nothing that anybody was told of.
//! Equal alerts are signalled at most once a second each, with their count.

use crate::alert::Alert;
use crate::announce::announce;
use crate::book::Outcome;
use crate::control::SharedCoverage;
use crate::follower::Said;
use crate::journal::Journal;
use crate::objects::{AlertObject, Security, SharedBook, alert_path, details};
use crate::outputs::Outputs;
use crate::outputs::record::Happened;
use crate::response::automatic::{Grades, Occasion};
use crate::response::responder::Order;
use crate::settings::Settings;
use crate::store::{Change, Store};
use crate::watcher::Output;
use quantumos_dbus::path;
use quantumos_ebpf::Coverage;
use quantumos_service::{Authority, Status};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use zbus::Connection;
use zbus::object_server::SignalEmitter;

/// How often an alert that is counted again is signalled.
const PACE: Duration = Duration::from_secs(1);
/// How often a file that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// The most messages handled before the file is written.
const BATCH: usize = 64;

/// What the objects ask of the task.
pub enum Ask {
    /// Take one alert out; whether it was there.
    Acknowledge(u64, oneshot::Sender<bool>),
    /// Take all alerts out; how many there were.
    Clear(oneshot::Sender<u32>),
    /// Go on with these settings.
    Configure(Box<Settings>, oneshot::Sender<()>),
    /// Finish what is under way and end.
    Stop(oneshot::Sender<()>),
}

/// The task's state.
pub struct Keeper {
    pub(crate) connection: Connection,
    pub(crate) status: Status,
    pub(crate) authority: Authority,
    pub(crate) book: SharedBook,
    pub(crate) store: Store,
    pub(crate) journal: Journal,
    pub(crate) outputs: Outputs,
    pub(crate) lost: Arc<AtomicU64>,
    pub(crate) coverage: SharedCoverage,
    pub(crate) asks: mpsc::Sender<Ask>,
    /// When each alert was last signalled.
    pub(crate) signalled: HashMap<u64, Instant>,
    /// Alerts that were counted since.
    pub(crate) counted: BTreeSet<u64>,
    pub(crate) due: Option<Instant>,
    /// Which alerts call for a response, and who makes it.
    pub(crate) grades: watch::Receiver<Arc<Grades>>,
    pub(crate) responder: mpsc::Sender<Order>,
}

impl Keeper {
    /// Puts the alerts that stood when the daemon ended on the bus.
    ///
    /// # Errors
    /// When the bus refuses.
    pub async fn publish(&self) -> zbus::Result<()> {
        let ids: Vec<u64> = self.book.lock().entries().map(|entry| entry.id).collect();
        for id in ids {
            self.put(id).await?;
        }
        Ok(())
    }

    /// Runs until it is told to stop or nobody is left to tell it.
    pub async fn run(mut self, mut outputs: mpsc::Receiver<Output>, mut asks: mpsc::Receiver<Ask>) {
        let mut batch = Vec::new();
        let mut more = true;
        loop {
            let due = self.due.unwrap_or_else(|| Instant::now() + RETRY);
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(Ask::Stop(done)) => {
                        outputs.close();
                        while let Some(output) = outputs.recv().await {
                            self.outputs(vec![output]).await;
                        }
                        self.tick().await;
                        self.outputs.finish().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(ask) => self.ask(ask).await,
                    None => return,
                },
                taken = outputs.recv_many(&mut batch, BATCH), if more => {
                    // Without a thread nobody holds the other end.
                    more = taken > 0;
                    self.outputs(std::mem::take(&mut batch)).await;
                }
                () = sleep_until(due), if self.due.is_some() => self.tick().await,
            }
        }
    }

    async fn outputs(&mut self, outputs: Vec<Output>) {
        let mut raised = Vec::new();
        let mut removed = Vec::new();
        for output in outputs {
            match output {
                Output::Alert(alert) => self.alert(*alert, &mut raised, &mut removed),
                Output::Tampered(what) => {
                    let problem = format!("{what}: restart security-ai");
                    self.status.set_problem("probes", Some(problem)).await;
                }
                Output::Lost(class, count) => self.lost(class.name(), count).await,
                Output::Source(problem) => self.status.set_problem("events", problem).await,
                Output::Journal(Said::Problem(problem)) => {
                    self.status.set_problem("journal", problem).await;
                }
                Output::Journal(Said::Lost(count)) => self.lost("log", count).await,
                Output::Names(Said::Problem(problem)) => {
                    self.status.set_problem("names", problem).await;
                }
                Output::Names(Said::Lost(count)) => self.lost("names", count).await,
                Output::Coverage(rows, shed) => self.covered(rows, shed).await,
            }
        }
        // One that was raised and had to leave in one go was never shown.
        raised.retain(|id| !removed.contains(id));
        let written = {
            let book = self.book.lock();
            let gone = removed.iter().map(|id| Change::Removed(*id));
            let new = raised
                .iter()
                .filter_map(|id| book.get(*id))
                .map(Change::Raised);
            let changes: Vec<_> = new.chain(gone).collect();
            if changes.is_empty() {
                Ok(())
            } else {
                self.store.append(&changes, &book)
            }
        };
        self.written(written).await;
        for id in removed {
            self.withdraw(id).await;
        }
        for id in raised {
            self.show(id).await;
        }
        let now = Instant::now();
        let fresh = |id: &u64| {
            self.signalled
                .get(id)
                .is_none_or(|last| now.duration_since(*last) >= PACE)
        };
        let ready: Vec<u64> = self.counted.iter().copied().filter(fresh).collect();
        self.recount(&ready).await;
        if !self.counted.is_empty() || !ready.is_empty() {
            self.due.get_or_insert(now + PACE);
        }
    }

    fn alert(&mut self, alert: Alert, raised: &mut Vec<u64>, removed: &mut Vec<u64>) {
        // Equal alerts fold into one, but each of their processes is answered.
        let occasion = Occasion {
            rule: &alert.rule,
            level: &alert.level,
            class: &alert.class,
            unit: &alert.unit,
        };
        let grade = self.grades.borrow().of(&occasion);
        let answered = grade.map(|grade| (grade, Box::new(alert.clone())));
        self.outputs.count(&alert);
        let id = match self.book.lock().add(alert) {
            Outcome::Raised { id, removed: gone } => {
                raised.push(id);
                removed.extend(gone);
                id
            }
            Outcome::Folded { id } => {
                if !raised.contains(&id) {
                    self.counted.insert(id);
                }
                id
            }
        };
        if let Some((grade, alert)) = answered
            && let Err(error) = self.responder.try_send(Order::Occasion(grade, id, alert))
        {
            // Alerts don't wait for responses; the alert stands all the same.
            tracing::error!(alert = id, %error, "no automatic response");
        }
    }

    /// A new alert: object, signal, journal.
    async fn show(&mut self, id: u64) {
        if let Err(error) = self.put(id).await {
            tracing::error!(id, %error, "the alert's object could not be put on the bus");
        }
        self.signal(id).await;
        self.record(id);
        self.due.get_or_insert(Instant::now() + PACE);
    }

    async fn put(&self, id: u64) -> zbus::Result<()> {
        let object = AlertObject {
            id,
            book: self.book.clone(),
            authority: self.authority.clone(),
            asks: self.asks.clone(),
        };
        self.connection
            .object_server()
            .at(alert_path(id), object)
            .await
            .map(drop)
    }

    async fn signal(&mut self, id: u64) {
        self.signalled.insert(id, Instant::now());
        let Some(entry) = self.book.lock().get(id).cloned() else {
            return;
        };
        let sent = async {
            let emitter = SignalEmitter::new(&self.connection, path::SECURITY)?;
            Security::alert_raised(&emitter, alert_path(id).into(), details(&entry)).await
        };
        if let Err(error) = sent.await {
            tracing::error!(id, %error, "AlertRaised could not be sent");
        }
    }

    fn record(&mut self, id: u64) {
        let Some(entry) = self.book.lock().get(id).cloned() else {
            return;
        };
        self.outputs.alert(Happened::Raised, &entry);
        if let Err(error) = self.journal.alert(id, &entry.alert) {
            tracing::debug!(%error, "no journal entry");
            tracing::warn!(
                alert = id,
                level = entry.alert.level,
                "{}",
                entry.alert.line()
            );
        }
    }

    /// Alerts that were counted again: stored, their properties and the signal sent.
    async fn recount(&mut self, ids: &[u64]) {
        if ids.is_empty() {
            return;
        }
        let written = {
            let book = self.book.lock();
            let changes: Vec<_> = ids
                .iter()
                .filter_map(|id| book.get(*id))
                .map(Change::Counted)
                .collect();
            self.store.append(&changes, &book)
        };
        self.written(written).await;
        for &id in ids {
            self.counted.remove(&id);
            let entry = self.book.lock().get(id).cloned();
            if let Some(entry) = entry {
                self.outputs.alert(Happened::Counted, &entry);
            }
            let tell = async |object: &AlertObject, emitter: &SignalEmitter<'_>| {
                object.count_changed(emitter).await?;
                object.time_changed(emitter).await
            };
            announce(&self.connection, &alert_path(id), tell).await;
            self.signal(id).await;
        }
    }

    /// Once a second while there is something to do, and not at all else.
    async fn tick(&mut self) {
        self.due = None;
        let ids: Vec<u64> = self.counted.iter().copied().collect();
        self.recount(&ids).await;
        let written = if self.store.is_behind() {
            let book = self.book.lock();
            self.store.write_anew(&book)
        } else {
            self.sync()
        };
        let behind = written.is_err();
        self.written(written).await;
        if behind {
            self.due = Some(Instant::now() + RETRY);
        }
        if self.outputs.tick().await {
            self.due.get_or_insert(Instant::now() + RETRY);
        }
        let now = Instant::now();
        self.signalled
            .retain(|_, last| now.duration_since(*last) < PACE);
    }

    /// Waits for the disk on another thread, and without holding up the next alert.
    fn sync(&mut self) -> std::io::Result<()> {
        if let Some(file) = self.store.unsynced()? {
            let status = self.status.clone();
            tokio::spawn(async move {
                let synced = tokio::task::spawn_blocking(move || file.sync_data()).await;
                let problem = match synced {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(error) => Some(error.to_string()),
                };
                let problem = problem.map(|error| {
                    format!("the file of alerts may not survive a power cut: {error}")
                });
                status.set_problem("alerts-sync", problem).await;
            });
        }
        Ok(())
    }

    async fn written(&mut self, written: std::io::Result<()>) {
        match written {
            Ok(()) if !self.store.is_behind() => self.status.set_problem("alerts-file", None).await,
            Ok(()) => {}
            Err(error) => {
                let problem =
                    format!("alerts are kept in memory only, their file can't be written: {error}");
                self.status.set_problem("alerts-file", Some(problem)).await;
                self.due.get_or_insert(Instant::now() + RETRY);
            }
        }
    }

    /// Hooks came or went.
    async fn covered(&mut self, rows: Vec<Coverage>, shed: Option<String>) {
        self.coverage.set(rows);
        if shed.is_none() {
            tracing::info!("everything is seen again that was shed for the budget");
        }
        self.status.set_problem("budget", shed).await;
        let tell = async |object: &Security, emitter: &SignalEmitter<'_>| {
            object.coverage_changed(emitter).await
        };
        announce(&self.connection, path::SECURITY, tell).await;
    }

    async fn lost(&mut self, class: &str, count: u64) {
        let total = self.lost.fetch_add(count, Ordering::Relaxed) + count;
        self.outputs.lost(class, count, total);
        self.due.get_or_insert(Instant::now() + PACE);
        if let Err(error) = self.journal.lost(class, count, total) {
            tracing::debug!(%error, "no journal entry");
            tracing::warn!(
                class,
                count,
                total,
                "events were lost: what they showed was not seen"
            );
        }
        let tell = async |object: &Security, emitter: &SignalEmitter<'_>| {
            object.events_lost_changed(emitter).await?;
            Security::events_lost_reported(emitter, class, count).await
        };
        announce(&self.connection, path::SECURITY, tell).await;
    }

    async fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Acknowledge(id, answer) => {
                let there = self.book.lock().remove(id);
                if there {
                    self.forget(vec![id], false).await;
                }
                let _ = answer.send(there);
            }
            Ask::Clear(answer) => {
                let ids = self.book.lock().clear();
                let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                self.forget(ids, true).await;
                let _ = answer.send(count);
            }
            Ask::Configure(settings, answer) => {
                let Settings {
                    alerts, file, otlp, ..
                } = *settings;
                let ids = self
                    .book
                    .lock()
                    .resize(alerts.keep as usize, alerts.distinct_per_minute);
                self.store.set_limit(u64::from(alerts.file_kib) * 1024);
                self.outputs.configure(file, otlp).await;
                self.forget(ids, false).await;
                let _ = answer.send(());
            }
            Ask::Stop(answer) => drop(answer),
        }
    }

    /// Stores that alerts left, and takes their objects off the bus.
    async fn forget(&mut self, ids: Vec<u64>, all: bool) {
        if ids.is_empty() {
            return;
        }
        let written = {
            let book = self.book.lock();
            let each = || ids.iter().map(|id| Change::Removed(*id)).collect();
            let changes: Vec<_> = if all { vec![Change::Cleared] } else { each() };
            self.store.append(&changes, &book)
        };
        self.written(written).await;
        for id in ids {
            self.withdraw(id).await;
        }
        self.due.get_or_insert(Instant::now() + PACE);
    }

    async fn withdraw(&mut self, id: u64) {
        self.counted.remove(&id);
        self.signalled.remove(&id);
        if let Err(error) = self
            .connection
            .object_server()
            .remove::<AlertObject, _>(alert_path(id))
            .await
        {
            tracing::debug!(id, %error, "the alert had no object");
        }
    }
}
