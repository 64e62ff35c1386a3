//! The windows that are kept to learn from: a file of lines in the state directory, the oldest first, without labels.
//! They are in memory only while a model is trained. What cannot be read back (a line of another version) is left out
//! and counted; the end of a line that a kill or a full disk has cut is taken off again.

use crate::{Error, lines};
use quantumos_learn::Window;
use quantumos_learn::window::MAX_LINE;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "windows.jsonl";
/// The most bytes of lines that are kept, whatever their number.
const MOST_BYTES: u64 = 64 << 20;

/// The file of windows.
#[derive(Debug, Clone)]
pub struct Archive {
    path: PathBuf,
    lines: usize,
    bytes: u64,
}

impl Archive {
    /// Counts what is there, and takes off a line without an end.
    ///
    /// # Errors
    /// When the file is there and can't be read or cut.
    pub fn open(state: &Path) -> Result<Self, Error> {
        let mut archive = Self {
            path: state.join(FILE),
            lines: 0,
            bytes: 0,
        };
        let path = archive.path.clone();
        let failed = |error| Error::file(&path)(error);
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(archive),
            Err(error) => return Err(failed(error)),
        };
        let (lines, bytes) = ends(&mut file).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > bytes {
            tracing::warn!(file = %path.display(), "took off a line that was cut");
            file.set_len(bytes).map_err(failed)?;
        }
        (archive.lines, archive.bytes) = (lines, bytes);
        if bytes > MOST_BYTES {
            // Not from here: half of what fits is kept.
            archive.cut_bytes(MOST_BYTES / 2)?;
        }
        Ok(archive)
    }

    /// How many windows the file holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// The newest windows, the oldest of them first, and how many lines were left out.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn windows(&self, keep: usize) -> Result<(Vec<Window>, usize), Error> {
        let mut windows = Vec::new();
        let mut left_out = 0;
        if self.is_empty() {
            return Ok((windows, left_out));
        }
        let mut reader = self.read()?;
        for _ in 0..self.lines.saturating_sub(keep) {
            lines::next(&mut reader, MAX_LINE).map_err(Error::file(&self.path))?;
        }
        while let Some(line) =
            lines::next(&mut reader, MAX_LINE).map_err(Error::file(&self.path))?
        {
            let text = line.and_then(|line| String::from_utf8(line).ok());
            match text.and_then(|text| Window::from_line(&text).ok()) {
                Some(window) => windows.push(window),
                None => left_out += 1,
            }
        }
        Ok((windows, left_out))
    }

    /// Adds windows; the oldest go when there are more than `keep` by a quarter. All of them are added or none.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn add(&mut self, new: &[Window], keep: usize) -> Result<(), Error> {
        if new.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for window in new {
            let mut window = window.clone();
            for item in &mut window.items {
                item.label.clear();
            }
            text.push_str(&window.to_line()?);
            text.push('\n');
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(Error::file(&self.path))?;
        if let Err(error) = file.write_all(text.as_bytes()) {
            // A disk that is full takes a part; what fails here is taken off when the file is opened next.
            let _ = file.set_len(self.bytes);
            return Err(Error::file(&self.path)(error));
        }
        self.lines += new.len();
        self.bytes += text.len() as u64;
        // So large only with crowded windows.
        let cut = if self.bytes > MOST_BYTES {
            self.cut_bytes(MOST_BYTES / 2)
        } else if self.lines > keep + keep / 4 {
            self.cut(keep)
        } else {
            Ok(())
        };
        if let Err(error) = cut {
            // The windows are added; the next time it may work.
            tracing::warn!(%error, "old windows could not be removed");
        }
        Ok(())
    }

    /// Keeps the newest lines only.
    fn cut(&mut self, keep: usize) -> Result<(), Error> {
        let failed = |error| Error::file(&self.path)(error);
        let mut reader = self.read()?;
        let mut from = 0;
        for _ in 0..self.lines.saturating_sub(keep) {
            from += reader.skip_until(b'\n').map_err(failed)? as u64;
        }
        self.keep_from(from)
    }

    /// Keeps the newest lines of at most so many bytes.
    fn cut_bytes(&mut self, most: u64) -> Result<(), Error> {
        let failed = |error| Error::file(&self.path)(error);
        let start = self.bytes.saturating_sub(most);
        let mut reader = self.read()?;
        reader.seek(SeekFrom::Start(start)).map_err(failed)?;
        let within = if start > 0 {
            reader.skip_until(b'\n').map_err(failed)? as u64
        } else {
            0
        };
        self.keep_from(start + within)
    }

    /// Keeps what is behind that byte. The old file stays until the new one is on the disk.
    fn keep_from(&mut self, from: u64) -> Result<(), Error> {
        let draft = self.path.with_extension("new");
        let write = || -> io::Result<(usize, u64)> {
            let mut source = File::open(&self.path)?;
            source.seek(SeekFrom::Start(from))?;
            let mut out = BufWriter::new(File::create(&draft)?);
            io::copy(&mut source, &mut out)?;
            out.into_inner()?.sync_all()?;
            let counted = ends(&mut File::open(&draft)?)?;
            fs::rename(&draft, &self.path)?;
            Ok(counted)
        };
        let counted = write().map_err(|error| {
            let _ = fs::remove_file(&draft);
            Error::file(&self.path)(error)
        })?;
        (self.lines, self.bytes) = counted;
        Ok(())
    }

    fn read(&self) -> Result<BufReader<File>, Error> {
        let file = File::open(&self.path).map_err(Error::file(&self.path))?;
        Ok(BufReader::new(file))
    }
}

/// How many lines have an end, and how many bytes they take.
fn ends(file: &mut File) -> io::Result<(usize, u64)> {
    let (mut lines, mut whole, mut at) = (0, 0, 0);
    let mut block = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut block)?;
        if length == 0 {
            return Ok((lines, whole));
        }
        for (index, byte) in block[..length].iter().enumerate() {
            if *byte == b'\n' {
                lines += 1;
                whole = at + index as u64 + 1;
            }
        }
        at += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantumos_learn::{Item, Kind};

    fn window(number: u64) -> Window {
        Window {
            subject: "a.service".into(),
            start: number,
            items: vec![Item {
                kind: Kind::Step,
                token: 1,
                count: 1,
                label: "exec /home/me/secret".into(),
            }],
            ..Window::default()
        }
    }

    #[test]
    fn the_newest_are_kept_without_labels_and_a_cut_line_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        assert!(archive.is_empty());
        for number in 0..25 {
            archive.add(&[window(number)], 10).unwrap();
            assert!(archive.len() <= 12);
        }
        let path = folder.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), archive.len());
        assert!(!text.contains("secret"));
        // Killed while it wrote: the line that has no end goes, the next one stands alone.
        fs::write(&path, &text[..text.len() - 9]).unwrap();
        let mut archive = Archive::open(folder.path()).unwrap();
        archive.add(&[window(77)], 10).unwrap();
        let starts = |archive: &Archive, keep: usize| -> (Vec<u64>, usize) {
            let (windows, left_out) = archive.windows(keep).unwrap();
            (windows.iter().map(|one| one.start).collect(), left_out)
        };
        assert_eq!(starts(&archive, 5), (vec![20, 21, 22, 23, 77], 0));
    }

    #[test]
    fn a_file_of_anything_is_bounded_and_read_as_far_as_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let line = window(1).to_line().unwrap();
        let wide = "x".repeat(MAX_LINE + 1);
        let text = format!("{line}\nnot json\n{wide}\n{{}}\n{line}\n");
        fs::write(&path, [text.as_bytes(), b"\xff\xfe\n"].concat()).unwrap();
        let archive = Archive::open(folder.path()).unwrap();
        let (windows, left_out) = archive.windows(100).unwrap();
        assert_eq!((archive.len(), windows.len(), left_out), (6, 2, 4));
        // More than we ever write: the newest half of what fits is kept.
        let file = File::create(&path).unwrap();
        file.set_len(MOST_BYTES + 1).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        writeln!(file, "\n{line}").unwrap();
        let archive = Archive::open(folder.path()).unwrap();
        assert_eq!(archive.windows(100).unwrap().0.len(), 1);
        assert!(fs::metadata(&path).unwrap().len() <= MOST_BYTES / 2);
    }
}
