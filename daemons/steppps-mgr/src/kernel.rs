//! What the kernel tells without being asked: uevents, its log and pressure triggers. Each
//! source has a task that waits for it; a source that ends or is not permitted says why.

mod log;
mod pressure;
mod uevents;

use std::{collections::BTreeMap, io, os::fd::OwnedFd};

use quantumos_dimensions::event::{Record, Uevent};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
    task::JoinSet,
};

use crate::Roots;

/// Messages that may wait; more wait in the kernel.
const QUEUE: usize = 64;

/// Something that the kernel told.
#[derive(Debug)]
pub(crate) enum Told {
    /// A device came, went or changed.
    Uevent(Uevent),
    /// A record of the log.
    Record(Record),
    /// Tasks stalled on a resource for longer than the trigger's threshold.
    Pressure,
    /// So much came at once that some of it is lost.
    Lost,
    /// A source is of no more use.
    Ended(&'static str, String),
}

/// The sources of the kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    queue: mpsc::Receiver<Told>,
    state: BTreeMap<&'static str, Result<(), String>>,
    _tasks: JoinSet<()>,
}

/// Name of the source of uevents.
pub(crate) const UEVENTS: &str = "kernel uevents";
/// Name of the source of log records.
pub(crate) const LOG: &str = "kernel log";
/// Name of the source of pressure.
pub(crate) const PRESSURE: &str = "pressure triggers";

/// A source that is open.
enum Source {
    Uevents(uevents::Uevents),
    Log(log::Log),
    Triggers(pressure::Triggers),
}

impl Source {
    async fn next(&self) -> io::Result<Told> {
        match self {
            Self::Uevents(source) => source.next().await,
            Self::Log(source) => source.next().await,
            Self::Triggers(source) => source.next().await,
        }
    }
}

impl Kernel {
    /// Opens what may be opened.
    pub fn open(roots: &Roots) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        let mut state = BTreeMap::new();
        let mut tasks = JoinSet::new();
        for (name, opened) in [
            (UEVENTS, uevents::Uevents::open().map(Source::Uevents)),
            (LOG, log::Log::open(&roots.kmsg).map(Source::Log)),
            (
                PRESSURE,
                pressure::Triggers::open(&roots.proc).map(Source::Triggers),
            ),
        ] {
            match opened {
                Ok(source) => {
                    state.insert(name, Ok(()));
                    tasks.spawn(wait(name, source, sender.clone()));
                }
                Err(error) => {
                    tracing::debug!(name, %error, "not a source");
                    state.insert(name, Err(error.to_string()));
                }
            }
        }
        Self {
            queue,
            state,
            _tasks: tasks,
        }
    }

    /// What the kernel tells next; waits for ever when no source is left.
    pub async fn next(&mut self) -> Told {
        match self.queue.recv().await {
            Some(told) => {
                if let Told::Ended(name, reason) = &told {
                    self.state.insert(name, Err(reason.clone()));
                }
                told
            }
            None => std::future::pending().await,
        }
    }

    /// Whether a source is open, or why not.
    pub fn state(&self, name: &str) -> Result<(), &str> {
        match self.state.get(name) {
            Some(Ok(())) => Ok(()),
            Some(Err(reason)) => Err(reason),
            None => Err("not opened"),
        }
    }
}

async fn wait(name: &'static str, source: Source, sender: mpsc::Sender<Told>) {
    loop {
        let told = match source.next().await {
            Ok(told) => told,
            Err(error) => Told::Ended(name, error.to_string()),
        };
        let ended = matches!(told, Told::Ended(..));
        if sender.send(told).await.is_err() || ended {
            return;
        }
    }
}

/// Has the runtime watch a descriptor.
fn watch(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: `OwnedFd` gives the same open descriptor until it is dropped, and nothing takes
    // it out of the `AsyncFd` before.
    #[allow(unsafe_code)]
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    Ok(watched?)
}
