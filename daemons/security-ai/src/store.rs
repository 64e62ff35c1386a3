//! The file that keeps alerts over a restart: one JSON object a line, appended.
//!
//! A line is written whole or not at all: after a failure (a full disk) the file is cut back to its last whole line,
//! and everything that stands is written anew as soon as that succeeds. A torn last line, as a power cut leaves it,
//! is cut off when the file is read, and said. Past a size the file becomes `alerts.jsonl.1` and a new one starts
//! with what stands.

use crate::book::{Book, Entry};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// The longest line that is read back, in bytes. Ours stay below 64 KiB.
const LONGEST_LINE: u64 = 256 * 1024;

/// No alert gets this far: there are always numbers left.
const HIGHEST: u64 = 1 << 63;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// An alert was raised, or stands at the start of a file.
    Raised(Box<Entry>),
    /// Equal alerts were counted.
    Counted { id: u64, count: u32, time: u64 },
    /// An alert was acknowledged or had to leave.
    Removed { id: u64 },
    /// All were cleared.
    Cleared,
    /// The number of the next alert.
    Next { id: u64 },
}

impl Line {
    /// The number that no later alert may get.
    fn number(&self) -> u64 {
        match self {
            Self::Raised(entry) => entry.id,
            Self::Next { id } => *id,
            Self::Counted { .. } | Self::Removed { .. } | Self::Cleared => 0,
        }
    }
}

/// What happened to the book.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// This entry is new.
    Raised(&'a Entry),
    /// This entry's count or time changed.
    Counted(&'a Entry),
    /// This number left.
    Removed(u64),
    /// All left.
    Cleared,
}

/// The file.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    file: Option<File>,
    length: u64,
    limit: u64,
    /// Something could not be written: the file has to be written anew.
    behind: bool,
    unsynced: bool,
}

impl Store {
    /// Reads what stood when the daemon ended into `book`. Gives sentences about what could not be read.
    ///
    /// # Errors
    /// When the file is there and can't be opened or read.
    pub fn open(folder: &Path, limit: u64, book: &mut Book) -> io::Result<(Self, Vec<String>)> {
        let path = folder.join("alerts.jsonl");
        let mut said = Vec::new();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)?;
        let length = replay(&mut file, &path, book, &mut said)?;
        if file.metadata()?.len() > length {
            file.set_len(length)?;
        }
        Ok((
            Self {
                path,
                file: Some(file),
                length,
                limit,
                behind: false,
                unsynced: false,
            },
            said,
        ))
    }

    /// A store whose file could not be opened: it will be written when that becomes possible.
    #[must_use]
    pub fn detached(folder: &Path, limit: u64) -> Self {
        let path = folder.join("alerts.jsonl");
        Self {
            path,
            file: None,
            length: 0,
            limit,
            behind: true,
            unsynced: false,
        }
    }

    /// Whether something stands in memory only.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Changes the size at which the file is turned over.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Writes changes, all or none, and turns the file over where it has grown too large.
    ///
    /// # Errors
    /// When it could not be written; [`Self::is_behind`] from then on until [`Self::write_anew`] succeeds.
    pub fn append(&mut self, changes: &[Change<'_>], book: &Book) -> io::Result<()> {
        if self.behind || self.length >= self.limit {
            return self.write_anew(book);
        }
        let mut bytes = Vec::new();
        for change in changes {
            let line = match *change {
                Change::Raised(entry) => Line::Raised(Box::new(entry.clone())),
                Change::Counted(entry) => Line::Counted {
                    id: entry.id,
                    count: entry.count,
                    time: entry.alert.time,
                },
                Change::Removed(id) => Line::Removed { id },
                Change::Cleared => Line::Cleared,
            };
            write_line(&mut bytes, &line)?;
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(&bytes),
            None => Err(io::Error::other("the file is not open")),
        };
        match written {
            Ok(()) => {
                self.length += bytes.len() as u64;
                self.unsynced = true;
                Ok(())
            }
            Err(error) => {
                self.behind = true;
                if let Some(file) = &self.file {
                    // Where even that fails, the whole file is written anew later.
                    let _ = file.set_len(self.length);
                }
                Err(error)
            }
        }
    }

    /// Writes all that stands to a new file, which takes the old one's place; the old one is kept as `.1`.
    ///
    /// # Errors
    /// When the disk is full or the folder can't be written; the old file stays.
    pub fn write_anew(&mut self, book: &Book) -> io::Result<()> {
        self.behind = true;
        let mut bytes = Vec::new();
        write_line(&mut bytes, &Line::Next { id: book.next() })?;
        for entry in book.entries() {
            write_line(&mut bytes, &Line::Raised(Box::new(entry.clone())))?;
        }
        let draft = self.path.with_extension("jsonl.new");
        let made = (|| {
            let mut file = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .open(&draft)?;
            file.write_all(&bytes)?;
            file.sync_data()?;
            match fs::rename(&self.path, self.path.with_extension("jsonl.1")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::rename(&draft, &self.path)?;
            OpenOptions::new().append(true).open(&self.path)
        })();
        match made {
            Ok(file) => {
                self.file = Some(file);
                self.length = bytes.len() as u64;
                // What stands alone can be larger than the limit; then turning over again gains nothing.
                self.limit = self.limit.max(self.length * 2);
                self.behind = false;
                self.unsynced = false;
                Ok(())
            }
            Err(error) => {
                // The draft may be the very thing that fills the disk.
                let _ = fs::remove_file(&draft);
                Err(error)
            }
        }
    }

    /// The file, where something was written that a power cut could still undo: for the caller to sync where waiting
    /// for the disk holds nobody up.
    ///
    /// # Errors
    /// When the system gives no descriptor.
    pub fn unsynced(&mut self) -> io::Result<Option<File>> {
        match &self.file {
            Some(file) if std::mem::take(&mut self.unsynced) => file.try_clone().map(Some),
            _ => Ok(None),
        }
    }
}

fn write_line(bytes: &mut Vec<u8>, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *bytes, line)?;
    bytes.push(b'\n');
    Ok(())
}

/// Applies every line; gives where the last whole one ends.
fn replay(
    file: &mut File,
    path: &Path,
    book: &mut Book,
    said: &mut Vec<String>,
) -> io::Result<u64> {
    let mut reader = BufReader::new(file);
    let mut whole = 0;
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            break;
        }
        if line.last() != Some(&b'\n') {
            let place = format!("{}:{number}", path.display());
            if read >= LONGEST_LINE {
                said.push(format!("{place}: a line of more than {LONGEST_LINE} bytes; the rest of the file is left out"));
            } else {
                said.push(format!(
                    "{place}: the last line is torn ({read} bytes); it was cut off"
                ));
            }
            break;
        }
        whole += read;
        match serde_json::from_slice(&line) {
            Ok(line) if line.number() >= HIGHEST => said.push(format!(
                "{}:{number}: a number of {HIGHEST} or more; the line is left out",
                path.display()
            )),
            Ok(Line::Raised(entry)) => book.restore(*entry),
            Ok(Line::Counted { id, count, time }) => book.recount(id, count, time),
            Ok(Line::Removed { id }) => {
                book.remove(id);
            }
            Ok(Line::Cleared) => {
                book.clear();
            }
            Ok(Line::Next { id }) => book.reserve(id),
            Err(error) => said.push(format!(
                "{}:{number}: {error}; the line is left out",
                path.display()
            )),
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Outcome, tests::alert};

    fn snapshot(book: &Book) -> Vec<Entry> {
        book.entries().cloned().collect()
    }

    fn reopened(folder: &Path) -> (Book, Vec<String>) {
        let mut book = Book::new(100, 100);
        let (_, said) = Store::open(folder, 1 << 20, &mut book).unwrap();
        (book, said)
    }

    #[test]
    fn what_stood_stands_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::new(100, 100);
        let (mut store, said) = Store::open(folder.path(), 3000, &mut book).unwrap();
        assert!(said.is_empty());
        for n in 0..40 {
            match book.add(alert("r", &(n % 7).to_string(), n)) {
                Outcome::Raised { id, .. } => store
                    .append(&[Change::Raised(book.get(id).unwrap())], &book)
                    .unwrap(),
                Outcome::Folded { id } => store
                    .append(&[Change::Counted(book.get(id).unwrap())], &book)
                    .unwrap(),
            }
            if n == 20 {
                book.remove(3);
                store.append(&[Change::Removed(3)], &book).unwrap();
            }
        }
        store.unsynced().unwrap().unwrap().sync_data().unwrap();
        assert!(store.unsynced().unwrap().is_none());
        assert!(
            folder.path().join("alerts.jsonl.1").exists(),
            "it was never turned over"
        );
        let (again, said) = reopened(folder.path());
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(snapshot(&again), snapshot(&book));
        assert_eq!(again.next(), book.next());
    }

    #[test]
    fn a_torn_tail_is_cut_and_said_and_a_bad_line_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::new(100, 100);
        let (mut store, _) = Store::open(folder.path(), 1 << 20, &mut book).unwrap();
        book.add(alert("r", "a", 1));
        store
            .append(&[Change::Raised(book.get(1).unwrap())], &book)
            .unwrap();
        let path = folder.path().join("alerts.jsonl");
        let whole = fs::read(&path).unwrap();
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes.extend_from_slice(b"{\"sideways\":{}}\n");
            bytes.extend_from_slice(&whole[..cut]);
            fs::write(&path, &bytes).unwrap();
            let (again, said) = reopened(folder.path());
            assert_eq!(snapshot(&again), snapshot(&book));
            assert_eq!(said.len(), 2, "{said:?}");
            assert!(
                said[0].contains("alerts.jsonl:2:") && said[1].contains("torn"),
                "{said:?}"
            );
            assert_eq!(fs::read(&path).unwrap().len(), whole.len() + 16);
        }
    }

    #[test]
    fn a_full_disk_loses_nothing_once_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::new(100, 100);
        let (mut store, _) = Store::open(folder.path(), 1 << 20, &mut book).unwrap();
        // The kernel's own full disk.
        store.file = Some(OpenOptions::new().append(true).open("/dev/full").unwrap());
        book.add(alert("r", "a", 1));
        let error = store
            .append(&[Change::Raised(book.get(1).unwrap())], &book)
            .unwrap_err();
        assert!(store.is_behind(), "{error}");
        book.add(alert("r", "b", 2));
        store
            .append(&[Change::Raised(book.get(2).unwrap())], &book)
            .unwrap();
        assert!(!store.is_behind());
        assert_eq!(snapshot(&reopened(folder.path()).0), snapshot(&book));
    }

    #[test]
    fn numbers_are_not_given_twice_after_a_clear() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::new(100, 100);
        let (mut store, _) = Store::open(folder.path(), 1 << 20, &mut book).unwrap();
        book.add(alert("r", "a", 1));
        store
            .append(&[Change::Raised(book.get(1).unwrap())], &book)
            .unwrap();
        book.clear();
        store.append(&[Change::Cleared], &book).unwrap();
        store.write_anew(&book).unwrap();
        let (again, _) = reopened(folder.path());
        assert_eq!((again.entries().len(), again.next()), (0, 2));
    }
}
