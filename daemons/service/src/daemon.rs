//! The life of a daemon, from its command line to its end.

use std::{future::Future, path::Path, process::ExitCode, time::Duration};

use clap::{CommandFactory, FromArgMatches};
use quantumos_dbus::Service;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use zbus::{Connection, connection::Builder, fdo::RequestNameFlags};

use crate::{
    Authority, Settings, Status,
    command_line::{CommandLine, Directories},
    configuration, logging, memory, notify,
};

/// EX_CONFIG of sysexits(3): `RestartPreventExitStatus=` in the units names it.
const EXIT_CONFIGURATION: u8 = 78;

/// After this long a daemon that started is at rest, and gives back what starting took.
const SETTLING: Duration = Duration::from_secs(15);

/// Any error; the daemon's own enum is inside.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a daemon starts with.
#[derive(Debug, Clone)]
pub struct Context {
    /// The bus that objects go on.
    pub connection: Connection,
    /// Who may do what.
    pub authority: Authority,
    /// What the daemon tells about itself.
    pub status: Status,
    /// Where files are.
    pub directories: Directories,
}

/// A daemon of QuantumOS.
pub trait Daemon: Sized {
    /// Its configuration.
    type Settings: Settings;
    /// Its unit, bus name and root object.
    const SERVICE: Service;

    /// Puts the objects on the bus and starts the work. The name is taken after that.
    ///
    /// # Errors
    /// Only what leaves nothing to serve; anything less is a problem in [`Status`].
    fn start(
        context: Context,
        settings: Self::Settings,
    ) -> impl Future<Output = Result<Self, BoxError>>;

    /// Applies a new, valid configuration. SIGHUP calls this also when nothing changed, so rules
    /// and the like are read anew.
    ///
    /// # Errors
    /// A refusal that names file and line where there is one; the old configuration has to stay in force.
    fn reload(&mut self, settings: Self::Settings) -> impl Future<Output = Result<(), BoxError>>;

    /// Ends the work in order.
    fn stop(self) -> impl Future<Output = ()>;
}

/// A daemon that has its name on the bus.
#[derive(Debug)]
pub struct Running<D: Daemon> {
    daemon: D,
    context: Context,
    settings: D::Settings,
}

/// Starts a daemon on a connection that is already there and takes its name: what [`run`] does,
/// and what tests do.
///
/// # Errors
/// When the daemon can't start or its name is taken.
pub async fn serve<D: Daemon>(
    connection: Connection,
    directories: Directories,
    settings: D::Settings,
) -> Result<Running<D>, BoxError> {
    let status = Status::publish(D::SERVICE, &connection).await?;
    let context = Context {
        authority: Authority::new(&connection),
        connection,
        status,
        directories,
    };
    let daemon = D::start(context.clone(), settings.clone()).await?;
    let flags = RequestNameFlags::DO_NOT_QUEUE;
    context
        .connection
        .request_name_with_flags(D::SERVICE.bus_name, flags)
        .await?;
    Ok(Running {
        daemon,
        context,
        settings,
    })
}

impl<D: Daemon> Running<D> {
    /// The daemon.
    pub fn daemon(&mut self) -> &mut D {
        &mut self.daemon
    }

    /// What it was started with.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Reads the configuration anew. A bad one is refused: the old one stays in force and
    /// `ConfigurationError` says why.
    pub async fn reload(&mut self) {
        let root = self.context.directories.root.clone();
        let outcome = match configuration::load::<D::Settings>(&root, D::SERVICE.unit) {
            Ok(settings) => match self.daemon.reload(settings.clone()).await {
                Ok(()) => {
                    self.settings = settings;
                    Ok(())
                }
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        match outcome {
            Ok(()) => {
                keep(&self.context.directories.state, &self.settings);
                tracing::info!("configuration reloaded");
                self.context
                    .status
                    .set_configuration_error(String::new())
                    .await;
            }
            Err(reason) => {
                tracing::error!("configuration refused, the old one stays in force: {reason}");
                self.context.status.set_configuration_error(reason).await;
            }
        }
    }

    /// Gives the name back and ends the work.
    pub async fn stop(self) {
        if let Err(error) = self
            .context
            .connection
            .release_name(D::SERVICE.bus_name)
            .await
        {
            tracing::debug!(%error, "could not release the name");
        }
        self.daemon.stop().await;
    }
}

/// The `main` of a daemon.
pub fn run<D: Daemon>() -> ExitCode {
    let matches = CommandLine::command()
        .name(D::SERVICE.unit)
        .version(env!("CARGO_PKG_VERSION"))
        .get_matches();
    let command_line = match CommandLine::from_arg_matches(&matches) {
        Ok(command_line) => command_line,
        Err(error) => error.exit(),
    };
    logging::start();
    memory::small_pages();
    let directories = command_line.directories(D::SERVICE.unit);
    let read = configuration::load::<D::Settings>(&directories.root, D::SERVICE.unit);
    if command_line.check_configuration {
        return match read {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("{error}");
                ExitCode::from(EXIT_CONFIGURATION)
            }
        };
    }
    let (settings, refusal) = match read {
        Ok(settings) => (settings, None),
        Err(error) => {
            tracing::error!("configuration refused: {error}");
            // A restart must not turn a typing error into a host without its daemon.
            match kept(&directories.state) {
                Some(settings) => (settings, Some(error.to_string())),
                None => return ExitCode::from(EXIT_CONFIGURATION),
            }
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(live::<D>(command_line.bus, directories, settings, refusal)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}: {}", D::SERVICE.unit, chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn live<D: Daemon>(
    bus: Option<String>,
    directories: Directories,
    settings: D::Settings,
    refusal: Option<String>,
) -> Result<(), BoxError> {
    // Before anything else, so that an early signal isn't the default one.
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let builder = match &bus {
        Some(address) => Builder::address(address.as_str()),
        None => Builder::system(),
    };
    let connection = builder.build().await?;
    let mut running = serve::<D>(connection, directories, settings).await?;
    match refusal {
        Some(reason) => running.context.status.set_configuration_error(reason).await,
        None => keep(&running.context.directories.state, &running.settings),
    }
    notify::ready(&running.context.status.line());
    memory::release();
    let period = notify::watchdog_interval();
    let tick = period.unwrap_or(Duration::from_secs(3600));
    // What comes after readiness (a model, a first look at the host) is over by then.
    let settled = sleep(SETTLING);
    tokio::pin!(settled);
    let mut watchdog = interval_at(Instant::now() + tick, tick);
    watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let connection = running.context.connection.clone();
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                notify::reloading();
                running.reload().await;
                notify::ready(&running.context.status.line());
                memory::release();
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = &mut settled, if !settled.is_elapsed() => memory::release(),
            _ = watchdog.tick(), if period.is_some() => notify::watchdog(),
            () = connection.closed() => return Err("the bus closed the connection".into()),
        }
    }
    notify::stopping();
    running.stop().await;
    Ok(())
}

/// Keeps the configuration that is in force, for a start that finds a bad one.
fn keep<S: Settings>(state: &Path, settings: &S) {
    let written = toml::to_string(settings)
        .map_err(std::io::Error::other)
        .and_then(|text| {
            let path = state.join("configuration.last-good.toml");
            if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
                return Ok(());
            }
            let draft = path.with_extension("new");
            std::fs::write(&draft, text)?;
            std::fs::rename(draft, path)
        });
    if let Err(error) = written {
        tracing::debug!(%error, "could not keep the configuration for the next start");
    }
}

fn kept<S: Settings>(state: &Path) -> Option<S> {
    let text = std::fs::read_to_string(state.join("configuration.last-good.toml")).ok()?;
    let settings: S = toml::from_str(&text).ok()?;
    settings.validate().ok()?;
    Some(settings)
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
