//! From a pidfd to the cgroup of its process, without a race for the pid: what was read
//! by pid counts only if the descriptor still names the same living process afterwards.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use quantumos_dbus::Error;

use crate::sources::{self, Sources};

/// A process that has the focus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreground {
    /// Its owner.
    pub uid: u32,
    /// Its cgroup, from the root.
    pub path: String,
}

/// Finds out whose process it is and where.
///
/// # Errors
/// `InvalidArgument` for what is no pidfd, `NotFound` for a process that has ended.
pub fn of_pidfd(process: BorrowedFd<'_>, sources: &Sources) -> Result<Foreground, Error> {
    let pid = pid(process)?;
    let directory = sources.proc.join(pid.to_string());
    let gone = |error: std::io::Error| Error::NotFound(format!("process {pid}: {error}"));
    let uid = std::fs::metadata(&directory).map_err(gone)?.uid();
    let text = sources::read(&directory.join("cgroup")).map_err(gone)?;
    if self::pid(process)? != pid {
        return Err(Error::NotFound(format!("process {pid} has ended")));
    }
    let path = unified(&text)
        .ok_or_else(|| Error::NotSupported("the process is in no cgroup v2".into()))?;
    Ok(Foreground {
        uid,
        path: path.to_owned(),
    })
}

fn pid(process: BorrowedFd<'_>) -> Result<u32, Error> {
    let path = format!("/proc/self/fdinfo/{}", process.as_raw_fd());
    let text =
        std::fs::read_to_string(&path).map_err(|error| Error::Io(format!("{path}: {error}")))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    let pid = line
        .ok_or_else(|| Error::InvalidArgument("process: not a pidfd".into()))?
        .trim();
    if pid == "-1" {
        return Err(Error::NotFound("process: it has ended".into()));
    }
    pid.parse()
        .map_err(|_| Error::InvalidArgument("process: not of this pid namespace".into()))
}

/// The path of cgroup v2 in `/proc/PID/cgroup`.
pub fn unified(text: &str) -> Option<&str> {
    text.lines()
        .find_map(|line| line.strip_prefix("0::"))
        .filter(|path| path.starts_with('/'))
}
