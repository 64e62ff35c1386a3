//! What the daemon and its objects steer together: the rules in force, the thread that applies them, and coverage.
//! Reloads are one at a time; the old rules stay in force until the new ones are compiled.

use crate::announce::announce;
use crate::detector::Ruling;
use crate::objects::{Security, command};
use crate::settings::Settings;
use crate::watcher::{Command, Commander};
use crate::watchlist::{self, Watchlist};
use quantumos_dbus::path;
use quantumos_detect::Fate;
use quantumos_ebpf::Coverage;
use quantumos_service::Status;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use zbus::Connection;
use zbus::object_server::SignalEmitter;

/// The most failing rules named in a problem.
const NAMED: usize = 3;

/// What is seen through which hook, shared by the task that learns of changes and the object that shows it.
#[derive(Debug, Clone, Default)]
pub struct SharedCoverage(Arc<RwLock<Vec<Coverage>>>);

impl SharedCoverage {
    /// Shares it.
    #[must_use]
    pub fn new(rows: Vec<Coverage>) -> Self {
        Self(Arc::new(RwLock::new(rows)))
    }

    /// Replaces it.
    pub fn set(&self, rows: Vec<Coverage>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rows;
    }
}

/// Rules and the thread that applies them.
pub struct Control {
    root: PathBuf,
    connection: Connection,
    status: Status,
    commander: Option<Commander>,
    coverage: SharedCoverage,
    ruling: RwLock<Arc<Ruling>>,
    settings: Mutex<Settings>,
}

impl Control {
    pub(crate) fn new(
        root: PathBuf,
        connection: Connection,
        status: Status,
        commander: Option<Commander>,
        coverage: SharedCoverage,
        ruling: Arc<Ruling>,
        settings: Settings,
    ) -> Self {
        let settings = Mutex::new(settings);
        Self {
            root,
            connection,
            status,
            commander,
            coverage,
            ruling: RwLock::new(ruling),
            settings,
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn ruling(&self) -> Arc<Ruling> {
        self.ruling
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Event class, hook, state and reason.
    #[must_use]
    pub fn coverage(&self) -> Vec<(String, String, String, String)> {
        let row = |c: &Coverage| {
            (
                c.name(),
                c.hook.clone(),
                c.state.name().into(),
                c.reason.clone(),
            )
        };
        let rows = self.coverage.0.read();
        let rows = rows.unwrap_or_else(PoisonError::into_inner);
        rows.iter().map(row).collect()
    }

    /// What the thread counted; empty without one.
    pub async fn statistics(&self) -> HashMap<String, u64> {
        match &self.commander {
            Some(commander) => command(commander, Command::Report)
                .await
                .unwrap_or_default()
                .into_iter()
                .collect(),
            None => HashMap::new(),
        }
    }

    /// Has events written down into a descriptor for so long.
    ///
    /// # Errors
    /// When nothing takes events, or another recording is under way.
    pub async fn record(&self, to: OwnedFd, length: Duration) -> Result<(), String> {
        let commander = self.commander.as_ref().ok_or("nothing is watched")?;
        let done = command(commander, |done| Command::Record(to, length, done)).await;
        done.unwrap_or_else(|| Err(gone()))
    }

    /// Reads the rules anew and swaps them in; gives how many are loaded, not applicable and failed.
    ///
    /// # Errors
    /// When they can't be swapped in, with the reason; the old ones stay in force.
    pub async fn reload_rules(&self) -> Result<(u32, u32, u32), String> {
        let settings = self.settings.lock().await;
        self.swap(&settings).await
    }

    /// Goes on with other settings and reads the rules anew.
    pub(crate) async fn configure(&self, new: Settings) -> Result<(), String> {
        let mut settings = self.settings.lock().await;
        self.swap(&new).await?;
        if let Some(commander) = &self.commander {
            let ignored = new.events.ignored_commands.clone();
            command(commander, |done| Command::Ignore(ignored, done))
                .await
                .unwrap_or_else(|| Err(gone()))?;
        }
        *settings = new;
        Ok(())
    }

    async fn swap(&self, settings: &Settings) -> Result<(u32, u32, u32), String> {
        let (ruling, list) = read(&self.root, settings).await?;
        if let Some(commander) = &self.commander {
            let new = ruling.clone();
            let watched = command(commander, |done| Command::Rules(new, list.watches, done)).await;
            let watched = watched.unwrap_or_else(|| Err(gone()));
            let problem = watched
                .err()
                .map(|reason| format!("the list of watched files could not be replaced: {reason}"));
            self.status.set_problem("watches", problem).await;
        }
        *self.ruling.write().unwrap_or_else(PoisonError::into_inner) = ruling.clone();
        report(&self.status, &ruling, &list.partial).await;
        let tell = async |object: &Security, emitter: &SignalEmitter<'_>| {
            object.rules_loaded_changed(emitter).await?;
            object.rules_not_applicable_changed(emitter).await?;
            object.rules_failed_changed(emitter).await
        };
        announce(&self.connection, path::SECURITY, tell).await;
        let counts = ruling.set.counts();
        quantumos_service::memory::release();
        Ok(counts)
    }
}

fn gone() -> String {
    "the thread that takes events has ended".into()
}

/// Reads and compiles the rules, away from the thread that serves the bus.
pub(crate) async fn read(
    root: &Path,
    settings: &Settings,
) -> Result<(Arc<Ruling>, Watchlist), String> {
    let (root, settings) = (root.to_path_buf(), settings.rules.clone());
    let work = tokio::task::spawn_blocking(move || {
        let set = crate::rules::load(&root, &settings.options());
        let list = watchlist::of(&set);
        (Arc::new(Ruling::new(set, &settings)), list)
    });
    work.await
        .map_err(|error| format!("the rules could not be read: {error}"))
}

/// Says what became of the rules: in the journal each that fails, in `Problems` the first few.
pub(crate) async fn report(status: &Status, ruling: &Ruling, partial: &[String]) {
    let mut failures = Vec::new();
    for listed in &ruling.set.report {
        if let Fate::Failed(error) = &listed.fate {
            tracing::warn!(
                file = listed.file,
                line = error.line,
                "a rule does not load: {}",
                error.reason
            );
            failures.push(format!("{}:{}: {}", listed.file, error.line, error.reason));
        }
    }
    let (loaded, not_applicable, failed) = ruling.set.counts();
    tracing::info!(loaded, not_applicable, failed, "rules read");
    status.set_detail(
        "rules",
        serde_json::json!({"loaded": loaded, "notApplicable": not_applicable, "failed": failed}),
    );
    status.set_detail("rulesThatSeeOnlyWatchedFiles", serde_json::json!(partial));
    let problem = (!failures.is_empty()).then(|| {
        let more = failures.len().saturating_sub(NAMED);
        let mut text = format!(
            "{failed} rules do not load: {}",
            failures[..failures.len().min(NAMED)].join("; ")
        );
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        text
    });
    status.set_problem("rules", problem).await;
}
