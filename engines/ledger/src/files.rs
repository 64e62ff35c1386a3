//! The files of a ledger, wherever they are: what readers need of them, and the tree's hashes out of
//! the tiles among them.

use crate::tile::{self, Grower, Tile, Tiles, WIDTH};
use crate::{Damage, Error, Hash};
use std::io::Read;

/// The signed checkpoint (C2SP tlog-tiles).
pub const CHECKPOINT: &str = "checkpoint";
/// The log's public keys, a verifier key a line.
pub const KEYS: &str = "verifier-keys";

/// Gives files by their path below the ledger's directory.
pub trait Files {
    /// Opens a file for reading; `None` when it isn't there.
    ///
    /// # Errors
    /// [`Error::Storage`].
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>, Error>;

    /// The whole of a file that may have `limit` bytes.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damage`] when it is longer.
    fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        let Some(file) = self.open(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let fails = |error: std::io::Error| Error::Storage {
            what: name.into(),
            why: error.to_string(),
        };
        file.take(limit as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(fails)?;
        if bytes.len() > limit {
            return Err(Error::Damage(Damage {
                file: name.into(),
                offset: Some(limit as u64),
                records: None,
                why: format!("it has more than {limit} bytes"),
            }));
        }
        Ok(Some(bytes))
    }
}

impl<F: Files + ?Sized> Files for &F {
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>, Error> {
        (**self).open(name)
    }
}

/// Parses the file of public keys.
///
/// # Errors
/// [`Error::Malformed`] naming the line.
pub fn keys(text: &[u8]) -> Result<Vec<crate::note::VerifierKey>, Error> {
    let bad = |why: String| Error::malformed("verifier keys", why);
    let text = std::str::from_utf8(text).map_err(|_| bad("no UTF-8".into()))?;
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    let key = |(line, number): (&str, usize)| {
        let parsed = line.trim().parse();
        parsed.map_err(|error: Error| bad(format!("line {number}: {error}")))
    };
    lines.map(key).collect()
}

/// The tiles of a log: full ones from files, those at the right edge from the growing tree.
#[derive(Debug)]
pub struct TilesOf<'a, F> {
    /// The files.
    pub files: &'a F,
    /// The tree.
    pub tree: &'a Grower,
}

impl<F: Files> Tiles for TilesOf<'_, F> {
    fn tile(&self, tile: Tile, width: usize) -> Result<Vec<Hash>, Error> {
        if let Some(hashes) = self.tree.edge(tile) {
            return Ok(hashes.to_vec());
        }
        let name = tile.path(WIDTH);
        match self.files.read(&name, tile::FULL)? {
            Some(bytes) => tile::parse(&bytes),
            None => Err(Error::Storage {
                what: name,
                why: format!("not there, though {width} hashes of it are needed"),
            }),
        }
    }
}
