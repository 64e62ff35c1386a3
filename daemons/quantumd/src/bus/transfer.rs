//! Data on its way between two descriptors of a caller. Files and memfds are read and written from
//! their start, pipes to their end; a pipe that stands still for too long is given up. A file that was
//! not written to its end is emptied again.

use super::descriptor::{PATIENCE, reading};
use crate::Error;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{FileStat, SFlag, fstat};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Is told how many bytes of the input were read, and how many there are if anybody knows, every now
/// and then; an error ends the transfer with it.
pub(super) type Watch<'a> = &'a dyn Fn(u64, Option<u64>) -> Result<(), Error>;

/// A watch that lets everything pass.
pub(super) fn unwatched(_: u64, _: Option<u64>) -> Result<(), Error> {
    Ok(())
}

/// While a pipe is waited for, the watch is asked this often.
const GLANCE: Duration = Duration::from_millis(200);

/// A pipe with room takes at least this much without blocking (PIPE_BUF).
const PIPE_PIECE: usize = 4096;

/// A descriptor that will not do.
pub(super) fn refuse(which: &str, why: impl Into<String>) -> Error {
    Error::argument(format!("{which} descriptor"), why)
}

fn is(status: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) == kind
}

/// Waits until a pipe is ready, as long as `glance` has nothing against it.
fn wait(
    pipe: &File,
    for_what: PollFlags,
    which: &str,
    glance: &dyn Fn() -> Result<(), Error>,
) -> Result<(), Error> {
    let end = Instant::now() + PATIENCE;
    loop {
        glance()?;
        let left = end.saturating_duration_since(Instant::now()).min(GLANCE);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut one = [PollFd::new(pipe.as_fd(), for_what)];
        match poll(&mut one, timeout) {
            Ok(0) if Instant::now() < end => {}
            Ok(0) => return Err(Error::Stalled(PATIENCE.as_secs())),
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(refuse(which, errno.desc())),
        }
    }
}

/// Where data comes from.
pub(super) struct Input<'a> {
    file: File,
    /// How long a file is; a pipe has no length.
    len: Option<u64>,
    read: u64,
    watch: Watch<'a>,
}

impl<'a> Input<'a> {
    /// An input without an output.
    pub(super) fn of(descriptor: OwnedFd, watch: Watch<'a>) -> Result<Self, Error> {
        Ok(Self::open(descriptor, watch)?.0)
    }

    fn open(descriptor: OwnedFd, watch: Watch<'a>) -> Result<(Self, FileStat), Error> {
        const WHICH: &str = "input";
        let status = reading(&descriptor, WHICH)?;
        let len = match () {
            () if is(&status, SFlag::S_IFREG) => Some(u64::try_from(status.st_size).unwrap_or(0)),
            () if is(&status, SFlag::S_IFIFO) => None,
            () => return Err(refuse(WHICH, "neither a regular file, a memfd nor a pipe")),
        };
        let input = Self {
            file: File::from(descriptor),
            len,
            read: 0,
            watch,
        };
        Ok((input, status))
    }

    /// How long it is, if it is a file.
    pub(super) fn len(&self) -> Option<u64> {
        self.len
    }

    /// Some bytes, none at the end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        let glance = || (self.watch)(self.read, self.len);
        glance()?;
        loop {
            let read = match self.len {
                Some(_) => self.file.read_at(into, self.read),
                None => {
                    wait(&self.file, PollFlags::POLLIN, "input", &glance)?;
                    (&self.file).read(into)
                }
            };
            match read {
                Ok(count) => {
                    self.read += count as u64;
                    return Ok(count);
                }
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(error) => return Err(refuse("input", error.to_string())),
            }
        }
    }
}

/// Where data goes to.
pub(super) struct Output<'a> {
    file: File,
    at: Option<u64>,
    written: u64,
    watch: Watch<'a>,
}

impl<'a> Output<'a> {
    fn open(descriptor: OwnedFd, input: &FileStat, watch: Watch<'a>) -> Result<Self, Error> {
        const WHICH: &str = "output";
        let status = fstat(&descriptor).map_err(|e| refuse(WHICH, e.desc()))?;
        let flags = nix::fcntl::fcntl(&descriptor, nix::fcntl::FcntlArg::F_GETFL)
            .map_err(|e| refuse(WHICH, e.desc()))?;
        let flags = OFlag::from_bits_retain(flags);
        if flags.contains(OFlag::O_PATH) || flags & OFlag::O_ACCMODE == OFlag::O_RDONLY {
            return Err(refuse(WHICH, "not open for writing"));
        }
        if (status.st_dev, status.st_ino) == (input.st_dev, input.st_ino) {
            return Err(refuse(WHICH, "it is the input"));
        }
        let regular = is(&status, SFlag::S_IFREG);
        if !regular && !is(&status, SFlag::S_IFIFO) {
            return Err(refuse(WHICH, "neither a regular file, a memfd nor a pipe"));
        }
        if flags.contains(OFlag::O_APPEND) && regular {
            return Err(refuse(WHICH, "open for appending"));
        }
        let file = File::from(descriptor);
        if regular {
            file.set_len(0).map_err(|e| refuse(WHICH, e.to_string()))?;
        }
        Ok(Self {
            file,
            at: regular.then_some(0),
            written: 0,
            watch,
        })
    }

    /// All of the bytes.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let written = match &mut self.at {
                Some(at) => self.file.write_at(bytes, *at).inspect(|n| *at += *n as u64),
                None => {
                    // Only whether to go on is asked here: how much is done is the input's to say.
                    let glance = || (self.watch)(0, None);
                    wait(&self.file, PollFlags::POLLOUT, "output", &glance)?;
                    (&self.file).write(&bytes[..bytes.len().min(PIPE_PIECE)])
                }
            };
            match written {
                Ok(0) => return Err(refuse("output", "it takes nothing")),
                Ok(count) => {
                    bytes = &bytes[count..];
                    self.written += count as u64;
                }
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(error) => return Err(refuse("output", error.to_string())),
            }
        }
        Ok(())
    }

    /// Leaves room at the start of a file, which [`Output::put_start`] fills.
    pub(super) fn leave(&mut self, room: u64) -> Result<(), Error> {
        match &mut self.at {
            Some(at) => *at += room,
            None => return Err(refuse("output", "neither a regular file nor a memfd")),
        }
        self.written += room;
        Ok(())
    }

    /// Writes to the start of a file.
    pub(super) fn put_start(&self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all_at(bytes, 0);
        written.map_err(|error| refuse("output", error.to_string()))
    }

    /// The bytes written, or the error after taking back what a file got.
    pub(super) fn end(self, done: Result<(), Error>) -> Result<u64, Error> {
        if done.is_err() && self.at.is_some() {
            // The error that is given matters more than one of this.
            let _ = self.file.set_len(0);
        }
        done.map(|()| self.written)
    }
}

/// Both ends, which may not be the same file.
pub(super) fn both<'a>(
    input: OwnedFd,
    output: OwnedFd,
    watch: Watch<'a>,
) -> Result<(Input<'a>, Output<'a>), Error> {
    let (input, status) = Input::open(input, watch)?;
    let output = Output::open(output, &status, watch)?;
    Ok((input, output))
}
