//! Where the kernel's files are. Both roots can be moved, so that tests and a host with
//! another layout use the same code; every read is bounded.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Longest text taken from any of the kernel's files, in bytes.
const LONGEST: usize = 16 * 1024;

/// The two roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// `/proc`.
    pub proc: PathBuf,
    /// The mount of cgroup v2, `/sys/fs/cgroup`.
    pub cgroup: PathBuf,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            cgroup: "/sys/fs/cgroup".into(),
        }
    }
}

impl Sources {
    /// The file of a cgroup given by its path from the root.
    pub fn of_group(&self, group: &str, file: &str) -> PathBuf {
        self.cgroup.join(group.trim_start_matches('/')).join(file)
    }

    /// The pressure file of the machine for `cpu`, `memory` or `io`.
    pub fn pressure(&self, resource: &str) -> PathBuf {
        self.proc.join("pressure").join(resource)
    }

    /// Why the cgroup root cannot be used; `None` when it is a cgroup v2 tree.
    pub fn cgroup_problem(&self) -> Option<String> {
        let controllers = self.cgroup.join("cgroup.controllers");
        (!controllers.exists()).then(|| {
            format!(
                "{} is not a cgroup v2 hierarchy: no readings of single units",
                self.cgroup.display()
            )
        })
    }

    /// Why pressure cannot be read; `None` when it can.
    pub fn pressure_problem(&self) -> Option<String> {
        read(&self.pressure("cpu")).err().map(|error| {
            format!(
                "no pressure from the kernel: {error} (CONFIG_PSI, or psi=1 on its command line)"
            )
        })
    }
}

/// Reads a small file as text; the error names the file.
///
/// # Errors
/// When it cannot be read, is longer than 16 KiB or not text.
pub fn read(path: &Path) -> io::Result<String> {
    File::open(path)
        .and_then(|file| read_again(&file))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Reads an open file of the kernel from its start, which gives its text as of now.
///
/// # Errors
/// When it cannot be read, is longer than 16 KiB or not text.
pub fn read_again(file: &File) -> io::Result<String> {
    let mut text = vec![0_u8; 512];
    let mut length = 0;
    loop {
        let count = file.read_at(&mut text[length..], length as u64)?;
        if count == 0 {
            break;
        }
        length += count;
        if length == text.len() {
            if length >= LONGEST {
                return Err(io::Error::other("longer than 16 KiB"));
            }
            text.resize(length * 2, 0);
        }
    }
    text.truncate(length);
    String::from_utf8(text).map_err(|_| io::Error::other("not text"))
}
