//! Reads which programs run, by the names of their processes.

use std::{collections::BTreeSet, fs};

use quantumos_dimensions::{psychology::program, text::number};

use super::text;
use crate::Roots;

/// Processes that are looked at; a host with more shows the first ones.
const PROCESSES: usize = 4096;

/// The programs that run; `None` if processes cannot be listed.
pub(crate) fn read(roots: &Roots) -> Option<BTreeSet<String>> {
    let entries = fs::read_dir(&roots.proc).ok()?;
    Some(
        entries
            .flatten()
            .filter(|entry| entry.file_name().to_str().and_then(number::<u32>).is_some())
            .take(PROCESSES)
            .filter_map(|entry| program(&text(&entry.path().join("stat"))?))
            .collect(),
    )
}
