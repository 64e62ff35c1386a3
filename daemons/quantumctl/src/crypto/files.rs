//! Inputs and outputs of the cryptographic commands. An output file appears under its name only
//! when it is whole; a message goes to standard output only after all of it was found authentic.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::error::Error;

/// What is read.
#[derive(Debug)]
pub struct Input {
    /// The file, or a copy of the descriptor of standard input.
    pub file: File,
    /// For messages.
    pub name: String,
    /// Its length if it is a regular file.
    pub len: Option<u64>,
}

impl Input {
    /// The file at `path`, or standard input for none and `-`.
    pub fn open(path: Option<&Path>) -> Result<Self, Error> {
        let (name, file) = match path.filter(|path| *path != Path::new("-")) {
            Some(path) => (path.display().to_string(), File::open(path)),
            None => {
                let copy = nix::unistd::dup(io::stdin()).map(File::from);
                ("standard input".to_owned(), copy.map_err(Into::into))
            }
        };
        let opened = file.and_then(|file| {
            let metadata = file.metadata()?;
            // Standard input may be a file that somebody has begun to read.
            let regular = metadata.is_file() && path.is_some_and(|path| path != Path::new("-"));
            Ok((file, regular.then_some(metadata.len())))
        });
        match opened {
            Ok((file, len)) => Ok(Self { file, name, len }),
            Err(source) => Err(Error::file(name, source)),
        }
    }

    /// Everything, at most `limit` bytes.
    pub fn read_all(&mut self, limit: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        (&self.file)
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| self.failed(source))?;
        if bytes.len() as u64 > limit {
            let name = &self.name;
            return Err(Error::Usage(format!("{name}: more than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// A regular file with the same content: itself, or a copy without a name. Only what is
    /// sealed may be copied, since the copy is on a disk.
    pub fn into_regular(self) -> Result<(Self, u64), Error> {
        if let Some(len) = self.len {
            return Ok((self, len));
        }
        let directory = std::env::temp_dir();
        let path = directory.join(format!("quantumctl.{}", std::process::id()));
        let copied = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|copy| {
                fs::remove_file(&path)?;
                io::copy(&mut &self.file, &mut &copy).map(|len| (copy, len))
            });
        match copied {
            Ok((file, len)) => Ok((
                Self {
                    file,
                    name: self.name,
                    len: Some(len),
                },
                len,
            )),
            Err(source) => Err(Error::file(&path, source)),
        }
    }

    /// An error of reading.
    pub fn failed(&self, source: io::Error) -> Error {
        Error::file(&self.name, source)
    }
}

/// A file that is written beside its place and moved there when it is whole. Dropped before, it is
/// removed.
#[derive(Debug)]
pub struct Draft {
    /// What is written.
    pub file: File,
    path: PathBuf,
    beside: PathBuf,
    kept: bool,
}

impl Draft {
    /// For a file that must not be there yet, unless `force` says to replace it.
    pub fn new(path: &Path, force: bool) -> Result<Self, Error> {
        if !force && fs::symlink_metadata(path).is_ok() {
            let path = path.display();
            return Err(Error::Usage(format!(
                "{path} is there already; replace it with --force"
            )));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&beside);
        match file {
            Ok(file) => Ok(Self {
                file,
                path: path.to_owned(),
                beside,
                kept: false,
            }),
            Err(source) => Err(Error::file(&beside, source)),
        }
    }

    /// Moves it to its place.
    pub fn keep(mut self) -> Result<(), Error> {
        fs::rename(&self.beside, &self.path).map_err(|source| self.failed(source))?;
        self.kept = true;
        Ok(())
    }

    /// An error of writing.
    pub fn failed(&self, source: io::Error) -> Error {
        Error::file(&self.path, source)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // There is nobody to tell, and the next run makes another name.
            let _ = fs::remove_file(&self.beside);
        }
    }
}
