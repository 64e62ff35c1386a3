//! Keeps habits over restarts: two files in the state directory, each replaced as a whole.
//! `habits.json` changes when an hour is over; `present.json`, the hour that runs, with each
//! sample, so that a kill loses nothing that was sampled.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use quantumos_dimensions::psychology::{Habits, Learner, Present};
use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// A larger file did not come from here: 256 subjects with 168 weights take less.
const LONGEST: u64 = 4 << 20;

/// The files.
#[derive(Clone, Debug)]
pub(crate) struct Keep {
    habits: PathBuf,
    present: PathBuf,
}

impl Keep {
    pub fn new(directory: &Path) -> Self {
        Self {
            habits: directory.join("habits.json"),
            present: directory.join("present.json"),
        }
    }

    /// What was learned before. A file that cannot be used is set aside with `.damaged` after
    /// its name, and learning goes on without it; the errors say so.
    pub fn load(&self) -> (Learner, Vec<Error>) {
        let mut errors = Vec::new();
        let habits: Habits = or_default(read(&self.habits), &mut errors);
        let present: Present = or_default(read(&self.present), &mut errors);
        (Learner::resume(habits, present), errors)
    }

    /// Keeps the hour that runs and, if `hour_is_over`, the habits before it: a crash between
    /// the two is noticed when they are loaded.
    ///
    /// # Errors
    /// The disk is full or the directory is not writable; the old files stay as they are.
    pub fn save(&self, learner: &Learner, hour_is_over: bool) -> Result<(), Error> {
        if hour_is_over {
            replace(&self.habits, learner.habits(), true)?;
        }
        replace(&self.present, learner.present(), false)
    }
}

fn or_default<T: Default>(read: Result<Option<T>, Error>, errors: &mut Vec<Error>) -> T {
    match read {
        Ok(value) => value.unwrap_or_default(),
        Err(error) => {
            if let Error::Damaged { path, .. } = &error {
                let mut aside = path.clone().into_os_string();
                aside.push(".damaged");
                if let Err(error) = fs::rename(path, aside) {
                    tracing::debug!(%error, "could not set a damaged file aside");
                }
            }
            errors.push(error);
            T::default()
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let damaged = |reason| Error::Damaged {
        path: path.to_owned(),
        reason,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > LONGEST {
        return Err(damaged(format!("longer than {LONGEST} bytes")));
    }
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| damaged(error.to_string()))
}

/// Replaces a file as a whole. What must survive a loss of power is flushed first.
fn replace(path: &Path, value: &impl Serialize, flush: bool) -> Result<(), Error> {
    let draft = path.with_extension("new");
    let written = serde_json::to_vec(value)
        .map_err(io::Error::other)
        .and_then(|text| {
            let mut file = File::create(&draft)?;
            file.write_all(&text)?;
            if flush {
                file.sync_all()?;
            }
            fs::rename(&draft, path)
        });
    if written.is_err() {
        // The draft may be the very thing that fills the disk.
        let _ = fs::remove_file(&draft);
    }
    written.map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learner() -> Learner {
        let mut learner = Learner::default();
        for hour in 0..3 {
            for _ in 0..40 {
                learner.observe(hour, ["unit:a.service".to_owned()].into());
            }
        }
        learner
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let keep = Keep::new(directory.path());
        let (empty, errors) = keep.load();
        assert!(empty.habits().is_empty() && errors.is_empty());
        let learner = learner();
        keep.save(&learner, true).unwrap();
        let (loaded, errors) = keep.load();
        assert!(errors.is_empty());
        assert_eq!(loaded.habits(), learner.habits());
        assert_eq!(loaded.present(), learner.present());
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_named() {
        for text in ["", "{", "[]", r#"{"observations":-1}"#] {
            let directory = tempfile::tempdir().unwrap();
            let keep = Keep::new(directory.path());
            keep.save(&learner(), true).unwrap();
            fs::write(directory.path().join("habits.json"), text).unwrap();
            let (loaded, errors) = keep.load();
            assert_eq!(
                loaded.present().visit.samples,
                40,
                "the other file still counts"
            );
            assert!(loaded.habits().is_empty());
            assert_eq!(errors.len(), 1);
            assert!(
                errors[0].to_string().contains("habits.json"),
                "{}",
                errors[0]
            );
            assert!(directory.path().join("habits.json.damaged").exists());
        }
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error_that_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let keep = Keep::new(&directory.path().join("gone"));
        assert!(
            keep.save(&learner(), false)
                .unwrap_err()
                .to_string()
                .contains("present.json")
        );
    }
}
