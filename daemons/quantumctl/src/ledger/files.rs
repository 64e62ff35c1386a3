//! A ledger's directory on this machine, for reading; and files written to another one.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use quantumos_ledger::{Error as LedgerError, files::Files};

use crate::error::Error;

/// A directory.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    /// A directory that is there.
    pub fn open(path: &Path) -> Result<Self, Error> {
        fs::read_dir(path).map_err(|source| Error::file(path, source))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Files for Place {
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>, LedgerError> {
        let path = self.path.join(name);
        match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(BufReader::with_capacity(1 << 18, file)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LedgerError::Storage {
                what: path.display().to_string(),
                why: error.to_string(),
            }),
        }
    }
}

/// Writes a file below `to`, in place of one that is there.
pub fn write(to: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = to.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|source| Error::file(parent, source))?;
    }
    fs::write(&path, bytes).map_err(|source| Error::file(&path, source))
}
