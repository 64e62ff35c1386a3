//! Follows the journal while a rule asks for it: a child `journalctl` writes messages as JSON, a thread reads them.
//!
//! A child, because the journal's files are mapped memory that others write, truncate and may have damaged: what that
//! can do to a reader it does to the child, which is started again where it left off. It runs the host's own version,
//! so it reads every format (compact, compressed) that the host's journald writes, and costs nothing when no rule
//! needs it. What it can't hand over waits in its pipe, and what the pipe can't hold waits in the journal.

use crate::message::{self, Message};
use nix::sys::signal::Signal;
use quantumos_detect::Field;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Messages that may wait for the thread that takes events.
const QUEUE: usize = 256;
/// The longest line that is read, in bytes; the rest of a longer one is passed over, and counted.
const LONGEST_LINE: u64 = 256 * 1024;
/// How often the place in the journal is written down.
const SAVE: Duration = Duration::from_secs(5);
/// Waiting times between a child's end and the next: the first and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// So many children in a row that end without a message: the place is given up for the journal's end.
const STUCK: u32 = 4;

/// Where the journal is read, and where the place in it is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program.
    pub journalctl: PathBuf,
    /// The file that holds the cursor.
    pub place: PathBuf,
}

/// What the follower tells the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The journal can't be followed, and why; none when it can again.
    Problem(Option<String>),
    /// Messages were passed over: how many, at least.
    Lost(u64),
}

/// The running follower; ends with its child when dropped.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    child: Mutex<Option<Child>>,
    woken: Condvar,
}

impl Follower {
    /// Starts it. `wake` is called after each message put into the queue that is returned.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        settings: Settings,
        wake: impl Fn() + Send + 'static,
        say: impl Fn(Said) + Send + 'static,
    ) -> io::Result<(Follower, Receiver<Message>)> {
        let (queue, messages) = sync_channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let mut reader = Reader {
            shared: shared.clone(),
            cursor: saved(&settings.place),
            settings,
            queue,
            wake: Box::new(wake),
            say: Box::new(say),
            saved: Instant::now(),
            problem: false,
        };
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .stack_size(256 * 1024)
            .spawn(move || reader.run())?;
        let thread = Some(thread);
        Ok((Follower { shared, thread }, messages))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let mut child = lock(&self.shared.child);
        if let Some(child) = child.as_mut() {
            // It may have ended by itself.
            let _ = child.kill();
        }
        drop(child);
        self.shared.woken.notify_all();
        // A reader that waits for room in the queue is let go by the queue's end; it is not waited for.
        drop(self.thread.take());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place that was written down, if it can be one.
fn saved(place: &Path) -> Option<String> {
    let text = std::fs::read_to_string(place).ok()?;
    let cursor = text.trim();
    let sane = !cursor.is_empty()
        && cursor.len() <= 1024
        && cursor.bytes().all(|byte| byte.is_ascii_graphic());
    sane.then(|| cursor.to_string())
}

struct Reader {
    shared: Arc<Shared>,
    settings: Settings,
    queue: SyncSender<Message>,
    cursor: Option<String>,
    wake: Box<dyn Fn() + Send>,
    say: Box<dyn Fn(Said) + Send>,
    saved: Instant,
    problem: bool,
}

impl Reader {
    fn run(&mut self) {
        let (mut pause, mut without) = (AGAIN.0, 0);
        while !self.stopped() {
            let ended = match self.spawn() {
                Ok(output) => {
                    let (read, ended) = self.read(output);
                    if read > 0 {
                        (pause, without) = (AGAIN.0, 0);
                    } else {
                        without += 1;
                    }
                    ended
                }
                Err(error) => format!("{}: {error}", self.settings.journalctl.display()),
            };
            if self.stopped() {
                break;
            }
            (self.say)(Said::Problem(Some(format!(
                "messages are not read: {ended}"
            ))));
            self.problem = true;
            if without >= STUCK && self.cursor.take().is_some() {
                (self.say)(Said::Lost(1));
                without = 0;
            }
            self.wait(pause);
            pause = (pause * 2).min(AGAIN.1);
        }
        self.save();
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::SeqCst)
    }

    fn wait(&self, pause: Duration) {
        let child = lock(&self.shared.child);
        let waited = self
            .shared
            .woken
            .wait_timeout_while(child, pause, |_| !self.stopped());
        drop(waited);
    }

    fn spawn(&self) -> io::Result<ChildStdout> {
        let mut command = Command::new(&self.settings.journalctl);
        command
            .args([
                "--follow",
                "--all",
                "--quiet",
                "--no-pager",
                "--output=json",
            ])
            .arg(format!("--output-fields={}", message::FIELDS));
        match &self.cursor {
            Some(cursor) => command
                .arg("--no-tail")
                .arg(format!("--after-cursor={cursor}")),
            None => command.arg("--lines=0"),
        };
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .env_clear()
            .env("LC_ALL", "C");
        let parent = nix::unistd::getpid();
        // SAFETY: between fork and exec only system calls are made, which are safe there.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || alone(parent));
        }
        let mut child = command.spawn()?;
        let output = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("no pipe"))?;
        let mut held = lock(&self.shared.child);
        if self.stopped() {
            let _ = child.kill();
        }
        *held = Some(child);
        Ok(output)
    }

    /// Reads until the child ends; how many messages there were, and why it ended.
    fn read(&mut self, output: ChildStdout) -> (u64, String) {
        let mut output = BufReader::with_capacity(64 * 1024, output);
        let (mut line, mut read) = (Vec::new(), 0);
        let why = loop {
            line.clear();
            match (&mut output)
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut line)
            {
                Ok(0) => break None,
                Ok(_) => {}
                Err(error) => break Some(error.to_string()),
            }
            if line.last() != Some(&b'\n') && line.len() as u64 >= LONGEST_LINE {
                (self.say)(Said::Lost(1));
                if let Err(error) = pass_over(&mut output) {
                    break Some(error.to_string());
                }
                continue;
            }
            let Some(message) = Message::read(&line) else {
                continue;
            };
            read += 1;
            if std::mem::take(&mut self.problem) {
                (self.say)(Said::Problem(None));
            }
            if !self.pass(message) {
                break None;
            }
        };
        let status = {
            let mut child = lock(&self.shared.child);
            child.take().map(|mut child| {
                let _ = child.kill();
                child.wait()
            })
        };
        let why = why.unwrap_or_else(|| match status {
            Some(Ok(status)) => format!("journalctl ended ({status})"),
            Some(Err(error)) => error.to_string(),
            None => "journalctl ended".into(),
        });
        (read, why)
    }

    /// Hands a message on; false when nobody takes it any more.
    fn pass(&mut self, message: Message) -> bool {
        let cursor = message.cursor.clone();
        if !ours(&message) {
            if self.queue.send(message).is_err() {
                self.shared.stop.store(true, Ordering::SeqCst);
                return false;
            }
            (self.wake)();
        }
        self.cursor = Some(cursor);
        if self.saved.elapsed() >= SAVE {
            self.save();
        }
        !self.stopped()
    }

    fn save(&mut self) {
        self.saved = Instant::now();
        let Some(cursor) = &self.cursor else { return };
        let new = self.settings.place.with_extension("new");
        let written =
            std::fs::write(&new, cursor).and_then(|()| std::fs::rename(&new, &self.settings.place));
        if let Err(error) = written {
            tracing::debug!(%error, "the place in the journal could not be written down");
        }
    }
}

/// What our own daemons write speaks of alerts, and would raise them anew without end.
fn ours(message: &Message) -> bool {
    let unit = message.first(Field::SystemdUnit);
    let own = std::process::id();
    message.number(Field::JournalPid) == own
        || quantumos_dbus::SERVICES
            .iter()
            .any(|service| unit.strip_suffix(b".service") == Some(service.unit.as_bytes()))
}

/// Reads to the end of a line.
fn pass_over(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let room = input.fill_buf()?;
        let end = room.iter().position(|byte| *byte == b'\n');
        let (length, done) = (
            end.map_or(room.len(), |at| at + 1),
            end.is_some() || room.is_empty(),
        );
        input.consume(length);
        if done {
            return Ok(());
        }
    }
}

/// In the child: no capabilities beyond the user's, and an end with the parent.
fn alone(parent: nix::unistd::Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // SAFETY: takes numbers only.
    #[allow(unsafe_code)]
    let cleared = unsafe {
        nix::libc::prctl(
            nix::libc::PR_CAP_AMBIENT,
            nix::libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    if cleared != 0 {
        return Err(io::Error::last_os_error());
    }
    if nix::unistd::getppid() == parent {
        Ok(())
    } else {
        Err(io::Error::other("the parent is gone"))
    }
}
