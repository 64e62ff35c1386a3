//! `org.quantumos.Resource1` at the root object: thin, it reads the view or asks the
//! governor.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use quantumos_dbus::{Dictionary, Error, path};
use quantumos_resource::psi::Pressure;
use quantumos_service::Authority;
use tokio::sync::{mpsc, oneshot};
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath, OwnedFd, OwnedVariant, Str};

use crate::foreground;
use crate::governor::{Command, SharedView};
use crate::settings::Mode;
use crate::sources::{self, Sources};

/// The polkit action that setting the mode asks for.
pub const SET_MODE_ACTION: &str = "org.quantumos.resource.set-mode";
/// Longest name of a unit that is looked at.
const LONGEST_UNIT: usize = 255;
const MODE_FILE: &str = "mode";

/// A value of `Model`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A count.
    Count(u64),
    /// A figure.
    Number(f64),
}

impl Value {
    /// For explanations.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Count(count) => (*count).into(),
            Self::Number(number) => (*number).into(),
        }
    }

    fn to_variant(&self) -> OwnedVariant {
        match self {
            Self::Text(text) => Str::from(text.clone()).into(),
            Self::Count(count) => (*count).into(),
            Self::Number(number) => (*number).into(),
        }
    }
}

/// The root object.
#[derive(Debug)]
pub struct Resource1 {
    view: SharedView,
    authority: Authority,
    commands: mpsc::Sender<Command>,
    sources: Sources,
}

impl Resource1 {
    /// The object.
    pub fn new(
        view: SharedView,
        authority: Authority,
        commands: mpsc::Sender<Command>,
        sources: Sources,
    ) -> Self {
        Self {
            view,
            authority,
            commands,
            sources,
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let stopping = || Error::Unavailable("the daemon is stopping".into());
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

#[zbus::interface(name = "org.quantumos.Resource1", introspection_docs = false)]
impl Resource1 {
    #[zbus(out_args("pressure"))]
    #[allow(clippy::type_complexity)] // the contract's a(sddddt)
    fn pressure(&self) -> Result<Vec<(String, f64, f64, f64, f64, u64)>, Error> {
        let recent = self.view.get().recent.clone();
        let mut rows = Vec::new();
        for resource in ["cpu", "memory", "io"] {
            let text = match sources::read(&self.sources.pressure(resource)) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::Unavailable(error.to_string())),
            };
            let pressure =
                Pressure::parse(&text).map_err(|error| Error::Unavailable(error.to_string()))?;
            for (kind, line) in [("some", pressure.some), ("full", pressure.full)] {
                let Some(line) = line else { continue };
                let last = if kind == "some" {
                    recent.get(resource).copied()
                } else {
                    None
                };
                let last = last.unwrap_or(line.avg10);
                rows.push((
                    format!("{resource}.{kind}"),
                    line.avg10,
                    line.avg60,
                    line.avg300,
                    last,
                    line.total,
                ));
            }
        }
        if rows.is_empty() {
            return Err(Error::NotSupported("this kernel gives no pressure".into()));
        }
        Ok(rows)
    }

    #[zbus(out_args("latency"))]
    #[allow(clippy::type_complexity)] // the contract's a(stttt)
    async fn latency(&self) -> Result<Vec<(String, u64, u64, u64, u64)>, Error> {
        self.ask(Command::Latency).await
    }

    #[zbus(out_args("forecast"))]
    #[allow(clippy::type_complexity)] // the contract's a(ssddds)
    async fn forecast(&self) -> Result<Vec<(String, String, f64, f64, f64, String)>, Error> {
        // A full queue means that it is busy anyway.
        let _ = self.commands.try_send(Command::Watch);
        let view = self.view.get();
        let rows = view.rows.iter().map(|(path, row)| {
            let forecast = row.forecast;
            let percent = |share: f64| 100.0 * share;
            (
                path.clone(),
                row.unit.clone(),
                percent(forecast.now),
                percent(forecast.in_5),
                percent(forecast.in_30),
                forecast.means.as_str().to_owned(),
            )
        });
        Ok(rows.collect())
    }

    #[zbus(out_args("json"))]
    async fn explain(&self, unit: String) -> Result<String, Error> {
        if unit.len() > LONGEST_UNIT {
            return Err(Error::LimitExceeded(format!(
                "unit: longer than {LONGEST_UNIT} bytes"
            )));
        }
        self.ask(|reply| Command::Explain(unit, reply)).await
    }

    async fn set_foreground(
        &self,
        process: OwnedFd,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let caller = self.authority.caller(&header).await?;
        let foreground = foreground::of_pidfd(process.as_fd(), &self.sources)?;
        if caller.uid != 0 && caller.uid != foreground.uid {
            return Err(Error::NotAuthorized(format!(
                "the process is not one of user {}",
                caller.uid
            )));
        }
        let stopping = |_| Error::Unavailable("the daemon is stopping".into());
        self.commands
            .send(Command::Foreground(foreground))
            .await
            .map_err(stopping)
    }

    #[zbus(property)]
    fn mode(&self) -> &'static str {
        self.view.get().mode.as_str()
    }

    #[zbus(property)]
    async fn set_mode(
        &self,
        mode: String,
        #[zbus(header)] header: Option<Header<'_>>,
    ) -> Result<(), Error> {
        let header =
            header.ok_or_else(|| Error::NotAuthorized("the call names no sender".into()))?;
        self.authority.check(&header, SET_MODE_ACTION).await?;
        let mode = Mode::parse(&mode)
            .ok_or_else(|| Error::InvalidArgument("Mode: none of observe, advise, act".into()))?;
        self.ask(|reply| Command::SetMode(mode, reply)).await
    }

    #[zbus(property)]
    fn model(&self) -> Dictionary {
        self.view
            .get()
            .model
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_variant()))
            .collect()
    }

    #[zbus(signal)]
    pub(crate) async fn pressure_stalled(
        emitter: &SignalEmitter<'_>,
        resource: &str,
        kind: &str,
        window_usec: u64,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(crate) async fn decision_made(
        emitter: &SignalEmitter<'_>,
        decision: ObjectPath<'_>,
    ) -> zbus::Result<()>;
}

/// For signals of the root object.
///
/// # Errors
/// Never for the path that is written here.
pub fn emitter(connection: &Connection) -> zbus::Result<SignalEmitter<'static>> {
    SignalEmitter::new(connection, path::RESOURCE).map(|emitter| emitter.into_owned())
}

/// Tells that the mode is another, whoever has set it.
pub async fn mode_changed(connection: &Connection) {
    changed(connection, true).await;
}

/// Tells that the model is another.
pub async fn model_changed(connection: &Connection) {
    changed(connection, false).await;
}

async fn changed(connection: &Connection, mode: bool) {
    let sent = async {
        let reference = connection
            .object_server()
            .interface::<_, Resource1>(path::RESOURCE)
            .await?;
        let object = reference.get().await;
        if mode {
            object.mode_changed(reference.signal_emitter()).await
        } else {
            object.model_changed(reference.signal_emitter()).await
        }
    };
    if let Err(error) = sent.await {
        tracing::debug!(%error, "could not emit PropertiesChanged");
    }
}

/// Keeps a mode that was set over the bus, with the configured one beside it: when the
/// configuration changes later, it wins.
///
/// # Errors
/// When it cannot be written.
pub fn keep_mode(state: &Path, configured: Mode, mode: Mode) -> io::Result<()> {
    let path = state.join(MODE_FILE);
    let draft = path.with_extension("new");
    let text = format!("{} {}\n", configured.as_str(), mode.as_str());
    let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &path));
    written.map_err(|error| {
        // The draft may be the very thing that fills the disk.
        let _ = std::fs::remove_file(&draft);
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    })
}

/// The mode to start with.
pub fn kept_mode(state: &Path, configured: Mode) -> Mode {
    let text = sources::read(&state.join(MODE_FILE)).unwrap_or_default();
    let kept = text.trim().split_once(' ').and_then(|(before, mode)| {
        (before == configured.as_str())
            .then(|| Mode::parse(mode))
            .flatten()
    });
    kept.unwrap_or(configured)
}
