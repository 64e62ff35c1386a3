//! What `/proc` says of a process: for those that ran before the probes did, and for those whose events were lost.
//! Everything read is untrusted and may vanish between two reads; then there is no answer, not an error.

use crate::process::{Identity, Process};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most that is read of one file of `/proc/PID`.
const LIMIT: u64 = 4096;

/// A `/proc`.
#[derive(Debug, Clone)]
pub struct Proc {
    root: PathBuf,
}

impl Proc {
    /// At `root`, which is `/proc` on a host.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// All processes.
    pub fn processes(&self) -> impl Iterator<Item = Process> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        entries.filter_map(|entry| self.process(entry.file_name().to_str()?.parse().ok()?))
    }

    /// One process.
    #[must_use]
    pub fn process(&self, pid: u32) -> Option<Process> {
        let folder = self.root.join(pid.to_string());
        let stat = read(&folder.join("stat"))?;
        let Stat {
            comm,
            parent: parent_pid,
            start,
            ..
        } = parse_stat(&stat)?;
        let parent_start = read(&self.root.join(parent_pid.to_string()).join("stat"));
        let parent_start = parent_start
            .and_then(|stat| Some(parse_stat(&stat)?.start))
            .unwrap_or(0);
        let executable =
            fs::read_link(folder.join("exe")).map(|path| path.as_os_str().as_bytes().to_vec());
        let executable = executable.unwrap_or_default();
        let executable = executable
            .strip_suffix(b" (deleted)")
            .unwrap_or(&executable);
        let mut command_line = read(&folder.join("cmdline")).unwrap_or_default();
        while command_line.last() == Some(&0) {
            command_line.pop();
        }
        command_line
            .iter_mut()
            .filter(|byte| **byte == 0)
            .for_each(|byte| *byte = b' ');
        command_line.truncate(1024);
        Some(Process {
            identity: Identity { pid, start },
            parent: Identity {
                pid: parent_pid,
                start: parent_start,
            },
            executable: executable.into(),
            invoked: None,
            command_line: command_line.into(),
            comm: comm.into(),
            uid: fs::metadata(&folder).ok()?.uid(),
            ended: false,
        })
    }

    /// The systemd unit of a process, if it still is that process.
    #[must_use]
    pub fn unit(&self, identity: Identity) -> Option<String> {
        let folder = self.root.join(identity.pid.to_string());
        let text = read(&folder.join("cgroup"))?;
        let start = parse_stat(&read(&folder.join("stat"))?)?.start;
        if start != identity.start {
            return None;
        }
        crate::unit::of_proc_file(&String::from_utf8_lossy(&text))
    }

    /// The folder of a process.
    #[must_use]
    pub fn folder(&self, pid: u32) -> PathBuf {
        self.root.join(pid.to_string())
    }

    /// The numbers of all processes.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
    }

    /// The process that has this number now.
    #[must_use]
    pub fn identity(&self, pid: u32) -> Option<Identity> {
        let stat = read(&self.folder(pid).join("stat"))?;
        let start = parse_stat(&stat)?.start;
        Some(Identity { pid, start })
    }

    /// The process's parent, whether it is a thread of the kernel, and whether it has ended and waits for its parent.
    #[must_use]
    pub fn nature(&self, pid: u32) -> Option<(u32, bool, bool)> {
        let stat = read(&self.folder(pid).join("stat"))?;
        let stat = parse_stat(&stat)?;
        let kernel = stat.flags & KERNEL_THREAD != 0;
        Some((
            stat.parent,
            kernel,
            matches!(stat.state, b'Z' | b'X' | b'x'),
        ))
    }

    /// A file of a process's folder, its first 4096 bytes, as text.
    #[must_use]
    pub fn text(&self, pid: u32, name: &str) -> Option<String> {
        let bytes = read(&self.folder(pid).join(name))?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// `PF_KTHREAD` of the kernel.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What is used of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat<'a> {
    comm: &'a [u8],
    state: u8,
    parent: u32,
    flags: u64,
    /// In ticks.
    start: u64,
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .ok()?
        .take(LIMIT)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

/// The name is in parentheses and may hold parentheses itself.
fn parse_stat(stat: &[u8]) -> Option<Stat<'_>> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let comm = stat.get(open + 1..close)?;
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let flags = fields.nth(4)?.parse().ok()?;
    let start = fields.nth(12)?.parse().ok()?;
    Some(Stat {
        comm,
        state,
        parent,
        flags,
        start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_this_process() {
        let proc = Proc::new("/proc");
        let this = proc.process(std::process::id()).unwrap();
        assert_eq!(
            this.executable.to_vec(),
            std::env::current_exe().unwrap().as_os_str().as_bytes()
        );
        assert_eq!(this.uid, nix::unistd::getuid().as_raw());
        assert_eq!(this.parent.pid, std::os::unix::process::parent_id());
        assert!(proc.processes().any(|process| process == this));
        assert_eq!(proc.process(u32::MAX), None);
        assert_eq!(proc.identity(this.identity.pid), Some(this.identity));
        let parent = std::os::unix::process::parent_id();
        assert_eq!(
            proc.nature(std::process::id()),
            Some((parent, false, false))
        );
    }

    #[test]
    fn names_may_be_hostile() {
        let stat = b"7 (a) R 1 (b) S 42 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 777 1 2";
        let wanted = Stat {
            comm: b"a) R 1 (b",
            state: b'S',
            parent: 42,
            flags: 4_194_304,
            start: 777,
        };
        assert_eq!(parse_stat(stat), Some(wanted));
        for wrong in [
            &b""[..],
            b"7 x",
            b"7 (a)",
            b")(",
            b"7 (a) S 1",
            b"7 (a) S x 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 777",
        ] {
            assert_eq!(parse_stat(wrong), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_stat(&bytes);
        }
    }
}
