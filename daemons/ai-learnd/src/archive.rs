//! The windows that are kept to learn from: a file of lines in the state directory, the oldest first, without labels.
//! They are in memory only while a model is trained. What cannot be read back (a line that a power cut has cut, one
//! of another version) is left out and counted.

use crate::Error;
use quantumos_learn::Window;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
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
    /// Counts what is there.
    ///
    /// # Errors
    /// When the file is there and can't be read.
    pub fn open(state: &Path) -> Result<Self, Error> {
        let mut archive = Self {
            path: state.join(FILE),
            lines: 0,
            bytes: 0,
        };
        for line in archive.read()? {
            archive.lines += 1;
            archive.bytes += line?.len() as u64 + 1;
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
        for line in self.read()?.skip(self.lines.saturating_sub(keep)) {
            let line = line?;
            let text = std::str::from_utf8(&line).ok();
            match text.and_then(|text| Window::from_line(text).ok()) {
                Some(window) => windows.push(window),
                None => left_out += 1,
            }
        }
        Ok((windows, left_out))
    }

    /// Adds windows; the oldest go when there are more than `keep` by a quarter.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn add(&mut self, new: Vec<Window>, keep: usize) -> Result<(), Error> {
        let mut text = String::new();
        let mut added = 0;
        for mut window in new {
            for item in &mut window.items {
                item.label.clear();
            }
            text.push_str(&window.to_line()?);
            text.push('\n');
            added += 1;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(Error::file(&self.path))?;
        file.write_all(text.as_bytes())
            .map_err(Error::file(&self.path))?;
        self.lines += added;
        self.bytes += text.len() as u64;
        if self.bytes > MOST_BYTES {
            // So large only with crowded windows.
            self.cut(self.lines / 2)?;
        }
        if self.lines > keep + keep / 4 {
            self.cut(keep)?;
        }
        Ok(())
    }

    /// Keeps the newest lines only.
    fn cut(&mut self, keep: usize) -> Result<(), Error> {
        let draft = self.path.with_extension("new");
        let mut out = BufWriter::new(File::create(&draft).map_err(Error::file(&draft))?);
        let mut bytes = 0;
        for line in self.read()?.skip(self.lines.saturating_sub(keep)) {
            let line = line?;
            let written = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
            written.map_err(Error::file(&draft))?;
            bytes += line.len() as u64 + 1;
        }
        out.flush().map_err(Error::file(&draft))?;
        fs::rename(&draft, &self.path).map_err(Error::file(&self.path))?;
        (self.lines, self.bytes) = (self.lines.min(keep), bytes);
        Ok(())
    }

    fn read(&self) -> Result<impl Iterator<Item = Result<Vec<u8>, Error>> + use<>, Error> {
        let file = match File::open(&self.path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::file(&self.path)(error)),
        };
        let path = self.path.clone();
        let lines = file
            .into_iter()
            .flat_map(|file| BufReader::new(file).split(b'\n'));
        Ok(lines.map(move |line| line.map_err(Error::file(&path))))
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
            archive.add(vec![window(number)], 10).unwrap();
            assert!(archive.len() <= 12);
        }
        let path = folder.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), archive.len());
        assert!(!text.contains("secret"));
        fs::write(&path, &text[..text.len() - 9]).unwrap();
        let archive = Archive::open(folder.path()).unwrap();
        let (windows, left_out) = archive.windows(5).unwrap();
        let starts: Vec<u64> = windows.iter().map(|window| window.start).collect();
        assert_eq!((starts, left_out), (vec![20, 21, 22, 23], 1));
    }
}
