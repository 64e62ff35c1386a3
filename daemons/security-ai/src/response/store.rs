//! The files that keep responses over a restart: one JSON object a line, on the disk before anything is acted on.
//!
//! When the disk takes nothing, the folder that lives in memory does: what is frozen there must be known to the
//! daemon that starts after this one. Of what both hold, the later wins. A torn last line is left out, and said.

use super::due::{Due, Dues, Mark};
use super::history::History;
use super::record::Response;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// The size past which a file is written anew with what is remembered.
const LIMIT: u64 = 1 << 20;
/// The longest line that is read back, in bytes. Ours stay below 64 KiB.
const LONGEST_LINE: u64 = 256 * 1024;
/// No response gets this far: there are always numbers left.
const HIGHEST: u64 = 1 << 63;
const NAME: &str = "responses.jsonl";

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// A response as it stands.
    Response(Box<Response>),
    /// The number of the next one.
    Next(u64),
    /// An event that waits for quantumd's ledger.
    Due(Box<Due>),
    /// How far that ledger is.
    Ledger(Mark),
}

impl Line {
    /// The highest number in it that a later one is counted on from.
    fn number(&self) -> u64 {
        match self {
            Self::Response(response) => response.id.max(response.serial),
            Self::Next(next) => *next,
            Self::Due(due) => due.number,
            Self::Ledger(mark) => mark.next.max(mark.recorded).max(mark.left_out),
        }
    }
}

/// What one write holds: everything that is remembered where [`Store::wants_all`], else what is new.
#[derive(Debug, Default)]
pub struct Page {
    /// Responses as they stand.
    pub responses: Vec<Response>,
    /// The number of the next one.
    pub next: u64,
    /// Events that wait for quantumd's ledger.
    pub dues: Vec<Due>,
    /// How far that ledger is.
    pub mark: Mark,
}

impl Page {
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        write_line(&mut bytes, &Line::Next(self.next))?;
        if self.mark != Mark::default() {
            write_line(&mut bytes, &Line::Ledger(self.mark))?;
        }
        for response in &self.responses {
            write_line(&mut bytes, &Line::Response(Box::new(response.clone())))?;
        }
        for due in &self.dues {
            write_line(&mut bytes, &Line::Due(Box::new(due.clone())))?;
        }
        Ok(bytes)
    }
}

/// The files.
#[derive(Debug)]
pub struct Store {
    /// On the disk, and in memory.
    paths: [PathBuf; 2],
    file: Option<File>,
    length: u64,
}

impl Store {
    /// Reads what was written into `history` and `dues`; gives sentences about what could not be read.
    #[must_use]
    pub fn open(
        disk: &Path,
        memory: &Path,
        history: &mut History,
        dues: &mut Dues,
    ) -> (Self, Vec<String>) {
        let paths = [disk.join(NAME), memory.join(NAME)];
        let mut said = Vec::new();
        for path in &paths {
            let read = File::open(path).and_then(|file| {
                read(file, path, &mut said, |line| match line {
                    Line::Response(response) => history.restore(*response),
                    Line::Next(next) => history.reserve(next),
                    Line::Due(due) => dues.restore(*due),
                    Line::Ledger(mark) => dues.restore_mark(mark),
                })
            });
            match read {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    said.push(format!("{}: {error}", path.display()));
                }
                _ => {}
            }
        }
        let store = Self {
            paths,
            file: None,
            length: 0,
        };
        (store, said)
    }

    /// Whether the next write has to hold everything that is remembered, and not only what is new.
    #[must_use]
    pub fn wants_all(&self) -> bool {
        self.file.is_none() || self.length >= LIMIT
    }

    /// Writes, and with `sync` waits until the disk has it. Everything is asked for where [`Self::wants_all`].
    ///
    /// # Errors
    /// When the disk takes nothing; [`Self::keep_in_memory`] is left then.
    pub fn write(&mut self, page: &Page, sync: bool) -> io::Result<()> {
        let bytes = page.bytes()?;
        if self.wants_all() {
            self.file = None;
            self.file = Some(replace(&self.paths[0], &bytes)?);
            self.length = bytes.len() as u64;
            // What the disk holds is all there is; the other may not be there.
            let _ = fs::remove_file(&self.paths[1]);
            return Ok(());
        }
        // A file that took half of it is written anew next time.
        let Some(mut file) = self.file.take() else {
            return Err(io::Error::other("the file is not open"));
        };
        file.write_all(&bytes)?;
        if sync {
            file.sync_data()?;
        }
        self.length += bytes.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    /// Writes everything to the folder that lives in memory, for when the disk takes nothing.
    ///
    /// # Errors
    /// When that takes nothing, either.
    pub fn keep_in_memory(&mut self, all: &Page) -> io::Result<()> {
        self.file = None;
        replace(&self.paths[1], &all.bytes()?).map(drop)
    }
}

/// Puts a new file in the place of an old one; gives it, open at its end.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let draft = path.with_extension("jsonl.new");
    let made = (|| {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&draft)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&draft, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        OpenOptions::new().append(true).open(path)
    })();
    if made.is_err() {
        // The draft may be the very thing that fills the disk.
        let _ = fs::remove_file(&draft);
    }
    made
}

fn write_line(bytes: &mut Vec<u8>, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *bytes, line)?;
    bytes.push(b'\n');
    Ok(())
}

fn read(
    file: File,
    path: &Path,
    said: &mut Vec<String>,
    mut each: impl FnMut(Line),
) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let mut part = reader.by_ref().take(LONGEST_LINE);
        if part.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let place = format!("{}:{number}", path.display());
        if line.last() != Some(&b'\n') {
            said.push(format!(
                "{place}: the line is torn or too long; it was left out"
            ));
            break;
        }
        match serde_json::from_slice::<Line>(&line) {
            Ok(line) if line.number() < HIGHEST => each(line),
            Ok(_) => said.push(format!(
                "{place}: a number of {HIGHEST} or more; the line is left out"
            )),
            Err(error) => said.push(format!("{place}: {error}; the line is left out")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::plan::Act;
    use super::super::record::State;
    use super::super::record::tests::response;
    use super::*;

    fn all(history: &History) -> Vec<Response> {
        history.all().cloned().collect()
    }

    fn reopened(disk: &Path, memory: &Path) -> (History, Vec<String>) {
        let mut history = History::new(100);
        let (_, said) = Store::open(disk, memory, &mut history, &mut Dues::default());
        (history, said)
    }

    fn page(responses: Vec<Response>, history: &History) -> Page {
        Page {
            responses,
            next: history.next(),
            ..Page::default()
        }
    }

    fn folders() -> (tempfile::TempDir, tempfile::TempDir) {
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap())
    }

    #[test]
    fn what_was_written_is_there_after_a_restart() {
        let (disk, memory) = folders();
        let mut history = History::new(100);
        let (mut store, said) = Store::open(
            disk.path(),
            memory.path(),
            &mut history,
            &mut Dues::default(),
        );
        assert!(said.is_empty() && store.wants_all());
        for n in 0..4 {
            let act = Act::FreezeUnit(format!("{n}.service"));
            let (id, _) = history.add(response(act, State::Applying));
            let mut one = history.get(id).unwrap().clone();
            store
                .write(&page(vec![one.clone()], &history), true)
                .unwrap();
            one.turn(State::Applied, "");
            history.put(one);
            let one = history.get(id).unwrap().clone();
            store.write(&page(vec![one], &history), true).unwrap();
        }
        let (again, said) = reopened(disk.path(), memory.path());
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(all(&again), all(&history));
        assert_eq!(again.next(), 5);
    }

    #[test]
    fn a_torn_tail_and_a_bad_line_are_left_out_and_said() {
        let (disk, memory) = folders();
        let mut history = History::new(100);
        let (mut store, _) = Store::open(
            disk.path(),
            memory.path(),
            &mut history,
            &mut Dues::default(),
        );
        history.add(response(Act::FreezeUnit("a".into()), State::Applied));
        store.write(&page(all(&history), &history), true).unwrap();
        let path = disk.path().join(NAME);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"sideways\":1}\n{\"response\":{");
        fs::write(&path, bytes).unwrap();
        let (again, said) = reopened(disk.path(), memory.path());
        assert_eq!(all(&again), all(&history));
        assert!(
            said.len() == 2 && said[0].contains(":3:") && said[1].contains("torn"),
            "{said:?}"
        );
    }

    #[test]
    fn a_number_that_leaves_none_after_it_is_left_out_and_said() {
        let (disk, memory) = folders();
        let mut last = response(Act::FreezeUnit("a".into()), State::Applied);
        (last.id, last.serial) = (1, u64::MAX);
        let mut bytes = Vec::new();
        write_line(&mut bytes, &Line::Next(u64::MAX)).unwrap();
        write_line(&mut bytes, &Line::Response(Box::new(last))).unwrap();
        fs::write(disk.path().join(NAME), bytes).unwrap();
        let (mut history, said) = reopened(disk.path(), memory.path());
        assert_eq!((history.all().len(), said.len()), (0, 2), "{said:?}");
        let (id, _) = history.add(response(Act::FreezeUnit("a".into()), State::Applied));
        assert_eq!((id, history.next()), (1, 2));
    }

    #[test]
    fn a_disk_that_takes_nothing_has_memory_stand_in_for_it() {
        let (disk, memory) = folders();
        let mut history = History::new(100);
        let (mut store, _) = Store::open(
            disk.path(),
            memory.path(),
            &mut history,
            &mut Dues::default(),
        );
        let (id, _) = history.add(response(Act::FreezeUnit("a".into()), State::Applied));
        store.write(&page(all(&history), &history), true).unwrap();
        // The kernel's own full disk.
        store.file = Some(OpenOptions::new().append(true).open("/dev/full").unwrap());
        let mut one = history.get(id).unwrap().clone();
        one.turn(State::Undone, "");
        history.put(one);
        assert!(store.write(&page(all(&history), &history), true).is_err());
        assert!(store.wants_all());
        store
            .keep_in_memory(&page(all(&history), &history))
            .unwrap();
        let (again, said) = reopened(disk.path(), memory.path());
        assert_eq!((all(&again), said), (all(&history), vec![]));
        // With room again the disk holds it all, and memory nothing.
        store.write(&page(all(&history), &history), true).unwrap();
        assert!(!memory.path().join(NAME).exists());
        assert_eq!(all(&reopened(disk.path(), memory.path()).0), all(&history));
    }

    #[test]
    fn what_waits_for_the_ledger_is_there_after_a_restart_and_gone_when_it_is_recorded() {
        let (disk, memory) = folders();
        let (mut history, mut dues) = (History::new(100), Dues::default());
        let (mut store, _) = Store::open(disk.path(), memory.path(), &mut history, &mut dues);
        let write = |store: &mut Store, dues: &mut Dues, sync| {
            let page = Page {
                dues: dues.to_write(store.wants_all()),
                mark: dues.mark(),
                ..Page::default()
            };
            store.write(&page, sync).unwrap();
            dues.written();
        };
        for n in 0..3 {
            dues.add(n, "planned", 1, [("unit".into(), "a".into())].into());
            write(&mut store, &mut dues, true);
        }
        let reopened = || {
            let (mut history, mut dues) = (History::new(100), Dues::default());
            let (_, said) = Store::open(disk.path(), memory.path(), &mut history, &mut dues);
            assert_eq!(said, Vec::<String>::new());
            dues
        };
        assert_eq!(reopened().to_write(true), dues.to_write(true));
        dues.recorded(0, 9);
        dues.recorded(1, 9);
        write(&mut store, &mut dues, false);
        let again = reopened();
        assert_eq!((again.len(), again.mark()), (1, dues.mark()));
        // Written anew, only what waits is there.
        store.file = None;
        write(&mut store, &mut dues, true);
        assert_eq!(reopened().to_write(true), dues.to_write(true));
    }
}
