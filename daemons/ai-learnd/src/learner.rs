//! The task that owns windows and models: it collects, trains when it is time or when asked, publishes what is
//! better, and rolls back. One thing after another; properties are read from what it shares.

use crate::archive::Archive;
use crate::interface::{Learn1, changed};
use crate::settings::Settings;
use crate::shelf::{MANIFEST, MODEL, PROFILE, SIGNATURE, Shelf};
use crate::signer::{self, Signer};
use crate::trainer::{self, Candidate};
use crate::{Error, collector};
use futures_util::StreamExt;
use quantumos_dbus::path;
use quantumos_learn::manifest::{FORMAT, File, LEAST_AUC, Manifest};
use quantumos_learn::{Window, features, onnx};
use quantumos_pqc::sha256_hex;
use quantumos_service::{Context, memory};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use zbus::object_server::SignalEmitter;
use zbus::proxy::OwnerChangedStream;

/// What a training came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Serial number of the new model; 0 when it was not kept.
    pub serial: u64,
    /// Whether it is in force now.
    pub published: bool,
    /// Why, or why not.
    pub reason: String,
}

/// After a training that failed here (a full disk, windows of too few units) the next waits so long at most.
const AGAIN: Duration = Duration::from_secs(3600);

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What is asked of the task.
pub enum Ask {
    /// Collect what waits and train.
    Train(Answer<Outcome>),
    /// Put an older model in force: that one, or for 0 the newest before the published one.
    Rollback(u64, Answer<u64>),
    /// Go on with these settings.
    Configure(Box<Settings>),
}

/// What properties show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Windows that are kept.
    pub windows: u32,
    /// Windows that a training needs.
    pub needed: u32,
    /// Serial number of the model in force; 0 for none.
    pub published: u64,
    /// Whether a training is under way.
    pub training: bool,
    /// The key that signs.
    pub signer: String,
}

/// The view, shared.
#[derive(Debug, Clone, Default)]
pub struct SharedView(Arc<Mutex<View>>);

impl SharedView {
    /// The view. Never held over an await.
    pub fn lock(&self) -> MutexGuard<'_, View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task's state.
pub struct Learner {
    pub(crate) context: Context,
    pub(crate) settings: Settings,
    pub(crate) archive: Archive,
    pub(crate) shelf: Shelf,
    pub(crate) view: SharedView,
    /// Windows that were taken and could not be written down yet.
    pub(crate) waiting: Vec<Window>,
    /// When the next training may be; not known before the first, when the age of the model in force counts.
    pub(crate) next: Option<Instant>,
}

impl Learner {
    /// Runs until nobody is left to ask it.
    pub async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        self.show(false).await;
        let mut due = Instant::now();
        let presence = collector::presence(&self.context.connection).await;
        if let Err(error) = &presence {
            tracing::warn!("security-ai is asked at fixed times only: {error}");
        }
        let mut presence = presence.ok();
        loop {
            tokio::select! {
                () = arrival(&mut presence) => due = Instant::now(),
                ask = asks.recv() => match ask {
                    Some(Ask::Train(answer)) => {
                        self.collect().await;
                        let outcome = self.train().await;
                        let _ = answer.send(outcome);
                    }
                    Some(Ask::Rollback(serial, answer)) => {
                        let _ = answer.send(self.roll_back(serial).await);
                    }
                    Some(Ask::Configure(settings)) => {
                        self.settings = *settings;
                        self.show(false).await;
                    }
                    None => return,
                },
                () = sleep_until(due) => {
                    self.collect().await;
                    if self.is_time() {
                        let outcome = self.train().await;
                        self.tell(outcome).await;
                    }
                    due = Instant::now() + Duration::from_secs(self.settings.windows.every_seconds.into());
                }
            }
        }
    }

    /// Takes the windows that wait at security-ai. That it isn't there is a problem, not an error.
    async fn collect(&mut self) {
        let taken = self.take().await;
        let problem = taken.err().map(|error| format!("no new windows: {error}"));
        self.context.status.set_problem("windows", problem).await;
        self.show(false).await;
    }

    /// What can't be written down waits here, and until it is nothing more is taken: security-ai has room for more,
    /// and counts what it has no room for.
    async fn take(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            let (windows, refused) = collector::take(&self.context.connection).await?;
            if refused > 0 {
                tracing::warn!(refused, "windows were not readable");
            }
            self.waiting = windows;
        }
        let keep = self.settings.windows.keep as usize;
        self.archive.add(&self.waiting, keep)?;
        self.waiting = Vec::new();
        Ok(())
    }

    fn is_time(&self) -> bool {
        let training = &self.settings.training;
        let hours = Duration::from_secs(u64::from(training.every_hours) * 3600);
        let enough = self.archive.len() >= training.windows_needed as usize;
        let waited = match self.next {
            Some(next) => Instant::now() >= next,
            None => self.age().is_none_or(|age| age >= hours),
        };
        training.every_hours > 0 && enough && waited
    }

    /// How old the model in force is.
    fn age(&self) -> Option<Duration> {
        let manifest = self.shelf.manifest(self.shelf.published()).ok()?;
        Some(Duration::from_secs(
            now().saturating_sub(manifest.trained_at),
        ))
    }

    async fn tell(&self, outcome: Result<Outcome, Error>) {
        let problem = match outcome {
            Ok(outcome) => {
                tracing::info!(
                    serial = outcome.serial,
                    published = outcome.published,
                    "{}",
                    outcome.reason
                );
                None
            }
            Err(error) => Some(format!("no model could be trained: {error}")),
        };
        self.context.status.set_problem("training", problem).await;
    }

    async fn train(&mut self) -> Result<Outcome, Error> {
        let needed = self.settings.training.windows_needed as usize;
        if self.archive.len() < needed {
            let reason = format!("{} windows, {needed} needed", self.archive.len());
            return Err(quantumos_learn::Error::Training(reason).into());
        }
        self.show(true).await;
        let outcome = self.train_and_publish().await;
        memory::release();
        self.show(false).await;
        let hours = Duration::from_secs(u64::from(self.settings.training.every_hours) * 3600);
        let wait = match &outcome {
            Ok(_) => hours,
            // Nobody signs: that is seen before anything is trained, so it can be tried with the next windows.
            Err(Error::Peer { .. }) => Duration::ZERO,
            Err(_) => hours.min(AGAIN),
        };
        self.next = Some(Instant::now() + wait);
        outcome
    }

    async fn train_and_publish(&mut self) -> Result<Outcome, Error> {
        let state = &self.context.directories.state;
        let signer = Signer::find(&self.context.connection, state).await?;
        let (archive, shelf) = (self.archive.clone(), self.shelf.clone());
        let (keep, training) = (
            self.settings.windows.keep as usize,
            self.settings.training.clone(),
        );
        let work = tokio::task::spawn_blocking(move || work(&archive, &shelf, keep, &training));
        let (candidate, refusal) = work.await.map_err(Error::peer("training thread"))??;
        if let Some(reason) = refusal {
            return Ok(Outcome {
                serial: 0,
                published: false,
                reason,
            });
        }
        let serial = self.shelf.serials().last().copied().unwrap_or(0) + 1;
        let model = onnx::write(&candidate.trained.density);
        let profile = candidate.trained.profile.write();
        let manifest = self.manifest(serial, &candidate, &model, &profile, &signer.id);
        manifest.check()?;
        let text = toml::to_string(&manifest)
            .map_err(|error| quantumos_learn::Error::Manifest(error.to_string()))?;
        let signature = signer.sign(text.as_bytes()).await?;
        let files: [(&str, &[u8]); 4] = [
            (MODEL, &model),
            (PROFILE, &profile),
            (MANIFEST, text.as_bytes()),
            (SIGNATURE, &signature),
        ];
        self.shelf.put(serial, &files)?;
        self.shelf.publish(serial)?;
        self.shelf.prune(self.settings.models.keep as usize);
        self.announce(serial).await;
        let figures = candidate.figures;
        let reason = format!(
            "area under the ROC curve {:.3}, {:.2} % of the held-out windows above the threshold",
            figures.auc,
            100.0 * figures.false_positives
        );
        Ok(Outcome {
            serial,
            published: true,
            reason,
        })
    }

    fn manifest(
        &self,
        serial: u64,
        candidate: &Candidate,
        model: &[u8],
        profile: &[u8],
        signer: &str,
    ) -> Manifest {
        let file = |bytes: &[u8]| File {
            size: bytes.len() as u64,
            sha256: sha256_hex(bytes),
        };
        let components = candidate.trained.density.components.len();
        Manifest {
            format: FORMAT,
            serial,
            trained_at: now(),
            architecture: format!("mixture of {components} normal distributions"),
            signer: signer.to_owned(),
            seed: self.settings.training.seed,
            threshold: candidate.threshold,
            false_positive_rate: self.settings.training.false_positive_rate,
            features: features::names(&features::HOST),
            model: file(model),
            profile: file(profile),
            training: candidate.training.clone(),
            held_out: candidate.held_out.clone(),
            figures: candidate.figures,
            baseline: candidate.trained.baseline.clone(),
        }
    }

    async fn roll_back(&mut self, serial: u64) -> Result<u64, Error> {
        let published = self.shelf.published();
        let wanted = if serial == 0 {
            let serials = self.shelf.serials().into_iter().rev();
            serials
                .into_iter()
                .find(|kept| *kept < published)
                .ok_or_else(|| Error::NoModel("there is no model before the one in force".into()))?
        } else {
            serial
        };
        // One that can't be read would leave security-ai without any.
        if self.shelf.serials().contains(&wanted) {
            self.shelf.read(wanted)?;
        }
        self.shelf.publish(wanted)?;
        tracing::info!(from = published, to = wanted, "rolled back");
        self.announce(wanted).await;
        self.show(false).await;
        Ok(wanted)
    }

    async fn announce(&self, serial: u64) {
        let sent = async {
            let emitter = SignalEmitter::new(&self.context.connection, path::LEARN)?;
            Learn1::model_published(&emitter, serial).await
        };
        if let Err(error) = sent.await {
            tracing::error!(serial, %error, "ModelPublished could not be sent");
        }
    }

    /// Brings the view up to date and tells who listens.
    async fn show(&self, training: bool) {
        let new = View {
            windows: u32::try_from(self.archive.len()).unwrap_or(u32::MAX),
            needed: self.settings.training.windows_needed,
            published: self.shelf.published(),
            training,
            signer: signer::known(&self.context.directories.state),
        };
        let old = std::mem::replace(&mut *self.view.lock(), new.clone());
        changed(&self.context.connection, &old, &new).await;
    }
}

/// Trains and measures; also why the model is not to be used, where it isn't.
fn work(
    archive: &Archive,
    shelf: &Shelf,
    keep: usize,
    training: &crate::settings::Training,
) -> Result<(Candidate, Option<String>), Error> {
    let (windows, left_out) = archive.windows(keep)?;
    if left_out > 0 {
        tracing::warn!(left_out, "kept windows were not readable");
    }
    let (windows, from) = trainer::split(windows);
    let mut candidate =
        trainer::train(&windows, from, training.seed, training.false_positive_rate)?;
    candidate.training.sha256 = digest(&windows[..from])?;
    candidate.held_out.sha256 = digest(&windows[from..])?;
    let new = candidate.figures;
    if new.auc < LEAST_AUC {
        let reason = format!(
            "its area under the ROC curve is {:.3}, at least {LEAST_AUC} wanted",
            new.auc
        );
        return Ok((candidate, Some(reason)));
    }
    // One in force that can't be read is no rival.
    let Ok(kept) = shelf.read(shelf.published()) else {
        return Ok((candidate, None));
    };
    let old = trainer::figures(
        &kept.density,
        &kept.profile,
        kept.manifest.threshold,
        &windows[from..],
    );
    let other_rate = kept.manifest.false_positive_rate != training.false_positive_rate;
    let better = new.better_than(&old) || (other_rate && new.as_good_as(&old));
    let refusal = (!better).then(|| {
        format!(
            "not better than model {}: area under the ROC curve {:.3} against {:.3}, false positives {:.2} % against {:.2} %",
            kept.manifest.serial,
            new.auc,
            old.auc,
            100.0 * new.false_positives,
            100.0 * old.false_positives
        )
    });
    Ok((candidate, refusal))
}

/// Ends when security-ai has come: windows wait there, and a problem of its absence is over.
async fn arrival(presence: &mut Option<OwnerChangedStream<'static>>) {
    while let Some(changes) = presence {
        match changes.next().await {
            Some(Some(_)) => return,
            Some(None) => {}
            // The bus itself is gone.
            None => *presence = None,
        }
    }
    std::future::pending().await
}

fn digest(windows: &[Window]) -> Result<String, Error> {
    let mut text = String::new();
    for window in windows {
        text.push_str(&window.to_line()?);
        text.push('\n');
    }
    Ok(sha256_hex(text.as_bytes()))
}

/// Seconds of the real-time clock.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
