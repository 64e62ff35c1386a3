//! Files of the state directory in which long circuits keep what they have done. Such a file belongs to one
//! user and one piece of work, which its first line states; quantumd stores the other lines and never reads
//! what is in them. Blocks.

use super::wire::Work;
use quantumos_pqc::sha256_hex;
use serde_json::json;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The longest piece of work that is kept, and the most bytes of a file.
const WORK_MAX: usize = 1 << 20;
const FILE_MAX: u64 = 16 << 20;
/// The most files, and how long one waits for somebody who goes on.
const FILES_MAX: usize = 32;
const AGE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// What is kept of a piece of work.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    head: String,
    lines: Vec<String>,
    file: Option<File>,
    size: u64,
    /// Lines since the last process was started.
    pub(super) fresh: u64,
}

impl Keeper {
    /// What there is of this work of this user. `None` for work that is not kept.
    pub(super) fn open(directory: &Path, owner: u32, work: &Work) -> Option<Self> {
        let Work::Task(_) = work else { return None };
        let head = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "owner": owner,
            "work": work,
        });
        let head = head.to_string();
        if head.len() > WORK_MAX {
            return None;
        }
        let name = sha256_hex(head.as_bytes());
        tidy(directory, &name);
        let path = directory.join(name);
        let lines = match stored(&path, &head) {
            Ok(lines) => lines,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "what a circuit has done cannot be read");
                return None;
            }
        };
        Some(Self {
            path,
            head,
            lines,
            file: None,
            size: 0,
            fresh: 0,
        })
    }

    /// The lines so far.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.clone()
    }

    /// Stores one more line. Where that is not possible the circuit runs on all the same.
    pub(super) fn add(&mut self, line: String) {
        if line.contains('\n') || self.size > FILE_MAX {
            return;
        }
        self.fresh += 1;
        if let Err(error) = self.write(&line) {
            tracing::warn!(path = %self.path.display(), %error, "what a circuit has done is not kept");
            self.size = u64::MAX;
        }
        self.lines.push(line);
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut directories = DirBuilder::new();
                directories.recursive(true).mode(0o700);
                if let Some(parent) = self.path.parent() {
                    directories.create(parent)?;
                }
                let mut file = OpenOptions::new()
                    .create(true)
                    .write(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(&self.path)?;
                // The file is written anew, so that a line that was cut is gone.
                let mut text = self.head.clone() + "\n";
                for line in &self.lines {
                    text += line;
                    text.push('\n');
                }
                file.write_all(text.as_bytes())?;
                self.size = text.len() as u64;
                self.file.insert(file)
            }
        };
        file.write_all(format!("{line}\n").as_bytes())?;
        self.size += line.len() as u64 + 1;
        Ok(())
    }

    /// Nobody needs it any more.
    pub(super) fn remove(&self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "could not be removed");
            }
            _ => {}
        }
    }
}

/// The lines of a file behind the first, if that is this one.
fn stored(path: &Path, head: &str) -> io::Result<Vec<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(2 * FILE_MAX).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    // A line without an end was cut when the host went down.
    let mut lines = text
        .split_inclusive('\n')
        .filter_map(|l| l.strip_suffix('\n'));
    if lines.next() != Some(head) {
        return Ok(Vec::new());
    }
    Ok(lines.map(str::to_owned).collect())
}

/// Removes what is old, and the oldest where there are too many; never the file of that name.
fn tidy(directory: &Path, name: &str) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    let now = SystemTime::now();
    let mut files: Vec<(Duration, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok().filter(|e| e.file_name() != name)?;
            let changed = entry.metadata().and_then(|m| m.modified()).ok()?;
            let age = now.duration_since(changed).unwrap_or_default();
            Some((age, entry.path()))
        })
        .collect();
    files.sort();
    for (i, (age, path)) in files.iter().enumerate() {
        if i + 1 >= FILES_MAX || *age > AGE_MAX {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantumos_circuit::task::Task;

    fn work(seed: u64) -> Work {
        Work::Task(Box::new(Task {
            seed,
            ..Task::default()
        }))
    }

    #[test]
    fn lines_are_kept_for_the_same_work_of_the_same_user() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("circuits");
        let open = |owner, seed| Keeper::open(&directory, owner, &work(seed)).unwrap();
        let mut keeper = open(7, 1);
        assert!(keeper.lines().is_empty() && !directory.exists());
        keeper.add("[1]".into());
        keeper.add("two\nlines".into());
        keeper.add("[2]".into());
        assert_eq!(open(7, 1).lines(), ["[1]", "[2]"]);
        assert!(open(8, 1).lines().is_empty() && open(7, 2).lines().is_empty());
        // A line that was cut is left out, and gone when the next is written.
        let mut file = OpenOptions::new().append(true).open(&keeper.path).unwrap();
        file.write_all(b"[3").unwrap();
        let mut again = open(7, 1);
        assert_eq!(again.lines().len(), 2);
        again.add("[4]".into());
        assert_eq!(open(7, 1).lines(), ["[1]", "[2]", "[4]"]);
        again.remove();
        assert!(open(7, 1).lines().is_empty());
        let benchmark = Work::Benchmark {
            max_qubits: 3,
            full: false,
        };
        assert!(Keeper::open(&directory, 7, &benchmark).is_none());
    }

    #[test]
    fn files_do_not_pile_up() {
        let place = tempfile::tempdir().unwrap();
        for seed in 0..50 {
            let mut keeper = Keeper::open(place.path(), 1, &work(seed)).unwrap();
            keeper.add("[]".into());
        }
        let count = std::fs::read_dir(place.path()).unwrap().count();
        assert!(count <= FILES_MAX, "{count}");
        let mut keeper = Keeper::open(place.path(), 1, &work(99)).unwrap();
        for _ in 0..1000 {
            keeper.add("x".repeat(60_000));
        }
        let size = std::fs::metadata(&keeper.path).unwrap().len();
        assert!(size < FILE_MAX + 100_000, "{size}");
    }
}
