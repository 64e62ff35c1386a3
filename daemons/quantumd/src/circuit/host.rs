//! quantumd's side of a run: gets a process (a unit by systemd's socket, or a child), lets it plan,
//! bounds its memory, lets it go, follows it to its end. Circuits are never parsed here, beside the keys.

use super::keeper::Keeper;
pub(crate) use super::wire::Work;
use super::wire::{Failure, LINE_MAX, Lines, Order, Report, send, send_with};
use crate::Error;
use crate::bus::descriptor::{memory, seal};
use crate::job::{Outcome, Worker};
use crate::settings::CircuitSettings;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use zbus::{Connection, Variant};

/// While a process is waited for, the wish to cancel is looked for this often.
const GLANCE: Duration = Duration::from_millis(200);
/// How long a process may take to start, and to read and plan a circuit.
const PATIENCE: Duration = Duration::from_secs(120);

/// Processes for one piece of work, if each gets further than the one before.
const ATTEMPTS: u32 = 4;

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
    /// For what long circuits have done.
    directory: PathBuf,
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
    pub(crate) fn new(connection: &Connection, settings: CircuitSettings, state: &Path) -> Self {
        Self {
            connection: connection.clone(),
            settings: Mutex::new(settings),
            directory: state.join("circuits"),
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

    /// Does the work. Blocks; `runtime` is for the call to systemd. A process that ends without a result is
    /// followed by another one as long as that gets further.
    pub(crate) fn run(
        &self,
        work: Work,
        job: &Worker,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Outcome, Error> {
        let settings = self.settings();
        let end = Duration::from_secs(settings.run_seconds);
        let mut attempt = Attempt {
            host: self,
            keeper: match settings.checkpoint_seconds {
                0 => None,
                _ => Keeper::open(&self.directory, job.owner(), &work),
            },
            settings,
            job,
            runtime,
            end,
        };
        for _ in 1..ATTEMPTS {
            match attempt.once(work.clone()) {
                Err(Ended::Killed(_)) if attempt.is_further() => {
                    tracing::info!("the process of a circuit is gone; another one goes on");
                }
                other => return attempt.settled(other),
            }
        }
        let last = attempt.once(work);
        attempt.settled(last)
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

/// How work ends without a result.
enum Ended {
    /// Its process is gone.
    Killed(Error),
    /// Anything else.
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Work and the processes that do it, one after the other.
struct Attempt<'a> {
    host: &'a Host,
    settings: CircuitSettings,
    keeper: Option<Keeper>,
    job: &'a Worker,
    runtime: &'a tokio::runtime::Handle,
    end: Duration,
}

impl Attempt<'_> {
    /// Whether the last process stored anything.
    fn is_further(&self) -> bool {
        self.keeper.as_ref().is_some_and(|keeper| keeper.fresh > 0)
    }

    /// What came of it all. What was kept stays for work that was killed, cancelled, or out of time.
    fn settled(self, ended: Result<Outcome, Ended>) -> Result<Outcome, Error> {
        let over = match &ended {
            Ok(_) => true,
            Err(Ended::Killed(_)) => false,
            Err(Ended::Failed(error)) => {
                let later = matches!(error, Error::Cancelled | Error::Circuit(Failure::Limit, _));
                !later
            }
        };
        if let Some(keeper) = self.keeper.filter(|_| over) {
            keeper.remove();
        }
        ended.map_err(|(Ended::Killed(error) | Ended::Failed(error))| error)
    }

    fn once(&mut self, work: Work) -> Result<Outcome, Ended> {
        let process = start(&self.settings)?;
        let result = memory(c"quantumd-circuit")?;
        let mut talk = Talk {
            lines: Lines::new(&process.stream, LINE_MAX),
            job: self.job,
            end: Instant::now() + PATIENCE,
        };
        let broken = |error: std::io::Error| Error::Runner(error.to_string());
        process
            .stream
            .set_read_timeout(Some(GLANCE))
            .map_err(broken)?;
        let Report::Here { unit, available } = talk.next()? else {
            return Err(Error::Runner("it does not say where it is".into()).into());
        };
        let most = match self.settings.memory_max {
            0 => available,
            most => available.min(most),
        };
        let kept = self.keeper.as_mut().map(|keeper| {
            keeper.fresh = 0;
            keeper.lines()
        });
        let order = Order::Plan {
            work,
            most,
            kept: kept.unwrap_or_default(),
        };
        send_with(&process.stream, &order, &result).map_err(broken)?;
        let bytes = match talk.next()? {
            Report::Plan { bytes, method } => {
                tracing::debug!(bytes, method, "a circuit was planned");
                bytes
            }
            other => return Err(failed(other).into()),
        };
        if bytes > most {
            let message = format!("the circuit needs {bytes} bytes, {most} are available");
            return Err(Error::Circuit(Failure::Limit, message).into());
        }
        let confine = match (&process.child, &unit) {
            (None, Some(unit)) => {
                self.runtime.block_on(self.host.bound(unit, bytes))?;
                false
            }
            (None, None) => return Err(Error::Runner("systemd gave it no unit".into()).into()),
            (Some(_), _) => true,
        };
        let keep_seconds = match self.keeper {
            Some(_) => self.settings.checkpoint_seconds,
            None => 0,
        };
        let go = Order::Go {
            bytes,
            confine,
            keep_seconds,
        };
        send(&process.stream, &go).map_err(broken)?;
        talk.end = Instant::now() + self.end;
        loop {
            match talk.next() {
                Ok(Report::Progress(part)) => self.job.progress(part),
                Ok(Report::Keep(line)) => {
                    if let Some(keeper) = &mut self.keeper {
                        keeper.add(line);
                    }
                }
                Ok(Report::Done(media_type)) => {
                    // It has no reason to hold on to the file, and can't be trusted to let go.
                    drop(process);
                    return Ok(finished(result, &media_type)?);
                }
                Ok(other) => return Err(failed(other).into()),
                Err(Error::Runner(_)) => {
                    let message = format!(
                        "the process of the circuit ended without a result; with more than the {bytes} \
                         bytes that it was given it is killed"
                    );
                    return Err(Ended::Killed(Error::Circuit(Failure::Limit, message)));
                }
                Err(error) => return Err(error.into()),
            }
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
