//! A file of alerts for other programs: one JSON object a line, turned over by size, mode 0640.
//!
//! A line is written whole or not at all. While the disk is full lines wait, up to a bound; what finds no room is
//! counted, and the count becomes a line of its own as soon as there is room again.

use super::record::Record;
use super::settings;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bytes of lines that may wait for a disk that takes none.
const WAITING: usize = 1 << 20;
/// How far back the end of the last whole line is looked for.
const LONGEST_LINE: u64 = 1 << 20;

/// The file.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    limit: u64,
    files: u32,
    open: Option<Open>,
    waiting: VecDeque<String>,
    waiting_bytes: usize,
    /// Lines that found no room, and that no line tells yet.
    untold: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
    inode: u64,
}

impl Lines {
    /// The file that the settings name, below `root`. It is opened with the first line.
    #[must_use]
    pub fn new(root: &Path, settings: &settings::Lines) -> Self {
        let path = settings.path.strip_prefix("/").unwrap_or(&settings.path);
        Self {
            path: root.join(path),
            limit: u64::from(settings.size_kib) * 1024,
            files: settings.files.max(1),
            open: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            untold: 0,
            dropped: 0,
        }
    }

    /// Lines that found no room, since start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether lines wait for the disk.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty() || self.untold > 0
    }

    /// Takes a record, and writes what waits.
    ///
    /// # Errors
    /// When it could not be written; it waits then.
    pub fn write(&mut self, record: &Record, now: u64) -> io::Result<()> {
        let line = record.line()?;
        if self.waiting_bytes + line.len() > WAITING {
            self.untold += 1;
            self.dropped += 1;
        } else {
            self.waiting_bytes += line.len();
            self.waiting.push_back(line);
        }
        self.flush(now)
    }

    /// Writes what waits. `now` in microseconds of the real-time clock.
    ///
    /// # Errors
    /// When the disk takes nothing; it goes on waiting.
    pub fn flush(&mut self, now: u64) -> io::Result<()> {
        while let Some(line) = self.waiting.pop_front() {
            if let Err(error) = self.append(&line) {
                self.waiting.push_front(line);
                return Err(error);
            }
            self.waiting_bytes -= line.len();
        }
        if self.untold > 0 {
            let record = Record::Dropped {
                time: now,
                count: self.untold,
            };
            self.append(&record.line()?)?;
            self.untold = 0;
        }
        Ok(())
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        // Another program (logrotate) may have taken the file away.
        let inode = fs::symlink_metadata(&self.path).map(|meta| meta.ino()).ok();
        if self.open.as_ref().map(|open| open.inode) != inode {
            self.open = None;
        }
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.length >= self.limit)
        {
            self.open = None;
            turn_over(&self.path, self.files)?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(open_file(&self.path)?),
        };
        match open.file.write_all(format!("{line}\n").as_bytes()) {
            Ok(()) => {
                open.length += line.len() as u64 + 1;
                Ok(())
            }
            Err(error) => {
                // Where even that fails, the next opening cuts the torn line off.
                if open.file.set_len(open.length).is_err() {
                    self.open = None;
                }
                Err(error)
            }
        }
    }
}

/// Opens the file for more lines, after its last whole one. Never through a link, never what is no file.
fn open_file(path: &Path) -> io::Result<Open> {
    if let Some(folder) = path.parent()
        && !folder.exists()
    {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        let text = format!("{} is not a file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    // The unit's mask would leave the group out.
    file.set_permissions(Permissions::from_mode(0o640))?;
    let mut length = meta.len();
    let start = length.saturating_sub(LONGEST_LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    (&mut file).take(LONGEST_LINE).read_to_end(&mut tail)?;
    if !tail.is_empty() && !tail.ends_with(b"\n") {
        let torn = tail.iter().rev().take_while(|byte| **byte != b'\n').count();
        length -= torn as u64;
        file.set_len(length)?;
    }
    Ok(Open {
        inode: meta.ino(),
        file,
        length,
    })
}

/// `alerts.jsonl` becomes `alerts.jsonl.1`, that `.2`, and so on; the last one goes.
fn turn_over(path: &Path, files: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let missing_is_fine = |done: io::Result<()>| match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if files == 1 {
        return missing_is_fine(fs::remove_file(path));
    }
    for number in (1..files - 1).rev() {
        missing_is_fine(fs::rename(numbered(number), numbered(number + 1)))?;
    }
    missing_is_fine(fs::rename(path, numbered(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u64) -> Record {
        Record::Lost {
            time: n,
            class: "x".repeat(100),
            count: n,
            total: n,
        }
    }

    fn lines(folder: &Path, size_kib: u32, files: u32) -> Lines {
        let settings = settings::Lines {
            enabled: true,
            path: "/log/alerts.jsonl".into(),
            size_kib,
            files,
        };
        Lines::new(folder, &settings)
    }

    fn times(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.ends_with('\n'));
        let time =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["time"].as_u64();
        text.lines().map(|line| time(line).unwrap()).collect()
    }

    #[test]
    fn turned_over_by_size_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        for (files, kept) in [(1, 1), (3, 3)] {
            let mut out = lines(folder.path(), 1, files);
            for n in 0..100 {
                out.write(&record(n), 0).unwrap();
            }
            let log = folder.path().join("log");
            assert_eq!(fs::read_dir(&log).unwrap().count(), kept);
            let path = log.join("alerts.jsonl");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
            let mut all = Vec::new();
            for name in ["alerts.jsonl.2", "alerts.jsonl.1", "alerts.jsonl"] {
                let path = log.join(name);
                if path.exists() {
                    assert!(fs::metadata(&path).unwrap().len() < 1024 + 200);
                    all.extend(times(&path));
                }
            }
            // What is there is the newest, in order and without a hole.
            let first = all[0];
            assert!(first > 0);
            assert_eq!(all, (first..100).collect::<Vec<_>>());
            fs::remove_dir_all(log).unwrap();
        }
    }

    #[test]
    fn a_torn_line_is_cut_off_and_a_file_taken_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = lines(folder.path(), 64, 2);
        out.write(&record(1), 0).unwrap();
        let path = folder.path().join("log/alerts.jsonl");
        let mut torn = fs::read(&path).unwrap();
        torn.extend_from_slice(b"{\"event\":\"lo");
        fs::write(&path, torn).unwrap();
        lines(folder.path(), 64, 2).write(&record(2), 0).unwrap();
        assert_eq!(times(&path), [1, 2]);
        fs::rename(&path, path.with_extension("old")).unwrap();
        out.write(&record(3), 0).unwrap();
        assert_eq!(times(&path), [3]);
    }

    #[test]
    fn never_through_a_link_or_into_what_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/alerts.jsonl");
        fs::create_dir(folder.path().join("log")).unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let mut out = lines(folder.path(), 64, 2);
        assert!(out.write(&record(1), 0).is_err() && out.is_behind());
        assert_eq!(fs::read(&target).unwrap(), b"");
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(out.flush(0).is_err());
        fs::remove_file(&path).unwrap();
        out.flush(0).unwrap();
        assert_eq!(times(&path), [1]);
    }

    #[test]
    fn a_full_disk_is_waited_for_and_what_had_no_room_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = lines(folder.path(), 64 << 10, 2);
        out.write(&record(0), 0).unwrap();
        let path = folder.path().join("log/alerts.jsonl");
        // The kernel's own full disk, under the inode of the file that is there.
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        out.open.as_mut().unwrap().file = full;
        for n in 1..10_000 {
            out.write(&record(n), 0).unwrap_err();
            out.open = Some(Open {
                file: OpenOptions::new().append(true).open("/dev/full").unwrap(),
                length: 0,
                inode: fs::metadata(&path).unwrap().ino(),
            });
        }
        assert!(out.dropped() > 0 && out.is_behind());
        out.open = None;
        out.flush(77).unwrap();
        assert!(!out.is_behind());
        let text = fs::read_to_string(&path).unwrap();
        let (mut kept, mut dropped) = (0, 0);
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            match line["event"].as_str() {
                Some("lost") => kept += 1,
                _ => dropped += line["count"].as_u64().unwrap(),
            }
        }
        assert_eq!(kept + dropped, 10_000);
        assert_eq!(dropped, out.dropped());
    }
}
