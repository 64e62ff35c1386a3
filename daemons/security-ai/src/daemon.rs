//! security-ai as a daemon: puts its parts together, on a bus and on a source of events that are given.

use crate::accounts::Accounts;
use crate::alert::Alert;
use crate::book::Book;
use crate::budget::Usage;
use crate::control::{self, Control, SharedCoverage};
use crate::detector::Detector;
use crate::follower;
use crate::journal::Journal;
use crate::keeper::{Ask, Keeper};
use crate::mark::Mark;
use crate::meter::Meter;
use crate::objects::{Alerts, Security, SharedBook};
use crate::outputs::Outputs;
use crate::proc::Proc;
use crate::response;
use crate::response::automatic::Pace;
use crate::response::bus::Responses1;
use crate::response::clerk::{Clerk, SharedDues};
use crate::response::facts::Host;
use crate::response::hands::Hands;
use crate::response::history::History;
use crate::response::responder::{self, Listener, Order, Responder, SharedHistory};
use crate::response::slots::Slots;
use crate::scorer::Scorer;
use crate::settings::Settings;
use crate::source::{EventSource, Kernel};
use crate::spool::{Spool, Windows1};
use crate::store::Store;
use crate::watcher::{self, Command, Commander, Output};
use crate::windows::Windows;
use quantumos_dbus::{SERVICES, Service, path};
use quantumos_ebpf::{Class, Coverage, State};
use quantumos_service::systemd::Systemd;
use quantumos_service::{BoxError, Context, Daemon};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot, watch};

/// Alerts that may wait for the bus before the thread that takes events does.
const QUEUE: usize = 1024;
/// Windows that may wait to be written down.
const WINDOW_QUEUE: usize = 256;
/// Alerts that may wait for a response.
const RESPONSE_QUEUE: usize = 256;

/// The surroundings that tests replace.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where processes are read.
    pub proc: PathBuf,
    /// Where the unified hierarchy of control groups is.
    pub groups: PathBuf,
    /// The journal's socket.
    pub journal: PathBuf,
    /// The program that reads the journal.
    pub journalctl: PathBuf,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            groups: "/sys/fs/cgroup".into(),
            journal: "/run/systemd/journal/socket".into(),
            journalctl: "/usr/bin/journalctl".into(),
        }
    }
}

/// The daemon.
pub struct SecurityAi {
    control: Arc<Control>,
    asks: mpsc::Sender<Ask>,
    orders: mpsc::Sender<Order>,
    commander: Option<Commander>,
    thread: Option<JoinHandle<()>>,
    meter: Meter,
    clerk: tokio::task::JoinHandle<()>,
    mark: Mark,
}

impl Daemon for SecurityAi {
    type Settings = Settings;
    const SERVICE: Service = SERVICES[2];

    async fn start(context: Context, settings: Settings) -> Result<Self, BoxError> {
        let load = |watches: &[quantumos_ebpf::Watch]| -> Result<Box<dyn EventSource>, String> {
            Ok(Box::new(Kernel::load(&settings.events, watches)?))
        };
        Self::assemble(context, settings.clone(), Surroundings::default(), load).await
    }

    async fn reload(&mut self, settings: Settings) -> Result<(), BoxError> {
        self.control.configure(settings.clone()).await?;
        let (done, configured) = oneshot::channel();
        let order = Order::Configure(settings.responses.clone(), done);
        self.orders.send(order).await?;
        configured.await?;
        self.meter.configure(&settings.metrics).await;
        let settings = Box::new(settings);
        crate::objects::ask(&self.asks, |done| Ask::Configure(settings, done)).await?;
        Ok(())
    }

    async fn stop(mut self) {
        if let Some(commander) = self.commander.take() {
            commander.send(Command::Stop);
        }
        // What it tells now it tells again after the next start.
        self.clerk.abort();
        // First who acts: what holds goes on, and the probes that hold some of it go after.
        let (done, stopped) = oneshot::channel();
        if self.orders.send(Order::Stop(done)).await.is_ok() {
            let _ = stopped.await;
        }
        let (done, stopped) = oneshot::channel();
        if self.asks.send(Ask::Stop(done)).await.is_ok() {
            // The task has nothing to add when it is gone already.
            let _ = stopped.await;
        }
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the thread that takes events ended badly");
            }
        }
        self.mark.clear();
    }
}

impl SecurityAi {
    /// Starts the daemon on a source of events that `load` gives for a list of watched files.
    ///
    /// A source that can't be loaded is a problem, not an error: rules and old alerts are served all the same.
    ///
    /// # Errors
    /// When the bus refuses the objects, or the system gives no thread.
    pub async fn assemble(
        context: Context,
        settings: Settings,
        surroundings: Surroundings,
        load: impl FnOnce(&[quantumos_ebpf::Watch]) -> Result<Box<dyn EventSource>, String>,
    ) -> Result<Self, BoxError> {
        let Context {
            connection,
            authority,
            status,
            directories,
        } = context;
        let (ruling, list) = control::read(&directories.root, &settings).await?;
        control::report(&status, &ruling, &list.partial).await;

        let (output, outputs) = mpsc::channel(QUEUE);
        let mark = Mark::new(&directories.runtime);
        if let Some(pid) = mark.left() {
            let time = crate::clock::real_time(crate::clock::boot_time());
            let alert = Alert::of_end(pid, &Accounts::default(), time);
            output.try_send(Output::Alert(Box::new(alert)))?;
        }
        let proc = Proc::new(&surroundings.proc);
        let boot = boot_id(&surroundings.proc);
        let shown = settings.responses.clone();
        let detector = Detector::new(
            ruling.clone(),
            proc.clone(),
            settings.events.processes as usize,
        )?;
        let follow = follower::Settings {
            journalctl: surroundings.journalctl,
            place: directories.state.join("journal.cursor"),
        };
        let dropped = Arc::new(AtomicU64::new(0));
        let spool = Spool::new(dropped.clone());
        let (closed, windows) = mpsc::channel(WINDOW_QUEUE);
        let length = u64::from(settings.windows.seconds) * 1_000_000_000;
        let detector = detector.collecting(Windows::new(
            length,
            closed,
            dropped,
            crate::clock::real_time,
        ));
        let scorer = Scorer {
            connection: connection.clone(),
            status: status.clone(),
            settings: settings.model.clone(),
            state: directories.state.clone(),
            spool: spool.clone(),
            output: output.clone(),
            model: None,
            tried: None,
            looked: None,
            again: None,
        };
        let limits = Usage {
            cpu: settings.events.budget_cpu_per_mille.into(),
            memory: settings.events.budget_memory_kib.into(),
        };
        let (coverage, commander, thread) = match load(&list.watches) {
            Ok(source) => {
                let coverage = source.coverage();
                let (commander, thread) = watcher::start(source, detector, follow, limits, output)?;
                (coverage, Some(commander), Some(thread))
            }
            Err(reason) => {
                let problem = format!("nothing is watched: {reason}");
                status.set_problem("events", Some(problem)).await;
                (nothing_covered(&reason), None, None)
            }
        };
        status.set_problem("coverage", uncovered(&coverage)).await;
        let coverage = SharedCoverage::new(coverage);

        let mut book = Book::new(
            settings.alerts.keep as usize,
            settings.alerts.distinct_per_minute,
        );
        let limit = u64::from(settings.alerts.file_kib) * 1024;
        let store = match Store::open(&directories.state, limit, &mut book) {
            Ok((store, said)) => {
                said.iter()
                    .for_each(|sentence| tracing::warn!("{sentence}"));
                store
            }
            Err(error) => {
                let problem =
                    format!("alerts are kept in memory only, their file can't be opened: {error}");
                status.set_problem("alerts-file", Some(problem)).await;
                Store::detached(&directories.state, limit)
            }
        };
        let outlets = Outputs::new(
            directories.root.clone(),
            status.clone(),
            settings.file.clone(),
            settings.otlp.clone(),
        );
        let tally = outlets.tally();
        let (asks, inbox) = mpsc::channel(64);
        let book = SharedBook::new(book);
        let (orders, ordered) = mpsc::channel(RESPONSE_QUEUE);
        let (grades, told) = watch::channel(Arc::new(settings.responses.grades()));
        let lost = Arc::new(AtomicU64::new(0));
        let keeper = Keeper {
            connection: connection.clone(),
            status: status.clone(),
            authority: authority.clone(),
            book: book.clone(),
            store,
            journal: Journal::new(&surroundings.journal),
            outputs: outlets,
            lost: lost.clone(),
            coverage: coverage.clone(),
            asks: asks.clone(),
            signalled: HashMap::new(),
            counted: BTreeSet::new(),
            due: None,
            grades: told,
            responder: orders.clone(),
        };
        let host = Host::new(proc.clone(), surroundings.groups);
        let mut history = History::new(settings.responses.keep as usize);
        let mut dues = response::due::Dues::default();
        let (responses, said) = response::store::Store::open(
            &directories.state,
            &directories.runtime,
            &mut history,
            &mut dues,
        );
        let dues = SharedDues::new(dues);
        said.iter()
            .for_each(|sentence| tracing::warn!("{sentence}"));
        let history = SharedHistory::new(history);
        let systemd = Systemd::new(&connection);
        let responder = Responder {
            connection: connection.clone(),
            authority: authority.clone(),
            status: status.clone(),
            history: history.clone(),
            store: tokio::sync::Mutex::new(Some(responses)),
            dues: dues.clone(),
            book: book.clone(),
            journal: Mutex::new(Journal::new(surroundings.journal)),
            hands: Hands {
                proc: proc.clone(),
                systemd: systemd.clone(),
                probes: commander.clone(),
            },
            host,
            settings: RwLock::new(settings.responses.clone()),
            grades,
            pace: Mutex::new(Pace::default()),
            boot,
            orders: orders.clone(),
            targets: Mutex::default(),
            slots: Slots::default(),
            watched: Mutex::default(),
            units: Listener::start(systemd, history, orders.clone()),
        };
        let clerk = Clerk {
            connection: connection.clone(),
            status: status.clone(),
            dues,
            orders: orders.clone(),
        };
        let metrics = settings.metrics.clone();
        let metered = status.clone();
        let control = Arc::new(Control::new(
            directories.root.clone(),
            connection.clone(),
            status,
            commander.clone(),
            coverage,
            ruling,
            settings,
        ));
        let mut meter = Meter::new(directories, metered, control.clone(), book, tally);
        meter.configure(&metrics).await;
        let server = connection.object_server();
        keeper.publish().await?;
        server
            .at(
                path::ALERTS,
                Alerts {
                    authority: authority.clone(),
                    asks: asks.clone(),
                },
            )
            .await?;
        server.at(path::ALERTS, zbus::fdo::ObjectManager).await?;
        let collection = Responses1 {
            connection: connection.clone(),
            authority: authority.clone(),
            orders: orders.clone(),
            settings: RwLock::new(shown),
        };
        server.at(path::RESPONSES, collection).await?;
        server.at(path::RESPONSES, zbus::fdo::ObjectManager).await?;
        responder.recover().await?;
        server
            .at(
                path::SECURITY,
                Security {
                    control: control.clone(),
                    authority: authority.clone(),
                    lost,
                },
            )
            .await?;
        let waiting = Windows1 {
            spool: spool.clone(),
            authority,
        };
        server.at(path::WINDOWS, waiting).await?;
        tokio::spawn(scorer.run(windows));
        tokio::spawn(keeper.run(outputs, inbox));
        tokio::spawn(responder::run(responder, ordered));
        let clerk = tokio::spawn(clerk.run());
        if let Err(error) = mark.set() {
            tracing::warn!(%error, "no mark can be left; should this daemon be killed, the next one can't tell");
        }
        Ok(Self {
            control,
            asks,
            orders,
            commander,
            thread,
            meter,
            clerk,
            mark,
        })
    }
}

/// What the kernel calls this boot; empty where it does not say, and then all boots are taken for one.
fn boot_id(proc: &Path) -> String {
    let read = std::fs::read_to_string(proc.join("sys/kernel/random/boot_id"));
    read.map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn nothing_covered(reason: &str) -> Vec<Coverage> {
    let row = |class| Coverage {
        class,
        action: None,
        hook: String::new(),
        state: State::Unavailable,
        reason: reason.to_string(),
    };
    Class::ALL.into_iter().map(row).collect()
}

/// A sentence about classes that nothing sees.
fn uncovered(coverage: &[Coverage]) -> Option<String> {
    let missing = coverage
        .iter()
        .filter(|row| row.state == State::Unavailable);
    let missing: Vec<_> = missing
        .map(|row| format!("{} ({})", row.name(), row.reason))
        .collect();
    (!missing.is_empty()).then(|| format!("no hook sees: {}", missing.join("; ")))
}
