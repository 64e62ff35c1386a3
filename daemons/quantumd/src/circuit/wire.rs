//! What quantumd and a runner say to each other over their socket: a line of JSON a message. The file
//! that takes the result travels beside the first line of quantumd.

use quantumos_circuit::task::Task;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// The longest line that quantumd takes from a runner.
pub const LINE_MAX: usize = 64 << 10;
/// The longest line that a runner takes: a circuit of 64 MiB, every byte of it escaped.
pub const TASK_MAX: usize = 6 * (64 << 20) + LINE_MAX;

/// What a runner is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// Run a circuit.
    Task(Box<Task>),
    /// Time the methods up to that many qubits; all sizes and every method, or a choice.
    Benchmark {
        /// The most qubits.
        max_qubits: u32,
        /// Every size.
        full: bool,
    },
}

/// What quantumd says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// What is to be done, with that many bytes at most; answered by a plan.
    Plan {
        /// What.
        work: Work,
        /// Bytes.
        most: u64,
        /// What an earlier process said of the same work with `Keep`, to go on from there.
        #[serde(default)]
        kept: Vec<String>,
    },
    /// Begin, with that many bytes; `confine` where no unit holds the process to them.
    Go {
        /// Bytes that all of the process may take.
        bytes: u64,
        /// Whether it has to limit itself.
        confine: bool,
        /// Seconds from one `Keep` to the next; 0 for none.
        #[serde(default)]
        keep_seconds: u64,
    },
}

/// What a runner says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// The first thing: the unit that it runs in, and the bytes that this host has to give.
    Here {
        /// The unit, or nothing.
        unit: Option<String>,
        /// Bytes.
        available: u64,
    },
    /// What it would take.
    Plan {
        /// Bytes for the whole process.
        bytes: u64,
        /// The method, and why.
        method: String,
    },
    /// How much is done, from 0 to 1.
    Progress(f64),
    /// A part of the work that is done, for another process to go on from: to be stored, not to be understood.
    Keep(String),
    /// The result is in the file; its media type.
    Done(String),
    /// It did not work.
    Failed {
        /// What kind of failure.
        kind: Failure,
        /// The words.
        message: String,
    },
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The circuit or an option is wrong.
    Argument,
    /// It is too large for this host.
    Limit,
    /// No method can do it.
    Unsupported,
    /// It was cancelled.
    Cancelled,
    /// Anything else.
    Internal,
}

impl From<&quantumos_circuit::Error> for Failure {
    fn from(error: &quantumos_circuit::Error) -> Self {
        use quantumos_circuit::Error;
        match error {
            Error::Syntax { .. } | Error::Circuit(_) => Self::Argument,
            Error::Limit { .. } | Error::Memory { .. } => Self::Limit,
            Error::Unsupported { .. } => Self::Unsupported,
            Error::Cancelled => Self::Cancelled,
            Error::Numeric(_) => Self::Internal,
        }
    }
}

fn line(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Sends a message.
///
/// # Errors
/// When the other side is gone.
pub fn send(mut stream: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&line(message)?)
}

/// Sends a message with a file beside it.
///
/// # Errors
/// When the other side is gone.
pub fn send_with(
    mut stream: &UnixStream,
    message: &impl Serialize,
    file: impl AsFd,
) -> io::Result<()> {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let line = line(message)?;
    let files = [file.as_fd().as_raw_fd()];
    let beside = [ControlMessage::ScmRights(&files)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    let (first, rest) = line.split_at(1);
    sendmsg::<()>(
        stream.as_raw_fd(),
        &[IoSlice::new(first)],
        &beside,
        flags,
        None,
    )?;
    stream.write_all(rest)
}

/// Lines that come in.
#[derive(Debug)]
pub struct Lines<'a> {
    stream: &'a UnixStream,
    buffer: Vec<u8>,
    most: usize,
}

impl<'a> Lines<'a> {
    /// Of at most that many bytes each.
    #[must_use]
    pub fn new(stream: &'a UnixStream, most: usize) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            most,
        }
    }

    /// The next message; nothing at the end. `WouldBlock` and `TimedOut` lose nothing: ask again.
    ///
    /// # Errors
    /// When the other side sends what is no message.
    pub fn message<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut seen = 0;
        loop {
            if let Some(end) = self.buffer[seen..].iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=seen + end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            seen = self.buffer.len();
            if seen > self.most {
                return Err(io::Error::other("a message is too long"));
            }
            let mut piece = [0; 16384];
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(None),
                Ok(count) => self.buffer.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The first byte of a message, and the file beside it. The rest comes with [`Lines::message`].
    ///
    /// # Errors
    /// When no file came.
    pub fn file(&mut self) -> io::Result<OwnedFd> {
        use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
        let mut first = [0];
        let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
        let mut pieces = [IoSliceMut::new(&mut first)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(
            self.stream.as_raw_fd(),
            &mut pieces,
            Some(&mut space),
            flags,
        )?;
        let count = message.bytes;
        let files = message.cmsgs()?.find_map(|beside| match beside {
            ControlMessageOwned::ScmRights(files) => files.first().copied(),
            _ => None,
        });
        self.buffer.extend_from_slice(&first[..count]);
        let file = files.ok_or_else(|| io::Error::other("no file came for the result"))?;
        // SAFETY: the kernel made this descriptor for this process a moment ago, and nobody else has it.
        #[allow(unsafe_code)]
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    #[test]
    fn messages_and_a_file_arrive_and_nonsense_does_not() {
        let (a, b) = UnixStream::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        let work = Work::Benchmark {
            max_qubits: 5,
            full: true,
        };
        let order = Order::Plan {
            work,
            most: 9,
            kept: vec!["[]".to_owned()],
        };
        send_with(&a, &order, &file).unwrap();
        send(
            &a,
            &Order::Go {
                bytes: 7,
                confine: true,
                keep_seconds: 3,
            },
        )
        .unwrap();
        let mut lines = Lines::new(&b, 1000);
        let got = File::from(lines.file().unwrap());
        got.write_all_at(b"hello", 0).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 5);
        assert_eq!(lines.message::<Order>().unwrap(), Some(order));
        let go = lines.message::<Order>().unwrap();
        assert_eq!(
            go,
            Some(Order::Go {
                bytes: 7,
                confine: true,
                keep_seconds: 3,
            })
        );
        (&a).write_all(b"{\"Dance\":1}\n").unwrap();
        assert!(lines.message::<Order>().is_err());
        (&a).write_all(&[b'x'; 20_000]).unwrap();
        assert!(
            lines
                .message::<Order>()
                .unwrap_err()
                .to_string()
                .contains("too long")
        );
        let (a, b) = UnixStream::pair().unwrap();
        drop(a);
        let mut lines = Lines::new(&b, 1000);
        assert_eq!(lines.message::<Order>().unwrap(), None);
    }
}
