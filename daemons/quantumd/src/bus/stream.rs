//! Streams between two descriptors of a caller, sealed or opened on the way in constant memory. Files
//! and memfds are read and written from their start, pipes to their end; a pipe that stands still for
//! too long is given up. A file that was not written to its end is emptied again.

use super::descriptor::{PATIENCE, reading};
use crate::Error;
use crate::keyring::Keyring;
use crate::record::KeyId;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{FileStat, SFlag, fstat};
use quantumos_pqc::Algorithm;
use quantumos_resonance::stream::{CHUNK, Cost, Opener, Options, Sealer, Secret, Source, Suite};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use zeroize::Zeroizing;

/// A pipe with room takes at least this much without blocking (PIPE_BUF).
const PIPE_PIECE: usize = 4096;

fn refuse(which: &str, why: impl Into<String>) -> Error {
    Error::argument(format!("{which} descriptor"), why)
}

fn is(status: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) == kind
}

/// Waits until a pipe is ready.
fn wait(pipe: &File, for_what: PollFlags, which: &str) -> Result<(), Error> {
    loop {
        let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
        let mut one = [PollFd::new(pipe.as_fd(), for_what)];
        match poll(&mut one, timeout) {
            Ok(0) => return Err(Error::Stalled(PATIENCE.as_secs())),
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(refuse(which, errno.desc())),
        }
    }
}

struct Input {
    file: File,
    /// Where to read on in a file; a pipe has no place.
    at: Option<u64>,
}

impl Input {
    fn open(descriptor: OwnedFd) -> Result<(Self, FileStat), Error> {
        const WHICH: &str = "input";
        let status = reading(&descriptor, WHICH)?;
        let at = match () {
            () if is(&status, SFlag::S_IFREG) => Some(0),
            () if is(&status, SFlag::S_IFIFO) => None,
            () => return Err(refuse(WHICH, "neither a regular file, a memfd nor a pipe")),
        };
        let file = File::from(descriptor);
        Ok((Self { file, at }, status))
    }

    /// Some bytes, none at the end.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        loop {
            let read = match &mut self.at {
                Some(at) => self.file.read_at(into, *at).inspect(|n| *at += *n as u64),
                None => {
                    wait(&self.file, PollFlags::POLLIN, "input")?;
                    (&self.file).read(into)
                }
            };
            match read {
                Ok(count) => return Ok(count),
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(error) => return Err(refuse("input", error.to_string())),
            }
        }
    }
}

struct Output {
    file: File,
    at: Option<u64>,
    written: u64,
}

impl Output {
    fn open(descriptor: OwnedFd, input: &FileStat) -> Result<Self, Error> {
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
        })
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let written = match &mut self.at {
                Some(at) => self.file.write_at(bytes, *at).inspect(|n| *at += *n as u64),
                None => {
                    wait(&self.file, PollFlags::POLLOUT, "output")?;
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

    /// The bytes written, or the error after taking back what a file got.
    fn end(self, done: Result<(), Error>) -> Result<u64, Error> {
        if done.is_err() && self.at.is_some() {
            // The error that is given matters more than one of this.
            let _ = self.file.set_len(0);
        }
        done.map(|()| self.written)
    }
}

fn both(input: OwnedFd, output: OwnedFd) -> Result<(Input, Output), Error> {
    let (input, status) = Input::open(input)?;
    let output = Output::open(output, &status)?;
    Ok((input, output))
}

/// Key and version as the header of a stream names them.
fn reference(id: KeyId, version: u32) -> [u8; 20] {
    let mut out = [0; 20];
    out[..16].copy_from_slice(&id.0);
    out[16..].copy_from_slice(&version.to_be_bytes());
    out
}

/// The version of this key that a stream was sealed under.
fn version_in(source: &Source, id: KeyId) -> Result<u32, Error> {
    let Source::Key(bytes) = source else {
        let found = "passphrase";
        return Err(quantumos_resonance::Error::OtherSource { found }.into());
    };
    let parts = bytes.split_first_chunk::<16>();
    let version = parts.and_then(|(key, rest)| Some((key, rest.try_into().ok()?)));
    match version {
        Some((key, version)) if *key == id.0 => Ok(u32::from_be_bytes(version)),
        Some((key, _)) => {
            let why = format!("it was sealed under key {}", KeyId(*key));
            Err(refuse("input", why))
        }
        None => Err(refuse("input", "it was not sealed by quantumd's Encrypt")),
    }
}

/// Seals what `input` gives under the newest version of a key. Gives the bytes written. Blocks.
pub(super) fn seal(
    keyring: &Keyring,
    id: KeyId,
    input: OwnedFd,
    output: OwnedFd,
    context: &[u8],
) -> Result<u64, Error> {
    let suite = match keyring.record(id)?.algorithm {
        Algorithm::XChaCha20Poly1305 => Suite::XChaCha20Poly1305,
        _ => Suite::Aes256Gcm,
    };
    let (secret, version) = keyring.stream_secret(id, None)?;
    let reference = reference(id, version);
    let options = Options {
        suite,
        reference: &reference,
        context,
        ..Options::default()
    };
    let mut sealer = Sealer::new(Secret::Key(secret.expose()), &options)?;
    let (mut input, mut output) = both(input, output)?;
    let seal = || {
        let mut piece = Zeroizing::new(vec![0; CHUNK]);
        let mut out = Vec::with_capacity(2 * CHUNK);
        output.write(&sealer.header().to_bytes())?;
        loop {
            let count = input.read(&mut piece)?;
            if count == 0 {
                sealer.finish(&mut out)?;
                return output.write(&out);
            }
            sealer.push(&piece[..count], &mut out)?;
            output.write(&out)?;
            out.clear();
        }
    };
    let done = seal();
    output.end(done)
}

/// Opens what [`seal`] made, under the version that it names. Gives the bytes written. Blocks.
pub(super) fn open(
    keyring: &Keyring,
    id: KeyId,
    input: OwnedFd,
    output: OwnedFd,
    context: &[u8],
) -> Result<u64, Error> {
    keyring.stream_secret(id, None)?;
    let (mut input, mut output) = both(input, output)?;
    let mut open = || {
        let mut opener = Opener::new();
        let mut locked = true;
        let mut piece = vec![0; CHUNK];
        let mut out = Zeroizing::new(Vec::with_capacity(2 * CHUNK));
        loop {
            let count = input.read(&mut piece)?;
            if count == 0 {
                opener.finish(&mut out)?;
                return output.write(&out);
            }
            let mut taken = opener.push(&piece[..count], &mut out)?;
            if let Some(header) = opener.header().filter(|_| locked) {
                let version = version_in(header.source(), id)?;
                let (secret, _) = keyring.stream_secret(id, Some(version))?;
                opener.unlock(Secret::Key(secret.expose()), context, Cost::LIMIT)?;
                locked = false;
                taken += opener.push(&piece[taken..count], &mut out)?;
            }
            debug_assert_eq!(taken, count, "all is taken once the stream is unlocked");
            output.write(&out)?;
            out.clear();
        }
    };
    let done = open();
    output.end(done)
}
