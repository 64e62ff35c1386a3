//! The kernel's log, where the daemon may read it.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::Path,
};

use nix::{errno::Errno, unistd::read};
use quantumos_dimensions::event::Record;
use tokio::io::{Interest, unix::AsyncFd};

use super::{Told, watch};

/// Longest record that `/dev/kmsg` gives (`CONSOLE_EXT_LOG_MAX`).
const LONGEST: usize = 8192;

/// The kernel's log from now on.
#[derive(Debug)]
pub(crate) struct Log {
    file: AsyncFd<OwnedFd>,
}

impl Log {
    /// # Errors
    /// No such device, or no permission to read it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        // What was logged before is in the journal. A pipe cannot seek and has no past.
        match file.seek(SeekFrom::End(0)) {
            Err(error) if error.raw_os_error() != Some(libc::ESPIPE) => return Err(error),
            _ => {}
        }
        Ok(Self {
            file: watch(file.into(), Interest::READABLE)?,
        })
    }

    /// The next record; each read gives one.
    ///
    /// # Errors
    /// The log is of no more use.
    pub async fn next(&self) -> io::Result<Told> {
        let mut buffer = [0_u8; LONGEST];
        loop {
            let mut guard = self.file.readable().await?;
            match read(self.file.get_ref(), &mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                    if let Some(record) = Record::parse(&text) {
                        return Ok(Told::Record(record));
                    }
                }
                Err(Errno::EAGAIN) => guard.clear_ready(),
                Err(Errno::EINTR) => {}
                Err(Errno::EPIPE) => return Ok(Told::Lost),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
