//! The tree's own files: tiles compared with what the records make, and entry bundles read.

use super::{Finding, Kind};
use crate::bundle;
use crate::files::Files;
use crate::tile::{FULL, Grower, Tile, WIDTH};
use crate::{Damage, Error, Hash, leaf_hash};

/// Findings are listed up to here; what is damaged on a large scale needs no longer list.
const FINDINGS_MAX: usize = 64;
/// Bytes of a bundle, at most.
const BUNDLE_MAX: usize = WIDTH * (2 + bundle::ENTRY_MAX);

/// Compares tiles.
pub(super) struct Tree<'a, F> {
    files: &'a F,
    pub(super) compared: u64,
    pub(super) findings: Vec<Finding>,
}

impl<'a, F: Files> Tree<'a, F> {
    pub(super) fn new(files: &'a F) -> Self {
        Self {
            files,
            compared: 0,
            findings: Vec::new(),
        }
    }

    /// Compares a tile's file with its right hashes.
    pub(super) fn compare(&mut self, tile: Tile, right: &[Hash]) -> Result<(), Error> {
        let name = tile.path(right.len());
        // A full tile may stand for a partial one.
        let there = match self.files.read(&name, FULL + 32)? {
            None if right.len() < WIDTH => self.files.read(&tile.path(WIDTH), FULL + 32)?,
            there => there,
        };
        self.compared += 1;
        let (offset, (first, last), why) = match there {
            None => (None, (0, right.len() - 1), "it is not there"),
            Some(bytes) => {
                let same = bytes.iter().zip(right.as_flattened());
                let same = same.take_while(|(a, b)| a == b).count();
                let longer = bytes.len() > right.len() * 32 && right.len() == WIDTH;
                if same == right.len() * 32 && !longer {
                    return Ok(());
                }
                let hash = (same / 32).min(right.len() - 1);
                let why = "its hash is not that of the records";
                (Some(same as u64), (hash, hash), why)
            }
        };
        if self.findings.len() < FINDINGS_MAX {
            let damage = Damage {
                file: name,
                offset,
                records: Some(tile.records(first, last)),
                why: why.into(),
            };
            let kind = Kind::Damage;
            self.findings.push(Finding { kind, damage });
        }
        Ok(())
    }
}

/// Reads the entry bundles of a log of `size` records into `grower`; each entry goes to `each`. The inner
/// error is the first that is damaged.
pub(super) fn bundles(
    files: &impl Files,
    size: u64,
    grower: &mut Grower,
    tree: &mut Tree<'_, impl Files>,
    mut each: impl FnMut(&str, u64, &[u8]),
) -> Result<Result<(), Damage>, Error> {
    for number in 0..size.div_ceil(WIDTH as u64) {
        let first = number * WIDTH as u64;
        let width = usize::try_from(size - first).map_or(WIDTH, |left| left.min(WIDTH));
        let name = bundle::path(number, width);
        let damaged = |offset, why: String| Damage {
            file: name.clone(),
            offset,
            records: Some((first, first + width as u64 - 1)),
            why,
        };
        let there = match files.read(&name, BUNDLE_MAX)? {
            None if width < WIDTH => files.read(&bundle::path(number, WIDTH), BUNDLE_MAX)?,
            there => there,
        };
        let Some(bytes) = there else {
            return Ok(Err(damaged(None, "it is not there".into())));
        };
        let entries = match bundle::parse(&bytes) {
            Ok(entries) if entries.len() >= width => entries,
            Ok(entries) => {
                let why = format!("{} records where {width} are due", entries.len());
                return Ok(Err(damaged(None, why)));
            }
            Err(error) => return Ok(Err(damaged(None, error.to_string()))),
        };
        for (index, entry) in (first..).zip(entries.into_iter().take(width)) {
            let mut full = Vec::new();
            grower.push(leaf_hash(entry), |tile, hashes| full.push((tile, hashes)));
            for (tile, hashes) in full {
                tree.compare(tile, &hashes)?;
            }
            each(&name, index, entry);
        }
    }
    Ok(Ok(()))
}
