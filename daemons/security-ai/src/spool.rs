//! The windows that wait for who learns from them: lines in memory, up to a bound, handed over through a descriptor.
//! When nobody takes them the oldest go, and are counted.

use crate::objects::MANAGE;
use crate::windows::Closed;
use quantumos_dbus::Error;
use quantumos_service::Authority;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zbus::OwnedFd;
use zbus::message::Header;

/// The user that may take windows without asking polkit: ai-learnd's.
pub const LEARNER: &str = "ai-learnd";
/// The most bytes of lines that wait.
pub const MOST_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<String>,
    bytes: usize,
    closed: u64,
}

/// Windows that wait. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Spool {
    inner: Arc<Mutex<Inner>>,
    dropped: Arc<AtomicU64>,
}

impl Spool {
    /// A spool that counts what is dropped here, with what was dropped on the way.
    #[must_use]
    pub fn new(dropped: Arc<AtomicU64>) -> Self {
        Self {
            inner: Arc::default(),
            dropped,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a window.
    pub fn add(&self, closed: &Closed) {
        let line = match closed.window.to_line() {
            Ok(line) => line,
            Err(error) => {
                tracing::error!(%error, "a window could not be written");
                return;
            }
        };
        let mut inner = self.lock();
        inner.closed += 1;
        inner.bytes += line.len() + 1;
        inner.lines.push_back(line);
        while inner.bytes > MOST_BYTES {
            let Some(oldest) = inner.lines.pop_front() else {
                break;
            };
            inner.bytes -= oldest.len() + 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes all lines out.
    fn take(&self) -> VecDeque<String> {
        let mut inner = self.lock();
        inner.bytes = 0;
        std::mem::take(&mut inner.lines)
    }
}

/// `org.quantumos.Windows1`.
pub struct Windows1 {
    pub(crate) spool: Spool,
    pub(crate) authority: Authority,
}

#[zbus::interface(name = "org.quantumos.Windows1", introspection_docs = false)]
impl Windows1 {
    #[zbus(out_args("windows", "count"))]
    async fn take(&self, #[zbus(header)] header: Header<'_>) -> Result<(OwnedFd, u32), Error> {
        let caller = self.authority.caller(&header).await?;
        if !is_learner(caller.uid) {
            self.authority.check(&header, MANAGE).await?;
        }
        let lines = self.spool.take();
        let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let file = written(&lines)
            .map_err(|error| Error::Internal(format!("no memory for windows: {error}")))?;
        Ok((std::os::fd::OwnedFd::from(file).into(), count))
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn waiting(&self) -> u32 {
        u32::try_from(self.spool.lock().lines.len()).unwrap_or(u32::MAX)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn closed(&self) -> u64 {
        self.spool.lock().closed
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn dropped(&self) -> u64 {
        self.spool.dropped.load(Ordering::Relaxed)
    }
}

/// Whether a user is the one that learns.
fn is_learner(uid: u32) -> bool {
    match nix::unistd::User::from_name(LEARNER) {
        Ok(user) => user.is_some_and(|user| user.uid.as_raw() == uid),
        Err(error) => {
            tracing::debug!(%error, "the user {LEARNER} could not be looked up");
            false
        }
    }
}

/// A memory file that holds the lines, at its start.
fn written(lines: &VecDeque<String>) -> std::io::Result<File> {
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    let mut file = File::from(nix::sys::memfd::memfd_create(c"windows", flags)?);
    for line in lines {
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")?;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantumos_learn::Window;
    use std::io::Read;

    #[test]
    fn the_oldest_go_first_and_are_counted() {
        let dropped = Arc::new(AtomicU64::new(0));
        let spool = Spool::new(dropped.clone());
        let mut number = 0;
        while dropped.load(Ordering::Relaxed) == 0 {
            number += 1;
            spool.add(&Closed {
                window: Window {
                    subject: format!("{number}.service"),
                    ..Window::default()
                },
                unit: String::new(),
                pid: 1,
                uid: 0,
                executable: String::new(),
            });
        }
        let mut text = String::new();
        written(&spool.take())
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        let first = Window::from_line(text.lines().next().unwrap()).unwrap();
        assert_eq!(first.subject, "2.service");
        assert_eq!(text.lines().count(), number - 1);
        assert!(text.len() <= MOST_BYTES && spool.take().is_empty());
    }
}
