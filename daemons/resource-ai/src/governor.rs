//! The one task that owns all state: it wakes up for pressure triggers, for commands from
//! the bus and for its own slow heartbeat, reads, forecasts, decides and acts. One queue,
//! so that nothing overtakes anything.

mod act;
mod explain;
mod tick;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quantumos_dbus::Error;
use quantumos_resource::class::Classes;
use quantumos_resource::controller::{Controller, Weight};
use quantumos_resource::history::History;
use quantumos_service::Context;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::decision::Decisions;
use crate::forecaster::{Forecast, Forecaster};
use crate::foreground::Foreground;
use crate::interface::{self, Resource1};
use crate::latency::LatencyMeter;
use crate::sampler::{Sampler, cpus, monotonic_us};
use crate::settings::{Mode, Settings};
use crate::store::Store;
use crate::systemd::Systemd;
use crate::triggers::{Stall, Triggers};

/// Most decisions that are kept as objects.
const MOST_DECISIONS: usize = 256;
/// The id of the root of the cgroup hierarchy: the inode of kernfs's root.
const ROOT_CGROUP: u64 = 1;
/// For how long somebody who asked for a forecast is thought to watch.
const WATCHED: Duration = Duration::from_secs(30);

/// Waits of one cgroup: its path, wake-ups, p50, p99 and maximum in nanoseconds.
pub type Wait = (String, u64, u64, u64, u64);

/// What the bus asks of the governor.
#[derive(Debug)]
pub enum Command {
    /// Somebody looks at forecasts: read often for a while.
    Watch,
    /// Another mode.
    SetMode(Mode, oneshot::Sender<Result<(), Error>>),
    /// Take a decision back.
    Undo {
        /// Which one.
        id: String,
        /// Who wants it.
        uid: u32,
        /// How it went.
        reply: oneshot::Sender<Result<(), Error>>,
    },
    /// A process has the focus.
    Foreground(Foreground),
    /// What is known of a unit.
    Explain(String, oneshot::Sender<Result<String, Error>>),
    /// Run-queue latencies.
    Latency(oneshot::Sender<Result<Vec<Wait>, Error>>),
    /// A model was loaded, or could not be: which attempt, and what forecasts from now on.
    Model(u64, Box<Forecaster>),
    /// Other settings.
    Reload(Box<Settings>),
    /// Take back what was applied, and end.
    Stop(oneshot::Sender<()>),
}

/// One row of the forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The unit; empty for the machine.
    pub unit: String,
    /// The forecast.
    pub forecast: Forecast,
    /// CPU used in the last 5 s, as a share of the machine.
    pub usage: f64,
}

/// What the interface shows without asking the governor.
#[derive(Debug, Clone)]
pub struct View {
    /// The mode.
    pub mode: Mode,
    /// `Model`.
    pub model: Vec<(&'static str, interface::Value)>,
    /// Forecasts by cgroup.
    pub rows: BTreeMap<String, Row>,
    /// Pressure of the last sampling interval by resource and kind, in percent.
    pub recent: HashMap<&'static str, f64>,
}

/// The view, shared.
#[derive(Debug, Clone)]
pub struct SharedView(Arc<Mutex<View>>);

impl SharedView {
    /// A view without any reading.
    pub fn new(mode: Mode) -> Self {
        Self(Arc::new(Mutex::new(View {
            mode,
            model: Vec::new(),
            rows: BTreeMap::new(),
            recent: HashMap::new(),
        })))
    }

    /// The view, for a moment.
    pub fn get(&self) -> MutexGuard<'_, View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state.
#[derive(Debug)]
pub struct Governor {
    context: Context,
    settings: Settings,
    view: SharedView,
    commands: mpsc::Sender<Command>,
    stalls: mpsc::Sender<Stall>,
    triggers: Triggers,
    sampler: Sampler,
    cpus: u32,
    system: History,
    groups: BTreeMap<String, History>,
    forecaster: Forecaster,
    loads: u64,
    classes: Classes,
    controller: Controller,
    systemd: Systemd,
    weights: HashMap<String, (u64, Weight)>,
    store: Store,
    /// What holds is not what the file says.
    unsaved: bool,
    decisions: Decisions,
    made: u64,
    unfinished: BTreeMap<String, crate::decision::State>,
    foreground: BTreeMap<u32, String>,
    latency: Option<LatencyMeter>,
    busy_until: Instant,
    watched_until: Instant,
    discovered_us: u64,
}

/// The ends of the governor's queues.
#[derive(Debug)]
pub struct Queues {
    commands: mpsc::Receiver<Command>,
    stalls: mpsc::Receiver<Stall>,
}

impl Governor {
    /// Takes up what was in force before a restart and reads for the first time.
    pub async fn start(
        context: Context,
        settings: Settings,
        view: SharedView,
        commands: (mpsc::Sender<Command>, mpsc::Receiver<Command>),
    ) -> Result<(Self, Queues), crate::Error> {
        let (stalls, stalled) = mpsc::channel(16);
        let sources = settings.roots();
        let mut governor = Self {
            triggers: Triggers::arm(&sources, &settings.triggers, &stalls),
            sampler: Sampler::new(sources, settings.sampling.most_units),
            cpus: cpus(),
            system: History::default(),
            groups: BTreeMap::new(),
            forecaster: Forecaster::without("the model is being loaded"),
            loads: 0,
            classes: settings.class_rules()?,
            controller: Controller::new(settings.policy),
            systemd: Systemd::new(&context.connection),
            weights: HashMap::new(),
            store: Store::new(&context.directories.runtime),
            unsaved: false,
            decisions: Decisions::new(),
            made: 0,
            unfinished: BTreeMap::new(),
            foreground: BTreeMap::new(),
            latency: None,
            busy_until: Instant::now(),
            watched_until: Instant::now(),
            discovered_us: 0,
            commands: commands.0,
            context,
            settings,
            view,
            stalls,
        };
        governor.tell_sources().await;
        governor.tell_model();
        governor.take_up().await;
        governor.tick().await;
        Ok((
            governor,
            Queues {
                commands: commands.1,
                stalls: stalled,
            },
        ))
    }

    /// Works until it is told to stop.
    pub async fn run(mut self, mut queues: Queues) {
        // What takes long comes after the daemon is ready: nobody's boot waits for it.
        self.load_model();
        self.start_latency().await;
        let mut next = Instant::now() + self.period();
        loop {
            tokio::select! {
                command = queues.commands.recv() => match command {
                    Some(Command::Stop(done)) => {
                        self.take_all_back("the daemon stops").await;
                        let _ = done.send(());
                        return;
                    }
                    Some(command) => {
                        self.obey(command).await;
                        next = next.min(Instant::now() + self.period());
                    }
                    None => return,
                },
                Some(stall) = queues.stalls.recv() => {
                    self.stalled(&stall).await;
                    next = next.min(Instant::now() + self.period());
                }
                () = tokio::time::sleep_until(next) => {
                    self.tick().await;
                    next = Instant::now() + self.period();
                }
            }
        }
    }

    /// Until the next round: short while something is decided or somebody looks, and under
    /// pressure; but where nothing would come of it, pressure only halves the long one, which
    /// keeps the history that a forecast needs.
    fn period(&self) -> Duration {
        let sampling = &self.settings.sampling;
        let now = Instant::now();
        let pressed = now < self.busy_until;
        let watched = now < self.watched_until;
        let deciding = self.view.get().mode != Mode::Observe;
        let in_force = !self.controller.in_force().is_empty();
        let milliseconds = if watched || in_force || (deciding && pressed) {
            sampling.busy_ms
        } else if pressed {
            sampling.busy_ms.max(sampling.idle_ms / 2)
        } else {
            sampling.idle_ms
        };
        Duration::from_millis(milliseconds)
    }

    fn be_watched(&mut self) {
        self.watched_until = Instant::now() + WATCHED;
    }

    async fn stalled(&mut self, stall: &Stall) {
        let time = Duration::from_millis(self.settings.sampling.busy_for_ms);
        self.busy_until = self.busy_until.max(Instant::now() + time);
        tracing::debug!(resource = stall.resource, trigger = %stall.trigger, "pressure trigger");
        let kind = stall.trigger.kind.as_str();
        let emitter = interface::emitter(&self.context.connection);
        if let Ok(emitter) = emitter
            && let Err(error) = Resource1::pressure_stalled(
                &emitter,
                &stall.resource,
                kind,
                stall.trigger.window_us,
            )
            .await
        {
            tracing::debug!(%error, "could not emit PressureStalled");
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Watch => self.be_watched(),
            Command::SetMode(mode, reply) => {
                let _ = reply.send(self.set_mode(mode).await);
            }
            Command::Undo { id, uid, reply } => {
                let _ = reply.send(self.undo(&id, uid).await);
            }
            Command::Foreground(foreground) => self.set_foreground(foreground),
            Command::Explain(unit, reply) => {
                self.be_watched();
                let _ = reply.send(self.explain(&unit).await);
            }
            Command::Latency(reply) => {
                let _ = reply.send(self.latencies());
            }
            Command::Model(serial, forecaster) => self.take_model(serial, *forecaster).await,
            Command::Reload(settings) => self.reload(*settings).await,
            Command::Stop(_) => {}
        }
    }

    fn set_foreground(&mut self, foreground: Foreground) {
        // The deepest unit that is read: what is inside a user's manager counts as that.
        let known = self.sampler.paths().filter(|path| {
            foreground
                .path
                .strip_prefix(*path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let Some(path) = known.max_by_key(|path| path.len()) else {
            tracing::debug!(
                path = foreground.path,
                "the foreground is in no unit that is read"
            );
            return;
        };
        let unit = path.rsplit('/').next().unwrap_or_default().to_owned();
        if !unit.ends_with(".slice") {
            tracing::debug!(uid = foreground.uid, unit, "foreground");
            self.foreground.insert(foreground.uid, unit);
        }
    }

    async fn reload(&mut self, settings: Settings) {
        let old = std::mem::replace(&mut self.settings, settings);
        let sources = self.settings.roots();
        if old.triggers != self.settings.triggers || old.sources != self.settings.sources {
            self.triggers = Triggers::arm(&sources, &self.settings.triggers, &self.stalls);
        }
        if old.sources != self.settings.sources
            || old.sampling.most_units != self.settings.sampling.most_units
        {
            self.sampler = Sampler::new(sources, self.settings.sampling.most_units);
            self.discovered_us = 0;
        }
        // Always, so that a new file under the same name is taken.
        self.load_model();
        match self.settings.class_rules() {
            Ok(classes) => self.classes = classes,
            Err(error) => tracing::error!(%error, "the old classes stay"),
        }
        self.controller.set_policy(self.settings.policy);
        if old.latency != self.settings.latency {
            self.start_latency().await;
        }
        self.tell_sources().await;
        if old.mode != self.settings.mode && self.set_mode(self.settings.mode).await.is_err() {
            tracing::error!("the old mode stays");
        }
        interface::mode_changed(&self.context.connection).await;
    }

    /// Loads the model beside the work; the old one is used until then.
    fn load_model(&mut self) {
        self.loads += 1;
        let (serial, settings, commands) = (
            self.loads,
            self.settings.model.clone(),
            self.commands.clone(),
        );
        tokio::task::spawn_blocking(move || {
            let forecaster = Box::new(Forecaster::new(&settings));
            // The governor is gone: nobody wants the model any more.
            let _ = commands.blocking_send(Command::Model(serial, forecaster));
        });
    }

    async fn take_model(&mut self, serial: u64, forecaster: Forecaster) {
        // One that was asked for earlier came later: it is not what is configured now.
        if serial == self.loads {
            self.forecaster = forecaster;
            self.tell_model();
            interface::model_changed(&self.context.connection).await;
        }
    }

    async fn start_latency(&mut self) {
        self.latency = None;
        if !self.settings.latency.enabled {
            self.context.status.set_problem("latency", None).await;
            return;
        }
        let problem = match LatencyMeter::start(monotonic_us()) {
            Ok(meter) => {
                self.latency = Some(meter);
                None
            }
            Err(error) => Some(format!("no run-queue latency: {error}")),
        };
        self.context.status.set_problem("latency", problem).await;
        self.context
            .status
            .set_detail("latency", self.latency.is_some().into());
    }

    fn latencies(&self) -> Result<Vec<Wait>, Error> {
        let meter = self.latency.as_ref().ok_or_else(|| {
            Error::NotSupported("run-queue latency is not measured; Problems says why".into())
        })?;
        let recent = meter
            .recent()
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        let rows = recent.into_iter().map(|(id, waits)| {
            let name = match self.sampler.path_of(id) {
                Some(path) => path.to_owned(),
                None if id == ROOT_CGROUP => "/".to_owned(),
                None => format!("#{id}"),
            };
            (
                name,
                waits.count(),
                waits.percentile(500),
                waits.percentile(990),
                waits.max(),
            )
        });
        Ok(rows.collect())
    }
}
