//! The host's end of the virtio port: finds the agent, starts commands, hands each one's output
//! to whoever waits for it.

use std::{
    collections::HashMap,
    io,
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use super::{
    GuestError,
    wire::{Frame, Kind, LONGEST, MAGIC, NO_COMMAND},
};

type Waiting = Arc<Mutex<HashMap<u32, Sender<Frame>>>>;

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection to the agent of one boot.
#[derive(Debug)]
pub(crate) struct Link {
    writer: Arc<Mutex<UnixStream>>,
    waiting: Waiting,
    next: AtomicU32,
    /// Which boot of the guest this is.
    pub boot: String,
}

impl Link {
    /// Waits for the agent at `socket`, of any boot but `not`. `alive` says why waiting has become
    /// pointless.
    pub fn find(
        socket: &Path,
        not: Option<&str>,
        patience: Duration,
        mut alive: impl FnMut() -> Result<(), GuestError>,
    ) -> Result<Self, GuestError> {
        let deadline = Instant::now() + patience;
        let mut nonce = 0_u64;
        let mut stream = connect(socket, deadline, &mut alive)?;
        let mut sync = MAGIC.to_vec();
        loop {
            alive()?;
            if Instant::now() > deadline {
                return Err(GuestError::Silent(patience));
            }
            nonce += 1;
            sync.truncate(MAGIC.len());
            sync.extend_from_slice(&nonce.to_le_bytes());
            // QEMU holds it back until the agent opens its end; the reading bounds the wait.
            let asked = Frame::new(NO_COMMAND, Kind::Sync, sync.clone()).write(&mut stream);
            let answer = asked.and_then(|()| Frame::read_sync(&mut stream));
            match answer {
                Ok(frame) if frame.kind == Kind::Here => {
                    let boot = frame.payload.get(MAGIC.len() + 8..).unwrap_or_default();
                    let boot = String::from_utf8_lossy(boot).into_owned();
                    if not != Some(boot.as_str()) {
                        return Self::join(stream, boot);
                    }
                    std::thread::sleep(Duration::from_millis(200));
                }
                Ok(_) => {}
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                // The guest's reset or QEMU's end; a new connection tells which.
                Err(_) => {
                    std::thread::sleep(Duration::from_millis(100));
                    stream = connect(socket, deadline, &mut alive)?;
                }
            }
        }
    }

    fn join(stream: UnixStream, boot: String) -> Result<Self, GuestError> {
        let failed = |e| GuestError::io("the agent's socket", e);
        stream.set_read_timeout(None).map_err(failed)?;
        let mut reader = stream.try_clone().map_err(failed)?;
        let waiting = Waiting::default();
        let theirs = waiting.clone();
        std::thread::spawn(move || {
            while let Ok(frame) = Frame::read(&mut reader) {
                if let Some(to) = lock(&theirs).get(&frame.id) {
                    // Nobody waits any more: the output goes nowhere, as it would with a closed pipe.
                    let _ = to.send(frame);
                }
            }
            // Dropping the senders tells every waiter that the guest is gone.
            lock(&theirs).clear();
        });
        Ok(Self {
            writer: Arc::new(Mutex::new(stream)),
            waiting,
            next: AtomicU32::new(first_id()),
            boot,
        })
    }

    /// Starts a command; its standard input is open.
    pub fn start(&self, arguments: &[&str]) -> Result<Process, GuestError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, frames) = channel();
        lock(&self.waiting).insert(id, sender);
        let mut packed = Vec::new();
        for argument in arguments {
            packed.extend_from_slice(argument.as_bytes());
            packed.push(0);
        }
        let process = Process {
            name: arguments.join(" "),
            id,
            frames,
            writer: self.writer.clone(),
            waiting: self.waiting.clone(),
        };
        process.send(Kind::Start, packed)?;
        Ok(process)
    }
}

impl Link {
    /// Lets go of the port; whatever still runs over this link ends with [`GuestError::Gone`].
    pub fn close(&self) {
        // Ends the reader's thread; an error means that it has ended already.
        let _ = lock(&self.writer).shutdown(std::net::Shutdown::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

/// Frames that an earlier link left in the guest must not meet the ids of this one.
fn first_id() -> u32 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    now.subsec_nanos() ^ std::process::id().rotate_left(12) & 0x7fff_ffff
}

fn connect(
    socket: &Path,
    deadline: Instant,
    alive: &mut impl FnMut() -> Result<(), GuestError>,
) -> Result<UnixStream, GuestError> {
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => {
                let wait = Some(Duration::from_secs(1));
                stream
                    .set_read_timeout(wait)
                    .and_then(|()| stream.set_write_timeout(Some(Duration::from_secs(60))))
                    .map_err(|e| GuestError::io("the agent's socket", e))?;
                return Ok(stream);
            }
            Err(error) if Instant::now() > deadline => {
                return Err(GuestError::io(format!("{}", socket.display()), error));
            }
            Err(_) => {
                alive()?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// What a command left.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// Its exit code; 128 + n for signal n.
    pub code: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Its standard output as text, without the last newline.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Its standard error as text, without the last newline.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end().to_owned()
    }
}

/// Which of a command's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// A command that runs in the guest. Dropping it leaves it running; see [`Process::kill`].
#[derive(Debug)]
pub struct Process {
    name: String,
    id: u32,
    frames: Receiver<Frame>,
    writer: Arc<Mutex<UnixStream>>,
    waiting: Waiting,
}

impl Process {
    fn send(&self, kind: Kind, payload: Vec<u8>) -> Result<(), GuestError> {
        Frame::new(self.id, kind, payload)
            .write(&mut *lock(&self.writer))
            .map_err(|e| GuestError::io(&self.name, e))
    }

    /// Writes to its standard input.
    ///
    /// # Errors
    /// When the guest is gone.
    pub fn write(&self, bytes: &[u8]) -> Result<(), GuestError> {
        // Well under a frame, so that other commands get their turn.
        for part in bytes.chunks(LONGEST / 8) {
            self.send(Kind::Input, part.to_vec())?;
        }
        Ok(())
    }

    /// Ends its standard input.
    ///
    /// # Errors
    /// When the guest is gone.
    pub fn close(&self) -> Result<(), GuestError> {
        self.send(Kind::Input, Vec::new())
    }

    /// Kills it and its children.
    ///
    /// # Errors
    /// When the guest is gone.
    pub fn kill(&self) -> Result<(), GuestError> {
        self.send(Kind::Kill, Vec::new())
    }

    fn next(&self, deadline: Instant) -> Result<Frame, GuestError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.frames.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => GuestError::TooLong(self.name.clone()),
            RecvTimeoutError::Disconnected => GuestError::Gone(self.name.clone()),
        })
    }

    /// Reads its standard output until `enough` finds what it looks for, and returns that output.
    ///
    /// # Errors
    /// When it ends or `patience` is over first; what it printed until then is in the error.
    pub fn read_until(
        &self,
        patience: Duration,
        mut enough: impl FnMut(&str) -> bool,
    ) -> Result<String, GuestError> {
        let deadline = Instant::now() + patience;
        let mut seen = String::new();
        loop {
            if enough(&seen) {
                return Ok(seen);
            }
            let frame = self.next(deadline).map_err(|error| GuestError::Failed {
                command: self.name.clone(),
                code: -1,
                output: format!("{error}; it had printed: {seen}"),
            })?;
            match frame.kind {
                Kind::Output | Kind::Error => {
                    seen.push_str(&String::from_utf8_lossy(&frame.payload));
                }
                _ => {
                    return Err(GuestError::Failed {
                        command: self.name.clone(),
                        code: exit_code(&frame.payload),
                        output: seen,
                    });
                }
            }
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it could not be started, when `patience` is over (it is killed then), or the guest is gone.
    pub fn wait(&self, patience: Duration) -> Result<Output, GuestError> {
        let mut output = Output::default();
        output.code = self.follow(patience, |stream, bytes| {
            let to = match stream {
                Stream::Output => &mut output.stdout,
                Stream::Error => &mut output.stderr,
            };
            to.extend_from_slice(bytes);
        })?;
        Ok(output)
    }

    /// Hands on what it prints as it comes, and returns its exit code.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn follow(
        &self,
        patience: Duration,
        mut each: impl FnMut(Stream, &[u8]),
    ) -> Result<i32, GuestError> {
        let deadline = Instant::now() + patience;
        loop {
            let frame = match self.next(deadline) {
                Ok(frame) => frame,
                Err(error) => {
                    // It may be gone already; the error to tell is the first one.
                    let _ = self.kill();
                    return Err(error);
                }
            };
            match frame.kind {
                Kind::Output => each(Stream::Output, &frame.payload),
                Kind::Error => each(Stream::Error, &frame.payload),
                Kind::Exit => return Ok(exit_code(&frame.payload)),
                Kind::Refused => {
                    return Err(GuestError::Failed {
                        command: self.name.clone(),
                        code: 127,
                        output: String::from_utf8_lossy(&frame.payload).into_owned(),
                    });
                }
                _ => {}
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        lock(&self.waiting).remove(&self.id);
    }
}

fn exit_code(payload: &[u8]) -> i32 {
    payload.try_into().map_or(-1, i32::from_le_bytes)
}
