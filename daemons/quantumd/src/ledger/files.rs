//! A ledger's directory: files read, files replaced as a whole, and the waits for the disk.

use crate::Error;
use quantumos_ledger::Error as LedgerError;
use quantumos_ledger::files::{CHECKPOINT, Files, KEYS};
use quantumos_ledger::frame;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Number, length and time of the last change of a file that is there.
pub type Seen = Option<(u64, u64, (i64, i64))>;

/// Where a ledger is.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// A directory that need not be there yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes it, for this user only.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn create(&self) -> Result<(), Error> {
        make_directory(&self.path)?;
        sync_directory(self.path.parent().unwrap_or(Path::new("/")))
    }

    /// The path of a file in it.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Puts a file in place of another, or where none was: written aside, synced, renamed, its
    /// directory synced.
    ///
    /// # Errors
    /// [`Error::File`]; what was there stands.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (path, draft) = (self.at(name), self.at(&format!(".{name}.new")));
        let written = || {
            let mut file = private(&draft)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            std::fs::rename(&draft, &path)
        };
        written().map_err(|error| Error::file(&path, error))?;
        sync_directory(&self.path)
    }

    /// Writes a file whose content follows from other files, not yet durably.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.at(name);
        let mut opened = private(&path);
        if matches!(&opened, Err(error) if error.kind() == ErrorKind::NotFound) {
            make_directory(path.parent().unwrap_or(&self.path))?;
            opened = private(&path);
        }
        opened
            .and_then(|mut file| file.write_all(bytes))
            .map_err(|error| Error::file(&path, error))
    }

    /// Waits until files that [`Directory::write`] wrote, and their names, are on the disk.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn sync(&self, names: &[String]) -> Result<(), Error> {
        /// From so many files on, syncing the whole file system is quicker.
        const MANY: usize = 64;
        if names.len() > MANY {
            let opened = File::open(&self.path);
            let root = opened.map_err(|error| Error::file(&self.path, error))?;
            return nix::unistd::syncfs(&root)
                .map_err(|error| Error::file(&self.path, error.into()));
        }
        let mut directories = BTreeSet::new();
        for name in names {
            let path = self.at(name);
            let synced = File::open(&path).and_then(|file| file.sync_data());
            synced.map_err(|error| Error::file(&path, error))?;
            let above = path.ancestors().skip(1);
            let within = above.take_while(|above| above.starts_with(&self.path));
            directories.extend(within.map(Path::to_owned));
        }
        directories.iter().try_for_each(|path| sync_directory(path))
    }

    /// What can be seen of the files that say what the log is, without reading them.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        [frame::NAME, CHECKPOINT, KEYS]
            .iter()
            .map(|name| {
                let about = std::fs::metadata(self.at(name)).ok()?;
                let changed = (about.ctime(), about.ctime_nsec());
                Some((about.ino(), about.len(), changed))
            })
            .collect()
    }

    /// Moves a file aside, so that what is wrong with it can be looked at.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn set_aside(&self, name: &str) -> Result<(), Error> {
        let (from, to) = (self.at(name), self.at(&format!("{name}.damaged")));
        std::fs::rename(&from, &to).map_err(|error| Error::file(&from, error))
    }
}

fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}

fn make_directory(path: &Path) -> Result<(), Error> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|error| Error::file(path, error))
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Error::file(path, error))
}

impl Files for Directory {
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>, LedgerError> {
        match File::open(self.at(name)) {
            Ok(file) => Ok(Some(Box::new(std::io::BufReader::with_capacity(
                1 << 16,
                file,
            )))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LedgerError::Storage {
                what: self.at(name).display().to_string(),
                why: error.to_string(),
            }),
        }
    }
}

/// Reads a file from an offset on without moving its position.
#[derive(Debug)]
pub(super) struct ReadAt<'a> {
    pub(super) file: &'a File,
    pub(super) at: u64,
}

impl Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
