//! Where a guest keeps its disk, its TPM's state and its sockets.

use std::path::{Path, PathBuf};

/// The sockets and files of a guest below its directory.
#[derive(Debug, Clone)]
pub struct Files(PathBuf);

impl Files {
    /// Those below `directory`.
    pub fn below(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// The agent's socket.
    pub fn agent(&self) -> PathBuf {
        self.0.join("agent")
    }

    /// The serial console's socket: whoever connects types at a root shell.
    pub fn console(&self) -> PathBuf {
        self.0.join("console")
    }

    /// What the serial console has shown.
    pub fn console_log(&self) -> PathBuf {
        self.0.join("console.log")
    }

    /// The guest's disk.
    pub fn disk(&self) -> PathBuf {
        self.0.join("disk.raw")
    }

    /// The software TPM's state.
    pub fn tpm_state(&self) -> PathBuf {
        self.0.join("tpm")
    }

    /// The software TPM's control socket.
    pub fn tpm(&self) -> PathBuf {
        self.0.join("tpm.sock")
    }

    /// The process id of the program `name` that serves this guest.
    pub fn pid(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pid"))
    }
}
