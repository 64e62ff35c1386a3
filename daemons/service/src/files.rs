//! Small files that are read as a whole. Whoever may write them may not fill the daemon's memory with them, nor have it
//! wait for a pipe that nobody writes into.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Opens a file for reading, without waiting for anybody.
///
/// # Errors
/// When it can't be opened; [`ErrorKind::InvalidInput`] when it is a pipe.
pub fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        return Err(Error::new(ErrorKind::InvalidInput, "a pipe, not a file"));
    }
    Ok(file)
}

/// Reads a file that must not be longer than `most` bytes.
///
/// # Errors
/// When it can't be read, as for [`open`]; [`ErrorKind::FileTooLarge`] when it is longer.
pub fn read_at_most(path: &Path, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = open(path)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        let why = format!("longer than {most} bytes");
        return Err(Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// The files in `folders` whose names end in `.ending`, in the order of their paths, `most` at the most. Folders that
/// aren't there have none.
#[must_use]
pub fn with_ending(folders: &[PathBuf], ending: &str, most: usize) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    paths.sort_unstable();
    paths.truncate(most);
    paths
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test says so by failing

    use super::{read_at_most, with_ending};

    #[test]
    fn as_long_as_allowed_and_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pub");
        for (length, readable) in [(0, true), (8, true), (9, false)] {
            std::fs::write(&path, vec![1; length]).unwrap();
            let read = read_at_most(&path, 8);
            assert_eq!(read.is_ok(), readable, "{length} bytes");
            if let Err(error) = read {
                assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
                assert_eq!(error.to_string(), "longer than 8 bytes");
            }
        }
        let error = read_at_most(&folder.path().join("none"), 8).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }

    #[test]
    fn nobody_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe.pub");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let error = read_at_most(&pipe, 8).unwrap_err();
        assert_eq!(error.to_string(), "a pipe, not a file");
        assert!(read_at_most("/dev/null".as_ref(), 8).unwrap().is_empty());
    }

    #[test]
    fn only_that_ending_in_order_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["c.pub", "a.pub", "b.pub", "b.pub.old", "pub"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let places = [folder.path().to_owned(), folder.path().join("absent")];
        let names: Vec<_> = with_ending(&places, "pub", 2)
            .iter()
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["a.pub", "b.pub"]);
    }
}
