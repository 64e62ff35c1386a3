//! Reads a message from a descriptor that a caller passed: a regular file or memfd from its start,
//! a pipe to its end, with a bound on size and, since the other end is a stranger, on waiting.

use crate::Error;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{FileStat, SFlag};
use std::ffi::CStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The most bytes that a descriptor may hold.
pub(super) const LIMIT: usize = 64 << 20;

/// How long a pipe may take to give everything.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Reads all that the descriptor holds. Blocks.
pub(super) fn read(descriptor: OwnedFd) -> Result<Vec<u8>, Error> {
    read_bounded(descriptor, LIMIT, Some(PATIENCE))
}

/// Reads a regular file or memfd, and refuses a pipe: for callers whom nobody authorised and who
/// shall not choose how long reading takes. Blocks.
pub(super) fn read_file(descriptor: OwnedFd) -> Result<Vec<u8>, Error> {
    read_bounded(descriptor, LIMIT, None)
}

/// The most bytes of a secret that a caller hands over, such as a PIN.
pub(super) const SECRET_LIMIT: usize = 4096;

/// Reads a secret; the bytes are wiped when they are dropped. Blocks.
pub(super) fn read_secret(descriptor: OwnedFd) -> Result<Zeroizing<Vec<u8>>, Error> {
    read_bounded(descriptor, SECRET_LIMIT, Some(PATIENCE)).map(Zeroizing::new)
}

/// Reads a secret value of at most `limit` bytes; the bytes are wiped when they are dropped. Blocks.
pub(super) fn read_value(descriptor: OwnedFd, limit: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    read_bounded(descriptor, limit, Some(PATIENCE)).map(Zeroizing::new)
}

fn refuse(why: impl Into<String>) -> Error {
    Error::argument("message descriptor", why)
}

/// The status of a descriptor that is open for reading; `which` names it in the error.
pub(super) fn reading(descriptor: &OwnedFd, which: &str) -> Result<FileStat, Error> {
    let refuse = |why: &str| Error::argument(format!("{which} descriptor"), why);
    let status = nix::sys::stat::fstat(descriptor).map_err(|e| refuse(e.desc()))?;
    let flags = nix::fcntl::fcntl(descriptor, nix::fcntl::FcntlArg::F_GETFL)
        .map_err(|e| refuse(e.desc()))?;
    let flags = OFlag::from_bits_retain(flags);
    if flags.contains(OFlag::O_PATH) || flags & OFlag::O_ACCMODE == OFlag::O_WRONLY {
        return Err(refuse("not open for reading"));
    }
    Ok(status)
}

/// A sealed memfd that holds a secret for a caller, to be read from its start.
pub(super) fn secret(bytes: &[u8]) -> Result<OwnedFd, Error> {
    sealed(c"quantumd-secret", bytes)
}

/// A sealed memfd with these bytes, to be read from its start.
pub(super) fn sealed(name: &CStr, bytes: &[u8]) -> Result<OwnedFd, Error> {
    let memory = File::from(memory(name)?);
    let fail = |error: std::io::Error| Error::file(Path::new("memfd"), error);
    memory.write_all_at(bytes, 0).map_err(fail)?;
    seal(&memory)?;
    Ok(memory.into())
}

/// An empty memfd that can be sealed.
pub(crate) fn memory(name: &CStr) -> Result<OwnedFd, Error> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    memfd_create(name, flags).map_err(|error| Error::file(Path::new("memfd"), error.into()))
}

/// Lets nobody write to a memfd any more.
pub(crate) fn seal(memory: impl AsFd) -> Result<(), Error> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    let seals = SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SEAL;
    fcntl(memory, FcntlArg::F_ADD_SEALS(seals))
        .map_err(|error| Error::file(Path::new("memfd"), error.into()))?;
    Ok(())
}

/// The same sealed memfd again, read-only and with a position of its own at the start.
pub(super) fn reopen(memory: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", memory.as_raw_fd()));
    let file = File::open(&path).map_err(|error| Error::file(&path, error))?;
    Ok(file.into())
}

/// `patience` is for a pipe; without it only a file will do.
fn read_bounded(
    descriptor: OwnedFd,
    limit: usize,
    patience: Option<Duration>,
) -> Result<Vec<u8>, Error> {
    let status = reading(&descriptor, "message")?;
    let kind = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
    match (kind, patience) {
        (SFlag::S_IFREG, _) => read_regular(&File::from(descriptor), limit, status.st_size),
        (SFlag::S_IFIFO, Some(patience)) => read_pipe(File::from(descriptor), limit, patience),
        (_, Some(_)) => Err(refuse("neither a regular file, a memfd nor a pipe")),
        (_, None) => Err(refuse("neither a regular file nor a memfd")),
    }
}

fn too_large(got: usize, limit: usize) -> Error {
    Error::TooLarge {
        what: "message",
        limit,
        got,
    }
}

/// From the start, whatever the position is, and without moving it.
fn read_regular(file: &File, limit: usize, size: i64) -> Result<Vec<u8>, Error> {
    let size = usize::try_from(size).unwrap_or_default();
    if size > limit {
        return Err(too_large(size, limit));
    }
    let mut bytes = vec![0; size];
    let mut at = 0;
    while at < size {
        match file.read_at(&mut bytes[at..], at as u64) {
            Ok(0) => return Err(refuse("the file became shorter while it was read")),
            Ok(count) => at += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(refuse(error.to_string())),
        }
    }
    Ok(bytes)
}

fn read_pipe(mut pipe: File, limit: usize, patience: Duration) -> Result<Vec<u8>, Error> {
    let end = Instant::now() + patience;
    // Enough for a secret without growing, which would leave a copy behind.
    let mut bytes = Vec::with_capacity(SECRET_LIMIT);
    let mut piece = Zeroizing::new([0; 65536]);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut wait = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut wait, timeout) {
            Ok(0) => return Err(Error::Stalled(patience.as_secs())),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(refuse(error.desc())),
        }
        match pipe.read(piece.as_mut_slice()) {
            Ok(0) => return Ok(bytes),
            Ok(count) if bytes.len() + count > limit => {
                return Err(too_large(bytes.len() + count, limit));
            }
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(error) => return Err(refuse(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    const PATIENT: Option<Duration> = Some(Duration::from_secs(60));

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn files_are_read_from_the_start_up_to_the_limit() {
        let mut it = file(b"0123456789");
        it.seek(std::io::SeekFrom::Start(4)).unwrap();
        let copy = it.try_clone().unwrap();
        assert_eq!(
            read_bounded(copy.into(), 10, PATIENT).unwrap(),
            b"0123456789"
        );
        assert_eq!(it.stream_position().unwrap(), 4);
        assert!(matches!(
            read_bounded(it.into(), 9, PATIENT),
            Err(Error::TooLarge {
                limit: 9,
                got: 10,
                ..
            })
        ));
        assert_eq!(read_bounded(file(b"").into(), 9, PATIENT).unwrap(), b"");
    }

    #[test]
    fn pipes_are_read_to_their_end_up_to_the_limit() {
        for (size, limit, good) in [(0, 10, true), (200_000, 200_000, true), (11, 10, false)] {
            let (reader, writer) = std::io::pipe().unwrap();
            let thread = std::thread::spawn(move || {
                let mut writer = writer;
                // The reader may close early, which is what is tested.
                let _ = writer.write_all(&vec![7; size]);
            });
            let read = read_bounded(reader.into(), limit, PATIENT);
            assert_eq!(read.is_ok(), good, "{size} of {limit}");
            assert!(read.map_or(true, |bytes| bytes.len() == size));
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_pipe_that_stays_open_is_given_up() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let given_up = read_bounded(reader.into(), 10, Some(Duration::from_millis(1)));
        assert!(matches!(given_up, Err(Error::Stalled(_))));
    }

    #[test]
    fn other_descriptors_are_refused() {
        let write_only = File::options().write(true).open("/dev/null").unwrap();
        let device = File::open("/dev/zero").unwrap();
        let directory = File::open("/").unwrap();
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let (_reader, writer) = std::io::pipe().unwrap();
        let descriptors: [OwnedFd; 5] = [
            write_only.into(),
            device.into(),
            directory.into(),
            socket.into(),
            writer.into(),
        ];
        for descriptor in descriptors {
            let error = read_bounded(descriptor, 10, PATIENT).unwrap_err();
            assert!(matches!(error, Error::Argument { .. }), "{error}");
        }
    }

    #[test]
    fn without_patience_a_pipe_is_refused_and_a_file_read() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        let error = read_bounded(reader.into(), 10, None).unwrap_err();
        assert!(error.to_string().contains("neither a regular file nor"));
        assert_eq!(read_bounded(file(b"m").into(), 10, None).unwrap(), b"m");
    }
}
