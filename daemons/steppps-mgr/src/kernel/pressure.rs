//! Pressure triggers: the kernel wakes the daemon when tasks stall, so that nothing polls.

use std::{
    fs::File,
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::Path,
};

use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use quantumos_dimensions::time::Resource;
use tokio::io::{Interest, unix::AsyncFd};

use super::{Told, watch};

/// A fifth of a second stalled within two seconds. The window is one that the kernel allows
/// without privilege (a multiple of two seconds).
const TRIGGER: &[u8] = b"some 200000 2000000\0";

/// Triggers on all resources.
#[derive(Debug)]
pub(crate) struct Triggers {
    files: Vec<AsyncFd<OwnedFd>>,
}

impl Triggers {
    /// # Errors
    /// The kernel accounts no pressure, or lets only the privileged set triggers.
    pub fn open(proc: &Path) -> io::Result<Self> {
        let files = Resource::ALL
            .into_iter()
            .map(|resource| trigger(&proc.join("pressure").join(resource.file())))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { files })
    }

    /// Waits until a trigger fires; the kernel fires each at most once a window.
    ///
    /// # Errors
    /// The triggers are of no more use.
    pub async fn next(&self) -> io::Result<Told> {
        let waits = self.files.iter().map(|file| {
            Box::pin(async move {
                let mut guard = file.ready(Interest::PRIORITY).await?;
                if guard.ready().is_error() {
                    return Err(io::Error::other("the trigger is gone"));
                }
                guard.clear_ready();
                Ok(Told::Pressure)
            })
        });
        futures_util::future::select_all(waits).await.0
    }
}

fn trigger(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    // A trigger written to anything but proc would only damage a file.
    if fstatfs(&file)?.filesystem_type() != PROC_SUPER_MAGIC {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("{} is not in proc", path.display()),
        ));
    }
    file.write_all(TRIGGER)?;
    watch(file.into(), Interest::PRIORITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_plain_file_is_no_trigger_and_stays_whole() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("pressure")).unwrap();
        for resource in Resource::ALL {
            std::fs::write(root.path().join("pressure").join(resource.file()), "some").unwrap();
        }
        assert_eq!(
            Triggers::open(root.path()).unwrap_err().kind(),
            io::ErrorKind::Unsupported
        );
        assert_eq!(
            std::fs::read_to_string(root.path().join("pressure/cpu")).unwrap(),
            "some"
        );
    }
}
