//! quantumd's side of a run: gets a process (a unit by systemd's socket, or a child), lets it plan,
//! bounds its memory, lets it go, follows it to its end. Circuits are never parsed here, beside the keys.

pub(crate) use super::wire::Work;
use super::wire::{Failure, LINE_MAX, Lines, Order, Report, send, send_with};
use crate::Error;
use crate::bus::descriptor::{memory, seal};
use crate::job::{Outcome, Worker};
use crate::settings::CircuitSettings;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use zbus::{Connection, Variant};

/// While a process is waited for, the wish to cancel is looked for this often.
const GLANCE: Duration = Duration::from_millis(200);
/// How long a process may take to start, and to read and plan a circuit.
const PATIENCE: Duration = Duration::from_secs(120);

/// What holds a process to its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// A systemd unit of its own.
    Unit,
    /// Limits that the process sets itself.
    Process,
}

impl Isolation {
    /// As on the bus.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Process => "process",
        }
    }
}

/// Where circuits run.
#[derive(Debug)]
pub(crate) struct Host {
    connection: Connection,
    settings: Mutex<CircuitSettings>,
}

/// A process that was started: the connection to it, and the child if it is one.
struct Process {
    stream: UnixStream,
    child: Option<Child>,
}

impl Drop for Process {
    /// It ends with its connection; a child is waited for, so that none stays as a zombie.
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Host {
    pub(crate) fn new(connection: &Connection, settings: CircuitSettings) -> Self {
        Self {
            connection: connection.clone(),
            settings: Mutex::new(settings),
        }
    }

    pub(crate) fn reconfigure(&self, settings: CircuitSettings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    fn settings(&self) -> CircuitSettings {
        let settings = self.settings.lock();
        settings.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What holds the next process.
    pub(crate) fn isolation(&self) -> Isolation {
        if self.settings().socket.exists() {
            Isolation::Unit
        } else {
            Isolation::Process
        }
    }

    /// Does the work. Blocks; `runtime` is for the call to systemd.
    pub(crate) fn run(
        &self,
        work: Work,
        job: &Worker,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Outcome, Error> {
        let settings = self.settings();
        let process = start(&settings)?;
        let result = memory(c"quantumd-circuit")?;
        let mut talk = Talk {
            lines: Lines::new(&process.stream, LINE_MAX),
            job,
            end: Instant::now() + PATIENCE,
        };
        let broken = |error: std::io::Error| Error::Runner(error.to_string());
        process
            .stream
            .set_read_timeout(Some(GLANCE))
            .map_err(broken)?;
        let Report::Here { unit, available } = talk.next()? else {
            return Err(Error::Runner("it does not say where it is".into()));
        };
        let most = match settings.memory_max {
            0 => available,
            most => available.min(most),
        };
        send_with(&process.stream, &Order::Plan { work, most }, &result).map_err(broken)?;
        let bytes = match talk.next()? {
            Report::Plan { bytes, method } => {
                tracing::debug!(bytes, method, "a circuit was planned");
                bytes
            }
            other => return Err(failed(other)),
        };
        if bytes > most {
            let message = format!("the circuit needs {bytes} bytes, {most} are available");
            return Err(Error::Circuit(Failure::Limit, message));
        }
        let confine = match (&process.child, &unit) {
            (None, Some(unit)) => {
                runtime.block_on(self.bound(unit, bytes))?;
                false
            }
            (None, None) => return Err(Error::Runner("systemd gave it no unit".into())),
            (Some(_), _) => true,
        };
        send(&process.stream, &Order::Go { bytes, confine }).map_err(broken)?;
        talk.end = Instant::now() + Duration::from_secs(settings.run_seconds);
        loop {
            match talk.next() {
                Ok(Report::Progress(part)) => job.progress(part),
                Ok(Report::Done(media_type)) => {
                    // It has no reason to hold on to the file, and can't be trusted to let go.
                    drop(process);
                    return finished(result, &media_type);
                }
                Ok(other) => return Err(failed(other)),
                Err(Error::Runner(_)) => {
                    let message = format!(
                        "the process of the circuit ended without a result; with more than the {bytes} \
                         bytes that it was given it is killed"
                    );
                    return Err(Error::Circuit(Failure::Limit, message));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sets what the unit's control group may take.
    async fn bound(&self, unit: &str, bytes: u64) -> Result<(), Error> {
        let properties = [
            ("MemoryMax", Variant::from(bytes)),
            ("MemorySwapMax", Variant::from(0u64)),
        ];
        let body = (unit, true, &properties[..]);
        let done = self.connection.call_method(
            Some("org.freedesktop.systemd1"),
            "/org/freedesktop/systemd1",
            Some("org.freedesktop.systemd1.Manager"),
            "SetUnitProperties",
            &body,
        );
        match done.await {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::Runner(format!("{unit} gets no limit: {error}"))),
        }
    }
}

/// Seals the result, once no process can write to it.
fn finished(result: OwnedFd, media_type: &str) -> Result<Outcome, Error> {
    let media_type = match media_type {
        "application/octet-stream" => "application/octet-stream",
        _ => "application/json",
    };
    seal(&result)?;
    Ok(Outcome::new(result, media_type))
}

/// A process: by systemd where it listens, else a child.
fn start(settings: &CircuitSettings) -> Result<Process, Error> {
    match UnixStream::connect(&settings.socket) {
        Ok(stream) => {
            return Ok(Process {
                stream,
                child: None,
            });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            let path = settings.socket.display();
            return Err(Error::Runner(format!("{path}: {error}")));
        }
    }
    let failed =
        |error: std::io::Error| Error::Runner(format!("{}: {error}", settings.runner.display()));
    let (stream, other) = UnixStream::pair().map_err(failed)?;
    let child = Command::new(&settings.runner)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(other)))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(failed)?;
    Ok(Process {
        stream,
        child: Some(child),
    })
}

/// What a process says, until a time and as long as nobody cancels.
struct Talk<'a> {
    lines: Lines<'a>,
    job: &'a Worker,
    end: Instant,
}

impl Talk<'_> {
    fn next(&mut self) -> Result<Report, Error> {
        loop {
            if self.job.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if Instant::now() > self.end {
                let message = "the circuit took longer than it may".to_owned();
                return Err(Error::Circuit(Failure::Limit, message));
            }
            match self.lines.message() {
                Ok(Some(report)) => return Ok(report),
                Ok(None) => return Err(Error::Runner("it ended".into())),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(Error::Runner(error.to_string())),
            }
        }
    }
}

/// What a report means that is no answer.
fn failed(report: Report) -> Error {
    match report {
        Report::Failed { kind, message } => Error::Circuit(kind, message),
        other => Error::Runner(format!("it says {other:?} where that has no place")),
    }
}
