//! The task that takes windows as they end: it spools them for who learns, and asks the model, when there is one,
//! whether they are strange. A model only raises alerts; it never acts.
//!
//! The runtime is loaded with the first model, not before. Which key may sign is configured, or enrolled once:
//! quantumd says that the key of the first model belongs to ai-learnd's user, and that key is kept from then on.

use crate::accounts::Accounts;
use crate::alert::Alert;
use crate::mask::printable;
use crate::model::{self, Model, Papers, Verdict};
use crate::settings;
use crate::spool::{LEARNER, Spool};
use crate::watcher::Output;
use crate::windows::Closed;
use quantumos_dbus::{Key1Proxy, path};
use quantumos_learn::{Manifest, explain};
use quantumos_service::{Status, memory};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use zbus::Connection;

/// The id of the model's alerts, which can be silenced like a rule.
pub const RULE: &str = "quantumos-model-windows";
/// How often it is looked whether another model was published.
const LOOK: Duration = Duration::from_secs(1);
/// How long quantumd is left alone when it could not say whose key signed.
const AGAIN: Duration = Duration::from_secs(5);
/// The enrolled key's file in the state directory.
const ENROLLED: &str = "model.pub";
/// The longest explanation, in bytes.
const EXPLANATION_LIMIT: usize = 2048;

/// The task's state.
pub struct Scorer {
    pub(crate) connection: Connection,
    pub(crate) status: Status,
    pub(crate) settings: settings::Model,
    pub(crate) state: PathBuf,
    pub(crate) spool: Spool,
    pub(crate) output: mpsc::Sender<Output>,
    pub(crate) model: Option<Model>,
    /// What was tried last: where the link led, and when.
    pub(crate) tried: Option<PathBuf>,
    pub(crate) looked: Option<Instant>,
    /// When the same folder is to be tried again, because what failed was not the model.
    pub(crate) again: Option<Instant>,
}

/// Why a published model is not used.
enum Unused {
    /// It is refused.
    Refused(String),
    /// Who could say whether it is to be trusted did not answer.
    Unknown(String),
}

impl Scorer {
    /// Runs until the thread that cuts windows has ended.
    pub async fn run(mut self, mut windows: mpsc::Receiver<Closed>) {
        while let Some(closed) = windows.recv().await {
            self.spool.add(&closed);
            self.look().await;
            if let Some(alert) = self.judge(&closed).await {
                // Fails only when the daemon is stopping.
                let _ = self.output.send(Output::Alert(Box::new(alert))).await;
            }
        }
    }

    async fn judge(&mut self, closed: &Closed) -> Option<Alert> {
        let model = self.model.as_mut()?;
        match model.judge(&closed.window) {
            Ok(verdict) if verdict.score > model.manifest.threshold => {
                Some(alert(closed, &verdict, &model.manifest))
            }
            Ok(_) => None,
            Err(refused) => {
                self.model = None;
                let problem = format!("the model is not used any more: {refused}");
                self.status.set_problem("model", Some(problem)).await;
                None
            }
        }
    }

    /// Loads what is published, when it is another than before.
    async fn look(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) || !self.settings.enabled {
            return;
        }
        self.looked = Some(Instant::now());
        // No link: nothing was published yet, which is no problem.
        let Ok(folder) = std::fs::canonicalize(&self.settings.directory) else {
            return;
        };
        let again = self.again.is_some_and(|again| Instant::now() >= again);
        if self.tried.as_ref() == Some(&folder) && !again {
            return;
        }
        self.tried = Some(folder.clone());
        self.again = None;
        let loaded = self.load(folder).await;
        memory::release();
        let problem = match loaded {
            Ok(model) => {
                tracing::info!(serial = model.manifest.serial, "a model is in use");
                let figures = model.manifest.figures;
                self.status.set_detail(
                    "model",
                    serde_json::json!({
                        "serial": model.manifest.serial,
                        "threshold": model.manifest.threshold,
                        "auc": figures.auc,
                        "falsePositives": figures.false_positives,
                    }),
                );
                self.model = Some(model);
                None
            }
            // The one before stays in use.
            Err(Unused::Refused(reason)) => {
                Some(format!("the published model is refused: {reason}"))
            }
            Err(Unused::Unknown(reason)) => {
                self.again = Some(Instant::now() + AGAIN);
                Some(format!("the published model is not used yet: {reason}"))
            }
        };
        self.status.set_problem("model", problem).await;
    }

    async fn load(&self, folder: PathBuf) -> Result<Model, Unused> {
        let refused = |reason: &dyn std::fmt::Display| Unused::Refused(reason.to_string());
        let papers = Papers::read(&folder).map_err(|reason| refused(&reason))?;
        let mut keys = model::keys(&self.settings.trusted);
        let pin = self.state.join(ENROLLED);
        match std::fs::read(&pin) {
            Ok(key) => keys.push(key),
            Err(_) if self.settings.enroll && !keys.iter().any(|key| papers.signed_by(key)) => {
                let key = self.ask(papers.signer()).await?;
                if papers.signed_by(&key) {
                    let draft = pin.with_extension("new");
                    let kept =
                        std::fs::write(&draft, &key).and_then(|()| std::fs::rename(&draft, &pin));
                    // A full disk: as long as the key isn't kept, another could take its place.
                    kept.map_err(|error| Unused::Unknown(format!("{}: {error}", pin.display())))?;
                    tracing::info!(key = papers.signer(), "enrolled the key that signs models");
                    keys.push(key);
                }
            }
            Err(_) => {}
        }
        let work = tokio::task::spawn_blocking(move || Model::load(papers, &keys));
        let loaded = work.await.map_err(|error| refused(&error))?;
        loaded.map_err(|reason| refused(&reason))
    }

    /// The public key of that identifier, if quantumd says that it belongs to who learns, or to root.
    async fn ask(&self, id: &str) -> Result<Vec<u8>, Unused> {
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Unused::Refused("its manifest names no key".into()));
        }
        let failed = |error: &dyn std::fmt::Display| {
            Unused::Unknown(format!("quantumd does not say whose key {id} is: {error}"))
        };
        let key = Key1Proxy::builder(&self.connection)
            .path(format!("{}/{id}", path::KEYS))
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
            .map_err(|error| failed(&error))?;
        let owner = key.owner().await.map_err(|error| failed(&error))?;
        let learner = nix::unistd::User::from_name(LEARNER).ok().flatten();
        if owner != 0 && learner.is_none_or(|user| user.uid.as_raw() != owner) {
            let reason = format!("its key belongs to user {owner}, not to {LEARNER}");
            return Err(Unused::Refused(reason));
        }
        key.public_key().await.map_err(|error| failed(&error))
    }
}

/// What the model says as an alert. It has no tags: which technique of ATT&CK was seen, a score doesn't say.
fn alert(closed: &Closed, verdict: &Verdict, manifest: &Manifest) -> Alert {
    let window = &closed.window;
    let mut fields = BTreeMap::new();
    let mut field = |name: &str, value: String| fields.insert(name.to_owned(), value);
    field("Subject", printable(window.subject.as_bytes(), 256));
    field("Model", manifest.serial.to_string());
    field("Baseline", explain::compared_with(manifest));
    field("Score", format!("{:.1}", verdict.score));
    field("Threshold", format!("{:.1}", manifest.threshold));
    field("Events", window.sums.events.to_string());
    Alert {
        rule: RULE.into(),
        title: "Unusual for this host".into(),
        level: "medium".into(),
        tags: Vec::new(),
        time: window.start.saturating_add(window.length),
        class: "window".into(),
        pid: closed.pid,
        start: 0,
        uid: closed.uid,
        user: Accounts::default().get(closed.uid).name.clone(),
        unit: printable(closed.unit.as_bytes(), 256),
        executable: closed.executable.clone(),
        command_line: String::new(),
        ancestors: Vec::new(),
        fields,
        explanation: printable(verdict.explanation.as_bytes(), EXPLANATION_LIMIT),
    }
}
