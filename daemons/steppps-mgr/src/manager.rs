//! The task that keeps the state. It hears the kernel and the bus, notes which dimensions may
//! have changed, waits a moment for what comes together, then looks at those and publishes
//! what is new. What gives no signal is looked at on a slow beat.

mod heard;
mod look;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use quantumos_dimensions::{
    Dimension,
    event::Incidents,
    pixel::Login,
    prompt::Catalogue,
    psychology::Learner,
    time::{Discipline, Latency},
};
use quantumos_service::Context;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until},
};

use crate::{
    Error, Settings,
    board::Board,
    clock, collect,
    keep::Keep,
    kernel::Kernel,
    peers::{Peers, SYSTEMD, signals::Signals, systemd::Systemd},
};

/// What the daemon tells its manager.
pub(crate) enum Command {
    /// Apply new settings and look at everything.
    Reload(Settings, oneshot::Sender<()>),
}

/// Slow beats until everything is read anew, in case a signal was missed.
const FULL_LOOK: u32 = 20;

/// What has to be asked for anew before the next look.
#[derive(Clone, Copy, Debug, Default)]
struct Stale {
    units: bool,
    timers: bool,
    boot: bool,
    login: bool,
    catalogue: bool,
    latency: bool,
    discipline: bool,
}

impl Stale {
    const ALL: Self = Self {
        units: true,
        timers: true,
        boot: true,
        login: true,
        catalogue: true,
        latency: true,
        discipline: true,
    };
}

/// The state of the daemon and what it is made from.
pub(crate) struct Manager {
    context: Context,
    settings: Settings,
    board: Board,
    peers: Peers,
    signals: Signals,
    kernel: Kernel,
    kernel_lost: u64,
    systemd: Systemd,
    login: Option<Login>,
    catalogue: Catalogue,
    /// Interfaces that were announced and not in the catalogue: each is a reason to ask once.
    asked_for: BTreeSet<String>,
    latency: Option<Result<Latency, String>>,
    discipline: Option<Result<Discipline, String>>,
    incidents: Incidents,
    unit_states: BTreeMap<String, (String, String)>,
    keep: Keep,
    learner: Learner,
    sampled_from: Vec<String>,
    stale: Stale,
    dirty: BTreeSet<Dimension>,
    due: Option<Instant>,
    beats: u32,
}

impl Manager {
    /// Begins to listen and finds out who is there.
    ///
    /// # Errors
    /// The bus refuses.
    pub async fn start(context: Context, settings: Settings, board: Board) -> Result<Self, Error> {
        // Listening comes first: what changes from here on is not missed.
        let signals = Signals::listen(&context.connection).await?;
        let peers = Peers::find(&context.connection).await?;
        let keep = Keep::new(&context.directories.state);
        let (learner, errors) = keep.load();
        for error in &errors {
            tracing::warn!("habits of before are not used: {error}");
        }
        if let Some(error) = errors.first() {
            let problem = format!("habits of before are not used: {error}");
            context
                .status
                .set_problem("habits-lost", Some(problem))
                .await;
        }
        let mut manager = Self {
            kernel: Kernel::open(&settings.roots),
            context,
            settings,
            board,
            peers,
            signals,
            kernel_lost: 0,
            systemd: Systemd::default(),
            login: None,
            catalogue: Catalogue::default(),
            asked_for: BTreeSet::new(),
            latency: None,
            discipline: None,
            incidents: Incidents::default(),
            unit_states: BTreeMap::new(),
            keep,
            learner,
            sampled_from: Vec::new(),
            stale: Stale::ALL,
            dirty: BTreeSet::new(),
            due: None,
            beats: 0,
        };
        manager.subscribe().await;
        Ok(manager)
    }

    /// Asks systemd for its signals, if it is there.
    async fn subscribe(&mut self) {
        if self.peers.has(SYSTEMD)
            && let Err(error) = Systemd::subscribe(&self.peers).await
        {
            tracing::warn!(%error, "systemd sends no signals");
        }
    }

    /// Runs until the daemon drops its end of `commands`.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut rescan = beat(self.settings.rescan());
        let mut sample = beat(self.settings.sample());
        loop {
            let due = self.due;
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Reload(settings, done)) => {
                        self.apply(settings);
                        rescan = beat(self.settings.rescan());
                        sample = beat(self.settings.sample());
                        self.look_at_all(Stale::ALL).await;
                        // The daemon may have stopped waiting.
                        let _ = done.send(());
                    }
                    None => break,
                },
                message = self.signals.next() => match message {
                    Some(message) => self.hear(&message).await,
                    None => break,
                },
                told = self.kernel.next() => self.be_told(told),
                _ = rescan.tick() => self.beat(),
                _ = sample.tick() => self.sample().await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.look().await,
            }
        }
        if let Err(error) = self.keep.save(&self.learner, true) {
            tracing::error!(%error, "habits could not be kept");
        }
    }

    fn apply(&mut self, settings: Settings) {
        if settings.roots != self.settings.roots {
            self.kernel = Kernel::open(&settings.roots);
        }
        self.settings = settings;
    }

    /// Notes that a dimension may have changed; the look comes soon.
    fn mark(&mut self, dimension: Dimension) {
        self.dirty.insert(dimension);
        self.due_within(self.settings.gather());
    }

    fn due_within(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// The slow beat: what gives no signal.
    fn beat(&mut self) {
        self.beats += 1;
        self.stale.latency = true;
        self.stale.discipline |= self.discipline.is_none();
        for dimension in [
            Dimension::Space,
            Dimension::Time,
            Dimension::Event,
            Dimension::Pixel,
            Dimension::Script,
        ] {
            self.mark(dimension);
        }
        if self.beats.is_multiple_of(FULL_LOOK) {
            self.stale = Stale::ALL;
            self.asked_for.clear();
            self.mark(Dimension::Prompt);
        }
    }

    /// The look at the start. It does not ask for the clock's discipline: that may start
    /// another service, which the boot should not wait for.
    pub async fn look_first(&mut self) {
        self.look_at_all(Stale {
            discipline: false,
            ..Stale::ALL
        })
        .await;
    }

    async fn look_at_all(&mut self, stale: Stale) {
        self.stale = stale;
        self.dirty.extend(Dimension::ALL);
        self.look().await;
        self.sample().await;
    }

    /// Samples what is active, learns from it and keeps what was learned.
    async fn sample(&mut self) {
        let mut active = BTreeSet::new();
        self.sampled_from.clear();
        if self.settings.learn_units && self.peers.has(SYSTEMD) {
            active.extend(
                self.systemd
                    .active
                    .iter()
                    .map(|unit| format!("unit:{unit}")),
            );
            self.sampled_from.push(SYSTEMD.to_owned());
        }
        if self.settings.learn_programs
            && let Some(programs) = collect::programs::read(&self.settings.roots)
        {
            active.extend(
                programs
                    .into_iter()
                    .map(|program| format!("program:{program}")),
            );
            self.sampled_from
                .push(self.settings.roots.proc.to_string_lossy().into_owned());
        }
        let now = clock::realtime();
        if !self.sampled_from.is_empty() {
            let hour_is_over = self.learner.observe(clock::local_hour(now), active);
            let problem = self.keep.save(&self.learner, hour_is_over).err();
            let problem = problem.map(|error| format!("habits cannot be kept: {error}"));
            self.context.status.set_problem("habits", problem).await;
        }
        self.board
            .publish(
                Dimension::Psychology,
                self.learner.report(&self.sampled_from),
                now,
            )
            .await;
    }
}

fn beat(period: Duration) -> Interval {
    let mut beat = interval_at(Instant::now() + period, period);
    // After a pause (a suspended host) one beat is enough.
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}
