//! The command line that all daemons share. systemd gives the directories by environment, a
//! developer by option.

use std::path::PathBuf;

use clap::Parser;

/// Where a daemon reads and keeps its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// Stands before `/usr/lib`, `/run` and `/etc` when configuration is read; `/` on a host.
    pub root: PathBuf,
    /// What has to survive a reboot.
    pub state: PathBuf,
    /// What has to survive a restart of the daemon only.
    pub runtime: PathBuf,
}

#[derive(Debug, Parser)]
pub(crate) struct CommandLine {
    /// Read configuration and rules below this directory
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    pub config_root: PathBuf,
    /// Serve on this bus address instead of the system bus
    #[arg(long, value_name = "ADDRESS")]
    pub bus: Option<String>,
    /// Keep state here
    #[arg(long, value_name = "DIRECTORY", env = "STATE_DIRECTORY")]
    pub state_directory: Option<PathBuf>,
    /// Keep what may go at a reboot here
    #[arg(long, value_name = "DIRECTORY", env = "RUNTIME_DIRECTORY")]
    pub runtime_directory: Option<PathBuf>,
    /// Say whether the configuration is good, and exit
    #[arg(long)]
    pub check_configuration: bool,
}

impl CommandLine {
    pub(crate) fn directories(&self, name: &str) -> Directories {
        let or = |given: &Option<PathBuf>, parent: &str| {
            given
                .clone()
                .unwrap_or_else(|| PathBuf::from(parent).join(name))
        };
        Directories {
            root: self.config_root.clone(),
            state: or(&self.state_directory, "/var/lib/quantumos"),
            runtime: or(&self.runtime_directory, "/run/quantumos"),
        }
    }
}
