//! Reads proc and sysfs, below roots that tests can move. Files are read up to a bound, and
//! what is not there is not there.

pub(crate) mod pixel;
pub(crate) mod programs;
pub(crate) mod space;
pub(crate) mod time;

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

/// Entries of one directory that are looked at.
const ENTRIES: usize = 1024;
/// Longest text that is read from one file.
const LONGEST: u64 = 64 * 1024;

/// The text of a file, up to a bound; `None` if it cannot be read.
pub(crate) fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(LONGEST)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text of an attribute in `directory`, empty if it cannot be read.
fn attribute(directory: &Path, name: &str) -> String {
    text(&directory.join(name)).unwrap_or_default()
}

/// The names in a directory, in order.
fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .take(ENTRIES)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}
