//! Small files that matter: read with a bound, replaced as a whole or not at all.

use crate::Error;
use quantumos_service::files::read_at_most;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads a file of at most `limit` bytes; `None` when there is none.
///
/// # Errors
/// [`Error::File`], [`Error::Damaged`] when it's longer.
pub fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, Error> {
    match read_at_most(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::FileTooLarge => Err(Error::Damaged {
            path: path.to_owned(),
            why: error.to_string(),
        }),
        Err(error) => Err(Error::file(path, error)),
    }
}

/// Writes a file that didn't exist before, mode 0600, so that after a crash at any point it is
/// there whole or not at all: written aside, synced, linked into place, its directory synced.
///
/// # Errors
/// [`Error::File`], also when the file exists already.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let draft = path.with_added_extension("new");
    let written = write_and_link(path, &draft, bytes);
    if written.is_err() {
        // A left-over draft is in nobody's way; the error that matters is the first one.
        let _ = std::fs::remove_file(&draft);
    }
    written.map_err(|error| Error::file(path, error))
}

/// Moves a file over another in the same directory, and syncs that: after a crash it is in one place
/// or the other.
///
/// # Errors
/// [`Error::File`].
pub fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::rename(from, to)
        .and_then(|()| sync_parent(to))
        .map_err(|error| Error::file(to, error))
}

/// Removes a file if it is there, and syncs its directory.
///
/// # Errors
/// [`Error::File`].
pub fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| Error::file(path, error))
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent)?.sync_all()
}

fn write_and_link(path: &Path, draft: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // What an interrupted attempt left may share its content with the file itself: unlink, never
    // write to it.
    match std::fs::remove_file(draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    // link(2), unlike rename(2), never replaces what is there.
    std::fs::hard_link(draft, path)?;
    std::fs::remove_file(draft)?;
    sync_parent(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn created_whole_once_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert!(read(&path, 10).unwrap().is_none());
        // What an interrupted attempt left behind does no harm.
        std::fs::write(path.with_added_extension("new"), "half").unwrap();
        create(&path, b"whole").unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap(), b"whole");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(create(&path, b"other").is_err());
        assert_eq!(read(&path, 5).unwrap().unwrap(), b"whole");
        assert!(matches!(read(&path, 4), Err(Error::Damaged { .. })));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_crash_between_link_and_unlink_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        create(&path, b"whole").unwrap();
        std::fs::hard_link(&path, path.with_added_extension("new")).unwrap();
        assert!(create(&path, b"other").is_err());
        assert_eq!(read(&path, 10).unwrap().unwrap(), b"whole");
    }
}
