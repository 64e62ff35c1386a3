//! The decisions that hold, on disk: in the runtime directory, since what they changed
//! goes at a reboot too. Written before a change is made, so that a daemon that is
//! killed in between finds it again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::decision::Decision;

const FILE: &str = "decisions.json";
/// A longer file is not ours, in bytes.
const LONGEST: u64 = 4 << 20;

/// The file.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// In this directory.
    pub fn new(directory: &Path) -> Self {
        Self {
            path: directory.join(FILE),
        }
    }

    /// What was kept; nothing where there is no file.
    ///
    /// # Errors
    /// `Error::Decisions` when the file is there and cannot be read.
    pub fn load(&self) -> Result<Vec<Decision>, Error> {
        let fail = |reason: String| Error::Decisions(format!("{}: {reason}", self.path.display()));
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error.to_string())),
            Ok(metadata) if metadata.len() > LONGEST => {
                return Err(fail(format!("longer than {LONGEST} bytes")));
            }
            Ok(_) => {}
        }
        let text = fs::read(&self.path).map_err(|error| fail(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| fail(error.to_string()))
    }

    /// Replaces what was kept.
    ///
    /// # Errors
    /// `Error::Decisions` when it cannot be written; the old file stands then.
    pub fn save(&self, decisions: &[Decision]) -> Result<(), Error> {
        let fail = |reason: String| Error::Decisions(format!("{}: {reason}", self.path.display()));
        let text = serde_json::to_vec(decisions).map_err(|error| fail(error.to_string()))?;
        let draft = self.path.with_extension("new");
        let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, &self.path));
        written.map_err(|error| {
            // The draft may be the very thing that fills the disk.
            let _ = fs::remove_file(&draft);
            fail(error.to_string())
        })
    }
}
