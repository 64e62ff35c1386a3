//! A mark in the runtime directory that says that the daemon runs. It goes when the daemon is stopped, and with a
//! reboot; one that finds it at its start knows that the one before was killed or crashed, which that one could not
//! tell of any more.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The mark.
#[derive(Debug, Clone)]
pub struct Mark(PathBuf);

impl Mark {
    /// That of a runtime directory.
    #[must_use]
    pub fn new(runtime: &Path) -> Self {
        Self(runtime.join("running"))
    }

    /// The process that left it; 0 where it doesn't say.
    #[must_use]
    pub fn left(&self) -> Option<u32> {
        let mut text = String::new();
        let read = File::open(&self.0).and_then(|file| file.take(16).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            _ => Some(text.trim().parse().unwrap_or_default()),
        }
    }

    /// Sets it for this process.
    ///
    /// # Errors
    /// When the directory takes no file.
    pub fn set(&self) -> std::io::Result<()> {
        std::fs::write(&self.0, format!("{}\n", std::process::id()))
    }

    /// Takes it away.
    pub fn clear(&self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "can't be removed; the next start will tell of a kill");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_of_one_that_was_not_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let mark = Mark::new(folder.path());
        assert_eq!(mark.left(), None);
        mark.set().unwrap();
        assert_eq!(mark.left(), Some(std::process::id()));
        mark.clear();
        assert_eq!(mark.left(), None);
        for (text, wanted) in [("", 0), ("x\n", 0), ("7", 7), (&"1".repeat(99)[..], 0)] {
            std::fs::write(folder.path().join("running"), text).unwrap();
            assert_eq!(mark.left(), Some(wanted), "{text:?}");
        }
    }
}
