//! The objects on the bus: `Security1` at the root, `Alerts1` and one `Alert1` for each standing alert.
//! They read what is shared; what changes something goes through the one task that owns it.

use crate::book::{Book, Entry};
use crate::control::Control;
use crate::keeper::Ask;
use crate::recorder;
use crate::watcher::Command;
use quantumos_dbus::{Error, path};
use quantumos_service::Authority;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{ObjectPath, OwnedObjectPath, Variant};

/// polkit action of everything that changes rules or alerts.
pub const MANAGE: &str = "org.quantumos.security.manage";

/// The book, shared by the task that writes it and the objects that show it.
#[derive(Debug, Clone)]
pub struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    /// Shares a book.
    #[must_use]
    pub fn new(book: Book) -> Self {
        Self(Arc::new(Mutex::new(book)))
    }

    /// The book. Never held over an await.
    pub fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an alert's object is.
#[must_use]
pub fn alert_path(id: u64) -> OwnedObjectPath {
    ObjectPath::from_string_unchecked(format!("{}/{id}", path::ALERTS)).into()
}

/// `org.quantumos.Security1`.
pub struct Security {
    pub(crate) control: Arc<Control>,
    pub(crate) authority: Authority,
    pub(crate) lost: Arc<AtomicU64>,
}

#[zbus::interface(name = "org.quantumos.Security1", introspection_docs = false)]
impl Security {
    #[zbus(out_args("loaded", "not_applicable", "failed"))]
    async fn reload_rules(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(u32, u32, u32), Error> {
        self.authority.check(&header, MANAGE).await?;
        self.control
            .reload_rules()
            .await
            .map_err(Error::Unavailable)
    }

    #[zbus(out_args("rules"))]
    fn list_rules(&self) -> Vec<(String, String, String, String, String)> {
        let ruling = self.control.ruling();
        let rows = ruling.set.report.iter().map(|listed| {
            let (fate, reason) = crate::rules::fate(listed);
            let title = if listed.title.is_empty() {
                &listed.file
            } else {
                &listed.title
            };
            let level = listed.level.map_or("", quantumos_detect::Level::name);
            (
                listed.id.clone(),
                title.clone(),
                level.to_string(),
                fate.to_string(),
                reason,
            )
        });
        rows.collect()
    }

    async fn record(
        &self,
        #[zbus(header)] header: Header<'_>,
        capture: zbus::OwnedFd,
        seconds: u32,
    ) -> Result<(), Error> {
        self.authority.check(&header, MANAGE).await?;
        let length = Duration::from_secs(seconds.into());
        if seconds == 0 || length > recorder::LONGEST {
            let text = format!("{seconds} seconds: a recording takes 1 to 86400");
            return Err(Error::InvalidArgument(text));
        }
        let done = self.control.record(capture.into(), length).await;
        done.map_err(Error::Unavailable)
    }

    #[zbus(out_args("counters"))]
    async fn statistics(&self) -> Result<HashMap<String, u64>, Error> {
        let mut out = self.control.statistics().await;
        out.insert("lost".into(), self.lost.load(Ordering::Relaxed));
        Ok(out)
    }

    #[zbus(property)]
    fn coverage(&self) -> Vec<(String, String, String, String)> {
        self.control.coverage()
    }

    #[zbus(property)]
    fn rules_loaded(&self) -> u32 {
        self.control.ruling().set.counts().0
    }

    #[zbus(property)]
    fn rules_not_applicable(&self) -> u32 {
        self.control.ruling().set.counts().1
    }

    #[zbus(property)]
    fn rules_failed(&self) -> u32 {
        self.control.ruling().set.counts().2
    }

    #[zbus(property)]
    fn events_lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    #[zbus(signal)]
    pub(crate) async fn alert_raised(
        emitter: &SignalEmitter<'_>,
        alert: ObjectPath<'_>,
        details: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(crate) async fn events_lost_reported(
        emitter: &SignalEmitter<'_>,
        class: &str,
        count: u64,
    ) -> zbus::Result<()>;
}

/// `org.quantumos.Alerts1`.
pub struct Alerts {
    pub(crate) authority: Authority,
    pub(crate) asks: mpsc::Sender<Ask>,
}

#[zbus::interface(name = "org.quantumos.Alerts1", introspection_docs = false)]
impl Alerts {
    #[zbus(out_args("removed"))]
    async fn clear(&self, #[zbus(header)] header: Header<'_>) -> Result<u32, Error> {
        self.authority.check(&header, MANAGE).await?;
        ask(&self.asks, Ask::Clear).await
    }
}

/// `org.quantumos.Alert1`.
pub struct AlertObject {
    pub(crate) id: u64,
    pub(crate) book: SharedBook,
    pub(crate) authority: Authority,
    pub(crate) asks: mpsc::Sender<Ask>,
}

impl AlertObject {
    fn read<T>(&self, read: impl FnOnce(&Entry) -> T) -> Result<T, zbus::fdo::Error> {
        let book = self.book.lock();
        let entry = book.get(self.id).map(read);
        entry.ok_or_else(|| zbus::fdo::Error::UnknownObject(format!("alert {} has left", self.id)))
    }
}

/// Asks the task that owns the alerts.
pub(crate) async fn ask<T>(
    asks: &mpsc::Sender<Ask>,
    ask: impl FnOnce(oneshot::Sender<T>) -> Ask,
) -> Result<T, Error> {
    let (answer, answered) = oneshot::channel();
    let stopping = || Error::Unavailable("security-ai is stopping".into());
    asks.send(ask(answer)).await.map_err(|_| stopping())?;
    answered.await.map_err(|_| stopping())
}

#[zbus::interface(name = "org.quantumos.Alert1", introspection_docs = false)]
impl AlertObject {
    async fn acknowledge(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        self.authority.check(&header, MANAGE).await?;
        let id = self.id;
        if ask(&self.asks, |answer| Ask::Acknowledge(id, answer)).await? {
            Ok(())
        } else {
            Err(Error::NotFound(format!("alert {id} has left")))
        }
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> String {
        self.id.to_string()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn rule_id(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|entry| entry.alert.rule.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn title(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|entry| entry.alert.title.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn level(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|entry| entry.alert.level.clone())
    }

    #[zbus(property)]
    fn time(&self) -> Result<u64, zbus::fdo::Error> {
        self.read(|entry| entry.alert.time)
    }

    #[zbus(property)]
    fn count(&self) -> Result<u32, zbus::fdo::Error> {
        self.read(|entry| entry.count)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn class(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|entry| entry.alert.class.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn pid(&self) -> Result<u32, zbus::fdo::Error> {
        self.read(|entry| entry.alert.pid)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn uid(&self) -> Result<u32, zbus::fdo::Error> {
        self.read(|entry| entry.alert.uid)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn user(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|entry| entry.alert.user.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn unit(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|entry| entry.alert.unit.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn executable(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|entry| entry.alert.executable.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn command_line(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|entry| entry.alert.command_line.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn ancestors(&self) -> Result<Vec<(u32, String, String)>, zbus::fdo::Error> {
        self.read(|entry| entry.alert.ancestors.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn tags(&self) -> Result<Vec<String>, zbus::fdo::Error> {
        self.read(|entry| entry.alert.tags.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn fields(&self) -> Result<HashMap<String, String>, zbus::fdo::Error> {
        self.read(|entry| entry.alert.fields.clone().into_iter().collect())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn explanation(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|entry| entry.alert.explanation.clone())
    }
}

/// What `AlertRaised` tells beside the path: the members that a listener shows at once.
#[must_use]
pub fn details(entry: &Entry) -> HashMap<&str, Variant<'_>> {
    let alert = &entry.alert;
    HashMap::from([
        ("Id", Variant::from(entry.id.to_string())),
        ("RuleId", alert.rule.as_str().into()),
        ("Title", alert.title.as_str().into()),
        ("Level", alert.level.as_str().into()),
        ("Time", alert.time.into()),
        ("Count", entry.count.into()),
        ("Class", alert.class.as_str().into()),
        ("Pid", alert.pid.into()),
        ("Uid", alert.uid.into()),
        ("User", alert.user.as_str().into()),
        ("Unit", alert.unit.as_str().into()),
        ("Executable", alert.executable.as_str().into()),
        ("CommandLine", alert.command_line.as_str().into()),
        ("Explanation", alert.explanation.as_str().into()),
        ("Tags", alert.tags.clone().into()),
    ])
}

/// Sends a command to the thread and waits for its answer.
pub(crate) async fn command<T>(
    commander: &crate::watcher::Commander,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    if !commander.send(command(answer)) {
        return None;
    }
    answered.await.ok()
}
